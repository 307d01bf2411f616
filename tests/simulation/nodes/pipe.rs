//! A connection to the broker: its bytes travel in pieces, take time, and may never arrive.

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

use fanfare::backplane::{Backplane, Line};

use super::broker::Broker;
use crate::random::Random;

/// How many bytes a socket takes at once.
const WRITE_MAX: usize = 64 << 10;
/// How late bytes may arrive of a connection that is over for the node.
const LATE_MILLIS_MAX: usize = 9_000;

/// How a connection ends that neither side wanted to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// Both are told; some of what was on its way arrives.
    Told,
    /// The node is told, and what it has sent arrives all the same, later than what it sends next perhaps.
    Late,
    /// Nobody is told.
    Silent,
    /// The broker is told.
    Unknown,
}

impl Cut {
    pub(super) const ALL: [Self; 4] = [Self::Told, Self::Late, Self::Silent, Self::Unknown];
}

/// Bytes on their way in one direction, and when they arrive.
#[derive(Debug, Default)]
struct Way(VecDeque<(Duration, Vec<u8>)>);

impl Way {
    /// Puts bytes on their way, in up to three pieces.
    fn push(&mut self, mut bytes: &[u8], now: Duration, random: &mut Random) {
        for _ in 0..random.below(3) {
            let (piece, rest) = bytes.split_at(random.below(bytes.len() + 1));
            self.push_piece(piece, now, random);
            bytes = rest;
        }
        self.push_piece(bytes, now, random);
    }

    fn push_piece(&mut self, bytes: &[u8], now: Duration, random: &mut Random) {
        if !bytes.is_empty() {
            let last = self.0.back().map_or(now, |(due, _)| *due);
            let due = last.max(now + latency(random));
            self.0.push_back((due, bytes.to_vec()));
        }
    }

    fn pop_due(&mut self, now: Duration) -> Option<Vec<u8>> {
        let is_due = self.0.front().is_some_and(|(due, _)| *due <= now);
        is_due.then(|| self.0.pop_front()).flatten().map(|it| it.1)
    }

    fn next_due(&self) -> Duration {
        self.0.front().map_or(Duration::MAX, |(due, _)| *due)
    }

    /// Only some of it arrives, from the front.
    fn truncate(&mut self, random: &mut Random) {
        self.0.truncate(random.below(self.0.len() + 1));
        if let Some((_, last)) = self.0.back_mut() {
            last.truncate(random.between(1, last.len()));
        }
    }

    fn hold_until(&mut self, time: Duration) {
        for (due, _) in &mut self.0 {
            *due = (*due).max(time);
        }
    }
}

