//! The messages published in one room during one turn: joined by newlines, framed once, shared by all readers.
//!
//! Room for the frame header is left in front of the text, so that sealing a batch writes a few bytes and
//! copies nothing. A sealed batch is only ever read. Its other framings are built when a reader wants them.

use std::mem;

use super::form::{self, Form};
use super::framing::{DERIVED, Framing};
use super::id::{Epoch, ID_LEN_MAX, Id};
use crate::time::Tick;
use crate::ws::frame::SERVER_HEADER_MAX;

/// The text at which a batch is full, in bytes. Only a single message may make it longer.
///
/// A full send queue of the largest messages that are allowed by default, 128 KiB, is to leave in one
/// write: in two, a flood of such messages costs a third more.
pub const BATCH_TEXT_MAX: usize = 256 * 1024;
/// The length at which a batch is full when every message has its id before it, in bytes.
const BATCH_NUMBERED_MAX: usize = 2 * BATCH_TEXT_MAX;
/// What the lengths of buffers are multiples of, so that they need not grow for a slightly longer message.
const BUFFER_GRAIN: usize = 64;
/// A buffer of more than so many times the length that is needed serves a longer batch.
const OVERSIZE: usize = 4;
/// A buffer that grew beyond this is not kept for another batch.
pub(super) const KEPT_CAPACITY_MAX: usize = 2 * BATCH_TEXT_MAX;

/// Messages on their way to everybody.
#[derive(Debug)]
pub struct Batch {
    /// Header room, then the text.
    bytes: Vec<u8>,
    /// The other framings, once a reader wants one.
    forms: Option<Box<Forms>>,
    /// How many messages the room had before this batch.
    messages_before: u64,
    /// How many bytes of text the room had before this batch.
    text_before: u64,
    message_count: u32,
    /// How many cursors stand at this batch.
    pub(super) cursors: u32,
    /// When it was sealed.
    sealed_at: Tick,
    /// Where the frame begins in `bytes`, once sealed.
    start: u8,
}

/// The framings of a batch that are built on demand.
pub(super) type Forms = [Form; DERIVED.len()];

impl Default for Batch {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            forms: None,
            messages_before: 0,
            text_before: 0,
            message_count: 0,
            cursors: 0,
            sealed_at: Tick::START,
            start: 0,
        }
    }
}

impl Batch {
    /// Gives an empty batch a buffer, with room for the header and `text_len` bytes. Doubling would be too much for
    /// what may wait for long.
    pub fn begin(&mut self, buffer: Vec<u8>, text_len: usize) {
        self.bytes = buffer;
        self.bytes.clear();
        self.bytes.reserve_exact(needed_capacity(text_len));
        self.bytes.resize(SERVER_HEADER_MAX, 0);
    }

    /// Appends a message to a batch that was begun, its newlines and carriage returns turned into spaces.
    ///
    /// An empty message counts like any other and becomes an empty line.
    #[inline]
    pub fn push(&mut self, message: &str) {
        if self.message_count > 0 {
            self.bytes.push(b'\n');
        }
        push_line(message, &mut self.bytes);
        self.message_count += 1;
    }

    /// Whether there is no room for another message of `len` bytes. A long one gets a batch of its own rather than
    /// make a joined frame too long.
    #[inline]
    pub(super) fn is_full_for(&self, len: usize) -> bool {
        let ids_len = (self.message_count as usize + 1) * (ID_LEN_MAX + 1);
        let text_len = self.text_len() + len;
        text_len >= BATCH_TEXT_MAX || text_len + ids_len >= BATCH_NUMBERED_MAX
    }

    /// Writes the frame header in front of the text. Nothing may be pushed from then on.
    pub fn seal(&mut self, now: Tick) {
        self.start = form::put_header(Framing::Lines, &mut self.bytes);
        self.sealed_at = now;
    }

    /// Moves a short text out of a much larger buffer, and returns that.
    pub(super) fn fit(&mut self) -> Option<Vec<u8>> {
        if !is_oversized(&self.bytes, self.bytes.len()) {
            return None;
        }
        let mut bytes = Vec::with_capacity(needed_capacity(self.text_len()));
        bytes.extend_from_slice(&self.bytes);
        Some(mem::replace(&mut self.bytes, bytes))
    }

