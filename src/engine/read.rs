//! The second part of a turn: what the readable clients say.

use std::mem;

use tracing::info;

use super::Engine;
use crate::client::rate::Verdict;
use crate::client::{Fill, Stream};
use crate::config::OFFERS_PER_TURN;
use crate::id::ClientId;
use crate::observe::metrics::End;
use crate::session::Event;
use crate::ws::close::CloseCode;

impl<S: Stream> Engine<S> {
    pub(super) fn serve_readable(&mut self) {
        // Who is listed anew while being served has its next turn in the next turn, and so has whoever
        // is left when this one has done enough, or has queued enough.
        let listed = self.readable.len();
        let mut served = 0;
        while served < listed
            && self.offered < OFFERS_PER_TURN
            && self.queued_len() <= self.config.max_queued
            && let Some(&id) = self.readable.get(served)
        {
            self.serve(id);
            served += 1;
        }
        self.readable.drain(..served);
    }

    /// Reads from one client, once: that is its budget.
    fn serve(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id.0) else {
            return;
        };
        client.is_listed_readable = false;
        if !client.wants_read() || client.is_leaving {
            return;
        }
        let mut buffer = mem::take(&mut self.buffer);
        match client.fill(&mut buffer) {
            Fill::Bytes(len) => self.receive(id, buffer.split_at_mut(len).0),
            Fill::Nothing => {}
            Fill::EndOfStream => self.reach_end(id),
            Fill::Broken(kind) => self.leave(id, End::Broken(kind)),
        }
        self.buffer = buffer;
        self.list(id);
        self.arm(id);
    }

    /// Bytes to events, events to the hub. Who fills a batch has said enough for this turn, so that
    /// others are heard beside it; the rest of what it sent waits for the next.
    fn receive(&mut self, id: ClientId, mut input: &mut [u8]) {
        let mut count = 0;
        while let Some(client) = self.clients.get_mut(id.0)
            && !client.is_leaving
        {
            let event = client
                .connection
                .receive(&mut input, &mut client.outbox, &self.config);
            match event {
                Some(Event::Text(text)) => {
                    count += 1;
                    self.metrics.messages += 1;
                    if self.hub.say(&text) {
                        self.broadcast();
                        self.put_off(id, input);
                        break;
                    }
                }
                Some(Event::Served) => count += 1,
                Some(Event::Pong) => {
                    count += 1;
                    client.timers.renew_pong(self.now, &self.config);
                }
                Some(Event::Answered) => {
                    client.timers.renew_request(self.now, &self.config);
                }
                Some(Event::Opened) => self.open(id),
                Some(Event::Joined) => self.join(id),
                Some(Event::Ended(farewell)) => self.end(id, farewell),
                None => {
                    client.watch_message(self.now, &self.config);
                    break;
                }
            }
        }
        self.watch_rate(id, count);
    }

    fn put_off(&mut self, id: ClientId, input: &[u8]) {
        if let Some(client) = self.clients.get_mut(id.0)
            && !client.is_leaving
        {
            client.put_off(input);
        }
    }

    /// Counts the messages and control frames of a client in this turn.
    fn watch_rate(&mut self, id: ClientId, count: u32) {
        let Some(client) = self.clients.get_mut(id.0) else {
            return;
        };
        match client.spend(count, self.now, &self.config) {
            Verdict::Fine => {}
            Verdict::Warned => {
                self.metrics.rate_warnings += 1;
                if self.log_budget.take(self.now) {
                    info!(peer = %client.peer, "a client says too much (--message-rate)");
                }
            }
            Verdict::Exceeded => self.close(id, CloseCode::Policy, End::RateExceeded),
        }
    }

    fn open(&mut self, id: ClientId) {
        if let Some(client) = self.clients.get_mut(id.0) {
            // Consecutive ids differ in their low bits, which is all that the spread looks at.
            let spread = u32::try_from(id.0).unwrap_or_default();
            client.timers.open(spread, self.now, &self.config);
        }
    }

    fn join(&mut self, id: ClientId) {
        // A joiner sees what is said after its join.
        self.broadcast();
        self.open(id);
        self.hub.register(id);
        self.metrics.joined += 1;
    }

    /// The peer will send nothing more.
    fn reach_end(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id.0) else {
            return;
        };
        if client.connection.is_websocket() || client.outbox.is_empty() {
            self.leave(id, End::PeerGone);
        } else {
            // It may still read the answers to what it asked before.
            self.close(id, CloseCode::Normal, End::PeerGone);
        }
    }
}
