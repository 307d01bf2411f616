//! The hosts that requests may be for.

use crate::common::Server;
use crate::common::wire::{request, upgrade_with};

fn status(server: &Server, line: &str, fields: &[&str]) -> u16 {
    let mut peer = server.connect();
    peer.send(request(line, fields));
    peer.response_without_body().status
}

#[test]
fn requests_for_other_hosts_are_misdirected_whatever_they_ask_for() {
    let flags = [
        "--allow-host",
        "chat.example,[::1]",
        "--allow-host",
        "127.0.0.1:8080",
        "--echo",
    ];
    let server = Server::start(&flags);
    for (host, is_served) in [
        ("chat.example", true),
        ("CHAT.example:1234", true),
        ("[0::1]:99", true),
        ("127.0.0.1:8080", true),
        ("127.0.0.1", false),
        ("127.0.0.1:8081", false),
        ("localhost", false),
        ("evil.example", false),
        ("chat.example.evil.example", false),
        ("", false),
    ] {
        let field = format!("Host: {host}");
        for (line, served) in [
            ("GET / HTTP/1.1", 200),
            ("GET /fanfare.js HTTP/1.1", 200),
            ("GET /limits.json HTTP/1.1", 200),
            ("GET /nothing HTTP/1.1", 404),
            ("GET /room/a HTTP/1.1", 200),
            ("HEAD /room/a HTTP/1.1", 200),
            ("POST /room/a HTTP/1.1", 400),
            ("OPTIONS /room/a HTTP/1.1", 204),
            ("OPTIONS * HTTP/1.1", 204),
            ("GET /ws/a HTTP/1.1", 426),
            ("GET /echo HTTP/1.1", 426),
        ] {
            let expected = if is_served { served } else { 421 };
            assert_eq!(status(&server, line, &[&field]), expected, "{host} {line}");
        }
        let mut peer = server.connect();
        peer.send(upgrade_with(&["Host:", &field]));
        let expected = if is_served { 101 } else { 421 };
        assert_eq!(peer.response_without_body().status, expected, "{host}");
    }
}

#[test]
fn the_host_of_the_target_counts_where_it_has_one() {
    let server = Server::start(&["--allow-host", "chat.example"]);
    for (target, host, expected) in [
        ("http://chat.example/", "evil.example", 200),
        ("http://chat.example:81/", "evil.example", 200),
        ("http://evil.example/", "chat.example", 421),
    ] {
        let field = format!("Host: {host}");
        let line = format!("GET {target} HTTP/1.1");
        assert_eq!(status(&server, &line, &[&field]), expected, "{target}");
    }
    assert_eq!(status(&server, "GET / HTTP/1.0", &[]), 421);
}

#[test]
fn a_misdirected_request_is_told_so_in_words_that_a_listed_page_may_read() {
    let flags = [
        "--allow-host",
        "chat.example",
        "--allow-origin",
        "https://one.example",
    ];
    let server = Server::start(&flags);
    let fields = ["Host: evil.example", "Origin: https://one.example"];
    let response = server.expect_error(request("GET /room/a HTTP/1.1", &fields), 421);
    assert_eq!(
        response.body,
        b"this host is not served here (--allow-host)\n"
    );
    let allowed = response.field("access-control-allow-origin");
    assert_eq!(allowed, Some("https://one.example"));
}

#[test]
fn without_hosts_named_every_host_is_served() {
    let server = Server::start(&[]);
    for host in ["Host: evil.example", "Host: ", "Host: [::1]"] {
        assert_eq!(status(&server, "GET / HTTP/1.1", &[host]), 200, "{host}");
    }
}
