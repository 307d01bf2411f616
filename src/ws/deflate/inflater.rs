//! The one decompressor.

use std::fmt;

use flate2::{Decompress, FlushDecompress, Status};

use super::FLUSH_END;
use crate::ws::close::ProtocolError;
use crate::ws::payload::Payload;

/// How many bytes are inflated at a time, before they are checked and kept.
const SCRATCH_LEN: usize = 4096;
/// A byte that no block begins with: two of its first three bits say a type that is reserved (RFC 1951 §3.2.3).
const NO_BLOCK: &[u8] = &[0x06];
/// What the decoder says of [`NO_BLOCK`] where a block has to begin, and nowhere else.
const NO_BLOCK_WORDS: &str = "invalid block type";

/// The most bytes that a compressed message may have which is at most `message_max` bytes long.
///
/// Text that does not shrink grows by an eighth at most, in the fixed codes of nine bits a byte; stored it grows by
/// five bytes a block. What is longer than that is made to be long, out of empty blocks.
pub fn deflated_max(message_max: usize) -> usize {
    message_max
        .saturating_add(message_max / 8)
        .saturating_add(64)
}

/// Inflates messages, each by itself and with the largest window. Its memory, about 50 KiB, is taken when the first
/// message comes.
#[derive(Debug, Default)]
pub struct Inflater {
    state: Option<Box<State>>,
}

struct State {
    decoder: Decompress,
    scratch: [u8; SCRATCH_LEN],
}

impl Inflater {
    /// Appends to `payload` what the compressed message holds (RFC 7692 §7.2.2), at most `message_max` bytes.
    ///
    /// What comes out is checked as it comes; whether a text ends within a character is left to the caller.
    ///
    /// # Errors
    /// The data are invalid or stop within a block, one byte more came out than the bound has room for, or the text
    /// is not UTF-8; of several, any. `payload` then holds a part of the message.
    pub fn inflate(
        &mut self,
        compressed: &[u8],
        payload: &mut Payload,
        message_max: usize,
    ) -> Result<(), ProtocolError> {
        let state = self.state.get_or_insert_with(Box::default);
        state.decoder.reset(false);
        state.inflate(compressed, payload, message_max)?;
        state.inflate(FLUSH_END, payload, message_max)?;
        match state.is_between_blocks() {
            true => Ok(()),
            false => Err(ProtocolError::InvalidDeflate),
        }
    }
}

impl State {
    fn inflate(
        &mut self,
        mut input: &[u8],
        payload: &mut Payload,
        message_max: usize,
    ) -> Result<(), ProtocolError> {
        loop {
            let room = message_max.saturating_sub(payload.received_len());
            // One byte more than there is room for, to see that it is too much.
            let out_len = room.saturating_add(1).min(SCRATCH_LEN);
            let out = self.scratch.split_at_mut(out_len).0;
            let (read, written) = (self.decoder.total_in(), self.decoder.total_out());
            let status = self
                .decoder
                .decompress(input, out, FlushDecompress::Sync)
                .map_err(|_| ProtocolError::InvalidDeflate)?;
            let taken_len = to_len(self.decoder.total_in() - read);
            let piece_len = to_len(self.decoder.total_out() - written);
            input = input.get(taken_len..).unwrap_or_default();
            if piece_len > room {
                return Err(ProtocolError::MessageTooBig);
            }
            payload.push(out.get(..piece_len).unwrap_or_default(), message_max)?;
            if status == Status::StreamEnd {
                // A block said that it is the last one. More may follow, from the next byte on (§7.2.3.4).
                self.decoder.reset(false);
            } else if piece_len < out_len {
                // Only a full buffer stops the decoder before all is read.
                return Ok(());
            }
        }
    }

    /// Whether the data read so far end with a block, so that the next byte would begin another.
    ///
    /// The decoder has no word for it, and a good block at the end would not do: data that stop within a block may
    /// be made so that any bytes complete them. A bad one is refused in words of its own.
    fn is_between_blocks(&mut self) -> bool {
        let flush = FlushDecompress::Sync;
        let refused = self.decoder.decompress(NO_BLOCK, &mut self.scratch, flush);
        refused.is_err_and(|error| error.message() == Some(NO_BLOCK_WORDS))
    }
}

/// A count of bytes within one slice.
fn to_len(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

impl Default for State {
    fn default() -> Self {
        Self {
            decoder: Decompress::new(false),
            scratch: [0; SCRATCH_LEN],
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.decoder.fmt(f)
    }
}
