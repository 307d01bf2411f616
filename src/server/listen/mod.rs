//! Where the server listens: sockets are inherited or bound, and connections are accepted from all those of a role
//! in turn.

mod error;
mod inherited;
mod listener;
mod tcp;
mod unix;

use std::io::{self, ErrorKind};

use mio::Registry;
use mio::net::TcpStream;

use super::token::listener_token;
use crate::client::peer::PeerAddr;
use crate::config::{Addr, Config, LISTENERS_MAX};
use crate::http::route::Role;

use listener::{ListenSocket, Listener};

/// The listening sockets by role. No public ones after a shutdown.
pub(super) struct Listeners {
    public: Group,
    admin: Group,
    /// The service manager listens to the public as well, and what waits there is for the next process.
    is_public_inherited: bool,
}

/// The listeners of a role.
#[derive(Default)]
struct Group {
    listeners: Vec<Listener>,
    /// Whose turn it is, so that a flood at one address does not keep the others waiting.
    next: usize,
}

impl Listeners {
    /// Listens as `config.network` says, for each role unless there are inherited sockets for it.
    ///
    /// # Errors
    /// A line that says what to do.
    pub(super) fn bind(config: &Config) -> io::Result<Self> {
        let mut listeners = Self::of(inherited::take(config)?);
        listeners.is_public_inherited = !listeners.public.listeners.is_empty();
        let network = &config.network;
        if listeners.public.listeners.is_empty() {
            for addr in &network.addr {
                listeners.public.bind("--addr", addr, config)?;
            }
        }
        if let Some(addr) = &network.admin_addr
            && listeners.admin.listeners.is_empty()
        {
            listeners.admin.bind("--admin-addr", addr, config)?;
        }
        let count = listeners.public.listeners.len() + listeners.admin.listeners.len();
        if count > LISTENERS_MAX {
            let line = format!(
                "{count} sockets are too many, at most {LISTENERS_MAX} can be listened on; a host name counts with \
                 all its addresses; give fewer with --addr"
            );
            return Err(io::Error::new(ErrorKind::InvalidInput, line));
        }
        Ok(listeners)
    }

    fn of(listeners: Vec<(Role, Listener)>) -> Self {
        let mut groups = Self {
            public: Group::default(),
            admin: Group::default(),
            is_public_inherited: false,
        };
        for (role, listener) in listeners {
            groups.group_mut(role).listeners.push(listener);
        }
        groups
    }

    fn group_mut(&mut self, role: Role) -> &mut Group {
        match role {
            Role::Public => &mut self.public,
            Role::Admin => &mut self.admin,
        }
    }

    /// Asks for readiness.
    pub(super) fn register(&mut self, registry: &Registry) -> io::Result<()> {
        for role in [Role::Public, Role::Admin] {
            let listeners = &mut self.group_mut(role).listeners;
            for (place, listener) in listeners.iter_mut().enumerate() {
                listener.register(registry, listener_token(role, place))?;
            }
        }
        Ok(())
    }

    /// Where the server can be reached, in words.
    pub(super) fn describe(&self) -> io::Result<String> {
        let public = self.public.describe()?;
        Ok(match self.admin.listeners.is_empty() {
            true => public,
            false => format!("{public}, admin on {}", self.admin.describe()?),
        })
    }

    /// Connections may be waiting at the listener in this place.
    pub(super) fn note_ready(&mut self, role: Role, place: usize) {
        if let Some(listener) = self.group_mut(role).listeners.get_mut(place) {
            listener.note_ready();
        }
    }

    /// Takes the next connection; `WouldBlock` only when none waits at any listener of the role.
    pub(super) fn accept(&mut self, role: Role) -> io::Result<(TcpStream, PeerAddr)> {
        self.group_mut(role).accept()
    }

    /// All that waits at the listeners for the public is to be accepted in the next turn, which closes them. Sockets that
    /// were inherited are closed before it: what waits there is not lost.
    pub(super) fn prepare_to_close(&mut self, registry: &Registry) {
        if self.is_public_inherited {
            self.close_public(registry);
        }
        // Connections may have come since the poll.
        self.public
            .listeners
            .iter_mut()
            .for_each(Listener::note_ready);
    }

    /// Stops listening to the public.
    pub(super) fn close_public(&mut self, registry: &Registry) {
        for mut listener in self.public.listeners.drain(..) {
            listener.deregister(registry);
        }
    }
}