    /// The buffer of a batch that is done with.
    pub(super) fn take_buffer(&mut self) -> Vec<u8> {
        mem::take(&mut self.bytes)
    }

    /// Says where in the room's history this batch begins.
    pub(super) fn place(&mut self, messages_before: u64, text_before: u64) {
        self.messages_before = messages_before;
        self.text_before = text_before;
    }

    /// The framing in which a reader gets this batch: its own, or the plain one where there is no compressed body,
    /// or one that the reader's window may not hold.
    #[inline]
    pub fn framing_for(&self, reader: Framing) -> Framing {
        let Some(window) = reader.window() else {
            return reader;
        };
        let plain = reader.plain();
        let is_deflated = self.form(reader).is_some_and(|form| !form.is_none());
        match is_deflated && window.fits(self.body(plain).len()) {
            true => reader,
            false => plain,
        }
    }

    /// All frames or events of a sealed batch; empty where the batch has none in this framing.
    #[inline]
    pub fn whole(&self, framing: Framing) -> &[u8] {
        match framing {
            Framing::Lines => self
                .bytes
                .get(usize::from(self.start)..)
                .unwrap_or_default(),
            _ => self.form(framing).map_or(&[], Form::whole),
        }
    }

    /// The messages in a framing, without the header of the frame that joins them.
    pub fn body(&self, framing: Framing) -> &[u8] {
        match framing {
            Framing::Lines => self.text(),
            _ => self.form(framing).map_or(&[], |form| form.body(framing)),
        }
    }

    /// Where the body goes on behind the first `skip` messages.
    pub(super) fn offset(&self, skip: u32, framing: Framing, epoch: Epoch) -> usize {
        framing.offset(skip, self.text(), self.first_id(epoch))
    }

    #[inline]
    fn form(&self, framing: Framing) -> Option<&Form> {
        self.forms.as_ref()?.get(framing.derived_place()?)
    }

    /// Whether a framing has still to be built.
    #[inline]
    pub(super) fn lacks(&self, framing: Framing) -> bool {
        framing != Framing::Lines && !self.form(framing).is_some_and(Form::is_built)
    }

    /// The form in a framing without compression.
    pub(super) fn form_in(&self, framing: Framing, epoch: Epoch, buffer: Vec<u8>) -> Form {
        let first = self.first_id(epoch);
        Form::build(framing, self.text(), self.message_count(), first, buffer)
    }

    /// Keeps a form that was built. `forms` are used where the batch has none yet.
    pub(super) fn keep(
        &mut self,
        framing: Framing,
        form: Form,
        forms: impl FnOnce() -> Box<Forms>,
    ) {
        let forms = self.forms.get_or_insert_with(forms);
        if let Some(place) = framing.derived_place()
            && let Some(place) = forms.get_mut(place)
        {
            *place = form;
        }
    }

    /// Gives up all framings but the text.
    pub(super) fn take_forms(&mut self) -> Option<Box<Forms>> {
        self.forms.take()
    }

    fn first_id(&self, epoch: Epoch) -> Id {
        let seq = self.messages_before + 1;
        Id { epoch, seq }
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
        let forms = self.forms.as_ref().map_or(0, |forms| {
            size_of::<Forms>() + forms.iter().map(Form::capacity).sum::<usize>()
        });
        size_of::<Self>() + self.bytes.capacity() + forms
    }

    /// How many messages it has.
    #[inline]
    pub fn message_count(&self) -> u64 {
        self.message_count.into()
    }

    /// How many messages the room had before this batch.
    pub fn messages_before(&self) -> u64 {
        self.messages_before
    }

    /// How many messages the room had with this batch.
    #[inline]
    pub fn messages_with(&self) -> u64 {
        self.messages_before + self.message_count()
    }

    /// How many bytes of text the room had before this batch.
    pub fn text_before(&self) -> u64 {
        self.text_before
    }

