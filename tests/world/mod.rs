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

#[path = "../common/wire.rs"]
pub mod wire;

use std::cell::{RefCell, RefMut};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Duration;

use fanfare::client::Stream;
use fanfare::config::Config;
use fanfare::engine::{Engine, Network};
use fanfare::id::ClientId;
use fanfare::time::{Now, Tick};

pub(crate) use wire::frame as masked_frame;

/// The time of day at which the world begins: RFC 9110's example, Sun, 06 Nov 1994 08:49:37 GMT.
pub const UNIX_START: u64 = 784_111_777;

pub const UPGRADE: &[u8] = b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// Both ends of a connection.
#[derive(Debug)]
pub struct Socket {
    /// Reads and writes are short only at the end of what there is, as epoll's sockets are; `read_max`
    /// and `write_max` say nothing then.
    pub short_means_blocked: bool,
    /// Bytes on their way to the server, and how many a read gives at most.
    inbound: VecDeque<u8>,
    pub read_max: usize,
    /// What the server wrote, how many bytes the socket still takes, and how many at once.
    pub outbound: Vec<u8>,
    pub room: usize,
    pub write_max: usize,
    /// Errors for the next calls.
    pub read_errors: VecDeque<io::Error>,
    pub write_errors: VecDeque<io::Error>,
    pub peer_has_shut: bool,
    pub server_has_shut: bool,
    pub server_has_closed: bool,
    /// How often the server called, whether or not a byte moved.
    pub reads: usize,
    pub writes: usize,
    /// Edges not announced yet.
    is_read_edge: bool,
    is_write_edge: bool,
    /// A write was refused, so that room is worth an edge.
    is_write_blocked: bool,
    addr: SocketAddr,
    id: Option<ClientId>,
}

impl Socket {
    /// Whether a read would not block.
    fn is_readable(&self) -> bool {
        !self.inbound.is_empty() || self.peer_has_shut || !self.read_errors.is_empty()
    }
}

/// The server's end.
#[derive(Debug)]
pub struct ScriptedStream(Rc<RefCell<Socket>>);

impl Drop for ScriptedStream {
    fn drop(&mut self) {
        self.0.borrow_mut().server_has_closed = true;
    }
}

impl Stream for ScriptedStream {
    fn short_means_blocked(&self) -> bool {
        self.0.borrow().short_means_blocked
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.0.borrow_mut().server_has_shut = true;
        Ok(())
    }
}

impl Read for ScriptedStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut socket = self.0.borrow_mut();
        socket.reads += 1;
        if let Some(error) = socket.read_errors.pop_front() {
            return Err(error);
        }
        if socket.inbound.is_empty() {
            return if socket.peer_has_shut {
                Ok(0)
            } else {
                Err(ErrorKind::WouldBlock.into())
            };
        }
        let mut len = buffer.len().min(socket.inbound.len());
        if !socket.short_means_blocked {
            len = len.min(socket.read_max);
        }
        for (place, byte) in buffer.iter_mut().zip(socket.inbound.drain(..len)) {
            *place = byte;
        }
        Ok(len)
    }
}

