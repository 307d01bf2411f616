//! How many listen, summed over nodes: each node keeps its counts at the broker, and asks for those of the others.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::mem;
use std::rc::Rc;
use std::time::Duration;

use super::appender::{Appender, Asked};
use super::entry::Node;
use super::script::Script;
use super::settings::Settings;

/// How often a node shows that it is alive.
pub const HEARTBEAT_PERIOD: Duration = Duration::from_secs(5);
/// How long a node's counts outlive its last heartbeat. Others ask for counts once a second, and tell their listeners at
/// most once a second: within 15 s a node that died is no longer counted.
pub const NODE_TTL: Duration = Duration::from_secs(12);
/// How often counts are told and asked for, at most.
const COUNTS_PERIOD: Duration = Duration::from_secs(1);
/// How often all counts are told anew, in case the broker forgot them.
const RENEWAL_PERIOD: Duration = Duration::from_secs(60);
/// How many rooms a command is about.
const CHUNK_ROOMS: usize = 256;
/// How many counts are told in a period.
const TOLD_MAX: usize = 64 * CHUNK_ROOMS;

#[derive(Debug, Default)]
struct Here {
    count: usize,
    is_listed: bool,
}

/// Counts that were asked for at once.
#[derive(Debug)]
struct Round {
    rooms: Vec<Rc<str>>,
    sums: Vec<usize>,
    /// Where in `rooms` the answers begin that are still to come, in their order.
    awaited: VecDeque<usize>,
}

#[derive(Debug, Default)]
pub(super) struct Presence {
    here: HashMap<Rc<str>, Here>,
    /// Rooms whose counts are to be told.
    changed: VecDeque<Rc<str>>,
    /// Rooms whose sums are wanted, and what was told last.
    watched: BTreeMap<Rc<str>, usize>,
    others: Vec<Node>,
    round: Option<Round>,
    told: VecDeque<(Rc<str>, usize)>,
    heartbeat_at: Duration,
    renewal_at: Duration,
    counts_at: Duration,
    is_connected: bool,
    /// Whether the broker may have counts from before the connection.
    is_fresh: bool,
}

impl Presence {
    pub(super) fn note_count(&mut self, room: &str, count: usize) {
        if let Some(here) = self.here.get_mut(room) {
            here.count = count;
            if !mem::replace(&mut here.is_listed, true) {
                let (room, _) = self.here.get_key_value(room).expect("it was just found");
                self.changed.push_back(room.clone());
            }
        } else if count > 0 {
            let room: Rc<str> = room.into();
            let is_listed = true;
            self.here.insert(room.clone(), Here { count, is_listed });
            self.changed.push_back(room);
        }
    }

    pub(super) fn watch(&mut self, room: &str, is_watched: bool) {
        if !is_watched {
            self.watched.remove(room);
        } else if !self.watched.contains_key(room) {
            self.watched.insert(room.into(), 0);
        }
    }

    /// A connection is there: all is told anew.
    pub(super) fn connect(&mut self, now: Duration) {
        self.is_connected = true;
        self.is_fresh = true;
        self.heartbeat_at = now;
        self.counts_at = now;
        self.renewal_at = now;
    }

    pub(super) fn disconnect(&mut self) {
        self.is_connected = false;
        self.round = None;
    }

    /// Does what is due.
    pub(super) fn run(&mut self, line: &mut Appender, node: &Node, settings: &Settings) {
        let now = line.link.now;
        if !self.is_connected || now < self.due() {
            return;
        }
        if now >= self.renewal_at {
            self.renewal_at = now + RENEWAL_PERIOD;
            let is_fresh = mem::take(&mut self.is_fresh);
            self.list_all(is_fresh);
            if is_fresh {
                let mut encoder = line.ask(Asked::Done, settings);
                encoder.command("DEL", 2).key(&[b"here", node]);
            }
        }
        if now >= self.counts_at {
            self.counts_at = now + COUNTS_PERIOD;
            self.tell_counts(line, node, settings);
            self.ask_counts(line, settings);
        }
        if now >= self.heartbeat_at {
            // Where no heartbeat was possible for long, the counts were forgotten.
            if now >= self.heartbeat_at + HEARTBEAT_PERIOD {
                self.renewal_at = now;
            }
            self.heartbeat_at = now + HEARTBEAT_PERIOD;
            self.send_heartbeat(line, node, settings);
        }
    }

    pub(super) fn due(&self) -> Duration {
        let has_counts = !self.changed.is_empty() || !self.watched.is_empty();
        let counts_at = if has_counts {
            self.counts_at
        } else {
            Duration::MAX
        };
        match self.is_connected {
            true => counts_at.min(self.heartbeat_at).min(self.renewal_at),
            false => Duration::MAX,
        }
    }

