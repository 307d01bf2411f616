//! What the clients of the swarm say: lines of one length, in frames or in requests.

use std::fmt::Write as _;

use super::json::json;
use super::wire::{MASK, TEXT, client_frame};

/// The shortest message that has room for a [`Line`].
pub(crate) const LINE_MIN: usize = 16;

/// What a line's number ends at.
pub(crate) const SEQUENCE_MAX: u32 = 0xff_ffff;

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

    /// Which of `count` texts it goes with: it is the next one for each sender's next line.
    fn place(self, count: usize) -> usize {
        let number = (self.sequence & SEQUENCE_MAX).wrapping_mul(TEXT_STEP);
        number.wrapping_add(self.sender.into()) as usize % count
    }

    /// Writes it over `text`.
    fn write(self, text: &mut String) {
        let Self {
            sender,
            sequence,
            intended_us,
        } = self;
        text.clear();
        let sequence = sequence & SEQUENCE_MAX;
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{sender:02x}{sequence:06x}{intended_us:08x}");
    }
}

/// A message of `len` bytes, at least [`LINE_MIN`]; what the line leaves over is filled with letters.
fn letters(len: usize) -> Vec<u8> {
    (b'a'..=b'z').cycle().take(len.max(LINE_MIN)).collect()
}

/// What fills the messages behind their lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filler {
    /// The same letters in all of them.
    Letters,
    /// JSON, different in each that a compressor can look back at.
    Json,
}

/// More than the window of a compressor.
const JSON_LEN: usize = 64 * 1024;
/// From a sender's text to its next. It is odd, so that all texts get their turn, and above the number of senders of a flood,
/// so that theirs differ.
const TEXT_STEP: u32 = 17;

/// Different messages of one length, in which the lines are still to be written.
pub(crate) struct Texts(Vec<Vec<u8>>);

impl Texts {
    /// Messages of `len` bytes.
    pub(crate) fn new(len: usize, filler: Filler) -> Self {
        let len = len.max(LINE_MIN);
        match filler {
            Filler::Letters => Self(vec![letters(len)]),
            Filler::Json => {
                let text = |seed| [letters(LINE_MIN), json(len - LINE_MIN, seed)].concat();
                Self((0..JSON_LEN.div_ceil(len) as u64).map(text).collect())
            }
        }
    }

    /// Whether it is what was sent, apart from what its line says.
    pub(crate) fn contain(&self, text: &[u8]) -> bool {
        let sent = Line::parse(text).and_then(|line| self.0.get(line.place(self.0.len())));
        sent.is_some_and(|sent| sent.get(LINE_MIN..) == text.get(LINE_MIN..))
    }
}

/// Makes masked text frames that all have the same length.
pub(crate) struct Messages {
    frames: Vec<Vec<u8>>,
    payload_at: usize,
    text: String,
}

impl Messages {
    /// Messages with these texts.
    pub(crate) fn new(texts: &Texts) -> Self {
        let frames: Vec<_> = texts
            .0
            .iter()
            .map(|text| client_frame(TEXT, text))
            .collect();
        let header_len = |(frame, text): (&Vec<u8>, &Vec<u8>)| frame.len() - text.len();
        Self {
            payload_at: frames.iter().zip(&texts.0).next().map_or(0, header_len),
            frames,
            text: String::with_capacity(LINE_MIN),
        }
    }

    /// Appends one frame that holds `line`.
    pub(crate) fn append(&mut self, line: Line, out: &mut Vec<u8>) {
        line.write(&mut self.text);
        let place = line.place(self.frames.len());
        let masked = self.text.bytes().zip(MASK.iter().cycle());
        let frame = &mut self.frames[place];
        for (slot, (byte, key)) in frame.iter_mut().skip(self.payload_at).zip(masked) {
            *slot = byte ^ key;
        }
        out.extend_from_slice(frame);
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
