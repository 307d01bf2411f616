//! The messages said in one room during one turn: joined by newlines, framed once, shared by all readers.
//!
//! Room for the frame header is left in front of the text, so that sealing a batch writes a few bytes
//! and copies nothing. A sealed batch is only ever read; whoever could not take all of it yet holds a
//! reference.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;

use crate::ws::frame::{Opcode, SERVER_HEADER_MAX, ServerHeader};

/// The text at which a batch is full, in bytes. One message more may stand behind it.
///
/// A full send queue of the largest messages that are allowed by default, 128 KiB, is to leave in one
/// write: in two, a flood of such messages costs a third more.
pub const BATCH_TEXT_MAX: usize = 256 * 1024;
/// A buffer that grew beyond this is not kept for the next turn.
const KEPT_CAPACITY_MAX: usize = 2 * BATCH_TEXT_MAX;

/// Messages on their way to everybody, as one text frame.
#[derive(Debug)]
pub struct Batch {
    /// Header room, then the text.
    bytes: Vec<u8>,
    /// Where the frame begins in `bytes`, once sealed.
    frame_start: usize,
    message_count: usize,
    /// Set once the batch is kept for a laggard.
    held: OnceCell<Held>,
}

/// The bytes of all batches that are kept for laggards, each counted once however many wait for it.
#[derive(Debug, Default, Clone)]
pub struct HeldBytes(Rc<Cell<usize>>);

impl HeldBytes {
    /// How many there are now.
    pub fn len(&self) -> usize {
        self.0.get()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One batch's part of [`HeldBytes`], given back when the last laggard lets the batch go.
#[derive(Debug)]
struct Held {
    total: HeldBytes,
    len: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.total.0.set(self.total.0.get() - self.len);
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            bytes: vec![0; SERVER_HEADER_MAX],
            frame_start: SERVER_HEADER_MAX,
            message_count: 0,
            held: OnceCell::new(),
        }
    }
}

impl Batch {
    /// Appends a message: trimmed of white space, its newlines turned into spaces.
    ///
    /// An empty message counts like any other and becomes an empty line.
    #[inline]
    pub fn push(&mut self, message: &str) {
        if self.message_count > 0 {
            self.bytes.push(b'\n');
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(message.trim().as_bytes());
        // Every byte is written again, so that the compiler can do it without a branch, many at a time.
        for byte in self.bytes.split_at_mut(start).1 {
            *byte = if *byte == b'\n' { b' ' } else { *byte };
        }
        self.message_count += 1;
    }

    /// Writes the frame header in front of the text. Nothing may be pushed until [`Batch::clear`].
    pub fn seal(&mut self) {
        let header = ServerHeader::encode(Opcode::Text, self.text_len());
        let header = header.as_bytes();
        self.frame_start = SERVER_HEADER_MAX - header.len();
        if let Some(room) = self.bytes.get_mut(self.frame_start..SERVER_HEADER_MAX) {
            room.copy_from_slice(header);
        }
    }

    /// Counts this batch as kept for laggards, until it is dropped. A second call changes nothing.
    pub fn hold(&self, total: &HeldBytes) {
        self.held.get_or_init(|| {
            let len = self.bytes.capacity();
            total.0.set(total.0.get() + len);
            Held {
                total: total.clone(),
                len,
            }
        });
    }

    /// Empties the batch for the next turn, and gives an outsized buffer back.
    pub fn clear(&mut self) {
        self.bytes.truncate(SERVER_HEADER_MAX);
        if self.bytes.capacity() > KEPT_CAPACITY_MAX {
            self.bytes.shrink_to_fit();
        }
        self.message_count = 0;
    }

    /// The whole frame of a sealed batch.
    #[inline]
    pub fn frame(&self) -> &[u8] {
        self.bytes.get(self.frame_start..).unwrap_or_default()
    }

    /// The messages, joined by newlines.
    pub fn text(&self) -> &[u8] {
        self.bytes.get(SERVER_HEADER_MAX..).unwrap_or_default()
    }

    /// The length of [`Batch::text`].
    pub fn text_len(&self) -> usize {
        self.bytes.len() - SERVER_HEADER_MAX
    }

    /// How many messages it holds.
    pub fn message_count(&self) -> usize {
        self.message_count
    }

    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.message_count == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(messages: &[&str]) -> Batch {
        let mut batch = Batch::default();
        for message in messages {
            batch.push(message);
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
    fn held_bytes_are_counted_once_and_given_back() {
        let total = HeldBytes::default();
        let batch = sealed(&["hello"]);
        batch.hold(&total);
        let len = total.len();
        assert!(len >= batch.frame().len());
        batch.hold(&total);
        assert_eq!(total.len(), len);
        drop(batch);
        assert!(total.is_empty());
    }

    #[test]
    fn a_cleared_batch_starts_over_and_keeps_no_outsized_buffer() {
        let mut batch = sealed(&[&"x".repeat(2 * KEPT_CAPACITY_MAX)]);
        batch.clear();
        assert!(batch.is_empty());
        assert!(batch.bytes.capacity() <= KEPT_CAPACITY_MAX);
        batch.push("again");
        batch.seal();
        assert_eq!(batch.frame(), b"\x81\x05again");
    }
}
