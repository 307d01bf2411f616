//! A peer that waits to be let into a room: it is not known yet where that stands. It has its opening already.

use super::Listen;
use crate::ws::message::MessageReader;

/// A peer that waits to be let into a room.
#[derive(Debug)]
pub struct Waiting {
    /// The message that has come in part.
    pub(super) reader: MessageReader,
    /// What it asked for.
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

    /// Keeps a message. Whether it is the first.
    pub fn keep(&mut self, message: &str) -> bool {
        self.said_len += size_of::<Box<str>>() + message.len();
        self.said.push(message.into());
        self.said.len() == 1
    }
}
