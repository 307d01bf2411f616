//! The client's address as a proxy tells it, with raw sockets: what counts, from whom, and what a hostile one can do.

use std::net::Ipv4Addr;

use crate::common::wire::{get, request};
use crate::common::{Peer, Server};

const HEADER: &str = "PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n";

/// A client of the server on another address than the one that is trusted.
fn stranger(server: &Server) -> Peer {
    Peer::connect_from(Ipv4Addr::new(127, 0, 0, 9).into(), server.addr)
}

/// Asks for something and goes: the log has the line of its end.
pub(crate) fn ask(mut peer: Peer, fields: &[&str]) {
    let fields = [&["Host: chat.example", "Connection: close"], fields].concat();
    peer.send(request("GET /limits.json HTTP/1.1", &fields));
    assert_eq!(peer.response().status, 200);
    peer.expect_end();
}

/// Lines of the log about connections that were closed, once the server has ended.
pub(crate) fn closed(mut server: Server) -> Vec<String> {
    server.signal("TERM");
    assert!(server.wait_for_exit().success());
    let mut log = server.output().1;
    log.retain(|line| line.contains("connection closed"));
    log
}

#[test]
fn a_trusted_proxy_names_the_client_and_a_stranger_does_not() {
    let server = Server::start(&["--trusted-proxy", "10.0.0.0/8, 127.0.0.1"]);
    ask(
        server.connect(),
        &["X-Forwarded-For: 203.0.113.7, 10.0.0.1"],
    );
    ask(server.connect(), &["Forwarded: for=\"[2001:db8::7]:4711\""]);
    ask(stranger(&server), &["X-Forwarded-For: 203.0.113.8"]);
    ask(stranger(&server), &["Forwarded: for=203.0.113.8"]);
    let log = closed(server);
    let expected = [
        "203.0.113.7 ",
        "[2001:db8::7]:4711 ",
        "127.0.0.9:",
        "127.0.0.9:",
    ];
    assert_eq!(log.len(), expected.len(), "{log:#?}");
    for (line, peer) in log.iter().zip(expected) {
        assert!(line.contains(&format!("peer={peer}")), "{line}");
    }
}

#[test]
fn nothing_but_addresses_gets_into_the_log() {
    let server = Server::start(&["--trusted-proxy", "127.0.0.1"]);
    for value in [
        "evil\\x1b[31m",
        "203.0.113.7 evil",
        "\"evil\"",
        "_evil",
        "evil, evil",
    ] {
        ask(server.connect(), &[&format!("X-Forwarded-For: {value}")]);
        ask(server.connect(), &[&format!("Forwarded: for={value}")]);
    }
    let log = closed(server);
    assert_eq!(log.len(), 10);
    for line in log {
        assert!(
            line.contains("peer=127.0.0.1:") && !line.contains("evil"),
            "{line}"
        );
    }
}

#[test]
fn as_many_lines_as_a_head_may_have_are_walked_in_bounded_steps() {
    let server = Server::start(&["--trusted-proxy", "127.0.0.0/8"]);
    let lines = ["X-Forwarded-For: 203.0.113.7"; 98];
    ask(server.connect(), &lines);
    let hops = vec!["X-Forwarded-For: 127.0.0.3"; 97];
    ask(
        server.connect(),
        &[&["X-Forwarded-For: 203.0.113.9"], &hops[..]].concat(),
    );
    let mut peer = server.connect();
    let lines = [&["Host: a"], &["X-Forwarded-For: 203.0.113.7"; 100][..]].concat();
    peer.send(request("GET / HTTP/1.1", &lines));
    peer.expect_refusal(431);
    drop(peer);
    let log = closed(server);
    for (line, peer) in log.iter().zip(["203.0.113.7", "127.0.0.3", "127.0.0.1:"]) {
        assert!(line.contains(&format!("peer={peer}")), "{line}");
    }
    assert_eq!(log.len(), 3);
}

#[test]
fn a_proxy_header_names_the_client_in_both_versions() {
    let server = Server::start(&["--proxy-protocol"]);
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x08\xc0\0\x02\x01\x12\x67\0\x50";
    for header in [HEADER.as_bytes(), v2] {
        let mut peer = server.connect();
        peer.send_byte_by_byte(header);
        ask(peer, &["X-Forwarded-For: 203.0.113.99"]);
    }
    let log = closed(server);
    assert!(log[0].contains("peer=203.0.113.7:4711 "), "{log:#?}");
    assert!(log[1].contains("peer=203.0.113.8:4711 "), "{log:#?}");
}

#[test]
fn what_is_no_proxy_header_is_closed_without_an_answer() {
    let server = Server::start(&["--proxy-protocol"]);
    let long = format!("PROXY UNKNOWN {}", "x".repeat(94));
    for bytes in [
        get("/").as_bytes(),
        long.as_bytes(),
        b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 65536\r\n",
        // A length of 65,535, which is refused before a byte of it has come.
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
    ] {
        let mut peer = server.connect();
        peer.send(bytes);
        peer.expect_end();
    }
    let mut peer = server.connect();
    peer.send(HEADER);
    ask(peer, &[]);
    let log = closed(server);
    let is_bad = |line: &&String| line.contains("INFO") && line.contains("proxy_header");
    assert_eq!(log.iter().filter(is_bad).count(), 4, "{log:#?}");
}

#[test]
fn a_proxy_header_that_is_never_finished_ends_at_the_request_timeout() {
    let server = Server::start(&["--proxy-protocol", "--request-timeout", "300ms"]);
    let mut silent = server.connect();
    let mut slow = server.connect();
    slow.send_byte_by_byte("PROXY TCP4 203.0.113.7");
    slow.expect_end();
    silent.expect_end();
    let mut begun = server.connect();
    begun.send(HEADER);
    begun.send("GET / HTTP/1.1\r\n");
    begun.expect_refusal(408);
}

#[test]
fn a_proxy_header_counts_only_from_a_trusted_proxy_where_there_is_one() {
    let server = Server::start(&["--proxy-protocol", "--trusted-proxy", "127.0.0.1"]);
    stranger(&server).wait_until_gone();
    server.wait_for_log(&["turned away", "--trusted-proxy", "peer=127.0.0.9:"]);
    let mut peer = server.connect();
    peer.send(HEADER);
    ask(peer, &["X-Forwarded-For: 203.0.113.99"]);
    let mut inner = server.connect();
    inner.send("PROXY TCP4 127.0.0.1 192.0.2.1 4711 80\r\n");
    ask(inner, &["X-Forwarded-For: 203.0.113.99"]);
    let log = closed(server);
    assert!(log[0].contains("peer=203.0.113.7:4711 "), "{log:#?}");
    assert!(log[1].contains("peer=203.0.113.99 "), "{log:#?}");
}
