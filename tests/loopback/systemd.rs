//! Under a service manager: sockets that it passes on, and what it is told. The tests are the manager, as systemd would
//! be.

use std::ffi::OsStr;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::process::{Command, Stdio};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::common::folder::Folder;
use crate::common::wire::{TEXT, get};
use crate::common::{PATIENCE, Peer, Server, assert_fails};
use crate::lifecycle::{in_shell, on_free_port};
use crate::listeners::end;

// Sockets that are passed on.

/// The program on a free port, unless it takes this socket. A shell gives it the number 3, which is the first one that
/// is looked at.
pub(crate) fn with_socket(socket: impl Into<OwnedFd>, variables: &str) -> Command {
    let script = format!("exec 3<&0 </dev/null; export LISTEN_FDS=1 {variables}");
    let mut command = in_shell(&on_free_port(), &script);
    command.stdin(Stdio::from(socket.into()));
    command
}

/// The same with two sockets of these names, and without a log, in whose place the second one comes.
fn with_two_sockets(first: impl Into<OwnedFd>, second: impl Into<OwnedFd>, names: &str) -> Command {
    let script = format!(
        "exec 3<&0 4<&2 </dev/null 2>/dev/null; export LISTEN_FDS=2 LISTEN_PID=$$ LISTEN_FDNAMES={names}"
    );
    let mut command = in_shell(&on_free_port(), &script);
    command
        .stdin(Stdio::from(first.into()))
        .stderr(Stdio::from(second.into()));
    command
}

pub(crate) const OURS: &str = "LISTEN_PID=$$";

pub(crate) fn tcp_listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a free port")
}

/// Another handle on the socket, for the server; this one stays open, as it would at systemd.
pub(crate) fn second(listener: &TcpListener) -> TcpListener {
    listener.try_clone().expect("a second handle")
}

fn port(listener: &TcpListener) -> u16 {
    listener.local_addr().expect("an address").port()
}

/// What a request for the page is answered with.
fn status(listener: &TcpListener) -> u16 {
    let mut peer = Peer::connect(listener.local_addr().expect("an address"));
    peer.send(get("/"));
    peer.response().status
}

#[test]
fn a_tcp_socket_that_was_passed_on_replaces_the_address() {
    let listener = tcp_listener();
    let server = Server::spawn(with_socket(second(&listener), OURS));
    let url = format!("listening on http://127.0.0.1:{}/", port(&listener));
    assert!(
        server.announcement.ends_with(&url),
        "{}",
        server.announcement
    );
    let mut peers = [server.join(), server.join()];
    peers[0].say("hello");
    for peer in &mut peers {
        peer.expect_frame(TEXT, b"hello");
    }
}

#[test]
fn a_unix_socket_that_was_passed_on_is_served_and_its_file_stays() {
    let folder = Folder::new();
    let path = folder.file("a.sock");
    let listener = UnixListener::bind(&path).expect("a path");
    let mut command = with_socket(listener, OURS);
    command.args(["--admin-addr", "127.0.0.1:0"]);
    let server = Server::spawn(command);
    let url = format!("listening on unix:{}, admin on", path.display());
    assert!(
        server.announcement.contains(&url),
        "{}",
        server.announcement
    );
    let mut peer = Peer::connect_unix(&path).upgraded("/ws");
    peer.say("hello");
    peer.expect_frame(TEXT, b"hello");
    drop(peer);
    end(server);
    assert!(path.exists(), "it is not the server's to remove");
}

#[test]
fn a_socket_with_the_name_of_the_admin_is_the_admins() {
    for names in ["web:admin", "admin:web"] {
        let (first, last) = (tcp_listener(), tcp_listener());
        let command = with_two_sockets(second(&first), second(&last), names);
        let server = Server::spawn(command);
        let (public, admin) = match names.starts_with("web") {
            true => (first, last),
            false => (last, first),
        };
        let urls = format!(
            "listening on http://127.0.0.1:{}/, admin on http://127.0.0.1:{}/",
            port(&public),
            port(&admin)
        );
        assert!(
            server.announcement.ends_with(&urls),
            "{}",
            server.announcement
        );
        assert_eq!((status(&public), status(&admin)), (200, 404));
        end(server);
    }
}

