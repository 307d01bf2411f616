//! One turn over all clients: who is readable, what was said, who is told, who is due, who is gone.
//!
//! The engine is generic over its network and takes the time as an argument, so that a simulation with
//! made-up streams and a made-up clock drives it exactly as the loop does with real ones.
//!
//! Nothing leaves the slab inside a turn: a client that has to go is marked, and [`Engine::turn`] reaps
//! at its end. Ids that outlive their client are normal, so every look-up is checked.

mod admission;

use std::cmp::Reverse;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use slab::Slab;
use tracing::{debug, info};

use crate::addresses::Addresses;
use crate::client::{Client, Due, Fill, Stream};
use crate::config::{Config, READ_LEN};
use crate::connection::{Event, Farewell};
use crate::deadlines::{Deadlines, Tick};
use crate::hub::{ClientId, Hub};
use crate::log_budget::LogBudget;
use crate::metrics::{End, Metrics};
use crate::outbox::Outbox;
use crate::rate::Verdict;
use crate::ws::close::CloseCode;

/// Where clients come from.
pub trait Network {
    /// A connected socket.
    type Stream: Stream;

    /// Takes the next connection.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; otherwise as the socket says.
    fn accept(&mut self) -> io::Result<(Self::Stream, SocketAddr)>;

    /// Asks for readiness, in both directions and edge-triggered, to be announced under this id.
    ///
    /// # Errors
    /// As the poll says.
    fn register(&mut self, stream: &mut Self::Stream, id: ClientId) -> io::Result<()>;
}

/// All clients, and what happens between them.
#[derive(Debug)]
pub struct Engine<S> {
    config: Config,
    client_limit: usize,
    clients: Slab<Client<S>>,
    /// How many of them were refused, and are only there to be told so.
    refused_count: usize,
    addresses: Addresses,
    /// The bytes owed to single clients, summed over all; what they share is in the hub's books.
    own_len: usize,
    hub: Hub,
    deadlines: Deadlines,
    metrics: Metrics,
    log_budget: LogBudget,
    now: Tick,
    /// To-do lists: clients that may be readable, clients that may take what they are owed, clients
    /// that are gone.
    readable: Vec<ClientId>,
    flushing: Vec<ClientId>,
    leaving: Vec<ClientId>,
    /// Every socket is read into this one buffer; whoever needs bytes longer copies them.
    buffer: Vec<u8>,
    /// What a laggard is owed is put together here for one write.
    gather: Vec<u8>,
    /// Connections may be waiting, which is not looked at before the listener's rest is over.
    is_acceptable: bool,
    accept_rest: Option<Tick>,
    /// During a shutdown, when it must be over.
    drain_due: Option<Tick>,
}

impl<S: Stream> Engine<S> {
    /// An engine without clients, for at most `client_limit` of them; `now` is where its time begins.
    pub fn new(config: Config, client_limit: usize, now: Instant) -> Self {
        let deadlines = Deadlines::new(now);
        let (per_ip, counts_loopback) = config.clients_per_ip(client_limit);
        Self {
            client_limit,
            clients: Slab::new(),
            refused_count: 0,
            addresses: Addresses::new(per_ip, counts_loopback),
            own_len: 0,
            hub: Hub::new(config.send_queue),
            now: deadlines.tick(now),
            deadlines,
            metrics: Metrics::default(),
            log_budget: LogBudget::default(),
            readable: Vec::new(),
            flushing: Vec::new(),
            leaving: Vec::new(),
            buffer: vec![0; READ_LEN],
            gather: Vec::new(),
            is_acceptable: false,
            accept_rest: None,
            drain_due: None,
            config,
        }
    }

    /// Remembers that connections may be waiting.
    pub fn note_acceptable(&mut self) {
        self.is_acceptable = true;
    }

    /// Remembers what the kernel announced about a client.
    #[inline]
    pub fn note_ready(&mut self, id: ClientId, readable: bool, writable: bool, hung_up: bool) {
        if let Some(client) = self.clients.get_mut(id.0) {
            client.note_ready(readable, writable, hung_up);
            self.list(id);
        }
    }

    /// Serves everybody who is ready, tells everybody what was said, and sees to what is due.
    pub fn turn(&mut self, network: &mut impl Network<Stream = S>, now: Instant) {
        self.now = self.deadlines.tick(now);
        self.accept(network);
        self.serve_readable();
        self.broadcast();
        self.flush_owed();
        self.sweep();
        self.reap();
    }

    /// How long the next poll may sleep: not at all while there is work, for ever if nothing is due.
    pub fn wait(&self, now: Instant) -> Option<Duration> {
        if self.may_accept() || !self.readable.is_empty() || !self.flushing.is_empty() {
            return Some(Duration::ZERO);
        }
        [self.accept_rest, self.drain_due]
            .into_iter()
            .flatten()
            .map(|tick| self.deadlines.until(tick, now))
            .chain(self.deadlines.wait(now))
            .min()
    }

    /// Takes no more connections, and says goodbye to everybody, after what they are still owed.
    /// Whoever has not taken it after the drain time is cut off. A second call cuts off at once.
    pub fn begin_shutdown(&mut self) {
        if self.drain_due.is_some() {
            self.drain_due = Some(self.now);
            return;
        }
        self.drain_due = Some(self.now.after(self.config.drain));
        self.broadcast();
        let ids: Vec<ClientId> = self.clients.iter().map(|(key, _)| ClientId(key)).collect();
        for id in ids {
            self.close(id, CloseCode::GoingAway, End::Shutdown);
        }
    }

