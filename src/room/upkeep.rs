//! What becomes of rooms with time: history grows too old, rooms are forgotten, members are told how many they are.
//!
//! A room costs nothing here until something is due for it.

use std::time::Duration;

use super::hub::{Hub, ROOM_MEMORY, RoomId};
use super::member::{Here, Membership};
use crate::time::{Entry, Tick};

/// The shortest time between two changes of the number of listeners that are told.
const HERE_PERIOD: Duration = Duration::from_secs(1);

impl Hub {
    /// Keeps the history of all rooms together within its bound: the rooms that were published to least recently lose
    /// theirs first. Where nothing is left to lose, a room is off the list until it is published to.
    pub fn bound_history(&mut self) {
        let bound = self.bounds.history_len;
        let mut next = self.recency.oldest();
        while self.pool.history_len() > bound
            && let Some(id) = next
        {
            next = self.recency.next(&mut self.rooms, id);
            let Some((log, pool)) = self.log_mut(id) else {
                return;
            };
            while pool.history_len() > bound && log.drop_oldest(pool) {}
            if !log.has_batches() {
                self.end_history(id);
            }
        }
    }

    /// A room has no history any more, and may be forgotten after a while.
    pub(super) fn end_history(&mut self, id: RoomId) {
        self.recency.remove(&mut self.rooms, id);
        if let Some(room) = self.rooms.get_mut(id.index()) {
            room.quiet_since = self.pool.now;
            self.schedule(id);
        }
    }

    /// When a room is to be checked, or its members to be told how many they are; [`Tick::NEVER`] if never.
    pub fn next_due(&self) -> Tick {
        self.deadlines.next().min(self.here.next())
    }

    /// Lets history go that is too old, and forgets rooms that have been quiet for long enough.
    pub fn check_rooms(&mut self) {
        self.keys.forget(self.pool.now);
        while let Some(rooms) = self.deadlines.pop(self.pool.now) {
            for index in rooms {
                self.check_room(RoomId::from_entry(index));
            }
        }
    }

    fn check_room(&mut self, id: RoomId) {
        let now = self.pool.now;
        let Some(room) = self.rooms.get_mut(id.index()) else {
            return;
        };
        room.entry = Entry::NONE;
        room.drop_unused_log(&mut self.pool);
        if room.log.is_none() {
            self.recency.remove(&mut self.rooms, id);
        }
        let Some(room) = self.rooms.get(id.index()) else {
            return;
        };
        if room.is_forgettable() && room.quiet_since.after(ROOM_MEMORY) <= now {
            self.names.remove(&room.name);
            self.elsewhere.remove(&id);
            self.rooms.remove(id.index());
        } else {
            self.schedule(id);
        }
    }

    /// Sees that a room is checked when it is next due. An entry that is early enough stays.
    pub(super) fn schedule(&mut self, id: RoomId) {
        let Some(room) = self.rooms.get_mut(id.index()) else {
            return;
        };
        let due = room.due(&self.pool).max(self.pool.now.plus_seconds(1));
        let entry = room.entry;
        if due >= entry.tick() {
            return;
        }
        room.entry = self.deadlines.insert(due, id.entry());
        if let Some(moved) = self.deadlines.remove(entry)
            && let Some(moved) = self.rooms.get_mut(moved as usize)
        {
            moved.entry = entry;
        }
    }

    /// The number of listeners here has changed.
    pub(super) fn note_count(&mut self, id: RoomId) {
        if self.is_shared
            && let Some(room) = self.rooms.get_mut(id.index())
            && !room.is_count_changed
        {
            room.is_count_changed = true;
            self.changed_counts.push(id);
        }
        self.tell_count(id);
    }

    /// The number of listeners has changed: those who want to know are told, at most once a second.
    pub(super) fn tell_count(&mut self, id: RoomId) {
        let Some(room) = self.rooms.get_mut(id.index()) else {
            return;
        };
        if room.here_readers > 0 && !room.is_here_listed {
            room.is_here_listed = true;
            let due = room.here_again;
            self.here.insert(due.max(self.pool.now), id.entry());
        }
    }

    /// So many were left out when the others were told, because they were told when they joined. They are told with the
    /// next, unless it is one that knows the number already.
    pub fn note_left_out(&mut self, id: RoomId, count: usize) {
        let Some(room) = self.rooms.get(id.index()) else {
            return;
        };
        let is_known = count == 1 && room.told_to_last as usize == room.members.len();
        if count > 0 && !is_known {
            self.tell_count(id);
        }
    }

    /// Takes the rooms whose members are to be told how many they are. To be called until there are none.
    pub fn pop_here(&mut self) -> Option<Vec<RoomId>> {
        let rooms = self.here.pop(self.pool.now)?;
        let ids: Vec<RoomId> = rooms.into_iter().map(RoomId::from_entry).collect();
        for id in &ids {
            if let Some(room) = self.rooms.get_mut(id.index()) {
                room.is_here_listed = false;
                room.here_again = self.pool.now.after(HERE_PERIOD);
            }
        }
        Some(ids)
    }

    /// How many listen, for a member that is to be shown a sign of life, unless it was told just now.
    pub fn here_again(&self, membership: Membership) -> Option<usize> {
        let room = self.rooms.get(membership.room.index())?;
        let is_due = membership.here == Here::On && room.here_again <= self.pool.now;
        is_due.then(|| self.listeners(membership.room))
    }
}
