//! The third and fourth part of a turn: what is new is offered to every member, and clients that are behind
//! get what they can take.

use std::cmp::Reverse;

use super::Engine;
use crate::client::Stream;
use crate::config::FLUSHED_LEN_PER_TURN;
use crate::id::ClientId;
use crate::observe::CloseReason;
use crate::room::RoomId;

impl<S: Stream> Engine<S> {
    /// Offers what is new in a room to every member: one frame, encoded once.
    pub(super) fn broadcast(&mut self) {
        if self.holds_broadcast() {
            return;
        }
        while let Some(room) = self.hub.pop_news() {
            self.broadcast_room(room);
            self.hub.note_offered(room);
        }
    }

    /// Tells the members of rooms whose number has changed how many they are, if they want to know.
    pub(super) fn announce_counts(&mut self) {
        while let Some(rooms) = self.hub.pop_here() {
            for room in rooms {
                let count = self.hub.listeners(room);
                let mut left_out = 0;
                for seat in 0..self.hub.members(room).len() {
                    if let Some(&id) = self.hub.members(room).get(seat) {
                        left_out += usize::from(self.tell_count(id, count));
                    }
                }
                self.hub.note_left_out(room, left_out);
            }
        }
    }

    /// Whether a member was left out, because it was told just now.
    fn tell_count(&mut self, id: ClientId, count: usize) -> bool {
        let Some(slot) = self.clients.get_mut(id) else {
            return false;
        };
        let client = &mut slot.client;
        let private_len = client.outbox().private_len();
        let is_left_out = client.tell_count(count, self.now, &self.config.timeouts);
        self.private_len = self.private_len + client.outbox().private_len() - private_len;
        self.enqueue(id);
        self.schedule(id);
        is_left_out
    }

    pub(super) fn broadcast_room(&mut self, room: RoomId) {
        let mut seat = 0;
        while let Some(&id) = self.hub.members(room).get(seat) {
            match self.offer(id) {
                Ok(()) => seat += 1,
                // The last member gets its seat, and is next.
                Err(reason) => self.disconnect(id, reason),
            }
        }
    }

    /// Offers what is new to one member, and enqueues it if it could not take all of it.
    #[inline]
    fn offer(&mut self, id: ClientId) -> Result<(), CloseReason> {
        let Some(slot) = self.clients.get_mut(id) else {
            return Ok(());
        };
        let client = &mut slot.client;
        let Some(membership) = client.membership() else {
            return Ok(());
        };
        let private_len = client.outbox().private_len();
        let offered = client.offer(
            membership,
            &mut self.hub,
            &mut self.gather,
            &mut self.metrics,
            self.now,
            &self.config,
        );
        if private_len > 0 || !client.outbox().is_empty() {
            // Some may have been written before the client was found to be stuck.
            self.private_len = self.private_len + client.outbox().private_len() - private_len;
            self.enqueue(id);
            self.schedule(id);
        }
        offered
    }

    /// Keeps what is held for all clients together within its bound: those with the most are dropped.
    /// Only after everybody was offered what is queued for them: what is left then is what their sockets do not take.
    fn shed(&mut self) {
        if self.queued_len() <= self.config.chat.max_queued {
            return;
        }
        let mut held: Vec<(usize, ClientId)> = self
            .clients
            .iter()
            .map(|(id, client)| (client.held_len(&self.hub), id))
            .filter(|(len, _)| *len > 0)
            .collect();
        held.sort_unstable_by_key(|(len, _)| Reverse(*len));
        for (_, id) in held {
            if self.queued_len() <= self.config.chat.max_queued {
                return;
            }
            self.disconnect(id, CloseReason::Overload);
        }
    }

    /// Writes to every listed client what is queued for it and its socket takes, as far as the budget of a turn
    /// goes.
    pub(super) fn write_all(&mut self) {
        let mut flushed_len = 0;
        for _ in 0..self.writable.len() {
            if flushed_len >= FLUSHED_LEN_PER_TURN {
                return;
            }
            if let Some(id) = self.writable.pop_front() {
                flushed_len += self.write(id);
            }
        }
        self.shed();
    }

    /// Writes to one client. Returns how many bytes its socket took.
    fn write(&mut self, id: ClientId) -> usize {
        let Some(slot) = self.clients.get_mut(id) else {
            return 0;
        };
        slot.is_listed_writable = false;
        let client = &mut slot.client;
        if client.is_closed() {
            return 0;
        }
        let private_len = client.outbox().private_len();
        let flushed = client.flush(
            &mut self.hub,
            &mut self.gather,
            &mut self.metrics,
            self.now,
            &self.config.timeouts,
        );
        self.private_len = self.private_len + client.outbox().private_len() - private_len;
        let taken_len = match flushed {
            Ok(taken_len) => taken_len,
            Err(reason) => {
                self.disconnect(id, reason);
                return 0;
            }
        };
        if !client.is_open() && client.outbox().is_empty() {
            if client.is_over() {
                self.disconnect(id, CloseReason::PeerGone);
                return taken_len;
            }
            client.begin_linger(self.now);
        }
        self.enqueue(id);
        self.schedule(id);
        taken_len
    }
}