impl Group {
    /// Adds the listeners of an address, which `flag` has set.
    fn bind(&mut self, flag: &str, addr: &Addr, config: &Config) -> io::Result<()> {
        let bound = match addr {
            Addr::Tcp(addr) => tcp::bind_all(addr, config)
                .map(|sockets| sockets.into_iter().map(ListenSocket::Tcp).collect()),
            Addr::Unix(path) => {
                unix::bind(path, config.network.unix_mode).map(|(file, listener)| {
                    vec![ListenSocket::Unix {
                        _file: Some(file),
                        listener,
                        send_buffer: config.network.send_buffer,
                    }]
                })
            }
        };
        let sockets: Vec<_> = bound.map_err(|error| error::explain(flag, addr, &error))?;
        self.listeners
            .extend(sockets.into_iter().map(Listener::new));
        Ok(())
    }

    fn describe(&self) -> io::Result<String> {
        let addrs = self.listeners.iter().map(Listener::local_addr);
        let addrs: Vec<_> = addrs
            .map(|addr| Ok(addr?.to_string()))
            .collect::<io::Result<_>>()?;
        Ok(addrs.join(" and "))
    }

    fn accept(&mut self) -> io::Result<(TcpStream, PeerAddr)> {
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
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use mio::{Events, Poll};
    use socket2::SockRef;

    use super::super::token::listener_of;
    use super::listener::LocalAddr;
    use super::*;

    /// So many public listeners on free ports of one address, and as many admin ones.
    fn listeners(public: usize, admin: usize, config: &Config) -> (Listeners, Poll) {
        let bind = |role| {
            let addr = (Ipv4Addr::LOCALHOST, 0).into();
            let socket = tcp::bind(addr, config).expect("a free port");
            (role, Listener::new(ListenSocket::Tcp(socket)))
        };
        let roles = [vec![Role::Public; public], vec![Role::Admin; admin]].concat();
        let mut listeners = Listeners::of(roles.into_iter().map(bind).collect());
        let poll = Poll::new().expect("a poll");
        listeners.register(poll.registry()).expect("they are new");
        (listeners, poll)
    }

    fn addrs(group: &Group) -> Vec<SocketAddr> {
        let addr = |listener: &Listener| match listener.local_addr() {
            Ok(LocalAddr::Tcp(addr)) => addr,
            other => unreachable!("{other:?}"),
        };
        group.listeners.iter().map(addr).collect()
    }

    /// Waits until a connection is announced.
    fn wait(listeners: &mut Listeners, poll: &mut Poll) {
        let mut events = Events::with_capacity(8);
        poll.poll(&mut events, Some(Duration::from_secs(20)))
            .expect("it can be waited for");
        for event in &events {
            let (role, place) = listener_of(event.token()).expect("nothing else is watched");
            listeners.note_ready(role, place);
        }
    }

    /// A socket that was accepted as the loop does it, with its peer.
    fn accepted(config: &Config) -> (TcpStream, std::net::TcpStream) {
        let (mut listeners, mut poll) = listeners(1, 0, config);
        let peer = std::net::TcpStream::connect(&*addrs(&listeners.public)).expect("it listens");
        wait(&mut listeners, &mut poll);
        let (stream, _) = listeners.accept(Role::Public).expect("a peer waits");
        (stream, peer)
    }

    #[test]
    fn all_listeners_are_accepted_from_before_nobody_is_left() {
        let (mut listeners, mut poll) = listeners(3, 1, &Config::default());
        let (public, admin) = (addrs(&listeners.public), addrs(&listeners.admin));
        let used = [
            public[2], public[0], public[2], public[1], public[2], admin[0],
        ];
        let connect = |addr| std::net::TcpStream::connect(addr).expect("it listens");
        let peers: Vec<_> = used.into_iter().map(connect).collect();
        let groups = |listeners: &Listeners| {
            let all = listeners.public.listeners.iter();
            all.chain(&listeners.admin.listeners)
                .all(Listener::is_ready)
        };
        while !groups(&listeners) {
            wait(&mut listeners, &mut poll);
        }
        let mut accept_all = |role| {
            let mut accepted = Vec::new();
            loop {
                match listeners.accept(role) {
                    Ok((stream, _)) => accepted.push(stream.local_addr().expect("an address")),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::WouldBlock);
                        return accepted;
                    }
                }
            }
        };
        let accepted = accept_all(Role::Public);
        assert_eq!(accepted.len(), peers.len() - 1);
        // One from each in turn, so that none waits for a crowd at another one.
        assert_eq!(accepted[..3], public);
        assert_eq!(accept_all(Role::Admin), admin);
        listeners.close_public(poll.registry());
        let error = listeners.accept(Role::Public).expect_err("nobody listens");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(std::net::TcpStream::connect(admin[0]).is_ok());
    }

    /// Another process may have the socket too, and the poll would go on to watch it for as long as it is open.
    #[test]
    fn a_socket_that_was_closed_here_and_not_elsewhere_is_watched_no_more() {
        let (mut listeners, mut poll) = listeners(1, 0, &Config::default());
        let socket = &listeners.public.listeners[0].socket;
        let ListenSocket::Tcp(socket) = socket else {
            unreachable!("it is a port");
        };
        let elsewhere = SockRef::from(socket).try_clone().expect("a second handle");
        let addr = addrs(&listeners.public)[0];
        listeners.close_public(poll.registry());
        let _peer = std::net::TcpStream::connect(addr).expect("it listens");
        let mut events = Events::with_capacity(8);
        // What is announced is there at once.
        poll.poll(&mut events, Some(Duration::from_millis(50)))
            .expect("it can be waited for");
        assert!(events.is_empty(), "{events:?}");
        drop(elsewhere);
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
            let timeout = SockRef::from(&stream).tcp_user_timeout();
            assert_eq!(
                timeout.expect("an option"),
                Some(config.timeouts.user_timeout())
            );
        }
    }

    /// Linux counts its own overhead in, and tells twice what it was told.
    fn assert_send_buffer(stream: &TcpStream, len: usize) {
        let actual = SockRef::from(stream).send_buffer_size();
        assert!((len..=2 * len).contains(&actual.expect("an option")));
    }

    #[test]
    fn accepted_sockets_have_the_send_buffer_of_the_settings() {
        for len in [32 * 1024, 128 * 1024] {
            let mut config = Config::default();
            config.network.send_buffer = Some(len);
            let (stream, _peer) = accepted(&config);
            assert_send_buffer(&stream, len);
        }
    }

    #[test]
    fn sockets_accepted_at_a_path_have_the_send_buffer_too_and_no_address() {
        let path = std::env::temp_dir().join(format!("fanfare-{}.sock", std::process::id()));
        let mut config = Config::default();
        config.network.addr = vec![Addr::Unix(path.clone())];
        for len in [32 * 1024, 128 * 1024] {
            config.network.send_buffer = Some(len);
            let mut listeners = Listeners::bind(&config).expect("a path");
            let mut poll = Poll::new().expect("a poll");
            listeners.register(poll.registry()).expect("they are new");
            let _peer = UnixStream::connect(&path).expect("it listens");
            wait(&mut listeners, &mut poll);
            let (stream, peer) = listeners.accept(Role::Public).expect("a peer waits");
            assert_send_buffer(&stream, len);
            assert_eq!(peer.to_string(), "unix");
            drop(listeners);
            assert!(!path.exists());
        }
    }

    #[test]
    fn all_addresses_are_described_in_one_line() {
        let unix = || LocalAddr::Unix(Some("/run/a.sock".into())).to_string();
        assert_eq!(unix(), "unix:/run/a.sock");
        let tcp = |addr: &str| LocalAddr::Tcp(addr.parse().expect("an address")).to_string();
        assert_eq!(tcp("127.0.0.1:80"), "http://127.0.0.1:80/");
        assert_eq!(tcp("[::1]:80"), "http://[::1]:80/");
        assert_eq!(tcp("[::]:80"), "http://localhost:80/ (all interfaces)");
        let (listeners, _poll) = listeners(2, 1, &Config::default());
        let public: Vec<_> = addrs(&listeners.public)
            .iter()
            .map(|addr| format!("http://{addr}/"))
            .collect();
        let admin = format!("http://{}/", addrs(&listeners.admin)[0]);
        let described = listeners.describe().expect("they have addresses");
        assert_eq!(
            described,
            format!("{}, admin on {admin}", public.join(" and "))
        );
    }
}
