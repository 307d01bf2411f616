//! The room: who is in it, and what was said since the last broadcast.
//!
//! Plain map operations, called straight from the loop. The hub knows ids and text; sockets, queues
//! and clocks are somebody else's.

use std::rc::Rc;

use super::batch::{BATCH_TEXT_MAX, Batch, HeldBytes};
use crate::id::ClientId;

/// The clients that chat with each other.
///
/// Members stand in a dense array, because a broadcast walks all of them; beside it, the seat of each
/// id, so that joining and leaving take constant time.
#[derive(Debug)]
pub struct Hub {
    members: Vec<ClientId>,
    /// The index in `members` of each id, [`NO_SEAT`] for ids that are not in the room.
    seats: Vec<u32>,
    /// What was said since the last broadcast. Shared with readers only while it is being sent.
    batch: Rc<Batch>,
    batch_messages_max: usize,
    held: HeldBytes,
}

const NO_SEAT: u32 = u32::MAX;

impl Hub {
    /// An empty room whose batches hold at most `batch_messages_max` messages: as many as fit into an
    /// empty send queue.
    pub fn new(batch_messages_max: usize) -> Self {
        Self {
            members: Vec::new(),
            seats: Vec::new(),
            batch: Rc::default(),
            batch_messages_max,
            held: HeldBytes::default(),
        }
    }

    /// Lets a client into the room. One that is in it already stays where it is.
    pub fn register(&mut self, id: ClientId) {
        if self.seats.len() <= id.0 {
            self.seats.resize(id.0 + 1, NO_SEAT);
        }
        let Ok(end) = u32::try_from(self.members.len()) else {
            return;
        };
        if let Some(seat) = self.seats.get_mut(id.0)
            && *seat == NO_SEAT
        {
            *seat = end;
            self.members.push(id);
        }
    }

    /// Takes a client out of the room; the last member gets its seat. Whether it was in the room.
    pub fn unregister(&mut self, id: ClientId) -> bool {
        let Some(seat) = self.seats.get_mut(id.0) else {
            return false;
        };
        let freed = std::mem::replace(seat, NO_SEAT);
        if freed == NO_SEAT {
            return false;
        }
        self.members.swap_remove(freed as usize);
        if let Some(moved) = self.members.get(freed as usize)
            && let Some(seat) = self.seats.get_mut(moved.0)
        {
            *seat = freed;
        }
        true
    }

    /// Whether a client is in the room.
    pub fn has(&self, id: ClientId) -> bool {
        self.seats.get(id.0).is_some_and(|seat| *seat != NO_SEAT)
    }

    /// Who is in the room, in no particular order.
    #[inline]
    pub fn members(&self) -> &[ClientId] {
        &self.members
    }

    /// Adds a message to the batch, and tells whether the batch is full and must be broadcast now.
    #[inline]
    pub fn say(&mut self, message: &str) -> bool {
        let batch =
            Rc::get_mut(&mut self.batch).expect("readers get a batch only between seal and clear");
        batch.push(message);
        batch.message_count() >= self.batch_messages_max || batch.text_len() >= BATCH_TEXT_MAX
    }

    /// Whether anything was said since the last broadcast.
    #[inline]
    pub fn has_news(&self) -> bool {
        !self.batch.is_empty()
    }

    /// Seals what was said, to be offered to every member. [`Hub::clear`] ends the broadcast.
    pub fn seal(&mut self) -> Rc<Batch> {
        if let Some(batch) = Rc::get_mut(&mut self.batch) {
            batch.seal();
        }
        Rc::clone(&self.batch)
    }

    /// Begins the next batch: in the same buffer, unless a laggard still holds the last one.
    pub fn clear(&mut self) {
        match Rc::get_mut(&mut self.batch) {
            Some(batch) => batch.clear(),
            None => {
                self.batch.hold(&self.held);
                self.batch = Rc::default();
            }
        }
    }

    /// The bytes of all batches that laggards hold, each counted once.
    pub fn held_len(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(ids: &[usize]) -> Hub {
        let mut hub = Hub::new(256);
        for &id in ids {
            hub.register(ClientId(id));
        }
        hub
    }

    fn members(hub: &Hub) -> Vec<usize> {
        let mut ids: Vec<usize> = hub.members().iter().map(|id| id.0).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn members_come_and_go_in_any_order() {
        let mut hub = room(&[0, 1, 2, 7]);
        assert!(hub.unregister(ClientId(1)));
        assert!(hub.unregister(ClientId(7)));
        assert_eq!(members(&hub), [0, 2]);
        hub.register(ClientId(1));
        assert!(hub.unregister(ClientId(0)));
        assert_eq!(members(&hub), [1, 2]);
        assert!(hub.unregister(ClientId(2)));
        assert!(hub.unregister(ClientId(1)));
        assert_eq!(members(&hub), [0_usize; 0]);
    }

    #[test]
    fn registering_twice_and_unregistering_a_stranger_change_nothing() {
        let mut hub = room(&[3, 3]);
        assert_eq!(members(&hub), [3]);
        assert!(!hub.unregister(ClientId(2)));
        assert!(!hub.unregister(ClientId(99)));
        assert!(hub.unregister(ClientId(3)));
        assert!(!hub.unregister(ClientId(3)));
    }

    #[test]
    fn a_batch_is_full_at_its_messages_or_its_text() {
        let mut hub = Hub::new(2);
        assert!(!hub.say("a"));
        assert!(hub.say("b"));
        assert_eq!(hub.seal().text(), b"a\nb");
        hub.clear();
        assert!(!hub.has_news());
        assert!(hub.say(&"x".repeat(BATCH_TEXT_MAX)));
    }

    #[test]
    fn the_buffer_is_used_again_unless_a_laggard_holds_it() {
        let mut hub = room(&[]);
        hub.say("first");
        let first = hub.seal().text().as_ptr();
        hub.clear();
        hub.say("second");
        let held = hub.seal();
        assert_eq!(held.text().as_ptr(), first);
        hub.clear();
        hub.say("third");
        assert_eq!(held.text(), b"second");
        assert!(hub.held_len() > 0);
        assert_eq!(hub.seal().text(), b"third");
        drop(held);
        assert_eq!(hub.held_len(), 0);
    }
}
