//! A node as the tests drive it: a backplane, its connections to the made-up broker, and what it was told.

use std::num::NonZeroU32;
use std::time::Duration;

use fanfare::backplane::{Backplane, Event, Line, Settings, scripts};
use fanfare::id::ClientId;
use fanfare::room::id::Id;

use crate::stream::Broker;

/// The wall clock when the tests begin, in milliseconds.
pub(crate) const WALL_START: u64 = 1_700_000_000_000;
pub(crate) const LINES: [Line; 2] = [Line::Append, Line::Read];

pub(crate) fn settings() -> Settings {
    Settings {
        address: "broker:6379".to_owned(),
        user: None,
        password: None,
        db: 0,
        prefix: "fanfare".to_owned(),
        wait: Duration::from_secs(5),
        entries: 100_000,
        message_max: 512,
        history_age: Some(Duration::from_secs(600)),
    }
}

pub(crate) fn broker(seed: u64) -> Broker {
    let mut broker = Broker::new(seed, scripts());
    broker.advance(WALL_START);
    broker
}

pub(crate) fn client(slot: u32) -> ClientId {
    ClientId::new(slot, NonZeroU32::MIN)
}

/// An event that owns what it tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    Connected,
    Lost,
    Entry {
        room: String,
        first: Id,
        texts: Vec<String>,
    },
    Head {
        room: String,
        id: Id,
    },
    Appended {
        by: ClientId,
        id: Id,
    },
    GaveUp {
        by: ClientId,
    },
    Elsewhere {
        room: String,
        count: usize,
    },
}

impl From<Event<'_>> for Told {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Connected => Self::Connected,
            Event::Lost => Self::Lost,
            Event::Entry {
                room,
                first,
                count,
                text,
            } => {
                let texts: Vec<_> = text.split('\n').map(str::to_owned).collect();
                assert_eq!(texts.len(), count as usize);
                let room = room.to_owned();
                Self::Entry { room, first, texts }
            }
            Event::Head { room, id } => Self::Head {
                room: room.to_owned(),
                id,
            },
            Event::Appended { by, id } => Self::Appended { by, id },
            Event::GaveUp { by } => Self::GaveUp { by },
            Event::Elsewhere { room, count } => Self::Elsewhere {
                room: room.to_owned(),
                count,
            },
        }
    }
}

/// A node and its connections.
pub(crate) struct Node {
    pub(crate) backplane: Backplane,
    peers: [Option<usize>; 2],
    pub(crate) told: Vec<Told>,
    pub(crate) now: Duration,
    /// Whether a connection can be made.
    pub(crate) is_reachable: bool,
    /// How many bytes are moved at most in each direction and turn.
    pub(crate) bytes_max: usize,
    /// How many events are taken in a turn.
    pub(crate) events_max: usize,
}

impl Node {
    pub(crate) fn new(settings: Settings, seed: u64) -> Self {
        Self {
            backplane: Backplane::new(settings, seed),
            peers: [None; 2],
            told: Vec::new(),
            now: Duration::ZERO,
            is_reachable: true,
            bytes_max: usize::MAX,
            events_max: usize::MAX,
        }
    }

    /// A node that is up.
    pub(crate) fn connected(settings: Settings, seed: u64, broker: &mut Broker) -> Self {
        let mut node = Self::new(settings, seed);
        node.settle(broker);
        assert!(node.backplane.is_ready(), "{:?}", node.told);
        node
    }

    /// The broker's number of a connection.
    pub(crate) fn peer(&self, line: Line) -> Option<usize> {
        self.peers[line as usize]
    }

    pub(crate) fn unix_ms(&self) -> u64 {
        WALL_START + u64::try_from(self.now.as_millis()).unwrap()
    }

    /// A turn as the server takes it: what came in, what is due, what is said by `publish`, what goes out.
    pub(crate) fn turn(&mut self, broker: &mut Broker, publish: impl FnOnce(&mut Backplane)) {
        broker.advance(self.unix_ms());
        for line in LINES {
            self.close(line, broker);
            self.receive(line, broker);
        }
        self.backplane.begin_turn(self.now, self.unix_ms());
        for _ in 0..self.events_max {
            let Some(event) = self.backplane.next_event() else {
                break;
            };
            self.told.push(event.into());
        }
        publish(&mut self.backplane);
        self.backplane.flush();
        for line in LINES {
            self.close(line, broker);
            self.open(line, broker);
            self.send(line, broker);
        }
    }

    fn close(&mut self, line: Line, broker: &mut Broker) {
        let peer = &mut self.peers[line as usize];
        if self.backplane.is_given_up(line)
            && let Some(peer) = peer.take()
        {
            broker.cut(peer);
        }
    }

    fn open(&mut self, line: Line, broker: &mut Broker) {
        let peer = &mut self.peers[line as usize];
        if self.backplane.wants_connection(line) {
            assert_eq!(*peer, None);
            if !self.is_reachable {
                self.backplane.note_lost(line, "connection refused");
                return;
            }
            *peer = Some(broker.connect());
            self.backplane.note_connected(line);
        }
    }

    fn receive(&mut self, line: Line, broker: &mut Broker) {
        let peer = &mut self.peers[line as usize];
        let Some(number) = *peer else {
            return;
        };
        if broker.is_cut(number) {
            *peer = None;
            self.backplane.note_lost(line, "the connection was closed");
            return;
        }
        if self.backplane.wants_bytes(line) {
            let bytes = broker.send(number, self.bytes_max);
            if !bytes.is_empty() {
                self.backplane.receive(line, &bytes);
            }
        }
    }

    fn send(&mut self, line: Line, broker: &mut Broker) {
        let Some(peer) = self.peers[line as usize] else {
            return;
        };
        let unsent = self.backplane.unsent(line);
        let len = unsent.len().min(self.bytes_max);
        broker.receive(peer, &unsent[..len]);
        self.backplane.note_sent(line, len);
    }

    /// Takes turns, in which time stands still, until nothing happens any more.
    pub(crate) fn settle(&mut self, broker: &mut Broker) {
        for _ in 0..1000 {
            let before = (self.told.len(), broker.counts.clone());
            (0..3).for_each(|_| self.turn(broker, |_| {}));
            if before == (self.told.len(), broker.counts.clone()) {
                return;
            }
        }
        panic!("it goes on for ever");
    }

    /// Lets time go on, with turns in between.
    pub(crate) fn pass(&mut self, broker: &mut Broker, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let due = self
                .backplane
                .next_due()
                .max(self.now + Duration::from_millis(10));
            let due = broker.next_due().map_or(due, |ms| {
                due.min(
                    Duration::from_millis(ms - WALL_START).max(self.now + Duration::from_millis(1)),
                )
            });
            self.now = due.min(end);
            self.settle(broker);
        }
    }

    pub(crate) fn take_told(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.told)
    }

    /// What was read: room, id and text of each message.
    pub(crate) fn messages(&self) -> Vec<(String, Id, String)> {
        let mut messages = Vec::new();
        for told in &self.told {
            if let Told::Entry { room, first, texts } = told {
                for (seq, text) in (first.seq..).zip(texts) {
                    messages.push((room.clone(), Id { seq, ..*first }, text.clone()));
                }
            }
        }
        messages
    }
}
