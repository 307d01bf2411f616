//! A made-up network and clock around the shipped engine.
//!
//! A [`Peer`] holds the other end of a scripted socket: how much the socket takes, how much a read or
//! write moves at once, which error comes next. Readiness is announced by edges only, as epoll does,
//! and time passes only when a test says so.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "test support, of which each test file uses a part"
)]

#[path = "../common/deflate.rs"]
pub mod deflate;
#[path = "../common/inflate.rs"]
mod inflate;
pub mod ledger;
pub mod listener;
pub mod publisher;
pub mod reader;
mod socket;
#[path = "../common/token.rs"]
pub mod token;
#[path = "../common/wire.rs"]
pub mod wire;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Duration;

use fanfare::config::Config;
use fanfare::engine::{Accepted, Engine, Network};
use fanfare::http::route::Role;
use fanfare::id::ClientId;
use fanfare::time::{Now, Tick};

pub use socket::{Peer, ScriptedStream, Socket};
pub(crate) use wire::frame as masked_frame;

/// The time of day at which the world begins: RFC 9110's example, Sun, 06 Nov 1994 08:49:37 GMT.
pub const UNIX_START: u64 = 784_111_777;

pub const UPGRADE: &[u8] = b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// The listener and the poll.
#[derive(Debug, Default)]
pub struct ScriptedNetwork {
    pub backlog: VecDeque<io::Result<Peer>>,
    /// Those that wait at the admin listener.
    pub admin_backlog: VecDeque<io::Result<Peer>>,
    /// Errors for the next registrations.
    pub register_errors: VecDeque<io::Error>,
    /// Errors for the next times that room is asked for.
    pub watch_errors: VecDeque<io::Error>,
    /// What the sockets of the connections to come are like.
    pub short_means_blocked: bool,
    /// How many sockets' edges one poll announces, if not all; the others' come with the next ones.
    pub events_max: Option<usize>,
    sockets: Vec<Rc<RefCell<Socket>>>,
    is_public_closed: bool,
}

impl Network for ScriptedNetwork {
    type Stream = ScriptedStream;

    fn accept(&mut self, role: Role) -> io::Result<Accepted<ScriptedStream>> {
        assert!(role == Role::Admin || !self.is_public_closed);
        match self.backlog_of(role).pop_front() {
            Some(Ok(peer)) => {
                let (addr, role) = {
                    let mut socket = peer.socket();
                    socket.is_accepted = true;
                    (socket.addr, socket.role)
                };
                Ok(Accepted {
                    stream: ScriptedStream(peer.0),
                    peer: addr.into(),
                    role,
                })
            }
            Some(Err(error)) => Err(error),
            None => Err(ErrorKind::WouldBlock.into()),
        }
    }

    fn close_public(&mut self) {
        self.is_public_closed = true;
    }

    fn register(&mut self, stream: &mut ScriptedStream, id: ClientId) -> io::Result<()> {
        if let Some(error) = self.register_errors.pop_front() {
            return Err(error);
        }
        let mut socket = stream.0.borrow_mut();
        assert_eq!(socket.id, None, "registered once");
        socket.id = Some(id);
        self.sockets.push(Rc::clone(&stream.0));
        Ok(())
    }

    fn watch_output(&mut self, stream: &mut ScriptedStream, id: ClientId) -> io::Result<()> {
        if let Some(error) = self.watch_errors.pop_front() {
            return Err(error);
        }
        let mut socket = stream.0.borrow_mut();
        assert_eq!(socket.id, Some(id), "it is registered");
        assert!(!socket.is_output_watched, "asked for once");
        socket.is_output_watched = true;
        socket.is_write_edge |= socket.room > 0;
        Ok(())
    }
}

impl ScriptedNetwork {
    fn backlog_of(&mut self, role: Role) -> &mut VecDeque<io::Result<Peer>> {
        match role {
            Role::Public => &mut self.backlog,
            Role::Admin => &mut self.admin_backlog,
        }
    }
}

/// The engine in its made-up world.
#[derive(Debug)]
pub struct World {
    pub engine: Engine<ScriptedStream>,
    pub network: ScriptedNetwork,
    /// How much time has passed since the start.
    pub now: Duration,
    /// The time of day at the start, as the clock has it now: a clock that is set moves it.
    pub unix_start: u64,
    sent_len: Rc<Cell<u64>>,
}

impl World {
    pub fn new(config: Config) -> Self {
        Self::with_limit(config, 1000)
    }

