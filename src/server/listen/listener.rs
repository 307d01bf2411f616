//! One listening socket.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use mio::net::{TcpListener, TcpStream, UnixListener};
use mio::{Interest, Registry, Token};
use socket2::SockRef;

use super::unix::SocketFile;
use crate::client::peer::PeerAddr;

/// Whether an accepted TCP socket has the listener's options, which saves a system call a connection.
const LISTENER_OPTIONS_ARE_INHERITED: bool = cfg!(target_os = "linux");

/// A listening socket, and whether somebody waits.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) socket: ListenSocket,
    /// Whether connections may be waiting, as far as is known: readiness is announced once.
    is_ready: bool,
}

/// The kinds of listening sockets.
#[derive(Debug)]
pub(super) enum ListenSocket {
    /// A port.
    Tcp(TcpListener),
    /// A path.
    Unix {
        /// The file, if this process made it. It goes before the socket, as long as nobody else can have its inode.
        _file: Option<SocketFile>,
        /// The socket.
        listener: UnixListener,
        /// What its clients do not inherit.
        send_buffer: Option<usize>,
    },
}

/// Where a listener can be reached, written as a URL where there is one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LocalAddr {
    Tcp(SocketAddr),
    /// A path; none where the socket has no name that is one.
    Unix(Option<PathBuf>),
}

impl Listener {
    pub(super) fn new(socket: ListenSocket) -> Self {
        Self {
            socket,
            is_ready: false,
        }
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.socket {
            ListenSocket::Tcp(socket) => registry.register(socket, token, Interest::READABLE),
            ListenSocket::Unix { listener, .. } => {
                registry.register(listener, token, Interest::READABLE)
            }
        }
    }

    /// Has the poll watch it no more. Closing it is not enough: where another process has the socket too, the poll would
    /// go on to announce all connections to it.
    pub(super) fn deregister(&mut self, registry: &Registry) {
        // What is still announced then finds no listener.
        let _ = match &mut self.socket {
            ListenSocket::Tcp(socket) => registry.deregister(socket),
            ListenSocket::Unix { listener, .. } => registry.deregister(listener),
        };
    }

    pub(super) fn local_addr(&self) -> io::Result<LocalAddr> {
        Ok(match &self.socket {
            ListenSocket::Tcp(socket) => LocalAddr::Tcp(socket.local_addr()?),
            ListenSocket::Unix { listener, .. } => {
                let addr = listener.local_addr()?;
                LocalAddr::Unix(addr.as_pathname().map(Into::into))
            }
        })
    }

    /// Connections may be waiting.
    pub(super) fn note_ready(&mut self) {
        self.is_ready = true;
    }

    #[cfg(test)]
    pub(super) fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Takes the next connection, or says why it cannot be had; `None` if there is none.
    pub(super) fn accept(&mut self) -> Option<io::Result<(TcpStream, PeerAddr)>> {
        if !self.is_ready {
            return None;
        }
        let accepted = self.socket.accept();
        if let Err(error) = &accepted
            && error.kind() == ErrorKind::WouldBlock
        {
            self.is_ready = false;
            return None;
        }
        Some(accepted)
    }
}

impl ListenSocket {
    fn accept(&self) -> io::Result<(TcpStream, PeerAddr)> {
        match self {
            Self::Tcp(socket) => {
                let (stream, addr) = socket.accept()?;
                if !LISTENER_OPTIONS_ARE_INHERITED {
                    // Where it fails the connection is gone, which a read will tell.
                    let _ = stream.set_nodelay(true);
                }
                Ok((stream, addr.into()))
            }
            Self::Unix {
                listener,
                send_buffer,
                ..
            } => {
                let (stream, _) = listener.accept()?;
                if let Some(len) = send_buffer {
                    // Without it the client works as well.
                    let _ = SockRef::from(&stream).set_send_buffer_size(*len);
                }
                // Reads, writes and shutdowns, all that a client needs of its stream, are the same system calls for
                // both kinds of sockets. So the one type serves for both, and no client is larger for it.
                let stream = TcpStream::from(OwnedFd::from(stream));
                Ok((stream, PeerAddr::UNIX))
            }
        }
    }
}

impl fmt::Display for LocalAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) if addr.ip().is_unspecified() => {
                write!(f, "http://localhost:{}/ (all interfaces)", addr.port())
            }
            Self::Tcp(addr) => write!(f, "http://{addr}/"),
            Self::Unix(Some(path)) => write!(f, "unix:{}", path.display()),
            Self::Unix(None) => f.write_str("a Unix socket without a path"),
        }
    }
}
