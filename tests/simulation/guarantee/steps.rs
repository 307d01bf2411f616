//! What happens between two turns: readers come, talk, stall, are cut and come back; others publish; time passes.

use std::io::ErrorKind;
use std::time::Duration;

use super::{Guarantee, NAMES, ROOM_MEMORY, SECOND};
use crate::random::Random;
use crate::world::Peer;
use crate::world::ledger::{Asked, message};
use crate::world::listener::{Kind, Listener, Position, request};
use crate::world::reader::Reader;
use crate::world::wire;

const READERS_MAX: usize = 12;

impl Guarantee {
    /// One thing happens.
    pub(super) fn step(&mut self) {
        match self.random.below(100) {
            0..24 => self.come(),
            24..52 => self.talk(),
            52..63 => self.post(),
            63..65 => self.break_off_post(),
            65..70 => self.outrun(),
            70..77 => self.disturb(),
            77..85 => self.cut(),
            85..88 => self.close(),
            88..96 => {
                let time = *self.random.pick(&[5, 10, 150, 1_100, 3_500]);
                self.pass(Duration::from_millis(time));
            }
            96 => {
                let time = self.random.between(5, 90) as u32;
                self.pass(SECOND * time);
            }
            97 => self.abandon_room(),
            _ => self.catch_up(),
        }
    }

    /// A reader connects that is new, or that was there before.
    fn come(&mut self) {
        let gone = |reader: &Reader| reader.listener.is_none();
        let gone: Vec<usize> = (0..self.readers.len())
            .filter(|&index| gone(&self.readers[index]))
            .collect();
        let is_full = self.readers.len() == READERS_MAX;
        let index = if !gone.is_empty() && (is_full || self.random.chance(60)) {
            *self.random.pick(&gone)
        } else if !is_full {
            let kind = *self.random.pick(&Kind::ALL);
            let name = format!("r{}", self.born);
            self.born += 1;
            let room = self.random.below(NAMES.len());
            self.readers.push(Reader::new(name, room, kind));
            self.readers.len() - 1
        } else {
            return;
        };
        self.probe(self.readers[index].room);
        let asked = self.ask(index);
        let is_in_header = self.random.chance(50);
        let bytes = self.request(index, &asked, is_in_header);
        let peer = self.world.connect();
        if self.random.chance(20) {
            peer.socket().read_max = self.random.between(20, 200);
        }
        peer.send(&bytes);
        let reader = &mut self.readers[index];
        reader.begin(Listener::new(peer, reader.kind), asked);
        if self.random.chance(15) {
            self.limit(index);
        }
    }

    /// Where a reader wants to start.
    fn ask(&mut self, index: usize) -> Asked {
        let reader = &self.readers[index];
        let ledger = &self.ledgers[reader.room];
        let last = *self.random.pick(&[0, 1, 2, 7, 30, u64::MAX]);
        let last = self.random.chance(40).then_some(last);
        let bogus = Position {
            epoch: "zzzzzzzz".to_owned(),
            seq: 3,
        };
        let since = match &reader.position {
            _ if !reader.kind.has_ids() => None,
            Some(position) => match self.random.below(10) {
                0 => None,
                1 => Some(position.at(ledger.head() + 1_000_000)),
                2 => Some(Position { ..bogus }),
                3 => Some(position.at(position.seq.saturating_sub(4))),
                _ => Some(position.clone()),
            },
            None => self.random.chance(10).then_some(bogus),
        };
        let mut neighbours = self.readers.iter().filter(|it| it.room == reader.room);
        Asked {
            since,
            last,
            at: self.world.now,
            head_min: ledger.settled_head,
            head_max: None,
            has_laggards: self.has_cut
                || neighbours.any(|it| it.listener.is_some() && !it.is_steady),
        }
    }

    fn request(&mut self, index: usize, asked: &Asked, is_in_header: bool) -> Vec<u8> {
        let reader = &mut self.readers[index];
        reader.wants_here = reader.kind.has_ids() && self.random.chance(30);
        let mut query = format!("here={}", u8::from(reader.wants_here));
        if let Some(last) = asked.last {
            query += &format!("&last={last}");
        }
        let header = match &asked.since {
            Some(id) if reader.kind == Kind::Events && is_in_header => {
                // It wins over what the address says.
                query += "&since=zzzzzzzz-7";
                format!("Last-Event-ID: {id}\r\n\r\n")
            }
            Some(id) => {
                query += &format!("&since={id}");
                "\r\n".to_owned()
            }
            None => "\r\n".to_owned(),
        };
        let mut bytes = request(reader.kind, NAMES[reader.room], &query);
        bytes.truncate(bytes.len() - 2);
        bytes.extend(header.bytes());
        bytes
    }

    /// A new message, of any length that is allowed.
    pub(super) fn message(&mut self, publisher: &str, number: usize) -> String {
        padded(&mut self.random, publisher, number, self.message_max)
    }

    /// Some of those who may talk say something, one message or more than fit into a queue.
    fn talk(&mut self) {
        let talkers: Vec<usize> = (0..self.readers.len())
            .filter(|&index| self.readers[index].may_talk())
            .collect();
        if talkers.is_empty() {
            return;
        }
        let index = *self.random.pick(&talkers);
        self.talk_as(index);
    }

