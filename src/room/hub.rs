//! All rooms, by name: they are made when somebody asks for them, and forgotten by themselves.
//!
//! Plain operations on vectors, called straight from the loop. What a turn costs depends on the rooms that
//! have something new and on their members, not on how many rooms there are.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use slab::Slab;

use super::compression::Compression;
use super::id::Id;
use super::keys::Keys;
use super::log::Log;
use super::member::{Here, Joined, Listening, Membership};
use super::pool::{HistoryBounds, Pool};
use super::recency::Recency;
use super::room::Room;
pub use super::room_id::RoomId;
use crate::id::ClientId;
use crate::observe::CompressionCounts;
use crate::time::{Deadlines, Tick};
use crate::ws::deflate::Deflater;

/// Why looking up a member's room cannot fail.
const IS_KEPT: &str = "a room is kept while it has members";
/// How long a room is remembered when it has neither listeners nor history.
pub const ROOM_MEMORY: Duration = Duration::from_secs(300);

/// The bounds on rooms.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// How many rooms there may be.
    pub rooms: usize,
    /// How many messages a batch may have: as many as fit into an empty send queue.
    pub batch_messages: u64,
    /// How long messages wait for others before they are offered.
    pub linger: Duration,
    /// What a room keeps.
    pub history: HistoryBounds,
    /// What all rooms together keep, in bytes.
    pub history_len: usize,
    /// How hard batches are compressed, from 1 to 9.
    pub deflate_level: u32,
    /// How long they must be to be compressed, in bytes.
    pub deflate_min: usize,
}

/// There are as many rooms as may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyRooms;

/// All rooms.
#[derive(Debug)]
pub struct Hub {
    pub(super) bounds: Bounds,
    pub(super) names: HashMap<Rc<str>, RoomId>,
    pub(super) rooms: Slab<Room>,
    /// The rooms that may have something new, and when it is to be offered, counted from the start.
    news: VecDeque<(Duration, RoomId)>,
    /// The rooms with history, the one published to least recently first.
    pub(super) recency: Recency,
    /// When a room has history that is too old, or is to be forgotten.
    pub(super) deadlines: Deadlines,
    /// When the members of a room are to be told how many they are.
    pub(super) here: Deadlines,
    /// The answers to publications that had a key.
    pub(super) keys: Keys,
    /// Whether other nodes have a part in the rooms.
    pub(super) is_shared: bool,
    /// Then: the rooms whose listeners here have changed.
    pub(super) changed_counts: Vec<RoomId>,
    /// How many listen to a room on other nodes, where that is asked for and some do.
    pub(super) elsewhere: HashMap<RoomId, usize>,
    now: Duration,
    pub(super) pool: Pool,
}

