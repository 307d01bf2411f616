//! Any bytes as a frame header: what decodes encodes back, follows RFC 6455 §5.2, and agrees with
//! tungstenite's parser wherever both have an opinion.
#![no_main]

use std::io::Cursor;

use fanfare::ws::frame::{Header, ServerHeader};
use libfuzzer_sys::fuzz_target;
use tungstenite::protocol::frame::FrameHeader;

fuzz_target!(|input: &[u8]| {
    let mut cursor = Cursor::new(input);
    let theirs = FrameHeader::parse(&mut cursor);
    match Header::decode(input) {
        Ok(Some((header, header_len))) => {
            let (decoded, _) = input.split_at(header_len);
            assert_eq!(input[0] & 0x70, 0, "reserved bits");
            assert!(header.payload_len >> 63 == 0, "63 bits");
            if header.opcode.is_control() {
                assert!(
                    header.fin && header.payload_len <= 125,
                    "control frames are short and whole"
                );
            }
            // The same header, as a server would send it, but for the mask and a missing FIN.
            let len = usize::try_from(header.payload_len).expect("a 64-bit machine");
            let mut encoded = ServerHeader::encode(header.opcode, len).as_bytes().to_vec();
            encoded[0] ^= u8::from(!header.fin) << 7;
            encoded[1] |= 0x80;
            encoded.extend(header.key);
            assert_eq!(encoded, decoded, "the shortest form is the only one");

            let (theirs, their_len) = theirs.expect("no error").expect("a whole header");
            assert_eq!(their_len, header.payload_len);
            assert_eq!(u8::from(theirs.opcode), header.opcode as u8);
            assert_eq!(theirs.mask, Some(header.key));
            assert_eq!(theirs.is_final, header.fin);
            assert_eq!(cursor.position(), header_len as u64);
        }
        // Whoever needs more bytes than we do has not seen an error either.
        Ok(None) => assert!(matches!(theirs, Ok(None))),
        // An error has a reason, and stays one whatever follows.
        Err(error) => {
            assert!(is_forbidden(input), "{error:?}");
            let longer = [input, &[0; 14]].concat();
            assert_eq!(Header::decode(&longer), Err(error));
        }
    }
});

/// Whether the first bytes break a rule of RFC 6455 §5.2 to §5.5 for frames of a client.
fn is_forbidden(input: &[u8]) -> bool {
    let byte = |at: usize| input.get(at).copied();
    let number = |len: usize| {
        input
            .get(2..2 + len)
            .map(|bytes| bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
    };
    let first = byte(0).unwrap_or(0x81);
    let second = byte(1).unwrap_or(0x80);
    let is_control = first & 0x08 != 0;
    first & 0x70 != 0
        || matches!(first & 0x0f, 3..=7 | 11..=15)
        || second & 0x80 == 0
        || (is_control && (first & 0x80 == 0 || second & 0x7f > 125))
        || (second & 0x7f == 126 && number(2).is_some_and(|len| len < 126))
        || (second & 0x7f == 127 && number(8).is_some_and(|len| len < 0x1_0000 || len >> 63 == 1))
}
