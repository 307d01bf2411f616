//! A client's frames as a stream, and all that a reader makes of it.

use fanfare::ws::close::ProtocolError;
use fanfare::ws::deflate::Inflater;
use fanfare::ws::message::{Incoming, MessageReader};

use crate::wire;

pub const MESSAGE_MAX: usize = 1000;
/// What a reader may hold besides a message.
const OVERHEAD: usize = 512;

/// The frames, masked with `key`, and any bytes `behind` them; `None` if a frame is too long.
pub fn stream(frames: &[(u8, Vec<u8>)], key: [u8; 4], behind: &[u8]) -> Option<Vec<u8>> {
    let mut stream = Vec::new();
    for (first, payload) in frames {
        u16::try_from(payload.len()).ok()?;
        stream.extend(wire::frame_under(key, *first, payload));
    }
    stream.extend(behind);
    Some(stream)
}

/// What comes out of the pieces, and the error that ends it; memory stays within its bound meanwhile. Messages may
/// be compressed where that was agreed upon.
pub fn read(pieces: &[&[u8]], is_deflated: bool) -> (Vec<String>, Option<ProtocolError>) {
    let mut reader = MessageReader::default();
    let mut inflater = is_deflated.then(Inflater::default);
    let mut messages = Vec::new();
    for piece in pieces {
        let mut piece = piece.to_vec();
        if let Err(error) = read_piece(&mut reader, &mut piece, inflater.as_mut(), &mut messages) {
            return (messages, Some(error));
        }
        assert!(reader.held_len() <= MESSAGE_MAX + OVERHEAD);
    }
    (messages, None)
}

fn read_piece(
    reader: &mut MessageReader,
    mut input: &mut [u8],
    mut inflater: Option<&mut Inflater>,
    messages: &mut Vec<String>,
) -> Result<(), ProtocolError> {
    while let Some(incoming) = reader.next(&mut input, MESSAGE_MAX, inflater.as_deref_mut())? {
        if let Incoming::Binary(bytes) = &incoming {
            assert!(bytes.len() <= MESSAGE_MAX);
        }
        messages.push(format!("{incoming:?}"));
    }
    assert!(input.is_empty());
    Ok(())
}
