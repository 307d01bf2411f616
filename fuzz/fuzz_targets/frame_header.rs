//! Any bytes as a frame header: what decodes encodes back, follows RFC 6455 §5.2, and agrees with
//! tungstenite's parser wherever both have an opinion.
#![no_main]

#[path = "../support/rules.rs"]
mod rules;

use std::io::Cursor;

use fanfare::ws::frame::{Header, ServerHeader};
use libfuzzer_sys::fuzz_target;
use rules::is_forbidden;
use tungstenite::protocol::frame::FrameHeader;

/// Where compression was negotiated, one bit may be set on frames that begin a message; all else is as before.
fn check_deflated(input: &[u8]) {
    let mut plain = input.to_vec();
    let may_be_set = |first: &u8| matches!(first & 0x0f, 1 | 2) && first & 0x40 != 0;
    let rsv1 = plain.first().is_some_and(may_be_set);
    if rsv1 {
        plain[0] ^= 0x40;
    }
    let mut expected = Header::decode(&plain, false);
    if let Ok(Some((header, _))) = &mut expected {
        assert!(!header.rsv1);
        header.rsv1 = rsv1;
    }
    // Of several rules that are broken, any may be told.
    assert_eq!(Header::decode(input, true).ok(), expected.ok());
}

fuzz_target!(|input: &[u8]| {
    let mut cursor = Cursor::new(input);
    let theirs = FrameHeader::parse(&mut cursor);
    check_deflated(input);
    match Header::decode(input, false) {
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
            assert_eq!(Header::decode(&longer, false), Err(error));
        }
    }
});