    /// A world with other settings than the defaults.
    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        change(&mut config);
        Self::new(config)
    }

    pub fn with_limit(config: Config, client_limit: usize) -> Self {
        config.check().expect("the test's settings make sense");
        Self {
            engine: Engine::new(config, client_limit),
            network: ScriptedNetwork::default(),
            now: Duration::ZERO,
            unix_start: UNIX_START,
            sent_len: Rc::default(),
        }
    }

    /// A connection that waits to be accepted.
    pub fn connect(&mut self) -> Peer {
        self.connect_from(([127, 0, 0, 1], 1).into())
    }

    /// The same from another address.
    pub fn connect_from(&mut self, addr: SocketAddr) -> Peer {
        self.connect_as(Role::Public, addr)
    }

    /// A connection that waits at the admin listener.
    pub fn connect_admin(&mut self) -> Peer {
        self.connect_as(Role::Admin, ([127, 0, 0, 1], 1).into())
    }

    fn connect_as(&mut self, role: Role, addr: SocketAddr) -> Peer {
        let peer = Peer(Rc::new(RefCell::new(Socket {
            short_means_blocked: self.network.short_means_blocked,
            inbound: VecDeque::new(),
            read_max: usize::MAX,
            outbound: Vec::new(),
            room: usize::MAX,
            write_max: usize::MAX,
            read_errors: VecDeque::new(),
            write_errors: VecDeque::new(),
            peer_has_shut: false,
            server_has_shut: false,
            server_has_closed: false,
            reads: 0,
            writes: 0,
            is_read_edge: false,
            is_write_edge: false,
            is_output_watched: false,
            is_accepted: false,
            is_write_blocked: false,
            addr,
            role,
            sent_len: Rc::clone(&self.sent_len),
            id: None,
        })));
        let backlog = self.network.backlog_of(role);
        backlog.push_back(Ok(peer.clone()));
        self.engine.note_acceptable(role);
        peer
    }

    /// A client in the room, whose handshake is over.
    pub fn join(&mut self) -> Peer {
        let peer = self.connect();
        peer.send(UPGRADE);
        self.settle();
        assert!(peer.take().starts_with(b"HTTP/1.1 101 "));
        peer
    }

    /// Announces the edges and takes one turn.
    pub fn turn(&mut self) {
        self.announce();
        let now = self.tick();
        let now = Now {
            tick: now,
            elapsed: self.now,
            unix_seconds: self.unix_start + self.now.as_secs(),
        };
        self.engine.turn(&mut self.network, now);
        self.check_counters();
    }

    /// What is counted must be what happened.
    fn check_counters(&self) {
        let metrics = self.engine.metrics();
        assert_eq!(metrics.sent_len, self.sent_len.get(), "bytes sent");
        let clients = self.engine.client_count() as u64;
        assert_eq!(metrics.client_count(), clients, "clients");
        let seen = clients + metrics.closed_count();
        assert_eq!(seen, metrics.accepted, "clients and closes");
    }

    /// The time as the engine is told it.
    pub fn tick(&self) -> Tick {
        Tick::at(self.now)
    }

    /// How long the loop would sleep if nothing were announced; `None` for ever.
    pub fn wait(&self) -> Option<Duration> {
        let due = self.engine.next_due();
        (due != Duration::MAX).then(|| due.saturating_sub(self.now))
    }

    pub fn begin_shutdown(&mut self) {
        self.engine.begin_shutdown(self.tick());
    }

    /// Takes turns until nothing is left to do now.
    pub fn settle(&mut self) {
        for _ in 0..1_000_000 {
            self.turn();
            let is_idle = self.wait() != Some(Duration::ZERO);
            if self.engine.is_shut_down() || (is_idle && !self.has_edges()) {
                return;
            }
        }
        panic!("the loop spins");
    }

    /// Lets time pass as the loop would: sleeping until something is due, and settling each time.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.settle();
            let sleep = self.wait().unwrap_or(Duration::MAX);
            match self.now.checked_add(sleep) {
                Some(next) if next <= end => {
                    self.now = next.max(self.now + Duration::from_millis(1))
                }
                _ => break,
            }
        }
        self.now = end;
        self.settle();
    }

    fn announce(&mut self) {
        self.network
            .sockets
            .retain(|socket| !socket.borrow().server_has_closed);
        let mut left = self.network.events_max.unwrap_or(usize::MAX);
        let mut announced = 0;
        for socket in &self.network.sockets {
            let mut socket = socket.borrow_mut();
            if left == 0 {
                break;
            }
            announced += 1;
            let writable = socket.has_write_edge();
            left -= usize::from(socket.is_read_edge || writable);
            // As epoll does, an edge is announced only if there is still something behind it.
            let readable = std::mem::take(&mut socket.is_read_edge) && socket.is_readable();
            socket.is_write_edge = false;
            if let Some(id) = socket.id
                && (readable || writable)
            {
                self.engine
                    .note_ready(id, readable, writable, socket.peer_has_shut);
            }
        }
        self.network.sockets.rotate_left(announced);
    }

    /// Whether something has happened that was not announced yet.
    pub fn has_edges(&self) -> bool {
        self.network.sockets.iter().any(|socket| {
            let socket = socket.borrow();
            !socket.server_has_closed && (socket.is_read_edge || socket.has_write_edge())
        })
    }
}

/// The server's frames. All of `bytes` must be whole frames.
pub fn decode_frames(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut bytes = bytes.to_vec();
    let frames = wire::take_frames(&mut bytes);
    assert!(bytes.is_empty(), "a part of a frame");
    frames
}

pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

/// The id of a client that may be there, may be gone, or never was.
pub fn client_id(slot: usize, generation: usize) -> ClientId {
    let generation = NonZeroU32::new(generation as u32).unwrap_or(NonZeroU32::MIN);
    ClientId::new(slot as u32, generation)
}

/// A server's close frame, with a code and the reason in words.
pub fn close_frame(code: u16, words: &str) -> (u8, Vec<u8>) {
    (0x88, [&code.to_be_bytes(), words.as_bytes()].concat())
}
