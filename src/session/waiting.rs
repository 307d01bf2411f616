//! A peer that waits to be let into a room: it is not known yet where that stands.

use std::mem;

use super::{Closing, Listen, websocket};
use crate::observe::CloseReason;
use crate::outbox::Outbox;
use crate::ws::close::CloseCode;
use crate::ws::message::MessageReader;

/// A peer that waits to be let into a room.
#[derive(Debug)]
pub struct Waiting {
    /// The message that has come in part.
    pub(super) reader: MessageReader,
    /// What it asked for. The opening is empty once it was sent.
    pub listen: Listen,
    /// What it has said meanwhile, to be published when it is in the room: it is to hear itself.
    pub said: Vec<Box<str>>,
    /// The length of all that.
    pub(super) said_len: usize,
}

impl Waiting {
    /// A peer that has said nothing so far.
    pub(super) fn new(listen: Listen) -> Self {
        Self {
            reader: MessageReader::default(),
            listen,
            said: Vec::new(),
            said_len: 0,
        }
    }

    /// Whether it is a WebSocket, and no event source.
    pub(super) fn is_websocket(&self) -> bool {
        self.listen.listening.framing.is_websocket()
    }

    /// Sends the opening, if it was not sent.
    pub fn send_opening(&mut self, outbox: &mut Outbox) {
        outbox.push_private(mem::take(&mut self.listen.opening));
    }

    /// How the connection is closed: whatever comes last stands behind the opening.
    pub(super) fn close(&self, code: CloseCode, reason: CloseReason) -> Closing {
        let mut closing = match self.is_websocket() {
            true => websocket::close(code, reason),
            false => Closing::silent(reason),
        };
        let opening = self.listen.opening.iter().copied();
        closing.last_bytes.splice(0..0, opening);
        closing
    }

    /// Keeps a message. Whether it is the first.
    pub fn keep(&mut self, message: &str) -> bool {
        self.said_len += size_of::<Box<str>>() + message.len();
        self.said.push(message.into());
        self.said.len() == 1
    }
}
