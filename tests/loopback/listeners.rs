//! Where the server listens: several addresses, Unix sockets, the admin address.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::thread::{self, ScopedJoinHandle};

use fanfare::config::{ADMIN_CLIENTS_MAX, REFUSED_CLIENTS_MAX, UNIX_PATH_MAX};

use crate::clients::curl;
use crate::common::folder::Folder;
use crate::common::rooms::has_curl;
use crate::common::wire::{TEXT, get, upgrade};
use crate::common::{Peer, Server, assert_fails, eventually, fanfare};
use crate::lifecycle::on_free_port;

/// The address of a path.
pub(crate) fn unix(path: &Path) -> String {
    format!("unix:{}", path.display())
}

/// A server at a path, and on a free port.
fn at(path: &Path, flags: &[&str]) -> Server {
    Server::start(&[&["--addr", &unix(path)], flags].concat())
}

/// The program told to listen at a path.
fn program_at(path: &Path) -> Command {
    let mut command = fanfare();
    command.args(["--addr", &unix(path)]);
    command
}

/// Each hears what the others say.
fn assert_one_room(peers: &mut [Peer]) {
    for speaker in 0..peers.len() {
        let line = format!("from {speaker}");
        peers[speaker].say(&line);
        for peer in &mut *peers {
            peer.expect_frame(TEXT, line.as_bytes());
        }
    }
}

/// Ends a server, which must not fail.
pub(crate) fn end(mut server: Server) {
    server.signal("TERM");
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

// Several addresses.

#[test]
fn all_addresses_serve_the_same_rooms_and_are_announced() {
    let folder = Folder::new();
    let path = folder.file("a.sock");
    let server = at(&path, &["--addr", "127.0.0.1:0"]);
    let urls: Vec<&str> = server
        .announcement
        .split(" listening on ")
        .nth(1)
        .expect(&server.announcement)
        .split(" and ")
        .collect();
    assert_eq!(urls.len(), 3, "{urls:?}");
    assert_eq!(urls[1], unix(&path));
    let port = |url: &str| {
        let addr = url
            .strip_prefix("http://")
            .and_then(|it| it.strip_suffix('/'));
        addr.and_then(|addr| addr.parse().ok()).expect("an address")
    };
    assert_one_room(&mut [
        Peer::connect(port(urls[0])).upgraded("/ws/a"),
        Peer::connect(port(urls[2])).upgraded("/ws/a"),
        Peer::connect_unix(&path).upgraded("/ws/a"),
    ]);
}

#[test]
fn the_environment_lists_addresses_with_commas() {
    let folder = Folder::new();
    let path = folder.file("a.sock");
    let mut command = fanfare();
    command.env("FANFARE_ADDR", format!("127.0.0.1:0, {}", unix(&path)));
    let server = Server::spawn(command);
    assert_one_room(&mut [server.join(), Peer::connect_unix(&path).upgraded("/ws")]);
}

#[test]
fn one_address_that_cannot_be_had_is_enough_to_end_with_a_line() {
    let folder = Folder::new();
    let path = folder.file("a.sock");
    let server = Server::start(&[]);
    let mut command = program_at(&path);
    command.args(["--addr", &server.addr.to_string()]);
    let line = assert_fails(command, 1);
    assert!(line.contains(&server.addr.to_string()), "{line}");
    assert!(!path.exists(), "what was bound before is left behind");
}

#[test]
fn more_addresses_than_can_be_listened_on_are_refused() {
    let many = |count| ["127.0.0.1:0"].repeat(count).join(",");
    let mut command = fanfare();
    command.args(["--addr", &many(15), "--admin-addr", "127.0.0.1:0"]);
    assert!(Server::spawn(command).announcement.contains("admin on"));
    let mut command = fanfare();
    command.args(["--addr", &many(16), "--admin-addr", "127.0.0.1:0"]);
    let line = assert_fails(command, 1);
    assert!(
        line.contains("17 sockets are too many, at most 16"),
        "{line}"
    );
}

// Unix sockets.

#[test]
fn curl_publishes_and_reads_over_a_unix_socket() {
    if !has_curl() {
        return;
    }
    let folder = Folder::new();
    let path = folder.file("a.sock");
    let server = at(&path, &[]);
    let socket = path.to_str().expect("a path that was made up");
    let over = |arguments: &[&str]| curl(&[&["--unix-socket", socket], arguments].concat());
    let published = over(&["-d", "hello", "http://localhost/room/a"]);
    let mut listener = server.connect();
    listener.send(get("/room/a?last=1"));
    assert_eq!(listener.response_without_body().status, 200);
    listener.block();
    let expected = [
        format!("id: {}", published.concat()),
        "data: hello".to_owned(),
    ];
    assert_eq!(listener.block(), expected);
    let page = over(&["http://localhost/"]);
    assert!(page.iter().any(|line| line.contains("<html")), "{page:?}");
}

#[test]
fn a_reader_over_a_unix_socket_that_is_slow_gets_everything() {
    const LEN: usize = 128 * 1024;
    const COUNT: usize = 30;
    let folder = Folder::new();
    let path = folder.file("a.sock");
    let server = at(&path, &["--max-message", "256KiB"]);
    let mut slow = Peer::connect_unix(&path).upgraded("/ws?coalesce=0");
    let mut speaker = Peer::connect_unix(&path).upgraded("/ws");
    let line = |number: usize| format!("{number} {}", "x".repeat(LEN));
    for number in 0..COUNT {
        speaker.say(&line(number));
        assert_eq!(speaker.hear(), line(number));
    }
    for number in 0..COUNT {
        slow.expect_frame(TEXT, line(number).as_bytes());
    }
    drop((slow, speaker));
    end(server);
}

#[test]
fn peers_over_a_unix_socket_have_no_address_and_no_limit_by_address() {
    let folder = Folder::new();
    let path = folder.file("a.sock");
    let server = at(&path, &["--max-clients-per-ip", "1"]);
    let join = || Peer::connect_unix(&path).upgraded("/ws");
    let mut all = [join(), join(), server.join()];
    assert_one_room(&mut all);
    server.expect_no_seat();
    drop(all);
    server.wait_for_log(&["peer=unix"]);
}

#[test]
fn the_file_of_a_socket_has_the_mode_of_the_settings() {
    let folder = Folder::new();
    for (flags, mode) in [
        (&[][..], 0o660),
        (&["--unix-mode", "600"], 0o600),
        (&["--unix-mode", "0777"], 0o777),
    ] {
        let path = folder.file("a.sock");
        let server = at(&path, flags);
        let metadata = fs::metadata(&path).expect("it is there");
        assert!(metadata.file_type().is_socket());
        assert_eq!(metadata.permissions().mode() & 0o7777, mode);
        end(server);
        assert!(!path.exists(), "the file is left behind");
    }
}

#[test]
fn a_mode_that_is_none_is_refused() {
    for mode in ["rw", "888", "1777", ""] {
        let mut command = on_free_port();
        command.args(["--unix-mode", mode]);
        let line = assert_fails(command, 2);
        assert!(line.contains("--unix-mode"), "{line}");
    }
}

#[test]
fn the_file_of_a_server_that_was_killed_is_taken_over() {
    let folder = Folder::new();
    let path = folder.file("a.sock");
    let mut killed = at(&path, &[]);
    killed.signal("KILL");
    killed.wait_for_exit();
    assert!(path.exists(), "nobody could remove it");
    let _server = at(&path, &[]);
    Peer::connect_unix(&path).upgraded("/ws");
}

#[test]
fn a_path_that_a_running_server_has_is_in_use() {
    let folder = Folder::new();
    let path = folder.file("a.sock");
    let server = at(&path, &[]);
    let line = assert_fails(program_at(&path), 1);
    assert!(
        line.contains(&unix(&path)) && line.contains("--addr"),
        "{line}"
    );
    assert!(line.contains("stop the program"), "{line}");
    Peer::connect_unix(&path).upgraded("/ws");
    end(server);
}

#[test]
fn a_path_whose_backlog_is_full_is_in_use() {
    let folder = Folder::new();
    let path = folder.file("a.sock");
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None);
    let socket = socket.expect("a socket");
    let addr = socket2::SockAddr::unix(&path).expect("a path");
    socket.bind(&addr).expect("a path");
    socket.listen(0).expect("it is bound");
    let _waiting = std::os::unix::net::UnixStream::connect(&path).expect("one has a place");
    let line = assert_fails(program_at(&path), 1);
    assert!(line.contains("stop the program"), "{line}");
    assert!(path.exists());
}

