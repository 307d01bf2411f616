//! One connection to the broker, from the lookup of its name to its end.

use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::TcpStream;
use socket2::SockRef;

use crate::client::Fill;
use crate::client::socket::Input;

/// Readiness is edge-triggered: a fact to remember until a call says otherwise.
pub(super) enum Connection {
    Closed,
    /// The name is being looked up.
    LookingUp,
    Connecting {
        stream: TcpStream,
        addr: SocketAddr,
        /// Whether the poll has told that it is decided.
        is_announced: bool,
    },
    Open {
        stream: TcpStream,
        addr: SocketAddr,
        input: Input,
        is_writable: bool,
    },
}

impl Connection {
    pub(super) fn connecting(stream: TcpStream, addr: SocketAddr) -> Self {
        Self::Connecting {
            stream,
            addr,
            is_announced: false,
        }
    }

    /// The address that it goes to.
    pub(super) fn addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Connecting { addr, .. } | Self::Open { addr, .. } => Some(*addr),
            Self::Closed | Self::LookingUp => None,
        }
    }

    /// Drops the connection, and what the system has not sent yet: where the network is cut it would arrive when that is
    /// over, long after it was sent again on another connection or given up.
    pub(super) fn abandon(&mut self) {
        if let Self::Open { stream, .. } = self {
            // Where this fails, the socket is closed as usual.
            let _ = SockRef::from(&*stream).set_linger(Some(Duration::ZERO));
        }
        // Dropping the socket takes it out of the poll as well.
        *self = Self::Closed;
    }

    pub(super) fn note_ready(&mut self, readable: bool, writable: bool, hung_up: bool) {
        match self {
            Self::Closed | Self::LookingUp => {}
            Self::Connecting { is_announced, .. } => *is_announced |= writable || hung_up,
            Self::Open {
                input, is_writable, ..
            } => {
                input.note_ready(readable, hung_up);
                *is_writable |= writable || hung_up;
            }
        }
    }

    /// Whether the connection was made just now. An error if it could not be made.
    pub(super) fn finish_connect(&mut self) -> io::Result<bool> {
        let Self::Connecting {
            stream,
            is_announced: true,
            ..
        } = self
        else {
            return Ok(false);
        };
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        if let Err(error) = stream.peer_addr() {
            // An announcement that was meant for an earlier socket.
            return match error.kind() {
                ErrorKind::NotConnected => Ok(false),
                _ => Err(error),
            };
        }
        stream.set_nodelay(true)?;
        if let Self::Connecting { stream, addr, .. } = std::mem::replace(self, Self::Closed) {
            *self = Self::Open {
                stream,
                addr,
                // Its end may have been announced with it.
                input: Input::HungUp,
                is_writable: true,
            };
        }
        Ok(true)
    }

    /// Whether there may be something to read.
    pub(super) fn has_input(&self) -> bool {
        matches!(self, Self::Open { input, .. } if input.may_bring_something())
    }

    /// What has come; `None` if nothing has.
    pub(super) fn read<'a>(&mut self, buffer: &'a mut [u8]) -> io::Result<Option<&'a [u8]>> {
        let Self::Open { stream, input, .. } = self else {
            return Ok(None);
        };
        if !input.may_bring_something() {
            return Ok(None);
        }
        match input.fill(stream, buffer) {
            Fill::Bytes(len) => Ok(buffer.get(..len)),
            Fill::Nothing => Ok(None),
            Fill::EndOfStream => Err(ErrorKind::UnexpectedEof.into()),
            Fill::Broken(kind) => Err(kind.into()),
        }
    }

    /// How many of these bytes the socket took; 0 if it takes none now.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Self::Open {
            stream,
            is_writable: is_writable @ true,
            ..
        } = self
        else {
            return Ok(0);
        };
        loop {
            match stream.write(bytes) {
                Ok(len) => return Ok(len),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    *is_writable = false;
                    return Ok(0);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Why there is no connection, for operators.
pub(super) fn in_plain_words(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => "unreachable".to_owned(),
        ErrorKind::TimedOut => "timed out".to_owned(),
        ErrorKind::UnexpectedEof => "the broker closed the connection".to_owned(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => "the connection was cut".to_owned(),
        _ => error.to_string(),
    }
}
