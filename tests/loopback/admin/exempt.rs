//! Probes and those who operate the server ask by whatever name they have for it; a proxy on a Unix socket tells the
//! client's address.

use crate::common::folder::Folder;
use crate::common::wire::request;
use crate::common::{Peer, Server};
use crate::forwarded::{ask, closed};
use crate::listeners::{unix, with_admin};

#[test]
fn hosts_that_are_not_served_may_be_asked_for_health_and_for_all_by_the_admin() {
    let server = with_admin(&["--allow-host", "chat.example"]);
    let status = |mut peer: Peer, path: &str, host: &str| {
        let host = format!("Host: {host}");
        peer.send(request(&format!("GET {path} HTTP/1.1"), &[&host]));
        peer.response().status
    };
    for (path, public, admin) in [
        ("/healthz", 200, 200),
        ("/readyz", 200, 200),
        ("/metrics", 421, 200),
        ("/", 421, 404),
        ("/limits.json", 421, 404),
    ] {
        for host in ["evil.example", "10.0.0.1:8080", ""] {
            assert_eq!(status(server.connect(), path, host), public, "{host}{path}");
            let admin_status = status(server.connect_admin(), path, host);
            assert_eq!(admin_status, admin, "{host}{path}");
        }
    }
    assert_eq!(status(server.connect(), "/metrics", "chat.example"), 404);
}

#[test]
fn a_proxy_on_a_unix_socket_names_the_client_where_it_is_trusted() {
    let folder = Folder::new();
    let path = folder.file("a.sock");
    let addr = unix(&path);
    for (flags, field, expected) in [
        (
            &["--trusted-proxy", "unix"][..],
            "X-Forwarded-For: 203.0.113.7",
            "peer=203.0.113.7 ",
        ),
        (
            &["--trusted-proxy", "unix,10.0.0.0/8"],
            "X-Forwarded-For: 198.51.100.1, 203.0.113.7, 10.0.0.1",
            "peer=203.0.113.7 ",
        ),
        (
            &["--trusted-proxy", "unix"],
            "Forwarded: for=\"[2001:db8::7]:4711\"",
            "peer=[2001:db8::7]:4711 ",
        ),
        (&["--trusted-proxy", "unix"], "X: y", "peer=unix "),
        (
            &["--trusted-proxy", "127.0.0.1"],
            "X-Forwarded-For: 203.0.113.7",
            "peer=unix ",
        ),
        (&[], "X-Forwarded-For: 203.0.113.7", "peer=unix "),
    ] {
        let server = Server::start(&[&["--addr", &addr], flags].concat());
        ask(Peer::connect_unix(&path), &[field]);
        // Trust in Unix sockets is none in addresses.
        ask(server.connect(), &["X-Forwarded-For: 203.0.113.8"]);
        let log = closed(server);
        assert_eq!(log.len(), 2, "{log:#?}");
        assert!(log[0].contains(expected), "{flags:?} {field}: {log:#?}");
        let is_trusted = flags.contains(&"127.0.0.1");
        assert_eq!(log[1].contains("peer=203.0.113.8 "), is_trusted, "{log:#?}");
    }
}

#[test]
fn the_limit_per_address_holds_for_clients_behind_a_unix_socket() {
    let folder = Folder::new();
    let path = folder.file("a.sock");
    let addr = unix(&path);
    let flags = ["--addr", &addr, "--trusted-proxy", "unix"];
    let _server = Server::start(&[&flags[..], &["--max-clients-per-ip", "1"]].concat());
    let join = |client: &str| {
        let field = format!("X-Forwarded-For: {client}");
        let mut peer = Peer::connect_unix(&path);
        peer.send(crate::common::wire::upgrade_with(&[&field]));
        peer
    };
    let (mut one, mut other) = (join("203.0.113.7"), join("203.0.113.8"));
    one.expect_upgrade();
    other.expect_upgrade();
    join("203.0.113.7").expect_refusal(503);
}
