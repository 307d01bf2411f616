//! One turn over all clients: accept, deliver what other nodes share, read, broadcast, write, timeouts, watch, reap.
//!
//! The engine is generic over its network and takes the time as an argument, so that a simulation with
//! made-up streams and a made-up clock drives it exactly as the loop does with real ones.
//!
//! Nothing is written while reading: what is published goes into the rooms' logs, and the broadcast offers it
//! afterwards. Nothing leaves the slab inside a turn: a client that has to go is marked, and reaped at the
//! turn's end. An id that outlives its client finds nobody.

mod accept;
mod answer;
mod clients;
mod close;
mod drain;
mod expiry;
mod forwarded;
mod read;
mod receive;
mod scrape;
mod shared;
mod timeouts;
mod waiting;
mod watch;
mod write;

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use crate::access::Access;
use crate::client::Stream;
use crate::client::peer::PeerAddr;
use crate::config::{Config, READ_LEN};
use crate::http::Date;
use crate::http::route::Role;
use crate::id::ClientId;
use crate::limits::PerIpLimit;
use crate::observe::{LogLimiter, Metrics};
use crate::room::hub::{Bounds, Hub};
use crate::room::pool::HistoryBounds;
use crate::time::{Deadlines, Entry, Now, Tick};
use crate::ws::deflate::Inflater;

use accept::AcceptState;
use clients::{Admission, Clients};
use drain::Shutdown;
use expiry::Expiries;
use read::Readable;
use scrape::LastProcess;
use shared::Shared;

/// Where clients come from.
pub trait Network {
    /// A connected socket.
    type Stream: Stream;

    /// Takes the next connection to a listener of this role.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; otherwise as the socket says.
    fn accept(&mut self, role: Role) -> io::Result<Accepted<Self::Stream>>;

    /// Stops listening to the public.
    fn close_public(&mut self);

    /// Asks for input and the end of the stream, edge-triggered, to be announced under this id. What is there already is
    /// announced as well.
    ///
    /// # Errors
    /// As the poll says.
    fn register(&mut self, stream: &mut Self::Stream, id: ClientId) -> io::Result<()>;

    /// Asks for room for output as well. Room that is there already is announced.
    ///
    /// # Errors
    /// As the poll says.
    fn watch_output(&mut self, stream: &mut Self::Stream, id: ClientId) -> io::Result<()>;
}

/// A connection that was accepted.
#[derive(Debug)]
pub struct Accepted<S> {
    /// Its socket.
    pub stream: S,
    /// Where the peer is.
    pub peer: PeerAddr,
    /// What the listener is for.
    pub role: Role,
}

/// All clients, and what happens between them.
#[derive(Debug)]
pub struct Engine<S> {
    config: Config,
    access: Access,
    client_limit: usize,
    clients: Clients<S>,
    /// How many of them were refused for want of a seat, and are only there to be told so.
    refused_count: usize,
    /// How many of them came to an admin listener and have a seat.
    admin_count: usize,
    per_ip: PerIpLimit,
    hub: Hub,
    deadlines: Deadlines,
    expiries: Expiries,
    metrics: Metrics,
    process: LastProcess,
    log_limiter: LogLimiter,
    now: Tick,
    /// The time of day, as answers carry it.
    date: Date,
    /// The bytes held for single clients, summed over all; what they share is in the hub's account.
    private_len: usize,
    /// The bytes that were read and are left to the next turn.
    deferred_len: usize,
    /// How many offers to members the messages read in this turn cause.
    offers: usize,
    /// How many clients have joined a room in this turn.
    joins: usize,
    /// To-do lists: clients that may be readable, clients whose sockets may take what is queued, clients
    /// that are closed.
    readable: VecDeque<Readable>,
    writable: VecDeque<ClientId>,
    closed: Vec<ClientId>,
    /// Clients that the poll does not know yet, and those of which it is to announce room for output from now on.
    newcomers: Vec<ClientId>,
    filled: Vec<ClientId>,
    /// Every socket is read into this one buffer; what is needed longer is copied.
    buffer: Vec<u8>,
    /// What is queued for a client that is behind is put together here for one write.
    gather: Vec<u8>,
    /// Whatever is compressed that peers send goes through this.
    inflater: Inflater,
    public_accept: AcceptState,
    admin_accept: AcceptState,
    /// A shutdown that goes on.
    shutdown: Shutdown,
    /// The stream that rooms are shared by with other nodes, if they are.
    shared: Option<Box<Shared>>,
}

impl<S: Stream> Engine<S> {
    /// An engine without clients, for at most `client_limit` of them.
    pub fn new(config: Config, client_limit: usize) -> Self {
        let (per_ip, counts_loopback) = config.network.clients_per_ip(client_limit);
        let per_ip = PerIpLimit::new(per_ip, counts_loopback);
        Self {
            access: Access::new(&config.access),
            client_limit,
            clients: Clients::new(),
            refused_count: 0,
            admin_count: 0,
            per_ip: per_ip.without(config.network.trusted_networks().copied()),
            hub: Hub::new(room_bounds(&config)),
            deadlines: Deadlines::default(),
            expiries: Expiries::default(),
            metrics: Metrics::default(),
            process: LastProcess::default(),
            log_limiter: LogLimiter::default(),
            now: Tick::START,
            date: Date::at(0),
            private_len: 0,
            deferred_len: 0,
            offers: 0,
            joins: 0,
            readable: VecDeque::new(),
            writable: VecDeque::new(),
            closed: Vec::new(),
            newcomers: Vec::new(),
            filled: Vec::new(),
            buffer: vec![0; READ_LEN],
            gather: Vec::new(),
            inflater: Inflater::default(),
            public_accept: AcceptState::default(),
            admin_accept: AcceptState::default(),
            shutdown: Shutdown::None,
            shared: None,
            config,
        }
    }

