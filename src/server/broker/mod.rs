//! The sockets of the backplane: two connections to the broker, in the same poll as all clients.
//!
//! What is said on them is not decided here: the backplane asks for connections, takes bytes, gives bytes, and gives a
//! connection up. Before a turn of the engine its input is read, after it its output is written; nothing here waits.

mod connection;
mod lookup;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Registry, Waker};

use super::is_hung_up;
use super::token::{BROKER_LOOKUP, broker_token};
use crate::backplane::{Backplane, Line, Settings};
use crate::config::{BrokerUrl, Config, PUBLICATION_LEN_MAX};
use connection::{Connection, in_plain_words};
use lookup::{Found, Lookup};

/// How many bytes are read in a turn from one connection, so that clients are not kept waiting.
const READ_LEN_PER_TURN: usize = 256 * 1024;
/// How many bytes are read at once.
const READ_LEN: usize = 64 * 1024;

/// The append connection comes first: the other one goes where it went.
const LINES: [Line; 2] = [Line::Append, Line::Read];

/// What the connections are for.
pub(super) trait Protocol {
    /// Whether a connection is to be opened now. It counts as being opened from then on.
    fn wants_connection(&mut self, line: Line) -> bool;
    fn note_connected(&mut self, line: Line);
    /// The connection could not be made, failed or ended.
    fn note_lost(&mut self, line: Line, reason: &str);
    fn receive(&mut self, line: Line, bytes: &[u8]);
    fn wants_bytes(&self, line: Line) -> bool;
    fn unsent(&self, line: Line) -> &[u8];
    fn note_sent(&mut self, line: Line, len: usize);
    /// Whether the connection is to be dropped, if there is one.
    fn is_given_up(&self, line: Line) -> bool;
}

impl Protocol for Backplane {
    fn wants_connection(&mut self, line: Line) -> bool {
        self.wants_connection(line)
    }

    fn note_connected(&mut self, line: Line) {
        self.note_connected(line);
    }

    fn note_lost(&mut self, line: Line, reason: &str) {
        self.note_lost(line, reason);
    }

    fn receive(&mut self, line: Line, bytes: &[u8]) {
        self.receive(line, bytes);
    }

    fn wants_bytes(&self, line: Line) -> bool {
        self.wants_bytes(line)
    }

    fn unsent(&self, line: Line) -> &[u8] {
        self.unsent(line)
    }

    fn note_sent(&mut self, line: Line, len: usize) {
        self.note_sent(line, len);
    }

    fn is_given_up(&self, line: Line) -> bool {
        self.is_given_up(line)
    }
}

/// The backplane that the settings ask for, and the sockets for it.
///
/// # Errors
/// The poll cannot be woken, or the system has no randomness to name the node by.
pub(super) fn start(
    config: &Config,
    registry: &Registry,
) -> io::Result<Option<(Backplane, Broker)>> {
    let Some(url) = &config.backplane.backplane else {
        return Ok(None);
    };
    let rooms = &config.rooms;
    let settings = Settings {
        address: url.to_string(),
        user: url.user.clone(),
        password: url.password.clone(),
        db: url.db,
        prefix: config.backplane.backplane_prefix.clone(),
        wait: config.backplane.backplane_wait,
        entries: config.backplane.backplane_entries,
        // A publication of many lines is one entry.
        message_max: config.chat.max_message.max(PUBLICATION_LEN_MAX),
        history_age: (rooms.history > 0).then_some(rooms.history_age),
    };
    let seed = getrandom::u64().map_err(io::Error::other)?;
    let waker = Arc::new(Waker::new(registry, BROKER_LOOKUP)?);
    let broker = Broker::new(url, waker);
    Ok(Some((Backplane::new(settings, seed), broker)))
}

/// Both connections.
pub(super) struct Broker {
    lookup: Lookup,
    append: Connection,
    read: Connection,
    buffer: Vec<u8>,
}

impl Broker {
    /// No connection yet, to this broker. The waker is the poll's own.
    pub(super) fn new(url: &BrokerUrl, waker: Arc<Waker>) -> Self {
        Self {
            lookup: Lookup::new(url.host.clone(), url.port, waker),
            append: Connection::Closed,
            read: Connection::Closed,
            buffer: vec![0; READ_LEN],
        }
    }

    /// The poll has told something of a connection.
    pub(super) fn note_ready(&mut self, line: Line, event: &Event) {
        let (readable, writable) = (event.is_readable(), event.is_writable());
        self.connection(line)
            .note_ready(readable, writable, is_hung_up(event));
    }

    /// Reads what has come, before the engine's turn.
    pub(super) fn before_turn(&mut self, protocol: &mut impl Protocol, registry: &Registry) {
        for line in LINES {
            if protocol.is_given_up(line) {
                continue;
            }
            if matches!(self.connection(line), Connection::LookingUp) {
                let found = self.lookup.next();
                self.connect(line, found, protocol, registry);
            }
            self.finish_connect(line, protocol, registry);
            self.receive(line, protocol);
        }
    }

