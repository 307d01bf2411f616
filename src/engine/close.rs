//! How clients go, and the last part of a turn.
//!
//! [`Engine::begin_close`] is the graceful way: the client gets what is queued for it and its last bytes, and has a
//! while to close its side. [`Engine::disconnect`] marks it for [`Engine::reap`], which alone takes clients
//! out of the slab.

use tracing::{debug, info};

use super::Engine;
use crate::client::Stream;
use crate::id::ClientId;
use crate::observe::CloseReason;
use crate::room::Cursor;
use crate::room::log::Log;
use crate::session::Closing;
use crate::ws::close::CloseCode;

impl<S: Stream> Engine<S> {
    /// Closes a connection of our own accord, after what is queued.
    pub(super) fn close(&mut self, id: ClientId, code: CloseCode, reason: CloseReason) {
        if let Some(slot) = self.clients.get_mut(id)
            && let Some((session, _)) = slot.client.session()
        {
            let closing = session.close(code, reason);
            self.begin_close(id, closing);
        }
    }

    /// The client gets nothing that is published from now on. It is given what is queued for it, and the last bytes.
    pub(super) fn begin_close(&mut self, id: ClientId, closing: Closing) {
        self.leave_room(id);
        let Some(slot) = self.clients.get_mut(id) else {
            return;
        };
        let client = &mut slot.client;
        if let CloseReason::Refused(refusal) = closing.reason
            && client.is_open()
        {
            self.metrics.count_refused(refusal);
        }
        if let Some(note) = closing.note
            && self.log_limiter.allow(self.now)
        {
            info!(peer = %client.peer, "{note}");
        }
        let private_len = client.private_len();
        client.begin_close(
            closing.reason,
            closing.last_bytes,
            self.now,
            &self.config.timeouts,
        );
        self.private_len = self.private_len + client.private_len() - private_len;
        self.enqueue(id);
        self.schedule(id);
    }

    /// Closes a client's socket at the end of the turn. What is queued for it is let go at once.
    pub(super) fn disconnect(&mut self, id: ClientId, reason: CloseReason) {
        self.leave_room(id);
        let Some(slot) = self.clients.get_mut(id) else {
            return;
        };
        let client = &mut slot.client;
        if client.is_closed() {
            return;
        }
        self.private_len -= client.private_len();
        client.outbox_mut().clear(&mut self.hub);
        client.close(reason);
        self.closed.push(id);
    }

    /// Takes a client out of its room. It is still to get what was published before: itself included, which
    /// is why a cursor that ends here takes the place of its seat.
    fn leave_room(&mut self, id: ClientId) {
        let Some(slot) = self.clients.get_mut(id) else {
            return;
        };
        let client = &mut slot.client;
        let Some(left) = client.membership() else {
            self.stop_waiting(id);
            return;
        };
        let moved = self.hub.leave(left);
        if let Some(news) = self.hub.log(left.room).map(Log::news) {
            let outbox = client.outbox_mut();
            if outbox.cursor().is_none() && !news.is_empty() {
                let cursor = Cursor::new(left.room, left.framing, news.start, 0, &mut self.hub);
                outbox.begin_behind(cursor);
            }
            outbox.stop_before(news.end);
        }
        if let Some(slot) = moved.and_then(|moved| self.clients.get_mut(moved)) {
            slot.client.move_to_seat_of(left);
        }
    }

    /// The only removal from the slab. Dropping the stream closes the socket.
    pub(super) fn reap(&mut self) {
        while let Some(id) = self.closed.pop() {
            let Some(slot) = self.clients.remove(id) else {
                continue;
            };
            self.unschedule(slot.entry);
            let client = &slot.client;
            let reason = client.close_reason().unwrap_or(CloseReason::PeerGone);
            self.metrics.count_closed(reason, client.transport());
            if reason.is_policy() && self.log_limiter.allow(self.now) {
                info!(peer = %client.peer, reason = reason.name(), "connection closed: {reason}");
            } else {
                debug!(peer = %client.peer, reason = reason.name(), "connection closed: {reason}");
            }
            self.note_leaver(client.peer, slot.admission);
        }
        let is_settled = self.per_ip.is_empty() && self.refused_count == 0;
        debug_assert!(
            self.clients.len() > 0 || is_settled,
            "a client that is gone has given its seat back"
        );
    }
}
