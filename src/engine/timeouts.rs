//! The fifth part of a turn: clients whose deadline has come are checked.
//!
//! Read before you judge: where bytes that lie unread may have met a deadline, they are read first.

use super::Engine;
use super::clients::Lateness;
use super::read::Readable;
use crate::client::Stream;
use crate::client::timers::Due;
use crate::id::ClientId;
use crate::observe::CloseReason;
use crate::time::Entry;
use crate::ws::close::CloseCode;

impl<S: Stream> Engine<S> {
    pub(super) fn check_timeouts(&mut self) {
        self.log_limiter.report(self.now);
        self.hub.check_rooms();
        while let Some(slots) = self.deadlines.pop(self.now) {
            let ids = slots.into_iter().filter_map(|slot| self.clients.at(slot));
            let ids: Vec<ClientId> = ids.collect();
            for &id in &ids {
                if let Some(slot) = self.clients.get_mut(id) {
                    slot.entry = Entry::NONE;
                }
            }
            for id in ids {
                self.check_deadlines(id);
            }
        }
        self.go_on_with_drain();
    }

    fn check_deadlines(&mut self, id: ClientId) {
        let Some(slot) = self.clients.get_mut(id) else {
            return;
        };
        let due = slot.client.due(self.now);
        let acted = match due {
            Due::Nothing => Ok(()),
            Due::Write => self.write_late(id),
            Due::Ping => self.ping(id),
            Due::Input | Due::Pong => {
                self.judge_input(id);
                Ok(())
            }
            // The close handshake was not completed in time; the reason is known already.
            Due::Close => Err(CloseReason::PeerGone),
        };
        match acted {
            Err(reason) => self.disconnect(id, reason),
            Ok(()) => {
                self.enqueue(id);
                self.schedule(id);
            }
        }
    }

    fn ping(&mut self, id: ClientId) -> Result<(), CloseReason> {
        let Some(slot) = self.clients.get_mut(id) else {
            return Ok(());
        };
        let client = &mut slot.client;
        let private_len = client.outbox().private_len();
        let pinged = client.ping(
            &self.hub,
            &mut self.metrics,
            self.now,
            &self.config.timeouts,
        );
        self.private_len = self.private_len + client.outbox().private_len() - private_len;
        pinged
    }

    /// Offers what is queued once more before a client is given up.
    fn write_late(&mut self, id: ClientId) -> Result<(), CloseReason> {
        let Some(slot) = self.clients.get_mut(id) else {
            return Ok(());
        };
        let client = &mut slot.client;
        let private_len = client.outbox().private_len();
        let flushed = client.flush_late(
            &mut self.hub,
            &mut self.gather,
            &mut self.metrics,
            self.now,
            &self.config.timeouts,
        );
        self.private_len = self.private_len + client.outbox().private_len() - private_len;
        flushed
    }

    /// Closes a client that was not heard of in time, unless something of it lies unread.
    fn judge_input(&mut self, id: ClientId) {
        let Some(slot) = self.clients.get_mut(id) else {
            return;
        };
        // What came after the last poll was not announced yet.
        if !slot.is_listed_readable && !slot.client.is_paused() {
            slot.client.expect_input();
            slot.is_listed_readable = true;
            self.read(Readable::new(id));
        }
        let Some(slot) = self.clients.get_mut(id) else {
            return;
        };
        let client = &mut slot.client;
        let due = client.due(self.now);
        // However long it is not read: what it takes of its answers decides whether it stays.
        if client.is_paused() {
            return;
        }
        if due == Due::Nothing {
            slot.lateness = Lateness::OnTime;
            return;
        }
        let had_its_turn = slot.lateness == Lateness::Read;
        let is_long_due = client.is_long_due(due, self.now, &self.config.timeouts);
        if slot.is_listed_readable && !(had_its_turn && is_long_due) {
            if !had_its_turn {
                slot.lateness = Lateness::Waiting;
            }
            return;
        }
        match due {
            Due::Input => {
                if let Some((session, _)) = client.session() {
                    let closing = session.time_out_input(&self.date);
                    self.begin_close(id, closing);
                }
            }
            Due::Pong => self.close(id, CloseCode::Policy, CloseReason::PongTimeout),
            Due::Nothing | Due::Write | Due::Ping | Due::Close => {}
        }
    }
}