    /// Applies the settings that can change while clients are connected: who may connect from now on. Clients that
    /// are connected stay, with what they were granted.
    pub fn reload(&mut self, fresh: Config) {
        self.config.network.allow_origin = fresh.network.allow_origin;
        self.access = Access::new(&fresh.access);
        self.config.access = fresh.access;
    }

    /// Remembers what the kernel announced about a client.
    #[inline]
    pub fn note_ready(&mut self, id: ClientId, readable: bool, writable: bool, hung_up: bool) {
        if let Some(slot) = self.clients.get_mut(id) {
            slot.client.note_ready(readable, writable, hung_up);
            self.enqueue(id);
        }
    }

    /// One turn. `now` never goes back.
    pub fn turn(&mut self, network: &mut impl Network<Stream = S>, now: Now) {
        self.now = now.tick;
        self.date.advance_to(now.unix_seconds);
        self.offers = 0;
        self.joins = 0;
        self.hub.begin_turn(now.tick, now.elapsed);
        self.close_expired();
        self.accept(network);
        self.deliver(now);
        self.read_all();
        self.begin_due_drain();
        self.broadcast();
        self.announce_counts();
        self.write_all();
        self.check_timeouts();
        self.watch(network);
        self.reap();
        self.pass_on();
        // Only now: what readers have taken in this turn is history.
        self.hub.bound_history();
        if self.is_shut_down() {
            self.log_limiter.report(Tick::NEVER);
        }
    }

    /// When the next turn is due if nothing is announced before, counted from the start: zero while there is work
    /// left, [`Duration::MAX`] if nothing is due.
    pub fn next_due(&self) -> Duration {
        if self.may_accept() || !self.readable.is_empty() || !self.writable.is_empty() {
            return Duration::ZERO;
        }
        let drain_due = self.shutdown.next_due(self.now);
        let expiry_due = self.expiries.next_due(self.now, self.date.unix_seconds());
        let others = self.accept_rests().chain(drain_due).chain(expiry_due);
        let tick = others.fold(self.deadlines.next().min(self.hub.next_due()), Tick::min);
        let shared = self.shared.as_ref();
        let shared_due = shared.map(|shared| shared.next_due());
        let held_until = shared.and_then(|shared| shared.held_until());
        let hub_due = held_until.or(self.hub.news_due());
        let exact = hub_due.into_iter().chain(shared_due);
        exact.fold(tick.begins(), Duration::min)
    }

    /// How many clients are connected, those whose last bytes are still being sent included.
    pub fn client_count(&self) -> usize {
        self.clients.len()
    }

    /// How many bytes are queued for all clients together, what they share counted once, with bodies that have come in
    /// part, and what was read and is left to the next turn.
    pub fn queued_len(&self) -> usize {
        self.hub.needed_len() + self.private_len + self.deferred_len
    }

    /// How many bytes the history of all rooms takes that no reader needs now.
    pub fn history_len(&self) -> usize {
        self.hub.history_len()
    }

    /// How many rooms there are.
    pub fn room_count(&self) -> usize {
        self.hub.room_count()
    }

    /// What happened so far.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// How many entries the deadlines have: one per client at most.
    pub fn deadline_count(&self) -> usize {
        self.deadlines.len()
    }

    /// Whether a client came to an admin listener and has a seat.
    fn is_admin(&self, id: ClientId) -> bool {
        let slot = self.clients.get(id);
        slot.is_some_and(|slot| slot.admission == Admission::Admin)
    }

    /// Puts a client on the to-do lists that it belongs on.
    #[inline]
    fn enqueue(&mut self, id: ClientId) {
        let Some(slot) = self.clients.get_mut(id) else {
            return;
        };
        if !slot.is_listed_readable && slot.client.wants_read() {
            slot.is_listed_readable = true;
            self.readable.push_back(Readable::new(id));
        }
        if !slot.is_listed_writable && slot.client.wants_flush() {
            slot.is_listed_writable = true;
            self.writable.push_back(id);
        }
        if slot.client.begin_watch_output() {
            self.filled.push(id);
        }
    }

    /// Sees that a client is checked when it is next due. An entry that is early enough stays. A client that is to be
    /// written to is scheduled after that: much of what is due then is not due any more.
    #[inline]
    fn schedule(&mut self, id: ClientId) {
        let Some(slot) = self.clients.get_mut(id) else {
            return;
        };
        if slot.is_listed_writable {
            return;
        }
        // What is due already and has been put off is checked in the next tick.
        let due = slot.client.next_due().max(self.now.next());
        let entry = slot.entry;
        if due >= entry.tick() {
            return;
        }
        self.unschedule(entry);
        let entry = self.deadlines.insert(due, id.slot());
        if let Some(slot) = self.clients.get_mut(id) {
            slot.entry = entry;
        }
    }

    /// Removes an entry of the deadlines, and tells the client that gets its place.
    fn unschedule(&mut self, entry: Entry) {
        if let Some(moved) = self.deadlines.remove(entry)
            && let Some(moved) = self.clients.at(moved)
            && let Some(slot) = self.clients.get_mut(moved)
        {
            slot.entry = entry;
        }
    }
}

/// The bounds on rooms, by the settings.
fn room_bounds(config: &Config) -> Bounds {
    let rooms = &config.rooms;
    Bounds {
        rooms: rooms.max_rooms,
        batch_messages: config.chat.send_queue as u64,
        linger: rooms.linger,
        history: HistoryBounds {
            messages: rooms.history.into(),
            len: rooms.history_size,
            age: rooms.history_age,
        },
        history_len: rooms.max_history,
        deflate_level: config.compression.deflate_level,
        deflate_min: config.compression.deflate_min,
    }
}
