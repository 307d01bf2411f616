//! The messages published in one room during one turn: joined by newlines, framed once, shared by all readers.
//!
//! Room for the frame header is left in front of the text, so that sealing a batch writes a few bytes and
//! copies nothing. A sealed batch is only ever read.

use super::framing;
use crate::ws::frame::SERVER_HEADER_MAX;

/// The text at which a batch is full, in bytes. Only a single message may make it longer.
///
/// A full send queue of the largest messages that are allowed by default, 128 KiB, is to leave in one
/// write: in two, a flood of such messages costs a third more.
pub const BATCH_TEXT_MAX: usize = 256 * 1024;
/// What the lengths of buffers are multiples of, so that they need not grow for a slightly longer message.
const BUFFER_GRAIN: usize = 64;
/// A buffer that grew beyond this is not kept for another batch.
const KEPT_CAPACITY_MAX: usize = 2 * BATCH_TEXT_MAX;

/// Messages on their way to everybody.
#[derive(Debug)]
pub struct Batch {
    /// Header room, then the text.
    bytes: Vec<u8>,
    /// Where the frame begins in `bytes`, once sealed.
    frame_start: usize,
    message_count: usize,
    /// How many messages the room had before this batch.
    messages_before: u64,
    /// How many bytes of text the room had before this batch.
    text_before: u64,
    /// How many cursors stand at this batch.
    pub(super) cursors: u32,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            frame_start: SERVER_HEADER_MAX,
            message_count: 0,
            messages_before: 0,
            text_before: 0,
            cursors: 0,
        }
    }
}

impl Batch {
    /// Appends a message, its newlines turned into spaces. The first message reserves `expected_len` bytes.
    ///
    /// An empty message counts like any other and becomes an empty line.
    #[inline]
    pub fn push(&mut self, message: &str, expected_len: usize) {
        if self.message_count > 0 {
            self.bytes.push(b'\n');
        } else {
            self.begin(expected_len.max(message.len()));
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(message.as_bytes());
        let added = self.bytes.split_at_mut(start).1;
        if memchr::memchr(b'\n', added).is_some() {
            replace_newlines(added);
        }
        self.message_count += 1;
    }

    /// Makes room for the header and `text_len` bytes. Doubling would be too much for what may wait for long.
    fn begin(&mut self, text_len: usize) {
        let len = (SERVER_HEADER_MAX + text_len).next_multiple_of(BUFFER_GRAIN);
        self.bytes.clear();
        self.bytes.reserve_exact(len);
        self.bytes.resize(SERVER_HEADER_MAX, 0);
    }

    /// Writes the frame header in front of the text. Nothing may be pushed until [`Batch::clear`].
    pub fn seal(&mut self) {
        let header = framing::line_header(self.text_len());
        let header = header.as_bytes();
        self.frame_start = SERVER_HEADER_MAX - header.len();
        if let Some(room) = self.bytes.get_mut(self.frame_start..SERVER_HEADER_MAX) {
            room.copy_from_slice(header);
        }
    }

    /// Empties the batch, so that its buffer serves another one behind so many messages and bytes of text.
    /// An outsized buffer is given back.
    pub fn clear(&mut self) {
        self.bytes.truncate(SERVER_HEADER_MAX);
        if self.bytes.capacity() > KEPT_CAPACITY_MAX {
            self.bytes.shrink_to_fit();
        }
        self.message_count = 0;
    }

    /// Says where in the room's history this batch begins.
    pub(super) fn place(&mut self, messages_before: u64, text_before: u64) {
        self.messages_before = messages_before;
        self.text_before = text_before;
    }

    /// The whole frame of a sealed batch, in the framing of lines.
    #[inline]
    pub fn frame(&self) -> &[u8] {
        self.bytes.get(self.frame_start..).unwrap_or_default()
    }

    /// The messages, joined by newlines.
    pub fn text(&self) -> &[u8] {
        self.bytes.get(SERVER_HEADER_MAX..).unwrap_or_default()
    }

    /// The length of [`Batch::text`].
    #[inline]
    pub fn text_len(&self) -> usize {
        self.bytes.len().saturating_sub(SERVER_HEADER_MAX)
    }

    /// The memory that the batch takes, in bytes.
    pub fn held_len(&self) -> usize {
        size_of::<Self>() + self.bytes.capacity()
    }

    /// How many messages it has.
    #[inline]
    pub fn message_count(&self) -> usize {
        self.message_count
    }

    /// How many messages the room had before this batch.
    pub fn messages_before(&self) -> u64 {
        self.messages_before
    }

    /// How many bytes of text the room had before this batch.
    pub fn text_before(&self) -> u64 {
        self.text_before
    }

    /// Whether nothing was published.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.message_count == 0
    }
}