    /// Whether a shutdown is over.
    pub fn is_shut_down(&self) -> bool {
        self.drain_due.is_some() && self.clients.is_empty()
    }

    /// How many clients are connected, those whose last bytes are still being sent included.
    pub fn client_count(&self) -> usize {
        self.clients.len()
    }

    /// What happened so far.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn serve_readable(&mut self) {
        // Who is listed anew while being served has its next turn in the next turn.
        let listed = self.readable.len();
        for next in 0..listed {
            if let Some(&id) = self.readable.get(next) {
                self.serve(id);
            }
        }
        self.readable.drain(..listed);
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

    /// Bytes to events, events to the hub.
    fn receive(&mut self, id: ClientId, mut input: &mut [u8]) {
        let messages_before = self.metrics.messages;
        while let Some(client) = self.clients.get_mut(id.0)
            && !client.is_leaving
        {
            let event = client
                .connection
                .receive(&mut input, &mut client.outbox, &self.config);
            match event {
                Some(Event::Text(text)) => {
                    self.metrics.messages += 1;
                    if self.hub.say(&text) {
                        self.broadcast();
                    }
                }
                Some(Event::Pong) => client.renew_pong(self.now, &self.config),
                Some(Event::Answered) => client.renew_request(self.now, &self.config),
                Some(Event::Opened) => self.open(id),
                Some(Event::Joined) => self.join(id),
                Some(Event::Ended(farewell)) => self.end(id, farewell),
                None => {
                    client.watch_message(self.now, &self.config);
                    break;
                }
            }
        }
        self.watch_rate(id, self.metrics.messages - messages_before);
    }

    /// Counts what a client said in this turn.
    fn watch_rate(&mut self, id: ClientId, count: u64) {
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
            client.open(spread, self.now, &self.config);
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

    /// Offers what was said to every member of the room: one frame, encoded once.
    fn broadcast(&mut self) {
        if !self.hub.has_news() {
            return;
        }
        let batch = self.hub.seal();
        let member_count = self.hub.members().len();
        self.metrics.deliveries += (batch.message_count() * member_count) as u64;
        // Backwards, because a member that leaves gives its seat to the last one.
        for seat in (0..member_count).rev() {
            let Some(&id) = self.hub.members().get(seat) else {
                continue;
            };
            let Some(client) = self.clients.get_mut(id.0) else {
                continue;
            };
            match client.offer(&batch, &mut self.gather, self.now, &self.config) {
                Ok(()) if client.outbox.is_empty() => {}
                Ok(()) => {
                    self.list(id);
                    self.arm(id);
                }
                Err(end) => self.leave(id, end),
            }
        }
        drop(batch);
        self.hub.clear();
        self.shed();
    }

    /// Keeps what is queued for all clients together within its bound: those who are owed most leave.
    fn shed(&mut self) {
        if self.hub.held_len() + self.own_len <= self.config.max_queued {
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
            if self.hub.held_len() + self.own_len <= self.config.max_queued {
                return;
            }
            self.leave(id, End::Overload);
        }
    }

    /// Lets everybody who is owed something, and can take some, have it.
    fn flush_owed(&mut self) {
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

    /// Sees to those whose tick has come.
    fn sweep(&mut self) {
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
        if client.listed_at > self.now {
            return;
        }
        client.listed_at = Tick::NEVER;
        match client.due(self.now) {
            Due::Nothing => {}
            Due::Write => return self.leave(id, End::WriteTimeout),
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
    fn close(&mut self, id: ClientId, code: CloseCode, end: End) {
        if let Some(client) = self.clients.get_mut(id.0)
            && !client.connection.is_ending()
        {
            let farewell = client.connection.begin_close(code, end);
            self.end(id, farewell);
        }
    }

    /// The connection is in its last state: after the farewell the client hears nothing more.
    fn end(&mut self, id: ClientId, farewell: Farewell) {
        if self.hub.has(id) {
            // A leaver hears what was said before it left, itself included.
            self.broadcast();
            self.hub.unregister(id);
        }
        if let Some(client) = self.clients.get_mut(id.0) {
            client.outbox.push_own(farewell.last_bytes);
            client.begin_end(farewell.end, self.now, &self.config);
            self.list(id);
            self.arm(id);
        }
    }

    /// Marks a client whose socket is to be closed at the end of the turn.
    fn leave(&mut self, id: ClientId, end: End) {
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
    fn reap(&mut self) {
        while let Some(id) = self.leaving.pop() {
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

    /// Puts a client on the to-do lists that it belongs on, and keeps the books of what it is owed.
    #[inline]
    fn list(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id.0) else {
            return;
        };
        if client.is_leaving {
            return;
        }
        let own_len = client.outbox.own_len();
        self.own_len = self.own_len + own_len - client.counted_own_len;
        client.counted_own_len = own_len;
        if client.wants_read() && !client.is_listed_readable {
            client.is_listed_readable = true;
            self.readable.push(id);
        }
        if client.wants_flush() && !client.is_listed_flushing {
            client.is_listed_flushing = true;
            self.flushing.push(id);
        }
    }

    /// Lists a client under its next deadline, unless it is listed under an earlier one.
    #[inline]
    fn arm(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id.0) else {
            return;
        };
        let due = client.next_due();
        if due < client.listed_at {
            client.listed_at = due;
            self.deadlines.push(due, id);
        }
    }
}