impl Write for ScriptedStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut socket = self.0.borrow_mut();
        assert!(!socket.server_has_shut, "nothing is written after the end");
        socket.writes += 1;
        if let Some(error) = socket.write_errors.pop_front() {
            return Err(error);
        }
        let mut len = bytes.len().min(socket.room);
        if !socket.short_means_blocked {
            len = len.min(socket.write_max);
        } else if len < bytes.len() {
            socket.is_write_blocked = true;
        }
        if len == 0 {
            socket.is_write_blocked = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        socket.room -= len;
        socket.outbound.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A peer's end of a connection.
#[derive(Debug, Clone)]
pub struct Peer(pub Rc<RefCell<Socket>>);

impl Peer {
    pub fn socket(&self) -> RefMut<'_, Socket> {
        self.0.borrow_mut()
    }

    pub fn send(&self, bytes: &[u8]) {
        let mut socket = self.socket();
        socket.inbound.extend(bytes);
        socket.is_read_edge = true;
    }

    pub fn say(&self, text: &str) {
        self.send(&masked_frame(0x81, text.as_bytes()));
    }

    /// Ends the peer's side of the stream.
    pub fn shut(&self) {
        let mut socket = self.socket();
        socket.peer_has_shut = true;
        socket.is_read_edge = true;
    }

    pub fn reset(&self) {
        let mut socket = self.socket();
        socket.inbound.clear();
        socket
            .read_errors
            .push_back(ErrorKind::ConnectionReset.into());
        socket.is_read_edge = true;
    }

    /// How many bytes the socket takes from now on.
    pub fn set_room(&self, room: usize) {
        let mut socket = self.socket();
        socket.room = room;
        if room > 0 && socket.is_write_blocked {
            socket.is_write_blocked = false;
            socket.is_write_edge = true;
        }
    }

    /// Room appears, and the kernel has not said so yet.
    pub fn set_room_silently(&self, room: usize) {
        self.socket().room = room;
    }

    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.socket().outbound)
    }

    /// The same, so many bytes at most.
    pub fn take_up_to(&self, len: usize) -> Vec<u8> {
        let mut socket = self.socket();
        let len = len.min(socket.outbound.len());
        socket.outbound.drain(..len).collect()
    }

    /// The frames received since the last call; the answer to the upgrade is passed over.
    pub fn take_frames(&self) -> Vec<(u8, Vec<u8>)> {
        let bytes = self.take();
        let frames = bytes.strip_prefix(b"HTTP/1.1 101").map_or(&bytes[..], |_| {
            let end = find(&bytes, b"\r\n\r\n").expect("the answer has an end");
            &bytes[end + 4..]
        });
        decode_frames(frames)
    }

    /// The lines of chat received since the last call, whatever frames they came in.
    pub fn take_lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (first, payload) in self.take_frames() {
            if first == 0x81 {
                let text = String::from_utf8(payload).expect("the server sends UTF-8");
                lines.extend(text.split('\n').map(ToOwned::to_owned));
            }
        }
        lines
    }

    /// How many bytes wait to be read by the server.
    pub fn unread_len(&self) -> usize {
        self.socket().inbound.len()
    }

    pub fn is_accepted(&self) -> bool {
        self.socket().id.is_some()
    }

    /// Whether the server has something for a socket that takes nothing.
    pub fn is_blocked(&self) -> bool {
        self.socket().is_write_blocked
    }

    pub fn is_closed(&self) -> bool {
        self.socket().server_has_closed
    }
}

/// The listener and the poll.
#[derive(Debug, Default)]
pub struct ScriptedNetwork {
    pub backlog: VecDeque<io::Result<Peer>>,
    /// Errors for the next registrations.
    pub register_errors: VecDeque<io::Error>,
    /// What the sockets of the connections to come are like.
    pub short_means_blocked: bool,
    /// How many sockets' edges one poll announces, if not all; the others' come with the next ones.
    pub events_max: Option<usize>,
    sockets: Vec<Rc<RefCell<Socket>>>,
}

impl Network for ScriptedNetwork {
    type Stream = ScriptedStream;

    fn accept(&mut self) -> io::Result<(ScriptedStream, SocketAddr)> {
        match self.backlog.pop_front() {
            Some(Ok(peer)) => {
                let addr = peer.socket().addr;
                Ok((ScriptedStream(peer.0), addr))
            }
            Some(Err(error)) => Err(error),
            None => Err(ErrorKind::WouldBlock.into()),
        }
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
}

/// The engine in its made-up world.
#[derive(Debug)]
pub struct World {
    pub engine: Engine<ScriptedStream>,
    pub network: ScriptedNetwork,
    /// How much time has passed since the start.
    pub now: Duration,
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
        }
    }

    /// A connection that waits to be accepted.
    pub fn connect(&mut self) -> Peer {
        self.connect_from(([127, 0, 0, 1], 1).into())
    }

    /// The same from another address.
    pub fn connect_from(&mut self, addr: SocketAddr) -> Peer {
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
            is_write_blocked: false,
            addr,
            id: None,
        })));
        self.network.backlog.push_back(Ok(peer.clone()));
        self.engine.note_acceptable();
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
            unix_seconds: UNIX_START + self.now.as_secs(),
        };
        self.engine.turn(&mut self.network, now);
    }

    /// The time as the engine is told it.
    pub fn tick(&self) -> Tick {
        Tick::at(self.now)
    }

    /// How long the loop would sleep if nothing were announced; `None` for ever.
    pub fn wait(&self) -> Option<Duration> {
        let due = self.engine.next_due();
        (due != Tick::NEVER).then(|| due.begins().saturating_sub(self.now))
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
            left -= usize::from(socket.is_read_edge || socket.is_write_edge);
            // As epoll does, an edge is announced only if there is still something behind it.
            let readable = std::mem::take(&mut socket.is_read_edge) && socket.is_readable();
            let writable = std::mem::take(&mut socket.is_write_edge);
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
            !socket.server_has_closed && (socket.is_read_edge || socket.is_write_edge)
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
