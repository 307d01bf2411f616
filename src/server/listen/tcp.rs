//! TCP: names are resolved, and sockets are bound with the options that clients inherit.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use mio::net::TcpListener;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::config::{ADDRESSES_PER_NAME_MAX, Config, LISTEN_BACKLOG};

/// How often a port that was free for the first address of a name, and not for the others, is given back for
/// another one.
const PORT_ATTEMPTS: usize = 8;

/// Binds and listens at `:PORT`, or at all addresses of `HOST:PORT`.
pub(super) fn bind_all(addr: &str, config: &Config) -> io::Result<Vec<TcpListener>> {
    let bind = |addr| bind(addr, config);
    match port_of_all_interfaces(addr) {
        Some(port) => Ok(vec![bind_all_interfaces(port, bind)?]),
        None => bind_each(&resolve(addr)?, bind),
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
        if !addrs.contains(&addr) && addrs.len() < ADDRESSES_PER_NAME_MAX {
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

pub(super) fn bind(addr: SocketAddr, config: &Config) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(addr.ip() != Ipv6Addr::UNSPECIFIED)?;
    }
    // The port can be bound again at once, while old connections are still in TIME_WAIT.
    socket.set_reuse_address(true)?;
    set_options(&SockRef::from(&socket), config)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(LISTEN_BACKLOG.into())?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Sets the options that clients inherit.
pub(super) fn set_options(socket: &SockRef<'_>, config: &Config) -> io::Result<()> {
    // Batches are put together here; the kernel must not wait for more.
    socket.set_tcp_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(config.timeouts.user_timeout()))?;
    match config.network.send_buffer {
        Some(len) => socket.set_send_buffer_size(len),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: Ipv4Addr = Ipv4Addr::LOCALHOST;
    const V6: Ipv6Addr = Ipv6Addr::LOCALHOST;

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
}