    /// Opens the connections that are wanted by now, writes what the turn brought, and closes what was given up.
    pub(super) fn after_turn(&mut self, protocol: &mut impl Protocol, registry: &Registry) {
        self.close_given_up(protocol);
        for line in LINES {
            if matches!(self.connection(line), Connection::Closed)
                && protocol.wants_connection(line)
            {
                self.open(line, protocol, registry);
            }
            self.send(line, protocol);
        }
        // What went wrong on one of them may concern both.
        self.close_given_up(protocol);
    }

    /// Whether a connection may have more input that is wanted, so that the poll must not wait for it to be announced.
    pub(super) fn has_input(&self, protocol: &impl Protocol) -> bool {
        [(Line::Append, &self.append), (Line::Read, &self.read)]
            .iter()
            .any(|(line, connection)| connection.has_input() && protocol.wants_bytes(*line))
    }

    fn connection(&mut self, line: Line) -> &mut Connection {
        match line {
            Line::Append => &mut self.append,
            Line::Read => &mut self.read,
        }
    }

    /// A name may stand for several servers, and both connections have to reach the same one.
    fn open(&mut self, line: Line, protocol: &mut impl Protocol, registry: &Registry) {
        let found = match (line, self.append.addr()) {
            (Line::Read, Some(addr)) => Found::Addr(addr),
            _ => self.lookup.begin(),
        };
        self.connect(line, found, protocol, registry);
    }

    /// Connects to what was found. Where it fails, the next address is tried, and the last one's reason is told.
    fn connect(
        &mut self,
        line: Line,
        mut found: Found,
        protocol: &mut impl Protocol,
        registry: &Registry,
    ) {
        loop {
            let reason = match found {
                Found::NotYet => {
                    *self.connection(line) = Connection::LookingUp;
                    return;
                }
                Found::Nowhere(reason) => reason,
                Found::Addr(addr) => match connecting(line, addr, registry) {
                    Ok(connecting) => {
                        *self.connection(line) = connecting;
                        return;
                    }
                    Err(error) => in_plain_words(&error),
                },
            };
            if !self.lookup.has_more() {
                self.lose(line, &reason, protocol);
                return;
            }
            found = self.lookup.next();
        }
    }

    fn finish_connect(&mut self, line: Line, protocol: &mut impl Protocol, registry: &Registry) {
        match self.connection(line).finish_connect() {
            Ok(false) => {}
            Ok(true) => {
                self.lookup.forget();
                protocol.note_connected(line);
            }
            Err(error) => {
                let found = Found::Nowhere(in_plain_words(&error));
                self.connect(line, found, protocol, registry);
            }
        }
    }

    fn receive(&mut self, line: Line, protocol: &mut impl Protocol) {
        let connection = match line {
            Line::Append => &mut self.append,
            Line::Read => &mut self.read,
        };
        let mut left = READ_LEN_PER_TURN;
        while left > 0 && protocol.wants_bytes(line) && !protocol.is_given_up(line) {
            let len = left.min(READ_LEN);
            let buffer = self.buffer.get_mut(..len).unwrap_or_default();
            match connection.read(buffer) {
                Ok(None) => return,
                Ok(Some(bytes)) => {
                    left -= bytes.len();
                    protocol.receive(line, bytes);
                }
                Err(error) => {
                    let reason = in_plain_words(&error);
                    return self.lose(line, &reason, protocol);
                }
            }
        }
    }

    fn send(&mut self, line: Line, protocol: &mut impl Protocol) {
        while !protocol.unsent(line).is_empty() && !protocol.is_given_up(line) {
            match self.connection(line).write(protocol.unsent(line)) {
                Ok(0) => return,
                Ok(len) => protocol.note_sent(line, len),
                Err(error) => {
                    let reason = in_plain_words(&error);
                    return self.lose(line, &reason, protocol);
                }
            }
        }
    }

    fn lose(&mut self, line: Line, reason: &str, protocol: &mut impl Protocol) {
        self.connection(line).abandon();
        protocol.note_lost(line, reason);
    }

    fn close_given_up(&mut self, protocol: &impl Protocol) {
        for line in LINES {
            if protocol.is_given_up(line) {
                self.connection(line).abandon();
            }
        }
    }
}

fn connecting(line: Line, addr: SocketAddr, registry: &Registry) -> io::Result<Connection> {
    let mut stream = TcpStream::connect(addr)?;
    let interest = Interest::READABLE | Interest::WRITABLE;
    registry.register(&mut stream, broker_token(line), interest)?;
    Ok(Connection::connecting(stream, addr))
}
