//! A simple model of a client in the room: what waits for it, and the bytes it must have got.

use std::collections::VecDeque;

use crate::world::Peer;

pub const SEND_QUEUE: usize = 4;

/// What the model knows of a client: its socket's room, what waits, and the bytes it must have got.
pub struct Model {
    pub peer: Peer,
    room: usize,
    waiting: VecDeque<String>,
    begun: VecDeque<u8>,
    got: Vec<u8>,
}

impl Model {
    /// A client that has just joined, and whose socket takes everything.
    pub fn new(peer: Peer) -> Self {
        Self {
            peer,
            room: usize::MAX,
            waiting: VecDeque::new(),
            begun: VecDeque::new(),
            got: Vec::new(),
        }
    }

    /// How much its socket takes from now on.
    pub fn set_room(&mut self, room: usize) {
        self.room = room;
        self.peer.set_room(room);
    }

    /// The socket takes what it has room for; what waits when a frame can begin becomes that frame.
    pub fn flush(&mut self) {
        while self.room > 0 {
            if self.begun.is_empty() {
                if self.waiting.is_empty() {
                    return;
                }
                let text = self.waiting.drain(..).collect::<Vec<_>>().join("\n");
                self.begun.push_back(0x81);
                match text.len() {
                    len @ 0..126 => self.begun.push_back(len as u8),
                    len => {
                        self.begun.push_back(126);
                        self.begun.extend((len as u16).to_be_bytes());
                    }
                }
                self.begun.extend(text.bytes());
            }
            let len = self.room.min(self.begun.len());
            self.got.extend(self.begun.drain(..len));
            self.room -= len;
        }
    }

    /// Whether the client stays.
    fn hear(&mut self, text: &str) -> bool {
        if self.waiting.len() == SEND_QUEUE {
            return false;
        }
        self.waiting.push_back(text.to_owned());
        self.flush();
        true
    }

    /// It got what it must have got, and nothing else.
    pub fn check(&self) {
        assert_eq!(self.peer.socket().outbound, self.got, "what was received");
    }
}

/// Everybody hears what was said, or is dropped.
pub fn all_hear(clients: &mut Vec<Model>, said: &str) {
    let text = said.trim().replace(['\n', '\r'], " ");
    clients.retain_mut(|client| {
        let stays = client.hear(&text);
        assert_eq!(client.peer.is_closed(), !stays, "who is dropped");
        stays
    });
}
