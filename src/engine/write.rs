//! The third part of a turn: everybody is told what was said, and gets what they are owed.

use std::cmp::Reverse;
use std::rc::Rc;

use super::Engine;
use crate::client::Stream;
use crate::id::ClientId;
use crate::observe::metrics::End;
use crate::room::batch::Batch;

impl<S: Stream> Engine<S> {
    /// Offers what was said to every member of the room: one frame, encoded once.
    pub(super) fn broadcast(&mut self) {
        if !self.hub.has_news() {
            return;
        }
        let batch = self.hub.seal();
        let member_count = self.hub.members().len();
        self.metrics.deliveries += (batch.message_count() * member_count) as u64;
        self.offered += member_count;
        let mut seat = 0;
        while let Some(&id) = self.hub.members().get(seat) {
            match self.offer(id, &batch) {
                Ok(()) => seat += 1,
                // The last member gets the leaver's seat, and is next.
                Err(end) => self.leave(id, end),
            }
        }
        drop(batch);
        self.hub.clear();
    }

    /// Offers a batch to one member, and lists it if it could not take all of it.
    #[inline]
    fn offer(&mut self, id: ClientId, batch: &Rc<Batch>) -> Result<(), End> {
        if let Some(client) = self.clients.get_mut(id.0) {
            client.offer(batch, &mut self.gather, self.now, &self.config)?;
            if !client.outbox.is_empty() || client.counted_own_len > 0 {
                self.list(id);
                self.arm(id);
            }
        }
        Ok(())
    }

    /// Keeps what is queued for all clients together within its bound: those who are owed most leave. Only
    /// after everybody was offered what they are owed: what is left then is what their sockets do not take.
    fn shed(&mut self) {
        if self.queued_len() <= self.config.max_queued {
            return;
        }
        let mut owed: Vec<(usize, ClientId)> = self
            .clients
            .iter()
            .map(|(key, client)| (client.outbox.owed_len(), ClientId(key)))
            .filter(|(len, _)| *len > 0)
            .collect();
        owed.sort_unstable_by_key(|(len, _)| Reverse(*len));
        for (_, id) in owed {
            if self.queued_len() <= self.config.max_queued {
                return;
            }
            self.leave(id, End::Overload);
        }
    }

    /// Lets everybody who is owed something, and can take some, have it.
    pub(super) fn flush_owed(&mut self) {
        let listed = self.flushing.len();
        for next in 0..listed {
            if let Some(&id) = self.flushing.get(next) {
                self.flush(id);
            }
        }
        self.flushing.drain(..listed);
        self.shed();
    }

    fn flush(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id.0) else {
            return;
        };
        client.is_listed_flushing = false;
        if client.is_leaving {
            return;
        }
        if let Err(end) = client.flush(&mut self.gather, self.now, &self.config) {
            return self.leave(id, end);
        }
        if client.connection.is_ending() && client.outbox.is_empty() {
            client.shut_write(self.now);
            if client.is_over() {
                let end = client.end();
                return self.leave(id, end);
            }
        }
        self.list(id);
        self.arm(id);
    }
}
