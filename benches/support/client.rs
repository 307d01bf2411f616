//! One client of the swarm: its connection, and how it reads.

use std::io::{self, ErrorKind, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::Instant;

use super::deflated::Deflated;
use super::format::Format;
use super::inflater::SharedInflater;
use super::laggard::Laggard;
use super::message::Line;
use super::numbered::Numbered;
use super::scan::{Counted, Observer, Scan};
use super::swarm::PATIENCE;

/// Where a client sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) format: Format,
    pub(crate) room: usize,
}

pub(super) struct Client {
    /// None while it is cut off.
    pub(super) socket: Option<TcpStream>,
    pub(super) seat: Seat,
    pub(super) lines: u64,
    pub(super) role: Role,
}

pub(super) enum Role {
    Counter(Scan),
    Observer(Box<Observer>),
    Numbered(Box<Numbered>),
    Deflated(Box<Deflated>),
    Laggard(Laggard),
    Gone,
}

impl Role {
    pub(super) fn is_reading(&self) -> bool {
        matches!(
            self,
            Self::Counter(_) | Self::Observer(_) | Self::Numbered(_) | Self::Deflated(_)
        )
    }

    pub(super) fn is_connected_laggard(&self) -> bool {
        matches!(self, Self::Laggard(laggard) if laggard.is_connected())
    }

    /// Whether it reads every line.
    pub(super) fn is_observer(&self) -> bool {
        match self {
            Self::Observer(_) => true,
            Self::Numbered(numbered) => numbered.is_observer(),
            Self::Deflated(deflated) => deflated.is_observer(),
            Self::Counter(_) | Self::Laggard(_) | Self::Gone => false,
        }
    }

    /// Takes in what was read; `on_line` gets every line if it is an observer.
    pub(super) fn feed(
        &mut self,
        input: &[u8],
        message_len: usize,
        inflater: &mut SharedInflater,
        on_line: impl FnMut(Line),
    ) -> Counted {
        let counted = match self {
            Self::Counter(scan) => scan.feed(input, message_len),
            Self::Observer(observer) => observer.feed(input, on_line),
            Self::Numbered(numbered) => numbered.feed(input, on_line),
            Self::Deflated(deflated) => deflated.feed(input, message_len, inflater, on_line),
            Self::Laggard(_) | Self::Gone => Counted::default(),
        };
        Counted {
            bytes: input.len() as u64,
            ..counted
        }
    }
}

impl Client {
    pub(super) fn new(socket: TcpStream, seat: Seat, message_len: usize) -> Self {
        let role = match seat.format {
            Format::Plain => Role::Counter(Scan::default()),
            Format::Deflated => Role::Deflated(Box::default()),
            numbered => Role::Numbered(Box::new(Numbered::new(numbered, message_len))),
        };
        Self {
            socket: Some(socket),
            seat,
            lines: 0,
            role,
        }
    }

    /// Lets it read every line from now on.
    pub(super) fn observe(&mut self) {
        match &mut self.role {
            Role::Numbered(numbered) => numbered.observe(),
            Role::Deflated(deflated) => deflated.observe(),
            role => *role = Role::Observer(Box::default()),
        }
    }

    /// Sends `bytes`, however long the socket is full.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(socket) = &mut self.socket else {
            return Ok(());
        };
        let deadline = Instant::now() + PATIENCE;
        let mut rest = bytes;
        while !rest.is_empty() {
            match socket.write(rest) {
                Ok(taken) => rest = &rest[taken..],
                Err(error)
                    if error.kind() == ErrorKind::WouldBlock && Instant::now() < deadline =>
                {
                    thread::yield_now();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(error),
                // The server is gone or hung up; the next wait reports it.
                Err(_) => return Ok(()),
            }
        }
        Ok(())
    }
}
