//! Where the server listens: names are resolved, sockets are bound with the options that clients inherit,
//! and connections are accepted from all of them in turn.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry};
use socket2::{Domain, Protocol, Socket, Type};

use super::token::listener_token;
use crate::config::{Config, LISTEN_BACKLOG, LISTENERS_MAX};

/// How often a port that was free for the first address of a name, and not for the others, is given back for
/// another one.
const PORT_ATTEMPTS: usize = 8;
/// Whether an accepted socket has the listener's options, which saves a system call a connection.
const LISTENER_OPTIONS_ARE_INHERITED: bool = cfg!(target_os = "linux");

/// The listening sockets: one for all interfaces, or one per address of a name. None after a shutdown.
pub(super) struct Listeners {
    listeners: Vec<Listener>,
    /// Whose turn it is, so that a flood at one address does not keep the others waiting.
    next: usize,
}

struct Listener {
    socket: TcpListener,
    /// Whether connections may be waiting, as far as is known: readiness is announced once.
    is_ready: bool,
}

impl Listeners {
    /// Binds and listens as `config.network.addr` says.
    pub(super) fn bind(config: &Config) -> io::Result<Self> {
        let bind = |addr| bind(addr, config);
        let sockets = match port_of_all_interfaces(&config.network.addr) {
            Some(port) => vec![bind_all_interfaces(port, bind)?],
            None => bind_each(&resolve(&config.network.addr)?, bind)?,
        };
        Ok(Self::of(sockets))
    }

    fn of(sockets: Vec<TcpListener>) -> Self {
        let listeners = sockets.into_iter().map(Listener::new).collect();
        Self { listeners, next: 0 }
    }

    /// Asks for readiness.
    pub(super) fn register(&mut self, registry: &Registry) -> io::Result<()> {
        for (place, listener) in self.listeners.iter_mut().enumerate() {
            let token = listener_token(place);
            registry.register(&mut listener.socket, token, Interest::READABLE)?;
        }
        Ok(())
    }

    pub(super) fn local_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        let addr_of = |listener: &Listener| listener.socket.local_addr();
        self.listeners.iter().map(addr_of).collect()
    }

    /// Connections may be waiting at the listener in this place.
    pub(super) fn note_ready(&mut self, place: usize) {
        if let Some(listener) = self.listeners.get_mut(place) {
            listener.is_ready = true;
        }
    }

    /// Takes the next connection; `WouldBlock` only when none waits at any listener.
    pub(super) fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        for _ in 0..self.listeners.len() {
            let place = self.next;
            self.next = (place + 1) % self.listeners.len();
            let listener = self.listeners.get_mut(place);
            if let Some(accepted) = listener.and_then(Listener::accept) {
                return accepted;
            }
        }
        Err(ErrorKind::WouldBlock.into())
    }

    /// Stops listening.
    pub(super) fn close(&mut self) {
        self.listeners.clear();
    }
}

impl Listener {
    fn new(socket: TcpListener) -> Self {
        Self {
            socket,
            is_ready: false,
        }
    }

    /// Takes the next connection, or says why it cannot be had; `None` if there is none.
    fn accept(&mut self) -> Option<io::Result<(TcpStream, SocketAddr)>> {
        if !self.is_ready {
            return None;
        }
        let accepted = self.socket.accept();
        match &accepted {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.is_ready = false;
                return None;
            }
            Ok((stream, _)) if !LISTENER_OPTIONS_ARE_INHERITED => {
                // Where it fails the connection is gone, which a read will tell.
                let _ = stream.set_nodelay(true);
            }
            _ => {}
        }
        Some(accepted)
    }
}

/// The port of `:PORT`.
fn port_of_all_interfaces(addr: &str) -> Option<u16> {
    addr.strip_prefix(':')?.parse().ok()
}