    /// All counts are to be told. Where the broker has those of before, that includes rooms that everybody has left since.
    fn list_all(&mut self, is_fresh: bool) {
        self.changed.clear();
        self.here.retain(|room, here| {
            here.is_listed = here.count > 0 || !is_fresh;
            if here.is_listed {
                self.changed.push_back(room.clone());
            }
            here.is_listed
        });
        self.changed.make_contiguous().sort_unstable();
    }

    fn tell_counts(&mut self, line: &mut Appender, node: &Node, settings: &Settings) {
        let rooms = self.changed.len().min(TOLD_MAX);
        if rooms == 0 {
            return;
        }
        let rooms: Vec<_> = self.changed.drain(..rooms).collect();
        let mut present = Vec::new();
        let mut left = Vec::new();
        for room in rooms {
            let Some(here) = self.here.get_mut(&room) else {
                continue;
            };
            here.is_listed = false;
            match here.count {
                0 => {
                    self.here.remove(&room);
                    left.push(room);
                }
                count => present.push((room, count)),
            }
        }
        for chunk in present.chunks(CHUNK_ROOMS) {
            let mut encoder = line.ask(Asked::Done, settings);
            encoder
                .command("HSET", 2 + 2 * chunk.len())
                .key(&[b"here", node]);
            for (room, count) in chunk {
                encoder.text(room.as_bytes()).number(*count as u64);
            }
        }
        for chunk in left.chunks(CHUNK_ROOMS) {
            let mut encoder = line.ask(Asked::Done, settings);
            encoder
                .command("HDEL", 2 + chunk.len())
                .key(&[b"here", node]);
            for room in chunk {
                encoder.text(room.as_bytes());
            }
        }
        // A heartbeat cannot give an end to counts that were not there yet.
        let mut encoder = line.ask(Asked::Done, settings);
        encoder.command("PEXPIRE", 3).key(&[b"here", node]);
        encoder.millis(NODE_TTL);
    }

    pub(super) fn send_heartbeat(&self, line: &mut Appender, node: &Node, settings: &Settings) {
        line.call(
            Asked::Heartbeat,
            Script::Heartbeat,
            settings,
            |encoder| {
                encoder.key(&[b"nodes"]).key(&[b"here", node]);
                encoder.text(node).millis(NODE_TTL);
            },
            2,
            4,
        );
        // A stream that was begun anew is noticed by all nodes, those that append nothing included.
        let mut encoder = line.ask(Asked::Generation, settings);
        encoder
            .command("HMGET", 3)
            .key(&[b"state"])
            .text(b"generation");
    }

    fn ask_counts(&mut self, line: &mut Appender, settings: &Settings) {
        if self.round.is_some() || self.watched.is_empty() {
            return;
        }
        let rooms: Vec<_> = self.watched.keys().cloned().collect();
        let mut awaited = VecDeque::new();
        for node in &self.others {
            for (place, chunk) in rooms.chunks(CHUNK_ROOMS).enumerate() {
                awaited.push_back(place * CHUNK_ROOMS);
                let mut encoder = line.ask(Asked::Counts, settings);
                encoder
                    .command("HMGET", 2 + chunk.len())
                    .key(&[b"here", node]);
                for room in chunk {
                    encoder.text(room.as_bytes());
                }
            }
        }
        let sums = vec![0; rooms.len()];
        self.round = Some(Round {
            rooms,
            sums,
            awaited,
        });
        self.end_round();
    }

    /// The names of the other nodes that are alive.
    pub(super) fn note_others(&mut self, others: Vec<Node>) {
        self.others = others;
    }

    /// What one of the others counts. Whether it was asked for.
    pub(super) fn note_counts(&mut self, counts: &[usize]) -> bool {
        let Some(round) = &mut self.round else {
            return false;
        };
        let Some(start) = round.awaited.pop_front() else {
            return false;
        };
        let sums = round.sums.get_mut(start..).unwrap_or_default();
        if counts.len() != sums.len().min(CHUNK_ROOMS) {
            return false;
        }
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum = sum.saturating_add(*count);
        }
        self.end_round();
        true
    }

    fn end_round(&mut self) {
        let Some(round) = self.round.take_if(|round| round.awaited.is_empty()) else {
            return;
        };
        for (room, sum) in round.rooms.into_iter().zip(round.sums) {
            if let Some(told) = self.watched.get_mut(&room)
                && mem::replace(told, sum) != sum
            {
                self.told.push_back((room, sum));
            }
        }
    }

    pub(super) fn next_told(&mut self) -> Option<(Rc<str>, usize)> {
        self.told.pop_front()
    }

    pub(super) fn has_told(&self) -> bool {
        !self.told.is_empty()
    }
}
