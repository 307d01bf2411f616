//! The two connections as the transport sees them: when they are wanted, made, lost and given up, and their bytes.

use super::link::Link;
use super::lost::Lost;
use super::{Backplane, Line, Phase};

impl Backplane {
    fn link(&self, line: Line) -> &Link {
        match line {
            Line::Append => &self.appender.link,
            Line::Read => &self.reader.link,
        }
    }

    fn link_mut(&mut self, line: Line) -> &mut Link {
        match line {
            Line::Append => &mut self.appender.link,
            Line::Read => &mut self.reader.link,
        }
    }

    /// Whether a connection is to be opened now. It counts as being opened from then on, and one that was there before
    /// is to be dropped.
    pub fn wants_connection(&mut self, line: Line) -> bool {
        let wants = self.link(line).is_closed()
            && match (line, self.phase) {
                (Line::Append, Phase::Away { retry_at }) => retry_at <= self.now,
                (Line::Read, phase) => phase == Phase::Filling,
                _ => false,
            };
        if wants {
            if line == Line::Append {
                self.phase = Phase::Greeting;
            }
            self.link_mut(line).begin_open();
        }
        wants
    }

    /// The connection is there.
    pub fn note_connected(&mut self, line: Line) {
        if !self.link_mut(line).note_connected() {
            return;
        }
        match line {
            Line::Append => self.appender.greet(&self.settings),
            Line::Read => self.reader.greet(&self.settings),
        }
    }

    /// The connection could not be made, failed or ended.
    pub fn note_lost(&mut self, line: Line, reason: &str) {
        if !self.link(line).is_closed() {
            self.lose(&Lost::new(reason.to_owned()), Some(line));
        }
    }

    /// Takes bytes that came in. What they say is done in the next turn.
    pub fn receive(&mut self, line: Line, bytes: &[u8]) {
        let link = self.link_mut(line);
        if link.is_open()
            && let Err(bad) = link.receive(bytes)
        {
            self.lose(&bad.into(), None);
        }
    }

    /// Whether more bytes are wanted now: not while a reply waits for the next turn, or entries wait to be taken.
    pub fn wants_bytes(&self, line: Line) -> bool {
        self.link(line).is_open()
            && match line {
                Line::Append => !self.appender.link.replies.has_whole(),
                Line::Read => !self.reader.is_busy(),
            }
    }

    /// The bytes that are to be sent.
    pub fn unsent(&self, line: Line) -> &[u8] {
        self.link(line).unsent()
    }

    /// So many of the bytes that were to be sent were sent.
    pub fn note_sent(&mut self, line: Line, len: usize) {
        self.link_mut(line).note_sent(len);
    }

    /// Whether a connection that is open, or being opened, is to be dropped.
    pub fn is_given_up(&self, line: Line) -> bool {
        self.link(line).is_given_up()
    }
}