/// Turns newlines into spaces. Every byte is written again, so that the compiler can do it without a branch, many
/// at a time.
#[cold]
fn replace_newlines(text: &mut [u8]) {
    for byte in text {
        *byte = if *byte == b'\n' { b' ' } else { *byte };
    }
}

/// A message as it is published: without white space at its ends.
#[inline]
pub fn trimmed(message: &str) -> &str {
    match message.as_bytes() {
        // The usual message needs no search for white space of all kinds.
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => message,
        _ => message.trim(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ws::frame::{Opcode, ServerHeader};

    fn sealed(messages: &[&str]) -> Batch {
        let mut batch = Batch::default();
        for message in messages {
            batch.push(trimmed(message), 0);
        }
        batch.seal();
        batch
    }

    #[test]
    fn messages_are_trimmed_and_their_newlines_become_spaces() {
        let golden = [
            ("hello", "hello"),
            ("  hello\t\r\n", "hello"),
            ("a\nb\n\nc", "a b  c"),
            ("\u{2003}em\u{a0}space\u{2003}", "em\u{a0}space"),
            ("\n \n", ""),
            ("a ", "a"),
            (" a", "a"),
            ("a", "a"),
            (" ", ""),
            ("\u{e9}", "\u{e9}"),
            ("a\rb", "a\rb"),
        ];
        for (message, expected) in golden {
            assert_eq!(
                sealed(&[message]).text(),
                expected.as_bytes(),
                "{message:?}"
            );
        }
    }

    #[test]
    fn messages_are_joined_into_one_frame() {
        assert_eq!(sealed(&["a", "b"]).frame(), b"\x81\x03a\nb");
        assert_eq!(sealed(&["", "", "x"]).frame(), b"\x81\x03\n\nx");
        assert_eq!(sealed(&[""]).frame(), b"\x81\x00");
    }

    #[test]
    fn the_header_fits_in_its_room_at_every_length_class() {
        for len in [0, 1, 125, 126, 65_535, 65_536] {
            let batch = sealed(&[&"x".repeat(len)]);
            let header = ServerHeader::encode(Opcode::Text, len);
            assert_eq!(batch.frame().len(), header.as_bytes().len() + len);
            assert!(batch.frame().starts_with(header.as_bytes()));
        }
    }

    #[test]
    fn a_cleared_batch_starts_over_and_keeps_no_outsized_buffer() {
        let mut batch = sealed(&[&"x".repeat(2 * KEPT_CAPACITY_MAX)]);
        batch.clear();
        assert!(batch.is_empty());
        assert!(batch.held_len() <= KEPT_CAPACITY_MAX);
        batch.push("again", 0);
        batch.seal();
        assert_eq!(batch.frame(), b"\x81\x05again");
    }

    #[test]
    fn the_first_message_reserves_what_is_expected() {
        let mut batch = Batch::default();
        batch.push("x", 1_000);
        let reserved = batch.held_len();
        (0..499).for_each(|_| batch.push("x", 0));
        assert_eq!(batch.held_len(), reserved);
    }
}