    /// When it was sealed.
    pub fn sealed_at(&self) -> Tick {
        self.sealed_at
    }

    /// Whether nothing was published.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.message_count == 0
    }
}

/// How large the buffer of a text should be.
pub(super) fn needed_capacity(text_len: usize) -> usize {
    (SERVER_HEADER_MAX + text_len).next_multiple_of(BUFFER_GRAIN)
}

/// Whether a buffer is much larger than needed for `len` bytes.
pub(super) fn is_oversized(buffer: &Vec<u8>, len: usize) -> bool {
    buffer.capacity() > OVERSIZE * len.next_multiple_of(BUFFER_GRAIN)
}

/// Appends a message as one line: its newlines and carriage returns turned into spaces.
#[inline]
pub fn push_line(message: &str, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(message.as_bytes());
    let added = out.split_at_mut(start).1;
    if has_line_end(added) {
        replace_line_ends(added);
    }
}

/// Whether there is a newline or carriage return.
#[inline]
fn has_line_end(text: &[u8]) -> bool {
    // Hardly any text has a byte as small as these, which is found out faster.
    least_byte(text) <= b'\r' && memchr::memchr2(b'\n', b'\r', text).is_some()
}

/// The smallest byte of all. The compiler takes 16 of them at once.
#[inline]
fn least_byte(text: &[u8]) -> u8 {
    let (blocks, tail) = text.as_chunks::<16>();
    let mut least = [u8::MAX; 16];
    for block in blocks {
        for (least, byte) in least.iter_mut().zip(block) {
            *least = (*least).min(*byte);
        }
    }
    least.iter().chain(tail).copied().fold(u8::MAX, u8::min)
}

/// Turns newlines and carriage returns into spaces. Every byte is written again, so that the compiler can do it
/// without a branch, many at a time.
#[cold]
fn replace_line_ends(text: &mut [u8]) {
    for byte in text {
        *byte = if matches!(*byte, b'\n' | b'\r') {
            b' '
        } else {
            *byte
        };
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
        batch.begin(Vec::new(), 0);
        for message in messages {
            batch.push(trimmed(message));
        }
        batch.seal(Tick::START);
        batch
    }

    #[test]
    fn a_line_end_becomes_a_space_wherever_it_stands() {
        for len in 1..50 {
            for place in 0..len {
                for (byte, expected) in [(b'\n', b' '), (b'\r', b' '), (b'\t', b'\t'), (0, 0)] {
                    let mut text = vec![b'x'; len];
                    text[place] = byte;
                    let mut out = b"before\n".to_vec();
                    push_line(std::str::from_utf8(&text).expect("ASCII"), &mut out);
                    text[place] = expected;
                    assert_eq!(out, [b"before\n", &text[..]].concat());
                }
            }
        }
    }

    #[test]
    fn messages_are_trimmed_and_their_line_ends_become_spaces() {
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
            ("a\rb\r\nc", "a b  c"),
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
        assert_eq!(sealed(&["a", "b"]).whole(Framing::Lines), b"\x81\x03a\nb");
        assert_eq!(
            sealed(&["", "", "x"]).whole(Framing::Lines),
            b"\x81\x03\n\nx"
        );
        assert_eq!(sealed(&[""]).whole(Framing::Lines), b"\x81\x00");
    }

    #[test]
    fn the_header_fits_in_its_room_at_every_length_class() {
        for len in [0, 1, 125, 126, 65_535, 65_536] {
            let batch = sealed(&[&"x".repeat(len)]);
            let header = ServerHeader::encode(Opcode::Text, len);
            assert_eq!(
                batch.whole(Framing::Lines).len(),
                header.as_bytes().len() + len
            );
            assert!(batch.whole(Framing::Lines).starts_with(header.as_bytes()));
        }
    }

    #[test]
    fn a_batch_reserves_what_is_expected() {
        let mut batch = Batch::default();
        batch.begin(Vec::new(), 1_000);
        let reserved = batch.held_len();
        (0..500).for_each(|_| batch.push("x"));
        assert_eq!(batch.held_len(), reserved);
    }
}