#[test]
fn what_is_no_socket_stays_where_it_is() {
    let folder = Folder::new();
    let path = folder.file("a.sock");
    fs::write(&path, "precious").expect("a file");
    let line = assert_fails(program_at(&path), 1);
    assert!(line.contains("no socket"), "{line}");
    assert_eq!(fs::read(&path).expect("it is there"), b"precious");
}

#[test]
fn a_path_in_no_directory_is_told_in_one_line() {
    let folder = Folder::new();
    let line = assert_fails(program_at(&folder.file("nowhere/a.sock")), 1);
    assert!(line.contains("make its directory"), "{line}");
    fs::write(folder.file("file"), "").expect("a file");
    let line = assert_fails(program_at(&folder.file("file/a.sock")), 1);
    assert!(line.contains("choose another path"), "{line}");
}

#[test]
fn the_longest_path_is_listened_on_and_a_longer_one_is_told_the_bound() {
    let folder = Folder::new();
    let room = UNIX_PATH_MAX - folder.path().as_os_str().len() - 1;
    let longest = folder.file(&"x".repeat(room));
    let _server = at(&longest, &[]);
    // The standard library's bound is the same.
    Peer::connect_unix(&longest).upgraded("/ws");
    let line = assert_fails(program_at(&folder.file(&"x".repeat(room + 1))), 2);
    assert!(
        line.contains(&format!("at most {UNIX_PATH_MAX} bytes")),
        "{line}"
    );
}