impl Hub {
    /// A hub without rooms.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            names: HashMap::new(),
            rooms: Slab::new(),
            news: VecDeque::new(),
            recency: Recency::default(),
            deadlines: Deadlines::default(),
            here: Deadlines::default(),
            keys: Keys::default(),
            is_shared: false,
            changed_counts: Vec::new(),
            elsewhere: HashMap::new(),
            now: Duration::ZERO,
            pool: Pool::new(
                bounds.history,
                Compression::new(bounds.deflate_level, bounds.deflate_min),
            ),
            bounds,
        }
    }

    /// A turn begins.
    pub fn begin_turn(&mut self, tick: Tick, now: Duration) {
        self.pool.now = tick;
        self.now = now;
    }

    /// The room of this name, which is made if there is none.
    ///
    /// # Errors
    /// There are too many already.
    pub fn enter(&mut self, name: &str) -> Result<RoomId, TooManyRooms> {
        if let Some(id) = self.names.get(name) {
            return Ok(*id);
        }
        if self.rooms.len() >= self.bounds.rooms {
            return Err(TooManyRooms);
        }
        let name: Rc<str> = name.into();
        let id = RoomId::from_index(self.rooms.insert(Room::new(name.clone(), self.pool.now)));
        self.names.insert(name, id);
        self.schedule(id);
        Ok(id)
    }

    /// Lets a client into a room. What was published before is sealed, so that it ends where the client starts, and is
    /// offered to the others in this turn, whatever the linger: later it could not be told from what the client gets.
    pub fn join(&mut self, id: RoomId, client: ClientId, listening: Listening) -> Joined {
        let room = self.rooms.get_mut(id.index()).expect(IS_KEPT);
        let (answer, position, cursor) = room.begin(listening.start, &mut self.pool);
        if room.is_listed && !self.bounds.linger.is_zero() {
            self.news.push_front((self.now, id));
        }
        let seat = room.add_member(client, &listening);
        let membership = Membership {
            room: id,
            seat,
            framing: listening.framing,
            here: match listening.wants_here {
                true => Here::Fresh,
                false => Here::Off,
            },
        };
        self.note_count(id);
        Joined {
            membership,
            answer,
            position,
            cursor,
        }
    }

    /// Takes a client out of its room. The open batch is sealed before, so that the log's end tells what the
    /// client is still to get. Returns the member that got the free seat, which has to be told.
    pub fn leave(&mut self, left: Membership) -> Option<ClientId> {
        let room = self.rooms.get_mut(left.room.index()).expect(IS_KEPT);
        if let Some(log) = &mut room.log {
            log.seal(&mut self.pool);
        }
        let moved = room.remove_member(left.seat, left.framing, left.here != Here::Off);
        if room.members.is_empty() {
            room.quiet_since = self.pool.now;
            self.schedule(left.room);
        }
        self.note_count(left.room);
        moved
    }

    /// The members of a room, in no particular order.
    #[inline]
    pub fn members(&self, id: RoomId) -> &[ClientId] {
        let room = self.rooms.get(id.index());
        room.map_or(&[], |room| &room.members)
    }

    /// Publishes a message. Returns how many batches are full with it, which are then sealed.
    #[inline]
    pub fn publish(&mut self, id: RoomId, message: &str) -> usize {
        let Self { rooms, pool, .. } = self;
        let room = rooms.get_mut(id.index()).expect(IS_KEPT);
        let messages_max = self.bounds.batch_messages;
        let sealed = room.log_mut().publish(message, messages_max, pool);
        if !room.is_listed || sealed > 0 {
            self.list(id, sealed);
        }
        sealed
    }

    /// Publishes messages together, behind all that was published before: they are one batch, as far as the bounds on
    /// its length allow. They have about `text_len` bytes. Returns how many batches were sealed.
    pub fn publish_all<'a>(
        &mut self,
        id: RoomId,
        text_len: usize,
        messages: impl Iterator<Item = &'a str>,
    ) -> usize {
        let Self { rooms, pool, .. } = self;
        let room = rooms.get_mut(id.index()).expect(IS_KEPT);
        let log = room.log_mut();
        log.seal(pool);
        log.expect(text_len);
        let mut sealed = 1;
        for message in messages {
            sealed += log.publish(message, u64::MAX, pool);
        }
        log.seal(pool);
        self.list(id, sealed);
        sealed
    }

    /// Puts a room on the list of those with something new. What fills a batch waits for nothing.
    fn list(&mut self, id: RoomId, sealed: usize) {
        let Some(room) = self.rooms.get_mut(id.index()) else {
            return;
        };
        let linger = self.bounds.linger;
        if sealed > 0 && !linger.is_zero() {
            self.news.push_front((self.now, id));
        } else if !room.is_listed {
            self.news.push_back((self.now + linger, id));
        }
        room.is_listed = true;
    }

    /// What compression has saved so far.
    pub fn compression_counts(&self) -> CompressionCounts {
        self.pool.compression.counts
    }

    /// The compressor that all share.
    #[inline]
    pub fn deflater(&mut self) -> &mut Deflater {
        &mut self.pool.compression.deflater
    }

    /// The id of the last message of a room that was just entered.
    pub fn head(&self, id: RoomId) -> Id {
        let room = self.rooms.get(id.index()).expect(IS_KEPT);
        room.head()
    }

    /// When something is to be offered, counted from the start.
    #[inline]
    pub fn news_due(&self) -> Option<Duration> {
        self.news.front().map(|(due, _)| *due)
    }

    /// Takes one of the rooms whose news are to be offered now: sealed, in the framings of its members. To be called
    /// until there is none.
    pub fn pop_news(&mut self) -> Option<RoomId> {
        while let Some(&(due, id)) = self.news.front()
            && due <= self.now
        {
            self.news.pop_front();
            let Some(room) = self.rooms.get_mut(id.index()).filter(|room| room.is_listed) else {
                continue;
            };
            room.is_listed = false;
            self.begin_offer(id);
            return Some(id);
        }
        None
    }

    /// Seals what is new in a room, in the framings of its members: it is about to be offered to them.
    pub fn begin_offer(&mut self, id: RoomId) {
        let Some(room) = self.rooms.get_mut(id.index()) else {
            return;
        };
        room.quiet_since = self.pool.now;
        if let Some(log) = &mut room.log {
            log.seal(&mut self.pool);
            log.begin_offer();
            log.build_news(&room.readers, &mut self.pool);
        }
        self.recency.touch(&mut self.rooms, id);
    }

    /// Notes that all sealed batches of a room were offered to all of its members.
    pub fn note_offered(&mut self, id: RoomId) {
        if let Some((log, pool)) = self.log_mut(id) {
            log.note_offered(pool);
            self.schedule(id);
        }
    }

    /// A room's log, if anything was published in it.
    #[inline]
    pub fn log(&self, id: RoomId) -> Option<&Log> {
        self.rooms.get(id.index())?.log.as_deref()
    }

    /// A room's log, and what all logs share.
    #[inline]
    pub fn log_mut(&mut self, id: RoomId) -> Option<(&mut Log, &mut Pool)> {
        let log = self.rooms.get_mut(id.index())?.log.as_deref_mut()?;
        Some((log, &mut self.pool))
    }

    /// What was answered to a publication with this key, if it was not long ago.
    pub fn find_key(&mut self, id: RoomId, key: &[u8]) -> Option<Id> {
        let epoch = self.head(id).epoch;
        self.keys.get(epoch, key, self.pool.now)
    }

    /// Remembers what was answered to a publication with a new key.
    pub fn remember_key(&mut self, key: &[u8], answer: Id) {
        self.keys.insert(answer, key, self.pool.now);
    }

    /// The bytes of all batches that readers need, each counted once.
    pub fn needed_len(&self) -> usize {
        self.pool.needed_len()
    }

    /// The bytes of all batches that only history keeps.
    pub fn history_len(&self) -> usize {
        self.pool.history_len()
    }

    /// How many rooms there are.
    pub fn room_count(&self) -> usize {
        self.rooms.len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::Batch;
    use super::super::framing::Framing;
    use super::super::notice::Answer;
    use super::super::start::Start;
    use std::num::NonZeroU32;

    use super::*;

    const MANY: Bounds = Bounds {
        rooms: 3,
        batch_messages: 256,
        linger: Duration::ZERO,
        history: HistoryBounds {
            messages: 4,
            len: 1 << 20,
            age: Duration::from_secs(60),
        },
        history_len: 1 << 20,
        deflate_level: 6,
        deflate_min: 200,
    };
    const NEW: Listening = Listening {
        framing: Framing::Lines,
        wants_here: false,
        start: Start::NEW,
    };

    fn client(slot: u32) -> ClientId {
        ClientId::new(slot, NonZeroU32::MIN)
    }

    fn offer(hub: &mut Hub) {
        while let Some(room) = hub.pop_news() {
            hub.note_offered(room);
        }
        hub.bound_history();
    }

    fn at(hub: &mut Hub, seconds: u64) {
        let now = Duration::from_secs(seconds);
        hub.begin_turn(Tick::at(now), now);
        hub.check_rooms();
    }

    #[test]
    fn members_come_and_go_in_any_order() {
        let mut hub = Hub::new(MANY);
        let room = hub.enter("").expect("there is room");
        let [a, b, c] = [0, 1, 2].map(|slot| hub.join(room, client(slot), NEW).membership);
        assert_eq!(hub.leave(a), Some(client(2)));
        let c = c.moved_to(a);
        assert_eq!(hub.members(room), [client(2), client(1)]);
        assert_eq!(hub.leave(b), None);
        assert_eq!(hub.leave(c), None);
        assert_eq!(hub.members(room), []);
    }

    #[test]
    fn a_joiner_begins_behind_what_was_published_before() {
        let mut hub = Hub::new(MANY);
        let room = hub.enter("lobby").expect("there is room");
        assert_eq!(hub.join(room, client(0), NEW).cursor, None);
        hub.publish(room, "before");
        let joined = hub.join(room, client(1), NEW);
        assert_eq!((joined.cursor, joined.position.seq), (Some((1, 0)), 1));
        hub.publish(room, "after");
        assert_eq!(hub.pop_news(), Some(room));
        assert_eq!(hub.pop_news(), None);
        let log = hub.log(room).expect("something was published");
        assert_eq!(log.batch(1).map(Batch::text), Some(&b"after"[..]));
        assert_eq!(log.news(), 0..2);
    }

    #[test]
    fn a_joiner_begins_inside_a_batch_and_exactly_so_many_messages_are_kept() {
        let mut hub = Hub::new(MANY);
        let room = hub.enter("").expect("there is room");
        hub.publish_all(room, 5, ["1", "2", "3"].into_iter());
        offer(&mut hub);
        hub.publish_all(room, 5, ["4", "5", "6"].into_iter());
        offer(&mut hub);
        let mut start = |start| {
            let listening = Listening { start, ..NEW };
            let joined = hub.join(room, client(0), listening);
            (joined.answer, joined.position.seq, joined.cursor)
        };
        let all = Start::Fresh { last: u64::MAX };
        assert_eq!(start(all), (Answer::Fresh, 2, Some((0, 2))));
        assert_eq!(
            start(Start::Fresh { last: 2 }),
            (Answer::Fresh, 4, Some((1, 1)))
        );
        assert_eq!(
            start(Start::Fresh { last: 3 }),
            (Answer::Fresh, 3, Some((1, 0)))
        );
        assert_eq!(start(Start::NEW), (Answer::Fresh, 6, None));
    }

    #[test]
    fn a_room_is_forgotten_when_it_was_quiet_and_not_before() {
        let mut hub = Hub::new(MANY);
        at(&mut hub, 0);
        let room = hub.enter("a").expect("there is room");
        let member = hub.join(room, client(0), NEW).membership;
        at(&mut hub, 1_000);
        assert_eq!(hub.room_count(), 1, "it has a listener");
        hub.publish(room, "kept");
        offer(&mut hub);
        let epoch = hub.head(room);
        hub.leave(member);
        at(&mut hub, 1_059);
        assert!(hub.history_len() > 0);
        at(&mut hub, 1_062);
        assert_eq!(hub.history_len(), 0);
        at(&mut hub, 1_361);
        assert_eq!(hub.enter("a").map(|room| hub.head(room)), Ok(epoch));
        at(&mut hub, 1_364);
        assert_eq!((hub.room_count(), hub.next_due()), (0, Tick::NEVER));
    }

    #[test]
    fn history_goes_when_it_is_too_old_whatever_the_room_waited_for_before() {
        let mut hub = Hub::new(MANY);
        at(&mut hub, 0);
        let room = hub.enter("a").expect("there is room");
        hub.publish(room, "kept");
        offer(&mut hub);
        at(&mut hub, 59);
        assert!(hub.history_len() > 0);
        at(&mut hub, 62);
        assert_eq!(hub.history_len(), 0);
    }

    #[test]
    fn a_room_without_history_is_forgotten_too() {
        let mut bounds = MANY;
        bounds.history.messages = 0;
        let mut hub = Hub::new(bounds);
        at(&mut hub, 0);
        let room = hub.enter("a").expect("there is room");
        let member = hub.join(room, client(0), NEW).membership;
        hub.publish(room, "not kept");
        offer(&mut hub);
        at(&mut hub, 100);
        hub.leave(member);
        at(&mut hub, 399);
        assert_eq!(hub.enter("a").map(|room| hub.head(room).seq), Ok(1));
        at(&mut hub, 402);
        assert_eq!((hub.room_count(), hub.next_due()), (0, Tick::NEVER));
    }

    #[test]
    fn a_quiet_room_that_keeps_no_history_has_no_log() {
        let mut bounds = MANY;
        bounds.history.messages = 0;
        let mut hub = Hub::new(bounds);
        at(&mut hub, 0);
        let room = hub.enter("a").expect("there is room");
        hub.join(room, client(0), NEW);
        at(&mut hub, 1_000);
        hub.publish(room, "not kept");
        offer(&mut hub);
        assert!(hub.log(room).is_some());
        at(&mut hub, 1_302);
        assert!(hub.log(room).is_none());
        assert_eq!((hub.head(room).seq, hub.next_due()), (1, Tick::NEVER));
    }

    #[test]
    fn there_are_no_more_rooms_than_may_be() {
        let mut hub = Hub::new(MANY);
        for name in ["", "a", "b", "a"] {
            assert!(hub.enter(name).is_ok(), "{name}");
        }
        assert_eq!(hub.enter("c"), Err(TooManyRooms));
        assert!(hub.enter("b").is_ok());
    }

    #[test]
    fn rooms_published_to_least_recently_lose_their_history_first() {
        let mut bounds = MANY;
        bounds.history_len = 3 * (size_of::<Batch>() + 64);
        let mut hub = Hub::new(bounds);
        let [a, b, c] = ["a", "b", "c"].map(|name| hub.enter(name).expect("there is room"));
        for room in [a, b, c, a] {
            hub.publish(room, "text");
            offer(&mut hub);
        }
        let mut kept = |room| {
            let start = Start::Fresh { last: u64::MAX };
            let joined = hub.join(room, client(0), Listening { start, ..NEW });
            hub.head(room).seq - joined.position.seq
        };
        assert_eq!([kept(a), kept(b), kept(c)], [2, 0, 1]);
    }

    #[test]
    fn news_wait_for_company_unless_a_batch_is_full() {
        let mut bounds = MANY;
        bounds.linger = Duration::from_millis(50);
        bounds.batch_messages = 2;
        let mut hub = Hub::new(bounds);
        let room = hub.enter("").expect("there is room");
        let at = |hub: &mut Hub, millis| {
            let now = Duration::from_millis(millis);
            hub.begin_turn(Tick::at(now), now);
            hub.pop_news()
        };
        hub.publish(room, "one");
        assert_eq!(hub.news_due(), Some(bounds.linger));
        assert_eq!(at(&mut hub, 49), None);
        assert_eq!(at(&mut hub, 50), Some(room));
        hub.publish(room, "two");
        assert_eq!(at(&mut hub, 60), None);
        hub.publish(room, "three");
        assert_eq!(at(&mut hub, 60), Some(room));
    }

    #[test]
    fn what_lingers_is_offered_when_somebody_joins_who_must_not_get_it() {
        let mut bounds = MANY;
        bounds.linger = Duration::from_millis(50);
        let mut hub = Hub::new(bounds);
        let room = hub.enter("").expect("there is room");
        hub.publish(room, "before");
        assert_eq!(hub.pop_news(), None);
        hub.join(room, client(0), NEW);
        assert_eq!(hub.pop_news(), Some(room));
    }

    #[test]
    fn listeners_are_told_their_number_once_a_second_at_most() {
        let mut hub = Hub::new(MANY);
        at(&mut hub, 10);
        let room = hub.enter("").expect("there is room");
        let wants_here = Listening {
            wants_here: true,
            ..NEW
        };
        hub.join(room, client(0), NEW);
        assert_eq!(hub.pop_here(), None);
        let mut member = hub.join(room, client(1), wants_here).membership;
        assert_eq!(
            (hub.pop_here(), member.here),
            (Some(vec![room]), Here::Fresh)
        );
        member.here = Here::On;
        assert_eq!(hub.here_again(member), None);
        hub.join(room, client(2), NEW);
        hub.join(room, client(3), NEW);
        assert_eq!(hub.pop_here(), None);
        at(&mut hub, 11);
        assert_eq!(hub.pop_here(), None, "it may be less than a second");
        at(&mut hub, 12);
        assert_eq!(hub.pop_here(), Some(vec![room]));
        assert_eq!(hub.pop_here(), None);
        at(&mut hub, 14);
        assert_eq!(hub.here_again(member), Some(4));
    }
}