/// One socket for IPv6 and IPv4 at once, or IPv4's where there is no IPv6.
///
/// Where somebody else has the port, or nobody may, IPv4 alone is no way out: a stranger would answer in IPv6.
fn bind_all_interfaces<T>(
    port: u16,
    mut bind: impl FnMut(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    match bind((Ipv6Addr::UNSPECIFIED, port).into()) {
        Err(error) if !is_final(&error) => bind((Ipv4Addr::UNSPECIFIED, port).into()),
        bound => bound,
    }
}

/// The addresses of a name, each once: a hosts file may list the same one several times.
fn resolve(addr: &str) -> io::Result<Vec<SocketAddr>> {
    let mut addrs = Vec::new();
    for addr in addr.to_socket_addrs()? {
        if !addrs.contains(&addr) && addrs.len() < LISTENERS_MAX {
            addrs.push(addr);
        }
    }
    Ok(addrs)
}

/// Binds every address that this machine has, all to the same port. Where the port is 0, the kernel picks
/// one that is free at the first address; it may not be free at the others, and is picked again then.
fn bind_each<T: Bound>(
    addrs: &[SocketAddr],
    mut bind: impl FnMut(SocketAddr) -> io::Result<T>,
) -> io::Result<Vec<T>> {
    let picks_port = addrs.iter().any(|addr| addr.port() == 0);
    let mut attempts_left = if picks_port { PORT_ATTEMPTS } else { 1 };
    loop {
        attempts_left -= 1;
        match bind_each_once(addrs, &mut bind) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && attempts_left > 0 => {}
            bound => return bound,
        }
    }
}

fn bind_each_once<T: Bound>(
    addrs: &[SocketAddr],
    mut bind: impl FnMut(SocketAddr) -> io::Result<T>,
) -> io::Result<Vec<T>> {
    let mut bound: Vec<T> = Vec::new();
    let mut refused = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for &(mut addr) in addrs {
        if let Some(first) = bound.first() {
            addr.set_port(first.port()?);
        }
        match bind(addr) {
            Ok(socket) => bound.push(socket),
            // A server that listens on a part of what it was told would not be missed before it is needed.
            Err(error) if is_final(&error) => return Err(error),
            Err(error) => refused = error,
        }
    }
    if bound.is_empty() {
        return Err(refused);
    }
    Ok(bound)
}

/// What has a port of its own after it was bound.
trait Bound {
    fn port(&self) -> io::Result<u16>;
}

impl Bound for TcpListener {
    fn port(&self) -> io::Result<u16> {
        Ok(self.local_addr()?.port())
    }
}

/// Whether the address exists and cannot be had, rather than being one that this machine does not have.
fn is_final(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::AddrInUse | ErrorKind::PermissionDenied
    )
}

