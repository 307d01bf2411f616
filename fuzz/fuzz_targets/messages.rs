//! A stream of client frames, cut anywhere: the same messages as uncut, memory within its bound, and
//! nothing after an error.
#![no_main]

use fanfare::ws::close::ProtocolError;
use fanfare::ws::message::{Incoming, MessageReader};
use libfuzzer_sys::fuzz_target;

const MESSAGE_MAX: usize = 1000;
/// What a reader may hold besides a message.
const OVERHEAD: usize = 512;

#[derive(Debug, arbitrary::Arbitrary)]
struct Input {
    frames: Vec<(u8, Vec<u8>)>,
    key: [u8; 4],
    behind: Vec<u8>,
    cuts: Vec<u8>,
}

fuzz_target!(|input: Input| {
    let mut stream = Vec::new();
    for (first, payload) in &input.frames {
        stream.push(*first);
        match u16::try_from(payload.len()) {
            Ok(len @ 0..126) => stream.push(0x80 | len as u8),
            Ok(len) => {
                stream.push(0xfe);
                stream.extend(len.to_be_bytes());
            }
            Err(_) => return,
        }
        stream.extend(input.key);
        let masked = payload.iter().zip(input.key.iter().cycle());
        stream.extend(masked.map(|(byte, key)| byte ^ key));
    }
    stream.extend(&input.behind);

    let mut pieces = Vec::new();
    let mut rest = &stream[..];
    for cut in &input.cuts {
        let (piece, behind) = rest.split_at(usize::from(*cut).min(rest.len()));
        pieces.push(piece);
        rest = behind;
    }
    pieces.push(rest);
    assert_eq!(read(&pieces), read(&[&stream]));
});

fn read(pieces: &[&[u8]]) -> (Vec<String>, Option<ProtocolError>) {
    let mut reader = MessageReader::default();
    let mut messages = Vec::new();
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut input = &mut piece[..];
        loop {
            let next = reader.next(&mut input, MESSAGE_MAX);
            match next {
                Ok(Some(incoming)) => {
                    if let Incoming::Binary(bytes) = &incoming {
                        assert!(bytes.len() <= MESSAGE_MAX);
                    }
                    messages.push(format!("{incoming:?}"));
                }
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
        assert!(input.is_empty());
        assert!(reader.held_len() <= MESSAGE_MAX + OVERHEAD);
    }
    (messages, None)
}
