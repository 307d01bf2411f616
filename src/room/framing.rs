//! How a reader gets messages framed.
//!
//! Lines join: all messages that wait travel in one text message. Every other framing puts finished frames or
//! events one behind the other, so that what waits is simply their concatenation.
//!
//! A deflated framing is a joined one whose body is compressed, once for all readers: no connection has a compressor.
//! Bodies end where a compressor was flushed, so that they join as they are. A batch that is short, or that does not
//! shrink, has no such body, and its readers get the plain one.

use super::batch::BATCH_TEXT_MAX;
use super::id::Id;
use crate::ws::deflate::Window;
use crate::ws::frame::{Opcode, SERVER_HEADER_MAX, ServerHeader};

/// The most text that is joined into one frame, in bytes. Common clients close on messages over 1 MiB.
/// A batch that is longer, because of one long message, travels on its own.
pub const JOINED_TEXT_MAX: usize = BATCH_TEXT_MAX;
/// The length of the shared buffer in which waiting bytes are put together, and so of one write.
pub const GATHER_LEN: usize = 64 * 1024;

/// How many framings there are.
pub const FRAMINGS: usize = 7;

/// How a reader gets its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Framing {
    /// What waits is one text message, joined by newlines.
    Lines,
    /// Each message is a text message.
    Single,
    /// As lines, with the id before each message.
    NumberedLines,
    /// Each message is a text message, its id before it.
    NumberedSingle,
    /// Server-sent events.
    Events,
    /// As lines, compressed for readers with such a window.
    DeflatedLines(Window),
    /// As numbered lines, compressed for readers with such a window.
    DeflatedNumberedLines(Window),
}

/// The framings that are not built with the batch itself, but when a reader wants them.
pub const DERIVED: [Framing; FRAMINGS - 1] = [
    Framing::Single,
    Framing::NumberedLines,
    Framing::NumberedSingle,
    Framing::Events,
    Framing::DeflatedLines(Window::MAX),
    Framing::DeflatedNumberedLines(Window::MAX),
];

impl Framing {
    /// The place among [`DERIVED`], whatever the window is; `None` for lines, which every batch has.
    #[inline]
    pub(super) fn derived_place(self) -> Option<usize> {
        match self {
            Self::Lines => None,
            Self::Single => Some(0),
            Self::NumberedLines => Some(1),
            Self::NumberedSingle => Some(2),
            Self::Events => Some(3),
            Self::DeflatedLines(_) => Some(4),
            Self::DeflatedNumberedLines(_) => Some(5),
        }
    }

    /// The window of a reader that inflates.
    #[inline]
    pub fn window(self) -> Option<Window> {
        match self {
            Self::DeflatedLines(window) | Self::DeflatedNumberedLines(window) => Some(window),
            _ => None,
        }
    }

    /// The same without compression.
    #[inline]
    pub fn plain(self) -> Self {
        match self {
            Self::DeflatedLines(_) => Self::Lines,
            Self::DeflatedNumberedLines(_) => Self::NumberedLines,
            plain => plain,
        }
    }

    /// Whether messages that wait are joined into one frame.
    #[inline]
    pub fn is_joined(self) -> bool {
        matches!(self.plain(), Self::Lines | Self::NumberedLines)
    }

    /// Whether a reader knows the ids, so that it can be told of a gap.
    #[inline]
    pub fn has_ids(self) -> bool {
        !matches!(self.plain(), Self::Lines | Self::Single)
    }

    /// Whether the reader is a WebSocket.
    #[inline]
    pub fn is_websocket(self) -> bool {
        self != Self::Events
    }

    /// What stands between the bodies of two batches.
    pub(super) fn separator(self) -> &'static [u8] {
        match self {
            Self::Lines | Self::NumberedLines => b"\n",
            Self::Single | Self::NumberedSingle | Self::Events => b"",
            Self::DeflatedLines(_) | Self::DeflatedNumberedLines(_) => DEFLATED_NEWLINE,
        }
    }

    /// The header of a frame of such a body.
    pub(super) fn header(self, body_len: usize) -> ServerHeader {
        match self.window() {
            Some(_) => ServerHeader::encode_deflated(Opcode::Text, body_len),
            None => header(body_len),
        }
    }

    /// The length of a message in the body of a batch, without separators, before it is compressed.
    fn message_len(self, text_len: usize, id: Id) -> usize {
        let line_len = id.encoded_len() + 1 + text_len;
        match self {
            Self::Lines | Self::DeflatedLines(_) => text_len,
            Self::NumberedLines | Self::DeflatedNumberedLines(_) => line_len,
            Self::Single => header(text_len).as_bytes().len() + text_len,
            Self::NumberedSingle => header(line_len).as_bytes().len() + line_len,
            Self::Events => {
                EVENT_ID.len() + id.encoded_len() + EVENT_DATA.len() + text_len + EVENT_END.len()
            }
        }
    }

    /// What the body of a batch has at most, without a look at each message: the last id is the longest.
    pub(super) fn body_len_max(self, text_len: usize, message_count: u64, first: Id) -> usize {
        let seq = first.seq + message_count;
        let header_len = if self.is_joined() {
            0
        } else {
            SERVER_HEADER_MAX
        };
        let added_len = self.message_len(0, Id { seq, ..first }) + header_len;
        text_len + usize::try_from(message_count).unwrap_or(usize::MAX) * added_len
    }

    /// Where a message begins in the body of a batch: behind the `skip` messages before it. The first message of
    /// `text` has the id `first`.
    pub(super) fn offset(self, skip: u32, text: &[u8], first: Id) -> usize {
        let messages = lines(text).zip(first.seq..).take(skip as usize);
        let separator_len = self.separator().len();
        messages
            .map(|(line, seq)| self.message_len(line.len(), Id { seq, ..first }) + separator_len)
            .sum()
    }
}

pub(super) const EVENT_ID: &[u8] = b"id: ";
pub(super) const EVENT_DATA: &[u8] = b"\ndata: ";
pub(super) const EVENT_END: &[u8] = b"\n\n";

/// A newline between compressed bodies. Each of them ends in the header of a block without compression, as a flush
/// leaves it (RFC 7692 §7.2.1): the block gets a length, and its complement, of one byte (RFC 1951 §3.2.4).
const DEFLATED_NEWLINE: &[u8] = b"\x01\x00\xfe\xff\n";

/// The header of a text message.
#[inline]
pub fn header(text_len: usize) -> ServerHeader {
    ServerHeader::encode(Opcode::Text, text_len)
}

/// The messages of a batch: none of them has a newline.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'\n')
}

/// Puts bytes together, without the first `skip` of them, until the buffer is full.
pub struct Gather<'a> {
    /// How many bytes are still to be left out.
    pub skip: usize,
    /// How many bytes may be put together.
    pub max: usize,
    /// Where to.
    pub out: &'a mut Vec<u8>,
}

impl Gather<'_> {
    /// Appends bytes; whether there is room for more.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        let bytes = bytes.get(skipped..).unwrap_or_default();
        let room = self.max - self.out.len();
        self.out
            .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        self.out.len() < self.max
    }
}
