//! All rooms: their members and their logs.
//!
//! Plain operations on vectors, called straight from the loop. What a turn costs depends on the rooms that
//! have something new and on their members, not on how many rooms there are.

use slab::Slab;

use super::log::{Log, Pool};
use crate::id::ClientId;

/// Why looking up a member's room cannot fail.
const IS_KEPT: &str = "a room is kept while it has members";

/// A room's place among all rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoomId(u32);

/// A member's seat in a room. The client holds it, and the hub says whose seat changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    /// The room.
    pub room: RoomId,
    seat: u32,
}

/// All rooms.
#[derive(Debug)]
pub struct Hub {
    rooms: Slab<Room>,
    /// The rooms that may have something new.
    news: Vec<RoomId>,
    /// How many messages a batch may have: as many as fit into an empty send queue.
    batch_messages_max: usize,
    pool: Pool,
}

/// The clients that read the same log.
///
/// Members stand in a dense array, because a broadcast walks all of them.
#[derive(Debug, Default)]
struct Room {
    members: Vec<ClientId>,
    log: Log,
    /// Whether it is on the list of rooms that may have something new.
    is_listed: bool,
}

impl Hub {
    /// A hub with one room, whose batches have at most `batch_messages_max` messages.
    pub fn new(batch_messages_max: usize) -> Self {
        let mut rooms = Slab::new();
        rooms.insert(Room::default());
        Self {
            rooms,
            news: Vec::new(),
            batch_messages_max,
            pool: Pool::default(),
        }
    }

    /// The room of those who name none.
    pub fn default_room(&self) -> RoomId {
        RoomId(0)
    }

    /// Lets a client into a room. It gets what is published from the returned batch on: the open batch is
    /// sealed before.
    pub fn join(&mut self, id: RoomId, client: ClientId) -> (Membership, u64) {
        let room = self.rooms.get_mut(id.0 as usize).expect(IS_KEPT);
        room.log.seal(&mut self.pool);
        let seat = u32::try_from(room.members.len()).expect("slots of clients are 32-bit numbers");
        room.members.push(client);
        (Membership { room: id, seat }, room.log.end())
    }

    /// Takes a client out of its room. The open batch is sealed before, so that the log's end tells what the
    /// client is still to get. Returns the member that got the free seat, which has to be told.
    pub fn leave(&mut self, membership: Membership) -> Option<ClientId> {
        let room = self
            .rooms
            .get_mut(membership.room.0 as usize)
            .expect(IS_KEPT);
        room.log.seal(&mut self.pool);
        room.members.swap_remove(membership.seat as usize);
        room.members.get(membership.seat as usize).copied()
    }

    /// The members of a room, in no particular order.
    #[inline]
    pub fn members(&self, id: RoomId) -> &[ClientId] {
        let room = self.rooms.get(id.0 as usize);
        room.map_or(&[], |room| &room.members)
    }

    /// Publishes a message. Returns how many batches are full with it, which are then sealed.
    #[inline]
    pub fn publish(&mut self, id: RoomId, message: &str) -> usize {
        let room = self.rooms.get_mut(id.0 as usize).expect(IS_KEPT);
        if !room.is_listed {
            room.is_listed = true;
            self.news.push(id);
        }
        room.log
            .publish(message, self.batch_messages_max, &mut self.pool)
    }

    /// Whether anything was published that has not been offered to everybody.
    #[inline]
    pub fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// Takes one of the rooms with something new, and seals its batch; to be called until there is none.
    pub fn pop_news(&mut self) -> Option<RoomId> {
        let id = self.news.pop()?;
        let room = self.rooms.get_mut(id.0 as usize)?;
        room.is_listed = false;
        room.log.seal(&mut self.pool);
        Some(id)
    }

    /// Notes that all sealed batches of a room were offered to all of its members.
    pub fn note_offered(&mut self, id: RoomId) {
        if let Some(room) = self.rooms.get_mut(id.0 as usize) {
            room.log.note_offered(&mut self.pool);
        }
    }

    /// A room's log.
    #[inline]
    pub fn log(&self, id: RoomId) -> Option<&Log> {
        self.rooms.get(id.0 as usize).map(|room| &room.log)
    }

    /// A room's log, and what all logs share.
    #[inline]
    pub fn log_mut(&mut self, id: RoomId) -> Option<(&mut Log, &mut Pool)> {
        let room = self.rooms.get_mut(id.0 as usize)?;
        Some((&mut room.log, &mut self.pool))
    }

    /// The bytes of all batches that are kept for readers, each counted once.
    pub fn held_len(&self) -> usize {
        self.pool.held_len()
    }
}

impl Membership {
    /// The same room, in the seat of a member that left: `left`.
    pub fn moved_to(self, left: Self) -> Self {
        Self {
            seat: left.seat,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn client(slot: u32) -> ClientId {
        ClientId::new(slot, NonZeroU32::MIN)
    }

    #[test]
    fn members_come_and_go_in_any_order() {
        let mut hub = Hub::new(256);
        let room = hub.default_room();
        let [a, b, c] = [0, 1, 2].map(|slot| hub.join(room, client(slot)).0);
        assert_eq!(hub.leave(a), Some(client(2)));
        let c = c.moved_to(a);
        assert_eq!(hub.members(room), [client(2), client(1)]);
        assert_eq!(hub.leave(b), None);
        assert_eq!(hub.leave(c), None);
        assert_eq!(hub.members(room), []);
    }

    #[test]
    fn a_joiner_begins_behind_what_was_published_before() {
        let mut hub = Hub::new(256);
        let room = hub.default_room();
        assert_eq!(hub.join(room, client(0)).1, 0);
        hub.publish(room, "before");
        let (_, start) = hub.join(room, client(1));
        hub.publish(room, "after");
        assert_eq!(hub.pop_news(), Some(room));
        assert_eq!(hub.pop_news(), None);
        let log = hub.log(room).expect("there is a room");
        assert_eq!(
            log.batch(start).map(super::super::batch::Batch::text),
            Some(&b"after"[..])
        );
        assert_eq!(log.news(), 0..2);
    }
}
