//! How the swarm reads what a server sent: at a glance, or line by line.

use std::ops::AddAssign;

use super::message::{Line, SEQUENCE_MAX};
use super::wire::{self, HEADER_MAX, Header};

/// What some bytes from a server amounted to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) lines: u64,
    /// Frames that hold no whole number of messages; lines that cannot be read, are missing or out of order.
    pub(crate) damaged: u64,
    /// As they came over the wire.
    pub(crate) bytes: u64,
}

impl Counted {
    /// Something that cannot be read.
    pub(crate) const DAMAGED: Self = Self {
        lines: 0,
        damaged: 1,
        bytes: 0,
    };

    /// The lines of a text, by its length alone.
    pub(crate) fn by_len(text_len: usize, message_len: usize) -> Self {
        let lines = (text_len + 1) / (message_len + 1);
        Self {
            lines: lines as u64,
            damaged: u64::from(lines * (message_len + 1) != text_len + 1),
            bytes: 0,
        }
    }
}

impl AddAssign for Counted {
    fn add_assign(&mut self, other: Self) {
        self.lines += other.lines;
        self.damaged += other.damaged;
        self.bytes += other.bytes;
    }
}

/// Counts lines by frame length alone. A line counts once the last byte of its frame is there.
#[derive(Default)]
pub(crate) struct Scan {
    /// Bytes of the current payload that are still to come, and the lines it will have brought then.
    payload_left: usize,
    lines_due: u64,
    /// The start of a header whose end has not arrived.
    head: [u8; HEADER_MAX],
    head_len: usize,
}

impl Scan {
    pub(crate) fn feed(&mut self, mut input: &[u8], message_len: usize) -> Counted {
        let mut counted = Counted::default();
        while !input.is_empty() {
            if self.payload_left == 0 {
                let Some(header) = self.header(&mut input) else {
                    return counted;
                };
                self.payload_left = header.payload_len;
                if header.is_text() {
                    let due = Counted::by_len(header.payload_len, message_len);
                    counted.damaged += due.damaged;
                    self.lines_due = due.lines;
                }
            }
            let taken = self.payload_left.min(input.len());
            self.payload_left -= taken;
            input = &input[taken..];
            if self.payload_left == 0 {
                counted.lines += std::mem::take(&mut self.lines_due);
            }
        }
        counted
    }

    /// Takes a header off `input`, or what there is of one.
    fn header(&mut self, input: &mut &[u8]) -> Option<Header> {
        if self.head_len == 0
            && let Some(header) = Header::decode(input)
        {
            *input = &input[header.header_len..];
            return Some(header);
        }
        while let Some((byte, rest)) = input.split_first() {
            *input = rest;
            self.head[self.head_len] = *byte;
            self.head_len += 1;
            if let Some(header) = Header::decode(&self.head[..self.head_len]) {
                self.head_len = 0;
                return Some(header);
            }
        }
        None
    }
}

/// Reads every line and follows each sender's numbers.
#[derive(Default)]
pub(crate) struct Observer {
    /// The start of a frame whose end has not arrived.
    kept: Vec<u8>,
    follower: Follower,
}

impl Observer {
    pub(crate) fn feed(&mut self, input: &[u8], mut on_line: impl FnMut(Line)) -> Counted {
        let mut kept = std::mem::take(&mut self.kept);
        let mut rest = wire::behind(&mut kept, input);
        let mut counted = Counted::default();
        while let Some((header, payload)) = wire::take_frame(&mut rest) {
            if header.is_text() {
                counted += self.follower.read_text(payload, &mut on_line);
            }
        }
        self.kept = rest.to_vec();
        counted
    }
}

/// Follows each sender's numbers.
#[derive(Default)]
pub(crate) struct Follower {
    /// The number that each sender's next line should have.
    next: Vec<u32>,
}

impl Follower {
    /// Reads all lines of a text.
    pub(crate) fn read_text(&mut self, text: &[u8], on_line: &mut impl FnMut(Line)) -> Counted {
        let mut counted = Counted::default();
        for line in text.split(|byte| *byte == b'\n') {
            counted.lines += 1;
            counted.damaged += self.read_line(line, on_line);
        }
        counted
    }

    /// Reads one line; how far it is from the one that should have come.
    pub(crate) fn read_line(&mut self, text: &[u8], on_line: &mut impl FnMut(Line)) -> u64 {
        let line = Line::parse(text);
        line.map(on_line);
        line.map_or(1, |line| self.follow(line))
    }

    /// How far `line` is from the one that should have come.
    fn follow(&mut self, line: Line) -> u64 {
        let sender = usize::from(line.sender);
        if self.next.len() <= sender {
            self.next.resize(sender + 1, 0);
        }
        let expected = std::mem::replace(
            &mut self.next[sender],
            line.sequence.wrapping_add(1) & SEQUENCE_MAX,
        );
        u64::from(line.sequence.abs_diff(expected))
    }
}
