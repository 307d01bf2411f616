//! Counters of what happens. They are plain numbers that the engine owns; what they look like to others is made
//! when somebody asks.

use std::time::Duration;

use strum::{IntoStaticStr, VariantArray};

use super::close_reason::{CloseKind, CloseReason};
use super::times::{AppendTimes, TurnTimes};
use crate::http::status::Refusal;

/// How a client speaks to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum Transport {
    /// It sends requests.
    Http,
    /// It is a WebSocket, in a room or not.
    WebSocket,
    /// It listens to server-sent events.
    Sse,
}

impl Transport {
    /// The name, as counters show it.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The messages that were compressed, in bytes, each counted once however many readers it has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CompressionCounts {
    /// As they were published.
    pub input_len: u64,
    /// As they are sent.
    pub output_len: u64,
}

/// What happened since the start.
#[derive(Debug, Default, Clone)]
pub struct Metrics {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections that failed before they were accepted.
    pub accept_failures: u64,
    /// Connections closed without an answer: too many were being refused already, or the peer is no trusted proxy.
    pub turned_away: u64,
    /// Clients warned for their message rate.
    pub rate_warnings: u64,
    /// Clients that joined a room.
    pub joined: u64,
    /// Messages published by WebSockets.
    pub websocket_messages: u64,
    /// Messages published by requests.
    pub http_messages: u64,
    /// Messages published, each counted once for every member that its room had then.
    pub deliveries: u64,
    /// Kept messages that were queued for clients when they joined.
    pub replayed: u64,
    /// Messages left out for members that were too slow.
    pub skipped: u64,
    /// Bytes that sockets took.
    pub sent_len: u64,
    /// Clients that went on behind the id they named, with nothing missing.
    pub resumed: u64,
    /// Clients that did, with a known number of messages missing.
    pub resumed_with_gap: u64,
    /// Clients that named an id that is not known.
    pub resumed_unknown: u64,
    /// How long turns took.
    pub turns: TurnTimes,
    append_times: AppendTimes,
    /// Clients connected now, by transport.
    clients: Counts<{ Transport::VARIANTS.len() }>,
    closed: Counts<{ CloseReason::KINDS }>,
    refused: Counts<{ Refusal::COUNT }>,
}

impl Metrics {
    /// Counts a client that was accepted. All begin with requests.
    pub fn count_accepted(&mut self) {
        self.accepted += 1;
        self.clients.add(Transport::Http as usize);
    }

    /// A client speaks otherwise from now on.
    pub fn change_transport(&mut self, from: Transport, to: Transport) {
        self.clients.remove(from as usize);
        self.clients.add(to as usize);
    }

    /// Counts a connection that was closed.
    pub fn count_closed(&mut self, reason: CloseReason, transport: Transport) {
        self.closed.add(reason.kind() as usize);
        self.clients.remove(transport as usize);
    }

    /// Counts a request that was refused.
    pub fn count_refused(&mut self, refusal: Refusal) {
        self.refused.add(refusal as usize);
    }

    /// Counts entries that were appended to the stream of several nodes, by how long the broker took to answer.
    pub fn count_appends(&mut self, times: impl IntoIterator<Item = Duration>) {
        for time in times {
            self.append_times.add(time);
        }
    }

    /// How long they took.
    pub fn append_times(&self) -> &AppendTimes {
        &self.append_times
    }

    /// How many clients are connected.
    pub fn clients(&self, transport: Transport) -> u64 {
        self.clients.get(transport as usize)
    }

    /// The same, summed over all transports.
    pub fn client_count(&self) -> u64 {
        self.clients.sum()
    }

    /// How many messages were published.
    pub fn messages(&self) -> u64 {
        self.websocket_messages + self.http_messages
    }

    /// How many connections were closed for a reason of this kind, whatever the details.
    pub fn closed(&self, reason: CloseReason) -> u64 {
        self.closed_by_kind(reason.kind())
    }

    /// How many connections were closed, for whatever reason.
    pub fn closed_count(&self) -> u64 {
        self.closed.sum()
    }

    /// The same as [`Metrics::closed`].
    pub fn closed_by_kind(&self, kind: CloseKind) -> u64 {
        self.closed.get(kind as usize)
    }

    /// How many requests were refused for this reason.
    pub fn refused(&self, refusal: Refusal) -> u64 {
        self.refused.get(refusal as usize)
    }
}

/// A number for each of so many kinds.
#[derive(Debug, Clone)]
struct Counts<const KINDS: usize>([u64; KINDS]);

impl<const KINDS: usize> Default for Counts<KINDS> {
    fn default() -> Self {
        Self([0; KINDS])
    }
}

impl<const KINDS: usize> Counts<KINDS> {
    fn add(&mut self, kind: usize) {
        if let Some(number) = self.0.get_mut(kind) {
            *number += 1;
        }
    }

    fn remove(&mut self, kind: usize) {
        if let Some(number) = self.0.get_mut(kind) {
            *number -= 1;
        }
    }

    fn sum(&self) -> u64 {
        self.0.iter().sum()
    }

    fn get(&self, kind: usize) -> u64 {
        self.0.get(kind).copied().unwrap_or_default()
    }
}
