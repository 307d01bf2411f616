//! Joins, words, stalls, drains and leaves of many clients against a simple model: the order, what is
//! joined into one frame, the bound of the queue, and who is dropped.
#![no_main]

#[path = "../../tests/world/mod.rs"]
mod world;

use std::collections::VecDeque;

use fanfare::config::Config;
use libfuzzer_sys::fuzz_target;
use world::{Peer, World};

const SEND_QUEUE: usize = 4;

#[derive(Debug, arbitrary::Arbitrary)]
enum Step {
    Join,
    Say(u8, Vec<u8>),
    Stall(u8),
    Drain(u8, u8),
    Leave(u8),
}

/// What the model knows of a client: its socket's room, what waits, and the bytes it must have got.
struct Model {
    peer: Peer,
    room: usize,
    waiting: VecDeque<String>,
    begun: VecDeque<u8>,
    got: Vec<u8>,
}

impl Model {
    /// The socket takes what it has room for; what waits when a frame can begin becomes that frame.
    fn flush(&mut self) {
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
}

fuzz_target!(|steps: Vec<Step>| {
    let config = Config {
        send_queue: SEND_QUEUE,
        ..Config::default()
    };
    let mut world = World::new(config);
    let mut clients: Vec<Model> = Vec::new();
    for step in steps.into_iter().take(200) {
        let count = clients.len().max(1);
        let pick = |by: u8| usize::from(by) % count;
        match step {
            Step::Join => clients.push(Model {
                peer: world.join(),
                room: usize::MAX,
                waiting: VecDeque::new(),
                begun: VecDeque::new(),
                got: Vec::new(),
            }),
            _ if clients.is_empty() => {}
            Step::Say(by, text) => {
                let text = String::from_utf8_lossy(&text[..text.len().min(100)]).into_owned();
                clients[pick(by)].peer.say(&text);
                world.settle();
                let text = text.trim().replace('\n', " ");
                clients.retain_mut(|client| {
                    let stays = client.hear(&text);
                    assert_eq!(client.peer.is_closed(), !stays, "who is dropped");
                    stays
                });
            }
            Step::Stall(by) | Step::Drain(by, 0) => {
                let client = &mut clients[pick(by)];
                client.room = 0;
                client.peer.set_room(0);
            }
            Step::Drain(by, room) => {
                let client = &mut clients[pick(by)];
                client.room = usize::from(room);
                client.peer.set_room(client.room);
                world.settle();
                client.flush();
            }
            Step::Leave(by) => {
                let client = clients.swap_remove(pick(by));
                client.peer.shut();
                world.settle();
                assert!(client.peer.is_closed());
            }
        }
        for client in &clients {
            assert_eq!(
                client.peer.socket().outbound,
                client.got,
                "what was received"
            );
        }
        assert_eq!(world.engine.client_count(), clients.len());
    }
});
