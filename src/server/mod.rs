//! The poll loop around the engine: sockets, readiness, signals, the clock.
//!
//! Only this folder names `mio`, and only `clock` reads the time.

mod clock;
mod socket;
mod token;

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;
use socket2::{Domain, Protocol, Socket, Type};
use tracing::info;

use crate::config::{Config, LISTEN_BACKLOG};
use crate::engine::{Engine, Network};
use crate::id::ClientId;

use clock::Clock;
use token::{LISTENER, SIGNALS, id_of, token_of};

/// How many readiness events one poll takes in.
const EVENTS_PER_POLL: usize = 1024;
/// A listening server, not yet running.
pub struct Server {
    poll: Poll,
    listener: TcpListener,
    signals: Signals,
    engine: Engine<TcpStream>,
    clock: Clock,
}

impl Server {
    /// Binds `config.network.addr` and listens, for at most `client_limit` clients. SIGTERM and SIGINT are
    /// waited for from here on.
    ///
    /// # Errors
    /// A name that cannot be resolved, a port in use or forbidden, no descriptors left.
    pub fn bind(config: Config, client_limit: usize) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut listener = listen(&config)?;
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)?;
        let mut signals = Signals::new([SIGTERM, SIGINT])?;
        poll.registry()
            .register(&mut signals, SIGNALS, Interest::READABLE)?;
        let clock = Clock::start();
        Ok(Self {
            poll,
            listener,
            signals,
            engine: Engine::new(config, client_limit),
            clock,
        })
    }

    /// The address listened on, with the port that was picked where 0 was asked for.
    ///
    /// # Errors
    /// As the socket says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until a signal ends it and everybody has been seen off.
    ///
    /// # Errors
    /// Polling failed.
    pub fn run(self) -> io::Result<()> {
        let Self {
            mut poll,
            listener,
            mut signals,
            mut engine,
            mut clock,
        } = self;
        let mut events = Events::with_capacity(EVENTS_PER_POLL);
        let mut listener = Some(listener);
        while !engine.is_shut_down() {
            let wait = clock.until(engine.next_due());
            match poll.poll(&mut events, Some(wait)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => events.clear(),
                polled => polled?,
            }
            let now = clock.read();
            for event in &events {
                match event.token() {
                    LISTENER => engine.note_acceptable(),
                    SIGNALS => {
                        for _ in signals.pending() {
                            info!(clients = engine.client_count(), "shutting down");
                            listener = None;
                            engine.begin_shutdown(now.tick);
                        }
                    }
                    token => note_ready(&mut engine, token, event),
                }
            }
            let mut network = Accepting {
                listener: listener.as_ref(),
                registry: poll.registry(),
            };
            engine.turn(&mut network, now);
        }
        Ok(())
    }
}

fn note_ready(engine: &mut Engine<TcpStream>, token: Token, event: &Event) {
    if let Some(id) = id_of(token) {
        let is_hung_up = event.is_read_closed() || event.is_write_closed() || event.is_error();
        engine.note_ready(id, event.is_readable(), event.is_writable(), is_hung_up);
    }
}

/// The listener, until a shutdown closes it, and the poll's registry.
struct Accepting<'a> {
    listener: Option<&'a TcpListener>,
    registry: &'a Registry,
}

impl Network for Accepting<'_> {
    type Stream = TcpStream;

    fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        let listener = self.listener.ok_or(ErrorKind::WouldBlock)?;
        let (stream, peer) = listener.accept()?;
        if !LISTENER_OPTIONS_ARE_INHERITED {
            // Where it fails the connection is gone, which a read will tell; the next one may be fine.
            let _ = stream.set_nodelay(true);
        }
        Ok((stream, peer))
    }

    fn register(&mut self, stream: &mut TcpStream, id: ClientId) -> io::Result<()> {
        self.registry.register(
            stream,
            token_of(id),
            Interest::READABLE | Interest::WRITABLE,
        )
    }
}

/// Whether an accepted socket has the listener's options, which saves a system call a connection.
const LISTENER_OPTIONS_ARE_INHERITED: bool = cfg!(target_os = "linux");

/// Listens on the first address of `addr` that this machine has.
///
/// Where somebody else has the port, or nobody may, the next address is no way out: the server would be
/// reachable in one family only, and a stranger would answer in the other.
fn listen(config: &Config) -> io::Result<TcpListener> {
    let mut refused = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for addr in resolve(&config.network.addr)? {
        match listen_on(addr, config) {
            Ok(listener) => return Ok(listener),
            Err(error) if is_final(error.kind()) => return Err(error),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

fn is_final(error: ErrorKind) -> bool {
    matches!(error, ErrorKind::AddrInUse | ErrorKind::PermissionDenied)
}

/// `:PORT` means all interfaces: those of IPv6 and IPv4 at once, or IPv4's where there is no IPv6.
fn resolve(addr: &str) -> io::Result<Vec<SocketAddr>> {
    match addr.strip_prefix(':').map(str::parse::<u16>) {
        Some(Ok(port)) => Ok(vec![
            (Ipv6Addr::UNSPECIFIED, port).into(),
            (Ipv4Addr::UNSPECIFIED, port).into(),
        ]),
        _ => Ok(addr.to_socket_addrs()?.collect()),
    }
}

fn listen_on(addr: SocketAddr, config: &Config) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(addr.ip() != Ipv6Addr::UNSPECIFIED)?;
    }
    // The port can be bound again at once, while old connections are still in TIME_WAIT.
    socket.set_reuse_address(true)?;
    // Batches are put together here; the kernel must not wait for more.
    socket.set_tcp_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(config.timeouts.user_timeout()))?;
    if let Some(len) = config.network.send_buffer {
        socket.set_send_buffer_size(len)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A socket that was accepted as the loop does it, with its peer.
    fn accepted(config: &Config) -> (TcpStream, std::net::TcpStream) {
        let any = (Ipv4Addr::LOCALHOST, 0).into();
        let mut listener = listen_on(any, config).expect("a free port");
        let mut poll = Poll::new().expect("a poll");
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)
            .expect("it is new");
        let addr = listener.local_addr().expect("an address");
        let peer = std::net::TcpStream::connect(addr).expect("it listens");
        let mut events = Events::with_capacity(1);
        poll.poll(&mut events, Some(Duration::from_secs(20)))
            .expect("it can be waited for");
        let mut network = Accepting {
            listener: Some(&listener),
            registry: poll.registry(),
        };
        let (stream, _) = network.accept().expect("a peer waits");
        (stream, peer)
    }

    #[test]
    fn accepted_sockets_send_at_once() {
        let (stream, _peer) = accepted(&Config::default());
        assert!(stream.nodelay().expect("an option"));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn accepted_sockets_have_the_user_timeout_of_the_settings() {
        for pong_wait in [Duration::from_secs(100), Duration::MAX] {
            let mut config = Config::default();
            config.timeouts.pong_wait = pong_wait;
            let (stream, _peer) = accepted(&config);
            let timeout = socket2::SockRef::from(&stream).tcp_user_timeout();
            assert_eq!(
                timeout.expect("an option"),
                Some(config.timeouts.user_timeout())
            );
        }
    }

    #[test]
    fn accepted_sockets_have_the_send_buffer_of_the_settings() {
        for len in [32 * 1024, 128 * 1024] {
            let mut config = Config::default();
            config.network.send_buffer = Some(len);
            let (stream, _peer) = accepted(&config);
            let actual = socket2::SockRef::from(&stream).send_buffer_size();
            // Linux counts its own overhead in, and tells twice what it was told.
            assert!((len..=2 * len).contains(&actual.expect("an option")));
        }
    }
}