/// The name that a socket unit gives to its sockets.
fn name_in(unit: &'static str) -> &'static str {
    let mut lines = unit.lines();
    let name = lines.find_map(|line| line.strip_prefix("FileDescriptorName="));
    name.expect("the unit names its sockets")
}

#[test]
fn the_sockets_of_the_packages_units_are_what_their_names_say() {
    let names = [
        name_in(include_str!("../../packaging/fanfare.socket")),
        name_in(include_str!("../../packaging/fanfare-admin.socket")),
    ];
    let (public, admin) = (tcp_listener(), tcp_listener());
    let command = with_two_sockets(second(&public), second(&admin), &names.join(":"));
    let server = Server::spawn(command);
    let addr = admin.local_addr().expect("an address");
    assert_eq!(server.admin_addr(), addr);
    assert_eq!(server.addr.port(), port(&public));
    end(server);
}

#[test]
fn a_socket_for_the_admin_alone_leaves_the_address_as_it_is_set() {
    let admin = tcp_listener();
    let variables = format!("{OURS} LISTEN_FDNAMES=admin");
    let mut command = with_socket(second(&admin), &variables);
    // Which the socket replaces.
    command.args(["--admin-addr", "unix:/nowhere/a.sock"]);
    let server = Server::spawn(command);
    let url = format!(", admin on http://127.0.0.1:{}/", port(&admin));
    assert!(
        server.announcement.ends_with(&url),
        "{}",
        server.announcement
    );
    assert_eq!(status(&admin), 404);
    server.join();
}

#[test]
fn sockets_for_another_process_are_left_alone() {
    let listener = tcp_listener();
    let server = Server::spawn(with_socket(second(&listener), "LISTEN_PID=1"));
    assert_ne!(server.addr.port(), port(&listener));
}

#[test]
fn what_cannot_be_listened_on_is_told_in_one_line() {
    let bound = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let connected = TcpStream::connect(tcp_listener().local_addr().expect("an address"));
    let file = std::fs::File::open("/dev/null").expect("it is there");
    for (socket, why) in [
        (
            OwnedFd::from(UdpSocket::bind("127.0.0.1:0").expect("a port")),
            "no stream socket",
        ),
        (
            UnixDatagram::unbound().expect("a socket").into(),
            "no stream socket",
        ),
        (file.into(), "no stream socket"),
        (bound.into(), "does not listen"),
        (connected.expect("it listens").into(), "does not listen"),
    ] {
        let line = assert_fails(with_socket(socket, OURS), 1);
        assert!(line.contains("LISTEN_FDS") && line.contains(why), "{line}");
        assert!(line.contains("ListenStream="), "{line}");
    }
}

#[test]
fn sockets_that_were_announced_and_are_not_there_are_told_in_one_line() {
    let variables = format!("{OURS} LISTEN_FDS=2");
    let line = assert_fails(with_socket(tcp_listener(), &variables), 1);
    assert!(line.contains("socket 2"), "{line}");
    let variables = format!("{OURS} LISTEN_FDS=17");
    let line = assert_fails(with_socket(tcp_listener(), &variables), 1);
    assert!(line.contains("17") && line.contains("at most 16"), "{line}");
}

#[test]
fn a_restart_refuses_nobody() {
    let listener = tcp_listener();
    let ask = |path: &str| {
        let mut peer = Peer::connect(listener.local_addr().expect("an address"));
        peer.send(get(path));
        peer
    };
    let mut old = Server::spawn(with_socket(second(&listener), OURS));
    let _member = old.join();
    assert_eq!(ask("/").response().status, 200);
    old.signal("TERM");
    old.wait_for_log(&["shutting down"]);
    let while_it_goes: Vec<Peer> = (0..20).map(|_| ask("/room/a")).collect();
    old.signal("TERM");
    assert_eq!(old.wait_for_exit().code(), Some(0));
    let while_nobody_is_there: Vec<Peer> = (0..20).map(|_| ask("/room/a")).collect();
    let new = Server::spawn(with_socket(second(&listener), OURS));
    assert_eq!(new.addr, old.addr);
    for mut peer in while_it_goes.into_iter().chain(while_nobody_is_there) {
        assert_eq!(peer.response_without_body().status, 200);
        peer.block();
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_connection_that_nobody_had_taken_at_the_end_is_the_next_processs() {
    let listener = tcp_listener();
    let mut old = Server::spawn(with_socket(second(&listener), OURS));
    old.freeze();
    let mut peer = Peer::connect(listener.local_addr().expect("an address"));
    old.signal("TERM");
    old.signal("CONT");
    assert_eq!(old.wait_for_exit().code(), Some(0));
    let new = Server::spawn(with_socket(second(&listener), OURS));
    peer.send(get("/"));
    assert_eq!(peer.response().status, 200);
    drop(peer);
    end(new);
}

#[test]
fn two_servers_on_one_socket_serve_everybody_while_one_of_them_goes() {
    let listener = tcp_listener();
    let start = || Server::spawn(with_socket(second(&listener), OURS));
    let (mut old, _new) = (start(), start());
    for _ in 0..20 {
        assert_eq!(status(&listener), 200);
    }
    old.signal("TERM");
    old.wait_for_log(&["shutting down"]);
    for _ in 0..20 {
        assert_eq!(status(&listener), 200);
    }
    assert_eq!(old.wait_for_exit().code(), Some(0));
    assert_eq!(status(&listener), 200);
}

// What the manager is told.

/// The service manager's socket.
struct Manager(UnixDatagram);

impl Manager {
    fn new(socket: UnixDatagram) -> Self {
        let patience = Some(PATIENCE);
        socket.set_read_timeout(patience).expect("a timeout");
        Self(socket)
    }

    /// The next thing that it is told.
    fn told(&self) -> String {
        let mut buffer = [0; 4096];
        let len = self.0.recv(&mut buffer).expect("it is told something");
        String::from_utf8_lossy(&buffer[..len]).into_owned()
    }

    /// Forgets what it was told so far.
    fn forget(&self) {
        self.0.set_nonblocking(true).expect("an option");
        while self.0.recv(&mut [0; 4096]).is_ok() {}
        self.0.set_nonblocking(false).expect("an option");
    }

    /// Whether it is told nothing for a while.
    fn is_told_nothing_for(&self, time: Duration) -> bool {
        self.0.set_read_timeout(Some(time)).expect("a timeout");
        let told = self.0.recv(&mut [0; 4096]);
        self.0.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        told.is_err()
    }
}

/// A server that tells this manager, whose watchdog acts after so many microseconds.
fn managed(socket: impl AsRef<OsStr>, watchdog: Option<&str>) -> Server {
    let mut command = on_free_port();
    command.env("NOTIFY_SOCKET", socket);
    if let Some(usec) = watchdog {
        command.env("WATCHDOG_USEC", usec);
    }
    Server::spawn(command)
}

fn manager_at(folder: &Folder) -> (Manager, std::path::PathBuf) {
    let path = folder.file("notify");
    let socket = UnixDatagram::bind(&path).expect("a path");
    (Manager::new(socket), path)
}

fn ready(server: &Server) -> String {
    format!("READY=1\nSTATUS=listening on http://{}/", server.addr)
}

const STOPPING: &str = "STOPPING=1\nSTATUS=closing all connections";

#[test]
fn the_manager_is_told_that_the_server_is_ready_and_that_it_stops() {
    let folder = Folder::new();
    let (manager, path) = manager_at(&folder);
    let mut server = managed(path, None);
    assert_eq!(manager.told(), ready(&server));
    let _member = server.join();
    server.signal("TERM");
    // Before its clients are gone.
    assert_eq!(manager.told(), STOPPING);
    server.signal("TERM");
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn a_manager_with_an_abstract_name_is_told() {
    let name = format!("fanfare-{}", std::process::id());
    let addr = SocketAddr::from_abstract_name(&name).expect("a short name");
    let manager = Manager::new(UnixDatagram::bind_addr(&addr).expect("a new name"));
    let server = managed(format!("@{name}"), None);
    assert_eq!(manager.told(), ready(&server));
    end(server);
    assert_eq!(manager.told(), STOPPING);
}

#[test]
fn the_watchdog_is_told_by_the_loop_as_long_as_it_turns() {
    let folder = Folder::new();
    let (manager, path) = manager_at(&folder);
    let server = managed(path, Some("100000"));
    assert_eq!(manager.told(), ready(&server));
    for _ in 0..5 {
        assert_eq!(manager.told(), "WATCHDOG=1");
    }
    // A loop that hangs, as far as the watchdog can tell.
    server.freeze();
    manager.forget();
    assert!(manager.is_told_nothing_for(Duration::from_millis(500)));
    server.signal("CONT");
    assert_eq!(manager.told(), "WATCHDOG=1");
    end(server);
}

#[test]
fn a_watchdog_without_time_or_for_another_process_is_not_told() {
    let folder = Folder::new();
    let (manager, path) = manager_at(&folder);
    for (usec, pid) in [("0", ""), ("100000", "1")] {
        let mut command = on_free_port();
        command
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", usec);
        if !pid.is_empty() {
            command.env("WATCHDOG_PID", pid);
        }
        let server = Server::spawn(command);
        assert_eq!(manager.told(), ready(&server));
        assert!(manager.is_told_nothing_for(Duration::from_millis(200)));
        end(server);
        assert_eq!(manager.told(), STOPPING);
    }
}

#[test]
fn a_manager_that_is_not_there_is_warned_of_and_nothing_else_happens() {
    for socket in ["/nowhere/notify", "@fanfare-nobody", "vsock:2:1"] {
        let server = managed(socket, Some("100000"));
        server.wait_for_log(&["WARN", "NOTIFY_SOCKET"]);
        server.join();
        end(server);
    }
}
