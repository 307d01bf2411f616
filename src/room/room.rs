//! One room: its members, and its log while there is something in it.

use std::rc::Rc;

use super::Framing;
use super::framing::FRAMINGS;
use super::hub::ROOM_MEMORY;
use super::id::{Epoch, Id};
use super::log::Log;
use super::member::Listening;
use super::notice::Answer;
use super::pool::Pool;
use super::recency::{Link, Linked};
use super::start::{Extent, Start};
use crate::id::ClientId;
use crate::time::{Entry, Tick};

/// The clients that read the same log.
///
/// Members stand in a dense array, because a broadcast walks all of them.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) name: Rc<str>,
    pub(super) members: Vec<ClientId>,
    /// What was published and is kept. A room in which nothing is published has none.
    pub(super) log: Option<Box<Log>>,
    epoch: Epoch,
    /// The number of the last message, while there is no log.
    head: u64,
    /// How many members read in each framing but lines, which every batch has.
    pub(super) readers: [u32; FRAMINGS - 1],
    /// How many members want to know how many they are.
    pub(super) here_readers: u32,
    /// How many there were when the last of these joined, which it was told.
    pub(super) told_to_last: u32,
    /// When they may be told again.
    pub(super) here_again: Tick,
    /// Since when it has had no listeners, no history and no publication, if it has none now.
    pub(super) quiet_since: Tick,
    /// Where the deadlines list it.
    pub(super) entry: Entry,
    link: Link,
    /// Whether it is on the list of rooms that may have something new.
    pub(super) is_listed: bool,
    /// Whether it is on the list of rooms whose members are to be told how many they are.
    pub(super) is_here_listed: bool,
    /// Whether its listeners have changed since the other nodes were told of them.
    pub(super) is_count_changed: bool,
    /// What is known of its last message, where the ids come from elsewhere.
    pub(super) knowledge: Knowledge,
}

/// What is known of the last message of a room that several nodes share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Knowledge {
    /// Nothing yet: nobody has an id of it from here.
    None,
    /// What it was once.
    Old,
    /// All that was read of the stream.
    Current,
}

/// What an empty room costs, besides its name and its place among the names.
const _: () = assert!(size_of::<Room>() <= 128);
const _: () = assert!(size_of::<Option<Room>>() == size_of::<Room>());

impl Linked for Room {
    fn link(&mut self) -> &mut Link {
        &mut self.link
    }
}

impl Room {
    pub(super) fn new(name: Rc<str>, now: Tick) -> Self {
        Self {
            name,
            members: Vec::new(),
            log: None,
            epoch: Epoch::random(),
            head: 0,
            readers: [0; FRAMINGS - 1],
            here_readers: 0,
            told_to_last: 0,
            here_again: now,
            quiet_since: now,
            entry: Entry::NONE,
            link: Link::default(),
            is_listed: false,
            is_here_listed: false,
            is_count_changed: false,
            knowledge: Knowledge::None,
        }
    }

    /// The log to publish to.
    #[inline]
    pub(super) fn log_mut(&mut self) -> &mut Log {
        let (epoch, head) = (self.epoch, self.head);
        self.log
            .get_or_insert_with(|| Box::new(Log::new(epoch, head)))
    }

    /// The id of the last message.
    pub(super) fn head(&self) -> Id {
        Id {
            epoch: self.epoch,
            seq: self.log.as_ref().map_or(self.head, |log| log.head()),
        }
    }

    /// Goes on behind `position`. What it has is let go.
    pub(super) fn restart(&mut self, position: Id, pool: &mut Pool) {
        let Id { epoch, seq } = position;
        if let Some(log) = &mut self.log {
            log.restart(position, pool);
        }
        (self.epoch, self.head) = (epoch, seq);
        self.knowledge = Knowledge::Current;
    }

    /// Decides where a reader starts: the answer, the position before its next message, and where it stands in
    /// the log unless it is caught up.
    pub(super) fn begin(
        &mut self,
        start: Start,
        pool: &mut Pool,
    ) -> (Answer, Id, Option<(u64, u32)>) {
        if let Some(log) = &mut self.log {
            log.seal(pool);
            // What is too old is not kept, whether or not anybody has looked since.
            log.trim(pool);
        }
        let Id { epoch, seq: head } = self.head();
        let extent = Extent {
            epoch,
            head,
            oldest: self.log.as_ref().map_or(head + 1, |log| log.oldest(pool)),
        };
        let (answer, seq) = extent.answer(start);
        let log = self.log.as_ref().filter(|log| seq < head || log.has_news());
        (answer, Id { epoch, seq }, log.map(|log| log.seek(seq)))
    }

    /// Adds a member. Returns its seat.
    pub(super) fn add_member(&mut self, client: ClientId, listening: &Listening) -> u32 {
        let seat = u32::try_from(self.members.len()).expect("slots of clients are 32-bit numbers");
        if self.members.is_empty() {
            // Most rooms have few members; a vector would begin with room for four.
            self.members.reserve_exact(1);
        }
        self.members.push(client);
        if listening.wants_here {
            self.here_readers += 1;
            self.told_to_last = seat + 1;
        }
        if let Some(count) = self.readers_mut(listening.framing) {
            *count += 1;
        }
        seat
    }

    /// Removes a member. Returns the one that got its seat.
    pub(super) fn remove_member(
        &mut self,
        seat: u32,
        framing: Framing,
        wants_here: bool,
    ) -> Option<ClientId> {
        self.members.swap_remove(seat as usize);
        if wants_here {
            self.here_readers -= 1;
            // It may be the last one that joined, and what those before it were told is not known.
            self.told_to_last = 0;
        }
        if let Some(count) = self.readers_mut(framing) {
            *count -= 1;
        }
        self.members.get(seat as usize).copied()
    }

    fn readers_mut(&mut self, framing: Framing) -> Option<&mut u32> {
        self.readers.get_mut(framing.derived_place()?)
    }

    /// Lets history go that is too old, and the log when nothing is left of it.
    pub(super) fn drop_unused_log(&mut self, pool: &mut Pool) {
        let Some(log) = &mut self.log else {
            return;
        };
        if log.has_batches() {
            log.trim(pool);
            // A room is remembered for as long after its history as after its listeners.
            self.quiet_since = pool.now;
        }
        if log.is_unused() {
            self.head = log.head();
            self.log = None;
        }
    }

    /// Whether nothing but the memory of its ids is left.
    pub(super) fn is_forgettable(&self) -> bool {
        self.members.is_empty() && self.log.is_none() && !self.is_listed && !self.is_here_listed
    }

    /// When there is something to be checked.
    pub(super) fn due(&self, pool: &Pool) -> Tick {
        match &self.log {
            Some(log) if log.has_batches() => log.expires(pool),
            // Where no history is kept, the log of a room that has become quiet goes.
            _ if self.members.is_empty() || self.log.is_some() => {
                self.quiet_since.after(ROOM_MEMORY)
            }
            _ => Tick::NEVER,
        }
    }
}