    fn talk_as(&mut self, index: usize) {
        let count = match self.random.below(10) {
            0..7 => self.random.between(1, 3),
            _ => self.random.between(1, 3 * self.rules.send_queue as usize),
        };
        for _ in 0..count {
            let number = self.readers[index].say();
            let name = self.readers[index].name.clone();
            let text = self.message(&name, number);
            let reader = &mut self.readers[index];
            let ledger = &mut self.ledgers[reader.room];
            ledger.publish(&text, self.world.now);
            self.published += 1;
            let listener = reader.listener.as_ref().expect("it may talk");
            listener.peer.send(&wire::text(&format!(" {text}\n")));
        }
    }

    /// A socket takes less, or everything again; a reader reads nothing for a while.
    fn disturb(&mut self) {
        let Some(index) = self.pick_connected() else {
            return;
        };
        match self.random.below(10) {
            0..5 => self.limit(index),
            5..7 => {
                self.readers[index].is_dozing = true;
                self.readers[index].is_steady = false;
            }
            _ => self.readers[index].wake(),
        }
    }

    /// More is published in the room of a reader that takes little than may wait for it.
    fn outrun(&mut self) {
        let Some(index) = self.pick_connected() else {
            return;
        };
        let room = self.readers[index].room;
        for _ in 0..self.random.between(1, 3) {
            self.limit(index);
            let queue = self.rules.send_queue as usize;
            let count = queue + self.random.between(1, 2 * queue + 1);
            self.post_new(room, count);
            self.settle();
        }
        if self.random.chance(50) {
            self.readers[index].wake();
        }
    }

    fn limit(&mut self, index: usize) {
        // What it has sent is read before it may be closed.
        self.settle();
        let reader = &mut self.readers[index];
        let Some(listener) = &reader.listener else {
            return;
        };
        reader.is_steady = false;
        limit(&mut self.random, &listener.peer);
    }

    /// A connection breaks anywhere: of what was on its way to the reader, only a part arrives.
    fn cut(&mut self) {
        let Some(index) = self.pick_connected() else {
            return;
        };
        self.settle();
        let reader = &mut self.readers[index];
        let ledger = &mut self.ledgers[reader.room];
        let Some(listener) = &reader.listener else {
            return;
        };
        let peer = listener.peer.clone();
        if reader.kind.is_websocket() && self.random.chance(30) {
            let frame = wire::text("never whole");
            peer.send(&frame[..self.random.below(frame.len())]);
        }
        let len = peer.socket().outbound.len();
        peer.socket().outbound.truncate(self.random.below(len + 1));
        reader.is_steady = false;
        reader.hear(ledger, &self.rules);
        reader.end(ledger);
        self.has_cut = true;
        match self.random.below(3) {
            0 => peer.shut(),
            1 => peer.reset(),
            _ => {
                let error = ErrorKind::BrokenPipe.into();
                peer.socket().write_errors.push_back(error);
                peer.shut();
            }
        }
    }

    /// A reader closes, perhaps right behind what it says, and perhaps while another one catches up.
    fn close(&mut self) {
        let (Some(index), Some(other)) = (self.pick_connected(), self.pick_connected()) else {
            return;
        };
        let is_beside_laggard = index != other && self.random.chance(50);
        if is_beside_laggard {
            self.limit(other);
            self.post_new(self.readers[other].room, 1);
            self.pass(self.rules.linger);
        }
        if self.readers[index].may_talk() && self.random.chance(60) {
            self.talk_as(index);
        }
        let reader = &mut self.readers[index];
        if reader.kind.is_websocket() {
            reader.close(&self.ledgers[reader.room]);
        }
        if is_beside_laggard {
            self.settle();
            self.readers[other].wake();
        }
    }

    fn pick_connected(&mut self) -> Option<usize> {
        let connected: Vec<usize> = (0..self.readers.len())
            .filter(|&index| self.readers[index].listener.is_some())
            .collect();
        (!connected.is_empty()).then(|| *self.random.pick(&connected))
    }

    /// Everybody leaves a room, for about as long as it is remembered or a little longer.
    fn abandon_room(&mut self) {
        let room = self.random.below(NAMES.len());
        self.settle();
        for reader in self.readers.iter_mut().filter(|it| it.room == room) {
            if let Some(listener) = reader.end(&mut self.ledgers[room]) {
                listener.peer.shut();
            }
        }
        let longer = *self.random.pick(&[0, 2, 70]);
        let age = self.rules.age.min(60 * SECOND);
        self.pass(ROOM_MEMORY + age + SECOND * longer);
    }
}

/// A message of any length that is allowed, unlike all others.
pub(crate) fn padded(
    random: &mut Random,
    publisher: &str,
    number: usize,
    len_max: usize,
) -> String {
    let mut text = message(publisher, number);
    if random.chance(60) {
        let len = random.between(0, 600);
        while text.len() < len && text.len() + 8 <= len_max {
            text.push(*random.pick(&['a', ' ', 'é', '€', '😀', ':']));
        }
    }
    text.push('.');
    text
}

/// A socket takes less from now on.
pub(crate) fn limit(random: &mut Random, peer: &Peer) {
    match random.below(4) {
        0 => peer.socket().write_max = random.between(1, 300),
        _ => {
            let longest = *random.pick(&[1, 20, 300, 5_000]);
            peer.set_room(random.below(longest));
        }
    }
}
