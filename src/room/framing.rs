//! How a reader gets messages framed. The framing of lines: all messages that wait travel in one text
//! message, joined by newlines. Joining several batches into one frame belongs to this framing alone.

use super::batch::BATCH_TEXT_MAX;
use crate::ws::frame::{Opcode, ServerHeader};

/// The most text that is joined into one frame, in bytes. Common clients close on messages over 1 MiB.
/// A batch that is longer, because of one long message, travels on its own.
pub const JOINED_TEXT_MAX: usize = BATCH_TEXT_MAX;
/// The length of the shared buffer in which waiting bytes are put together, and so of one write.
pub const GATHER_LEN: usize = 64 * 1024;

/// The header of a frame of lines.
#[inline]
pub fn line_header(text_len: usize) -> ServerHeader {
    ServerHeader::encode(Opcode::Text, text_len)
}

/// Fills `out` with a frame of lines from its byte `skip` on, as far as [`GATHER_LEN`] goes: the header, then
/// the texts, joined by newlines.
pub fn gather_lines<'a>(
    header: ServerHeader,
    texts: impl Iterator<Item = &'a [u8]>,
    skip: usize,
    out: &mut Vec<u8>,
) {
    out.clear();
    let mut gather = Gather { skip, out };
    if !gather.push(header.as_bytes()) {
        return;
    }
    for (index, text) in texts.enumerate() {
        if (index > 0 && !gather.push(b"\n")) || !gather.push(text) {
            return;
        }
    }
}

/// Puts bytes together, without the first `skip` of them, until the buffer is full.
pub struct Gather<'a> {
    /// How many bytes are still to be left out.
    pub skip: usize,
    /// The shared buffer.
    pub out: &'a mut Vec<u8>,
}

impl Gather<'_> {
    /// Appends bytes; whether there is room for more.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        let bytes = bytes.get(skipped..).unwrap_or_default();
        let room = GATHER_LEN - self.out.len();
        self.out
            .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        self.out.len() < GATHER_LEN
    }
}
