//! Where the server listens: names are resolved, sockets are bound with the options that clients inherit.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use mio::net::TcpListener;
use socket2::{Domain, Protocol, Socket, Type};

use crate::config::{Config, LISTEN_BACKLOG};

/// Whether an accepted socket has the listener's options, which saves a system call a connection.
pub(super) const LISTENER_OPTIONS_ARE_INHERITED: bool = cfg!(target_os = "linux");

/// Listens on the first address of `addr` that this machine has.
///
/// Where somebody else has the port, or nobody may, the next address is no way out: the server would be
/// reachable in one family only, and a stranger would answer in the other.
pub(super) fn listen(config: &Config) -> io::Result<TcpListener> {
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

    use mio::net::TcpStream;
    use mio::{Events, Interest, Poll};

    use super::super::Accepting;
    use super::super::token::LISTENER;
    use super::*;
    use crate::engine::Network;

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