pub(super) fn latency(random: &mut Random) -> Duration {
    let micros = match random.below(100) {
        0..70 => random.below(1_000),
        70..98 => random.between(1_000, 8_000),
        _ => random.between(8_000, 200_000),
    };
    Duration::from_micros(micros as u64)
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Pipe {
    /// Which one it is to the broker, if it is one.
    id: Option<usize>,
    up: Way,
    down: Way,
    /// Nothing new arrives before.
    held_until: Duration,
    /// The node can write again.
    writable_at: Duration,
    /// When the node is told that the connection is over.
    ends_at: Option<Duration>,
    /// The other end is gone, or what is between them: nothing comes through any more.
    is_dead: bool,
}

impl Pipe {
    pub(super) fn new(id: Option<usize>) -> Self {
        Self {
            id,
            up: Way::default(),
            down: Way::default(),
            held_until: Duration::ZERO,
            writable_at: Duration::ZERO,
            ends_at: None,
            is_dead: false,
        }
    }

    /// What the node has sent arrives at the broker, and what that answers is on its way.
    pub(super) fn serve(&mut self, broker: &mut Broker, until: Duration, random: &mut Random) {
        let now = broker.now();
        let Some(id) = self.id else {
            return;
        };
        while let Some(bytes) = self.up.pop_due(until) {
            broker.receive(id, &bytes);
        }
        let answer = broker.take(id);
        if !answer.is_empty() && !self.is_dead {
            self.down.push(&answer, now.max(self.held_until), random);
        }
    }

    /// The node knows it no more. What was sent on it arrives, or some of it does.
    pub(super) fn abandon(mut self, random: &mut Random, broker: &mut Broker) {
        if random.chance(50) {
            self.up.truncate(random);
        }
        broker.adopt(self);
    }

    pub(super) fn close(&self, broker: &mut Broker) {
        if let Some(id) = self.id {
            broker.close(id);
        }
    }

    /// The node receives what has arrived.
    pub(super) fn receive(&mut self, line: Line, backplane: &mut Backplane, now: Duration) -> bool {
        let bytes = match backplane.wants_bytes(line) {
            true => self.down.pop_due(now),
            false => None,
        };
        bytes
            .inspect(|bytes| backplane.receive(line, bytes))
            .is_some()
    }

    /// Whether the node is told that the connection is over.
    pub(super) fn has_ended(&self, now: Duration) -> bool {
        self.ends_at.is_some_and(|due| due <= now)
    }

    /// The node sends some of what it has to, or all. Returns what.
    pub(super) fn send(
        &mut self,
        line: Line,
        backplane: &mut Backplane,
        now: Duration,
        random: &mut Random,
    ) {
        let unsent = backplane.unsent(line);
        if unsent.is_empty() || self.writable_at > now {
            return;
        }
        let mut len = unsent.len().min(WRITE_MAX);
        if random.chance(20) {
            len = random.between(1, len);
        }
        if !self.is_dead {
            let held_until = now.max(self.held_until);
            self.up.push(&unsent[..len], held_until, random);
        }
        backplane.note_sent(line, len);
        self.writable_at = now + latency(random);
    }

    /// When something arrives at the broker.
    pub(super) fn broker_due(&self) -> Duration {
        self.up.next_due()
    }

    /// When the node has something to do.
    pub(super) fn node_due(&self, line: Line, backplane: &Backplane) -> Duration {
        let down = match backplane.wants_bytes(line) {
            true => self.down.next_due(),
            false => Duration::MAX,
        };
        let writable = match backplane.unsent(line).is_empty() {
            true => Duration::MAX,
            false => self.writable_at,
        };
        let end = self.ends_at.unwrap_or(Duration::MAX);
        down.min(writable).min(end)
    }

    /// Nothing arrives before, in either direction.
    pub(super) fn hold_until(&mut self, time: Duration) {
        self.held_until = time;
        self.up.hold_until(time);
        self.down.hold_until(time);
    }

    pub(super) fn cut(&mut self, cut: Cut, random: &mut Random, broker: &mut Broker) {
        match cut {
            Cut::Told | Cut::Unknown => {
                self.up.truncate(random);
                self.serve(broker, Duration::MAX, random);
                self.close(broker);
                self.end(cut == Cut::Told, random, broker);
            }
            Cut::Late => {
                let mut late = mem::replace(self, Self::new(None));
                mem::swap(&mut late.down, &mut self.down);
                self.end(true, random, broker);
                let late_by = Duration::from_millis(random.below(LATE_MILLIS_MAX) as u64);
                late.up.hold_until(broker.now() + late_by);
                broker.adopt(late);
                broker.were_counts_disturbed = true;
            }
            Cut::Silent => {
                self.up.0.clear();
                self.down.0.clear();
                self.is_dead = true;
            }
        }
    }

    /// The broker is gone: what was on its way to it is lost.
    pub(super) fn lose_broker(&mut self, random: &mut Random, broker: &Broker) {
        self.up.0.clear();
        let is_told = random.chance(85);
        self.end(is_told, random, broker);
    }

    /// Of what was on its way to the node some arrives, and then perhaps the end.
    fn end(&mut self, is_told: bool, random: &mut Random, broker: &Broker) {
        self.down.truncate(random);
        let last = self.down.0.back().map_or(broker.now(), |(due, _)| *due);
        self.ends_at = is_told.then_some(last);
        self.is_dead = true;
    }
}

/// A connection that its node has given up.
#[derive(Debug)]
pub(super) struct Abandoned(Pipe);

impl Abandoned {
    pub(super) fn new(pipe: Pipe) -> Self {
        Self(pipe)
    }

    /// Whether the broker is still to receive something.
    pub(super) fn serve(&mut self, broker: &mut Broker, random: &mut Random) -> bool {
        self.0.serve(broker, broker.now(), random);
        self.0.down.0.clear();
        let is_over = self.0.up.0.is_empty();
        if is_over {
            self.0.close(broker);
        }
        !is_over
    }

    pub(super) fn next_due(&self) -> Duration {
        self.0.up.next_due()
    }
}