fn bind(addr: SocketAddr, config: &Config) -> io::Result<TcpListener> {
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

    use mio::{Events, Poll};

    use super::super::token::listener_place;
    use super::*;

    const V4: Ipv4Addr = Ipv4Addr::LOCALHOST;
    const V6: Ipv6Addr = Ipv6Addr::LOCALHOST;

    /// So many listeners on free ports of one address.
    fn listeners(count: usize, config: &Config) -> (Listeners, Poll) {
        let bind = |_| bind((V4, 0).into(), config).expect("a free port");
        let mut listeners = Listeners::of((0..count).map(bind).collect());
        let poll = Poll::new().expect("a poll");
        listeners.register(poll.registry()).expect("they are new");
        (listeners, poll)
    }

    /// Waits until a connection is announced.
    fn wait(listeners: &mut Listeners, poll: &mut Poll) {
        let mut events = Events::with_capacity(8);
        poll.poll(&mut events, Some(Duration::from_secs(20)))
            .expect("it can be waited for");
        for event in &events {
            listeners.note_ready(listener_place(event.token()).expect("nothing else is watched"));
        }
    }

    /// A socket that was accepted as the loop does it, with its peer.
    fn accepted(config: &Config) -> (TcpStream, std::net::TcpStream) {
        let (mut listeners, mut poll) = listeners(1, config);
        let addrs = listeners.local_addrs().expect("an address");
        let peer = std::net::TcpStream::connect(&*addrs).expect("it listens");
        wait(&mut listeners, &mut poll);
        let (stream, _) = listeners.accept().expect("a peer waits");
        (stream, peer)
    }

    #[test]
    fn all_listeners_are_accepted_from_before_nobody_is_left() {
        let (mut listeners, mut poll) = listeners(3, &Config::default());
        let addrs = listeners.local_addrs().expect("three addresses");
        let used = [addrs[2], addrs[0], addrs[2], addrs[1], addrs[2]];
        let connect = |addr| std::net::TcpStream::connect(addr).expect("it listens");
        let peers: Vec<_> = used.into_iter().map(connect).collect();
        while listeners
            .listeners
            .iter()
            .any(|listener| !listener.is_ready)
        {
            wait(&mut listeners, &mut poll);
        }
        let mut accepted = Vec::new();
        let error = loop {
            match listeners.accept() {
                Ok((stream, _)) => accepted.push(stream.local_addr().expect("an address")),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert_eq!(accepted.len(), peers.len());
        // One from each in turn, so that none waits for a crowd at another one.
        assert_eq!(accepted[..3], addrs);
        listeners.close();
        let error = listeners.accept().expect_err("nobody listens");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    }

    /// A socket that is only a port.
    impl Bound for u16 {
        fn port(&self) -> io::Result<u16> {
            Ok(*self)
        }
    }

    #[test]
    fn all_addresses_of_a_name_get_the_port_that_the_first_one_was_given() {
        let addrs = [(V4, 0).into(), (V6, 0).into()];
        // The first port that is picked is free at the first address only.
        let mut picked = 40_000;
        let bound = bind_each(&addrs, |addr: SocketAddr| {
            if addr.port() == 0 {
                picked += 1;
                return Ok(picked);
            }
            match addr.port() {
                40_001 => Err(ErrorKind::AddrInUse.into()),
                port => Ok(port),
            }
        });
        assert_eq!(bound.expect("the second port is free"), [40_002, 40_002]);
    }

    #[test]
    fn a_port_that_is_never_free_everywhere_is_given_up() {
        let addrs = [(V4, 0).into(), (V6, 0).into()];
        let mut attempts = 0;
        let bound = bind_each(&addrs, |addr: SocketAddr| {
            attempts += usize::from(addr.is_ipv4());
            match addr.is_ipv4() {
                true => Ok(40_000),
                false => Err(ErrorKind::AddrInUse.into()),
            }
        });
        assert_eq!(bound.expect_err("none").kind(), ErrorKind::AddrInUse);
        assert_eq!(attempts, PORT_ATTEMPTS);
    }

    #[test]
    fn addresses_that_this_machine_does_not_have_are_skipped_as_long_as_one_works() {
        let foreign = Ipv4Addr::new(192, 0, 2, 1);
        let bind = |addr: SocketAddr| match addr.ip() == V4 {
            true => Ok(addr.port()),
            false => Err(ErrorKind::AddrNotAvailable.into()),
        };
        let addrs = [(foreign, 80).into(), (V4, 80).into()];
        assert_eq!(bind_each(&addrs, bind).expect("one works"), [80]);
        let error = bind_each(&[(foreign, 80).into()], bind).expect_err("none works");
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    }

    #[test]
    fn a_port_that_cannot_be_had_at_one_address_is_final() {
        for kind in [ErrorKind::AddrInUse, ErrorKind::PermissionDenied] {
            let bind = |addr: SocketAddr| match addr.is_ipv4() {
                true => Ok(addr.port()),
                false => Err(kind.into()),
            };
            let addrs = [(V4, 80).into(), (V6, 80).into()];
            let error = bind_each(&addrs, bind).expect_err("half of it is not enough");
            assert_eq!(error.kind(), kind);
            let all = bind_all_interfaces(80, bind).expect_err("half of it is not enough");
            assert_eq!(all.kind(), kind);
        }
    }

    #[test]
    fn without_ipv6_all_interfaces_are_those_of_ipv4() {
        let bind = |addr: SocketAddr| match addr.is_ipv4() {
            true => Ok(addr),
            false => Err(io::Error::other("address family not supported")),
        };
        let bound = bind_all_interfaces(80, bind).expect("IPv4 is left");
        assert_eq!(bound, (Ipv4Addr::UNSPECIFIED, 80).into());
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
