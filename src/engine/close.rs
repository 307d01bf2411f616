//! The last part of a turn: who is due, and who is gone.
//!
//! A client ends in two steps. [`Engine::end`] is the graceful one: it hears nothing new, is given what
//! it is owed and its last bytes, and has a while to close its side. [`Engine::leave`] marks it for the
//! reaper, who alone takes it out of the slab.

use std::mem;

use tracing::{debug, info};

use super::Engine;
use crate::client::Stream;
use crate::client::outbox::Outbox;
use crate::client::timers::Due;
use crate::id::ClientId;
use crate::observe::metrics::End;
use crate::session::Farewell;
use crate::ws::close::CloseCode;

impl<S: Stream> Engine<S> {
    /// Sees to those whose tick has come.
    pub(super) fn sweep(&mut self) {
        self.log_budget.settle(self.now);
        while let Some(ids) = self.deadlines.pop(self.now) {
            for id in ids {
                self.look_at(id);
            }
        }
        if self.drain_due.is_some_and(|due| due <= self.now) {
            let ids: Vec<ClientId> = self.clients.iter().map(|(key, _)| ClientId(key)).collect();
            for id in ids {
                self.leave(id, End::Shutdown);
            }
        }
    }

    fn look_at(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id.0) else {
            return;
        };
        if !client.timers.unlist(self.now) {
            return;
        }
        match client.timers.due(self.now) {
            Due::Nothing => {}
            Due::Write => {
                if let Err(end) = client.flush_late(&mut self.gather, self.now, &self.config) {
                    return self.leave(id, end);
                }
            }
            Due::Pong => self.close(id, CloseCode::Policy, End::PongTimeout),
            Due::Ping => {
                if let Err(end) = client.ping(self.now, &self.config) {
                    return self.leave(id, end);
                }
            }
            Due::Stage if client.connection.is_ending() => {
                let end = client.end();
                return self.leave(id, end);
            }
            Due::Stage if client.connection.is_http() => {
                let farewell = client.connection.time_out_request();
                self.end(id, farewell);
            }
            Due::Stage => self.close(id, CloseCode::Policy, End::MessageTimeout),
        }
        self.list(id);
        self.arm(id);
    }

    /// Ends a connection of our own accord, after what is owed.
    pub(super) fn close(&mut self, id: ClientId, code: CloseCode, end: End) {
        if let Some(client) = self.clients.get_mut(id.0)
            && !client.connection.is_ending()
        {
            let farewell = client.connection.begin_close(code, end);
            self.end(id, farewell);
        }
    }

    /// The connection is in its last state: after the farewell the client hears nothing more.
    pub(super) fn end(&mut self, id: ClientId, farewell: Farewell) {
        if self.hub.has(id) {
            // A leaver hears what was said before it left, itself included.
            self.broadcast();
            self.hub.unregister(id);
        }
        if let Some(client) = self.clients.get_mut(id.0)
            && !client.is_leaving
        {
            client.outbox.push_own(farewell.last_bytes);
            client.begin_end(farewell.end, self.now, &self.config);
            self.list(id);
            self.arm(id);
        }
    }

    /// Marks a client whose socket is to be closed at the end of the turn.
    pub(super) fn leave(&mut self, id: ClientId, end: End) {
        self.hub.unregister(id);
        if let Some(client) = self.clients.get_mut(id.0)
            && !client.is_leaving
        {
            client.begin_end(end, self.now, &self.config);
            client.is_leaving = true;
            // What it was owed is let go at once; its socket stays until it is reaped.
            client.outbox = Outbox::default();
            self.own_len -= mem::take(&mut client.counted_own_len);
            self.leaving.push(id);
        }
    }

    /// The only removal from the slab. Dropping the stream closes the socket.
    pub(super) fn reap(&mut self) {
        while let Some(id) = self.leaving.pop() {
            debug_assert!(!self.hub.has(id), "whoever leaves is in no room");
            if let Some(client) = self.clients.try_remove(id.0) {
                let end = client.end();
                self.metrics.count_end(end);
                if end.is_policy() && self.log_budget.take(self.now) {
                    info!(peer = %client.peer, end = end.name(), "client gone: {end}");
                } else {
                    debug!(peer = %client.peer, end = end.name(), "client gone: {end}");
                }
                self.vacate(&client);
            }
        }
    }
}
