//! How the swarm reads what a server sent: at a glance, or line by line.

use super::message::Line;
use super::wire::{self, HEADER_MAX, Header};

/// What some bytes from a server amounted to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) lines: u64,
    /// Frames that hold no whole number of messages; lines that cannot be read, are missing or out of order.
    pub(crate) damaged: u64,
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
                    let lines = (header.payload_len + 1) / (message_len + 1);
                    counted.damaged +=
                        u64::from(lines * (message_len + 1) != header.payload_len + 1);
                    self.lines_due = lines as u64;
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
        let bytes = wire::behind(&mut kept, input);
        let mut counted = Counted::default();
        let mut used = 0;
        while let Some(header) = Header::decode(&bytes[used..]) {
            let start = used + header.header_len;
            let Some(payload) = bytes.get(start..start + header.payload_len) else {
                break;
            };
            used = start + header.payload_len;
            if header.is_text() {
                for text in payload.split(|byte| *byte == b'\n') {
                    let line = Line::parse(text);
                    counted.lines += 1;
                    counted.damaged += line.map_or(1, |line| self.follower.follow(line));
                    line.map(&mut on_line);
                }
            }
        }
        if used < bytes.len() {
            self.kept = bytes[used..].to_vec();
        }
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
    /// How far `line` is from the one that should have come.
    pub(crate) fn follow(&mut self, line: Line) -> u64 {
        let sender = usize::from(line.sender);
        if self.next.len() <= sender {
            self.next.resize(sender + 1, 0);
        }
        let expected = std::mem::replace(
            &mut self.next[sender],
            line.sequence.wrapping_add(1) & 0xff_ffff,
        );
        u64::from(line.sequence.abs_diff(expected))
    }
}
