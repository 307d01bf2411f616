//! Rooms that several nodes share: the stream between them gives the ids, and what this node knows of a room may be
//! old.

use std::rc::Rc;

use super::hub::{Hub, RoomId};
use super::id::Id;
use super::log::Log;
use super::room::Knowledge;
use super::start::Start;

impl Hub {
    /// Ids come from elsewhere from now on, and so do listeners.
    pub fn share(&mut self) {
        self.is_shared = true;
    }

    /// The room of this name, if there is one.
    pub fn find(&self, name: &str) -> Option<RoomId> {
        self.names.get(name).copied()
    }

    /// A room's name.
    pub fn name(&self, id: RoomId) -> &str {
        self.rooms.get(id.index()).map_or("", |room| &room.name)
    }

    /// The names of all rooms.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(|name| &**name)
    }

    /// Whether no other room may be made, while `waiting` more are wanted.
    pub fn is_full(&self, waiting: usize) -> bool {
        self.rooms.len() + waiting >= self.bounds.rooms
    }

    /// Whether rooms keep what nobody listens to.
    pub fn keeps_history(&self) -> bool {
        self.bounds.history.messages > 0
    }

    /// Whether it is known where a room stands.
    pub fn knows(&self, id: RoomId) -> bool {
        let room = self.rooms.get(id.index());
        room.is_some_and(|room| room.knowledge == Knowledge::Current)
    }

    /// Whether it is known without asking how a reader goes on that starts here.
    pub fn can_answer(&self, id: RoomId, start: Start) -> bool {
        let head = self.head(id);
        self.knows(id)
            && match start {
                Start::Fresh { .. } => true,
                Start::After { id, .. } => {
                    id.is_some_and(|id| id.epoch == head.epoch && id.seq <= head.seq)
                }
            }
    }

    /// What is known of the rooms may be old from now on.
    pub fn forget_heads(&mut self) {
        for (_, room) in &mut self.rooms {
            if room.knowledge == Knowledge::Current {
                room.knowledge = Knowledge::Old;
            }
        }
    }

    /// It is known where a room stands: where it does.
    pub fn note_head_known(&mut self, id: RoomId) {
        if let Some(room) = self.rooms.get_mut(id.index()) {
            room.knowledge = Knowledge::Current;
        }
    }

    /// Whether a room was never heard of: nobody was given an id of it.
    pub fn is_unheard_of(&self, id: RoomId) -> bool {
        let room = self.rooms.get(id.index());
        room.is_some_and(|room| room.knowledge == Knowledge::None)
    }

    /// A room goes on behind `position`; what it has is let go. To be called when nothing of it is new and no cursor
    /// stands in it.
    pub fn restart(&mut self, id: RoomId, position: Id) {
        let Self { rooms, pool, .. } = self;
        if let Some(room) = rooms.get_mut(id.index()) {
            room.restart(position, pool);
            self.end_history(id);
        }
    }

    /// How many cursors stand in a room's log.
    pub fn cursor_count(&self, id: RoomId) -> usize {
        self.log(id).map_or(0, Log::cursor_count)
    }

    /// How many listen to a room, here and on other nodes.
    pub fn listeners(&self, id: RoomId) -> usize {
        self.members(id).len() + self.elsewhere.get(&id).copied().unwrap_or(0)
    }

    /// So many listen on other nodes.
    pub fn set_elsewhere(&mut self, id: RoomId, count: usize) {
        let before = match count {
            0 => self.elsewhere.remove(&id),
            _ => self.elsewhere.insert(id, count),
        };
        if before.unwrap_or(0) != count
            && let Some(room) = self.rooms.get_mut(id.index())
        {
            // What the last one was told is not the number now.
            room.told_to_last = 0;
            self.tell_count(id);
        }
    }

    /// Takes a room whose listeners here have changed.
    pub fn pop_changed_count(&mut self) -> Option<ChangedCount> {
        let id = self.changed_counts.pop()?;
        let room = self.rooms.get_mut(id.index())?;
        room.is_count_changed = false;
        Some(ChangedCount {
            room: room.name.clone(),
            members: room.members.len(),
            is_wanted: room.here_readers > 0,
        })
    }
}

/// A room whose listeners here have changed.
#[derive(Debug)]
pub struct ChangedCount {
    /// Its name.
    pub room: Rc<str>,
    /// How many there are.
    pub members: usize,
    /// Whether one of them wants to know how many listen.
    pub is_wanted: bool,
}
