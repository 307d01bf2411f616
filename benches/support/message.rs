//! What the clients of the swarm say: lines of one length, in frames or in requests.

use std::fmt::Write as _;

use super::wire::{MASK, TEXT, client_frame};

/// The shortest message that has room for a [`Line`].
pub(crate) const LINE_MIN: usize = 16;

/// What every message of the swarm holds: who sent it, its number, and when it should have been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Different for every sender of a room.
    pub(crate) sender: u8,
    /// Counts up to 24 bits, then starts again.
    pub(crate) sequence: u32,
    pub(crate) intended_us: u32,
}

impl Line {
    /// Reads back what [`Line::write`] wrote; `None` if it came back damaged.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text.get(..LINE_MIN)?).ok()?;
        Some(Self {
            sender: u8::from_str_radix(text.get(..2)?, 16).ok()?,
            sequence: u32::from_str_radix(text.get(2..8)?, 16).ok()?,
            intended_us: u32::from_str_radix(text.get(8..)?, 16).ok()?,
        })
    }

    /// Writes it over `text`.
    fn write(self, text: &mut String) {
        let Self {
            sender,
            sequence,
            intended_us,
        } = self;
        text.clear();
        let sequence = sequence & 0xff_ffff;
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{sender:02x}{sequence:06x}{intended_us:08x}");
    }
}

/// A message of `len` bytes, at least [`LINE_MIN`]; what the line leaves over is filled with letters.
fn letters(len: usize) -> Vec<u8> {
    (b'a'..=b'z').cycle().take(len.max(LINE_MIN)).collect()
}

/// Makes masked text frames that all have the same length.
pub(crate) struct Messages {
    frame: Vec<u8>,
    payload_at: usize,
    text: String,
}

impl Messages {
    /// Messages of `len` bytes.
    pub(crate) fn new(len: usize) -> Self {
        let letters = letters(len);
        let frame = client_frame(TEXT, &letters);
        Self {
            payload_at: frame.len() - letters.len(),
            frame,
            text: String::with_capacity(LINE_MIN),
        }
    }

    /// Appends one frame that holds `line`.
    pub(crate) fn append(&mut self, line: Line, out: &mut Vec<u8>) {
        line.write(&mut self.text);
        let masked = self.text.bytes().zip(MASK.iter().cycle());
        for (slot, (byte, key)) in self.frame.iter_mut().skip(self.payload_at).zip(masked) {
            *slot = byte ^ key;
        }
        out.extend_from_slice(&self.frame);
    }
}

/// Makes `POST` requests that all have the same length.
pub(crate) struct Posts {
    request: Vec<u8>,
    body_at: usize,
    text: String,
}

impl Posts {
    /// Messages of `len` bytes to the default room.
    pub(crate) fn new(len: usize) -> Self {
        let letters = letters(len);
        let head = format!(
            "POST /room HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
            letters.len()
        );
        let mut request = head.into_bytes();
        let body_at = request.len();
        request.extend(letters);
        Self {
            request,
            body_at,
            text: String::with_capacity(LINE_MIN),
        }
    }

    /// Appends one request whose body holds `line`.
    pub(crate) fn append(&mut self, line: Line, out: &mut Vec<u8>) {
        line.write(&mut self.text);
        let body = self.request.iter_mut().skip(self.body_at);
        for (slot, byte) in body.zip(self.text.bytes()) {
            *slot = byte;
        }
        out.extend_from_slice(&self.request);
    }
}