#[test]
fn the_file_of_another_socket_in_the_same_place_is_not_removed() {
    let folder = Folder::new();
    let path = folder.file("a.sock");
    let server = at(&path, &[]);
    fs::remove_file(&path).expect("it is there");
    let _other = UnixListener::bind(&path).expect("the place is free");
    let inode = || fs::metadata(&path).map(|metadata| metadata.ino()).ok();
    let before = inode();
    end(server);
    assert!(before.is_some());
    assert_eq!(inode(), before);
}

// The admin address.

/// A server with an admin address.
pub(crate) fn with_admin(flags: &[&str]) -> Server {
    Server::start(&[&["--admin-addr", "127.0.0.1:0"], flags].concat())
}

/// What a request for the page is answered with there.
fn admin_status(mut peer: Peer) -> u16 {
    peer.send(get("/"));
    peer.response().status
}

#[test]
fn nothing_public_is_served_on_the_admin_address() {
    let server = with_admin(&["--echo"]);
    for request in [
        get("/"),
        get("/fanfare.js"),
        get("/limits.json"),
        get("/room/a"),
        upgrade("/ws"),
        upgrade("/echo"),
    ] {
        let mut peer = server.connect_admin();
        peer.send(&request);
        assert_eq!(peer.response().status, 404, "{request}");
        let mut peer = server.connect();
        peer.send(&request);
        assert_ne!(peer.response_without_body().status, 404, "{request}");
    }
    let mut peer = server.connect_admin();
    peer.send("POST /room/a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(peer.response().status, 404);
}

#[test]
fn the_admin_is_served_when_every_seat_is_taken_and_the_backlog_is_flooded() {
    let server = with_admin(&["--max-clients", "1"]);
    let mut member = server.join();
    // All but the first ones wait in the backlog.
    let flood: Vec<Peer> = (0..REFUSED_CLIENTS_MAX + 300)
        .map(|_| server.connect())
        .collect();
    for _ in 0..3 {
        assert_eq!(admin_status(server.connect_admin()), 404);
    }
    member.say("hello");
    member.expect_frame(TEXT, b"hello");
    drop(flood);
}

#[test]
fn the_admin_is_served_while_connections_pour_in() {
    let server = with_admin(&["--max-clients", "100"]);
    thread::scope(|scope| {
        let pouring: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let mut peer = server.connect();
                        // It may be refused, or turned away, before this is said.
                        peer.try_send(get("/").as_bytes());
                    }
                })
            })
            .collect();
        let mut served = 0;
        while !pouring.iter().all(ScopedJoinHandle::is_finished) || served == 0 {
            assert_eq!(admin_status(server.connect_admin()), 404);
            served += 1;
        }
    });
}

#[test]
fn the_admin_has_so_many_seats_and_gets_them_back() {
    let server = with_admin(&["--max-clients-per-ip", "1"]);
    let connect = || server.connect_admin();
    let mut crowd: Vec<Peer> = (0..ADMIN_CLIENTS_MAX).map(|_| connect()).collect();
    for peer in &mut crowd {
        peer.send(get("/"));
        assert_eq!(peer.response().status, 404);
    }
    let mut refused = connect();
    refused.send(get("/"));
    refused.expect_refusal(503);
    drop((crowd, refused));
    eventually("a seat is free", || {
        let mut peer = connect();
        peer.try_send(get("/").as_bytes());
        (peer.response().status == 404).then_some(())
    });
    server.join();
}

#[test]
fn the_admin_listener_stays_open_while_the_server_goes_away() {
    let folder = Folder::new();
    let path = folder.file("admin.sock");
    let mut server = Server::start(&["--admin-addr", &unix(&path), "--drain", "1h"]);
    assert!(
        server
            .announcement
            .ends_with(&format!(", admin on {}", unix(&path)))
    );
    let _members = [server.join(), server.join()];
    let mut early = Peer::connect_unix(&path);
    server.signal("TERM");
    server.wait_for_log(&["shutting down"]);
    eventually("the public listener is closed", || {
        std::net::TcpStream::connect(server.addr)
            .is_err()
            .then_some(())
    });
    assert_eq!(admin_status(Peer::connect_unix(&path)), 404);
    early.send(get("/"));
    assert_eq!(early.response().status, 404);
    // An admin that stays holds up nothing.
    server.signal("TERM");
    assert_eq!(server.wait_for_exit().code(), Some(0));
    assert!(!path.exists());
}

#[test]
fn an_admin_address_that_cannot_be_had_is_told_with_its_flag() {
    let server = Server::start(&[]);
    let mut command = on_free_port();
    command.args(["--admin-addr", &server.addr.to_string()]);
    let line = assert_fails(command, 1);
    assert!(line.contains("--admin-addr"), "{line}");
    let mut command = on_free_port();
    command.args(["--admin-addr", "nowhere"]);
    let line = assert_fails(command, 2);
    assert!(line.contains("--admin-addr"), "{line}");
}
