//! The second part of a turn: the readable clients are read. Writes to nobody.

use std::mem;

use tracing::debug;

use super::Engine;
use super::clients::{Admission, Lateness};
use crate::client::rate::Verdict;
use crate::client::{Fill, Stream};
use crate::config::{JOINS_PER_TURN, OFFERS_PER_TURN};
use crate::id::ClientId;
use crate::observe::CloseReason;
use crate::ws::close::CloseCode;

/// An entry of the list of clients that may be readable.
#[derive(Debug)]
pub(super) struct Readable {
    id: ClientId,
    /// Bytes that were read before, and are to be received before anything else.
    deferred: Vec<u8>,
}

impl Readable {
    pub(super) fn new(id: ClientId) -> Self {
        Self {
            id,
            deferred: Vec::new(),
        }
    }

    /// The same, and these bytes were read from it before.
    pub(super) fn deferred(id: ClientId, deferred: Vec<u8>) -> Self {
        Self { id, deferred }
    }
}

impl<S: Stream> Engine<S> {
    /// Reads every listed client once. One that is listed anew meanwhile has its next turn in the next turn,
    /// and so has one that is left when this turn has done enough. When enough is queued, only bytes that were
    /// read before are received; when enough have joined, only from those that have.
    pub(super) fn read_all(&mut self) {
        for _ in 0..self.readable.len() {
            if self.offers >= OFFERS_PER_TURN {
                return;
            }
            let Some(readable) = self.readable.pop_front() else {
                return;
            };
            if self.has_to_wait(&readable) {
                self.readable.push_back(readable);
            } else {
                self.read(readable);
            }
        }
    }

    fn has_to_wait(&self, readable: &Readable) -> bool {
        if !readable.deferred.is_empty() {
            return false;
        }
        let Some(slot) = self.clients.get(readable.id) else {
            return false;
        };
        // They are few, and want to see what goes on when nobody else is served.
        if slot.admission == Admission::Admin {
            return false;
        }
        self.queued_len() > self.config.chat.max_queued
            || (self.joins >= JOINS_PER_TURN && slot.client.is_http())
    }

    /// Reads from one client, once: that is its budget.
    pub(super) fn read(&mut self, readable: Readable) {
        let Readable { id, deferred } = readable;
        self.deferred_len -= deferred.len();
        let Some(slot) = self.clients.get_mut(id) else {
            return;
        };
        slot.is_listed_readable = false;
        if slot.lateness == Lateness::Waiting {
            slot.lateness = Lateness::Read;
        }
        let mut buffer = mem::take(&mut self.buffer);
        if !deferred.is_empty() {
            // They came out of this buffer, so they fit in it.
            let input = buffer.split_at_mut(deferred.len()).0;
            input.copy_from_slice(&deferred);
            self.receive(id, input);
        } else if slot.client.wants_read() {
            match slot.client.fill(&mut buffer) {
                Fill::Bytes(len) => self.receive(id, buffer.split_at_mut(len).0),
                Fill::Nothing => {}
                Fill::EndOfStream => self.reach_end(id),
                Fill::Broken(kind) => self.disconnect(id, CloseReason::Broken(kind)),
            }
        }
        self.buffer = buffer;
        self.enqueue(id);
        self.schedule(id);
    }

    /// Leaves bytes that were read to the next turn.
    pub(super) fn defer(&mut self, id: ClientId, input: &[u8]) {
        if let Some(slot) = self.clients.get_mut(id)
            && slot.client.is_open()
        {
            slot.is_listed_readable = true;
            self.deferred_len += input.len();
            self.readable
                .push_back(Readable::deferred(id, input.to_vec()));
        }
    }

    /// Leaves bytes that were read until the answer is there to what came before them.
    pub(super) fn keep_behind(&mut self, id: ClientId, input: &[u8]) {
        if let Some(shared) = &mut self.shared {
            self.deferred_len += input.len();
            shared.waiters.keep_behind(id, input);
        }
    }

    /// Counts the messages and control frames of a client in this turn.
    pub(super) fn count_messages(&mut self, id: ClientId, count: u32) {
        let Some(slot) = self.clients.get_mut(id) else {
            return;
        };
        match slot.client.spend(count, self.now, &self.config) {
            Verdict::Allowed => {}
            Verdict::Warned => {
                self.metrics.rate_warnings += 1;
                // A client has at most one line at `info`, and that is for its end.
                debug!(peer = %slot.client.peer, "a client sends too many messages (--message-rate)");
            }
            Verdict::Exceeded => self.close(id, CloseCode::Policy, CloseReason::RateExceeded),
        }
    }

    /// The peer will send nothing more.
    fn reach_end(&mut self, id: ClientId) {
        let Some(slot) = self.clients.get_mut(id) else {
            return;
        };
        let has_answers_to_take = match slot.client.session() {
            Some((session, outbox)) => session.is_http() && !outbox.is_empty(),
            None => false,
        };
        if has_answers_to_take {
            // It may still read the answers to what it asked before.
            self.close(id, CloseCode::Normal, CloseReason::PeerGone);
        } else {
            self.disconnect(id, CloseReason::PeerGone);
        }
    }
}
