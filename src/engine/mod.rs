//! One turn over all clients: who is readable, what was said, who is told, who is due, who is gone.
//!
//! The engine is generic over its network and takes the time as an argument, so that a simulation with
//! made-up streams and a made-up clock drives it exactly as the loop does with real ones.
//!
//! Nothing leaves the slab inside a turn: a client that has to go is marked, and [`Engine::turn`] reaps
//! at its end. Ids that outlive their client are normal, so every look-up is checked.
//!
//! The parts of a turn stand in files of their own, in this order: admission, hearing, telling, leaving.

mod accept;
mod close;
mod read;
mod write;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use slab::Slab;

use crate::client::{Client, Stream};
use crate::config::{Config, READ_LEN};
use crate::id::ClientId;
use crate::limits::Addresses;
use crate::observe::log_limiter::LogBudget;
use crate::observe::metrics::{End, Metrics};
use crate::room::hub::Hub;
use crate::time::deadlines::{Deadlines, Tick};
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
    /// How many offers to members this turn has made so far.
    offered: usize,
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
            offered: 0,
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
        self.offered = 0;
        self.accept(network);
        self.serve_readable();
        self.broadcast();
        self.flush_owed();
        self.sweep();
        self.reap();
        if self.is_shut_down() {
            self.log_budget.settle(Tick::NEVER);
        }
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

    /// How many bytes are queued for all clients together, what they share counted once.
    pub fn queued_len(&self) -> usize {
        self.hub.held_len() + self.own_len
    }

    /// What happened so far.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
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
        if let Some(due) = client.timers.list() {
            self.deadlines.push(due, id);
        }
    }
}
