//! What each kind of request gets for each kind of token, over raw sockets.

use serde_json::json;

use super::{HOST, LISTEN, PUBLISH, bearer, token, unix_seconds};
use crate::common::peer::Response;
use crate::common::rooms::{Listener, OFFER, post_with};
use crate::common::token::{KEY, encode, mint};
use crate::common::wire::{UPGRADE, get, request, text, upgrade_with};
use crate::common::{Peer, Server};

/// How requests with these fields are answered: to listen by events, to ask for their head, to publish, to join either
/// way, to talk to itself. A `101` that may say nothing is given as -101.
fn statuses(server: &Server, query: &str, fields: &[&str]) -> [i32; 6] {
    let with_host = [&[HOST], fields].concat();
    let plain = [&UPGRADE[..], fields].concat();
    let numbered = [&plain[..], &[OFFER]].concat();
    let line = |method: &str, path: &str| format!("{method} {path}{query} HTTP/1.1");
    let path = format!("/room/a{query}");
    [
        request(&line("GET", "/room/a"), &with_host).into_bytes(),
        request(&line("HEAD", "/room/a"), &with_host).into_bytes(),
        post_with(&path, fields, "hello"),
        request(&line("GET", "/ws/a"), &plain).into_bytes(),
        request(&line("GET", "/ws/a"), &numbered).into_bytes(),
        request(&line("GET", "/echo"), &plain).into_bytes(),
    ]
    .map(|bytes| status(server.connect(), &bytes))
}

fn status(mut peer: Peer, bytes: &[u8]) -> i32 {
    peer.send(bytes);
    let response = peer.response_without_body();
    let asks_to_authenticate = response.field("www-authenticate") == Some("Bearer");
    assert_eq!(asks_to_authenticate, response.status == 401, "{response:?}");
    if response.status != 101 {
        return response.status.into();
    }
    peer.say("hello");
    // Whatever comes of it comes behind the control lines.
    loop {
        let frame = peer.frame();
        match frame.first {
            0x88 => {
                assert_eq!(frame.payload, b"\x03\xf0no right to publish here");
                return -101;
            }
            _ if frame.payload.ends_with(b"hello") => return 101,
            _ => {}
        }
    }
}

/// All of it answered alike.
fn all(status: i32) -> [i32; 6] {
    [status; 6]
}

const ALL: [i32; 6] = [200, 200, 200, 101, 101, 101];
const LISTENS: [i32; 6] = [200, 200, 403, -101, -101, 101];
const NOTHING: [i32; 6] = [403, 403, 403, 403, 403, 101];
const NO: [i32; 6] = [401; 6];

#[test]
fn every_kind_of_token_on_every_server() {
    let talker = token(&json!(["a"]), true);
    let listener = token(&json!(["*"]), false);
    let elsewhere = token(&json!(["b", ""]), true);
    let unsigned = format!(
        "{}.{}.",
        encode(r#"{"alg":"none"}"#),
        encode(r#"{"exp":99999999999,"rooms":["*"],"say":true}"#)
    );
    let expired = mint(&json!({"exp": unix_seconds() - 1, "rooms": ["*"], "say": true}));
    let early = mint(&json!({
        "exp": unix_seconds() + 3600, "nbf": unix_seconds() + 3000, "rooms": ["*"], "say": true
    }));
    let publish_flags = ["--publish-token", PUBLISH];
    let listen_flags = ["--listen-token", LISTEN];
    let jwt_flags = ["--jwt-key", KEY];
    // The echo takes no right.
    let none_of_rooms = [401, 401, 401, 401, 401, 101];
    for (flags, tokens) in [
        (
            publish_flags.to_vec(),
            vec![
                ("", [200, 200, 401, -101, -101, 101]),
                (PUBLISH, ALL),
                (LISTEN, NO),
                (&talker, NO),
            ],
        ),
        (
            listen_flags.to_vec(),
            vec![
                ("", [401, 401, 200, 401, 401, 101]),
                (LISTEN, ALL),
                (PUBLISH, NO),
            ],
        ),
        (
            [publish_flags, listen_flags].concat(),
            vec![
                ("", none_of_rooms),
                (PUBLISH, ALL),
                (LISTEN, LISTENS),
                ("wrong", NO),
            ],
        ),
        (
            jwt_flags.to_vec(),
            vec![
                ("", none_of_rooms),
                (&talker, ALL),
                (&listener, LISTENS),
                (&elsewhere, NOTHING),
                (&unsigned, NO),
                (&expired, NO),
                (&early, NO),
                (PUBLISH, NO),
            ],
        ),
        (
            [publish_flags, listen_flags, jwt_flags].concat(),
            vec![
                ("", none_of_rooms),
                (PUBLISH, ALL),
                (LISTEN, LISTENS),
                (&talker, ALL),
                (&listener, LISTENS),
                (&elsewhere, NOTHING),
                (&expired, NO),
            ],
        ),
    ] {
        let server = Server::start(&[&flags[..], &["--echo"]].concat());
        for (token, expected) in tokens {
            let what = format!("{flags:?} {token}");
            if token.is_empty() {
                assert_eq!(statuses(&server, "", &[]), expected, "{what}");
                continue;
            }
            let query = format!("?token={token}");
            assert_eq!(statuses(&server, "", &[&bearer(token)]), expected, "{what}");
            assert_eq!(statuses(&server, &query, &[]), expected, "{what}");
        }
    }
}

#[test]
fn without_tokens_configured_every_token_is_ignored() {
    let server = Server::start(&["--echo"]);
    for (query, fields) in [
        ("", &[][..]),
        ("?token=x", &[]),
        ("?token=%zz", &[]),
        ("", &["Authorization: Bearer x"]),
        ("", &["Authorization: Bearer"]),
        ("", &["Authorization: Basic x", "Authorization: Bearer y"]),
    ] {
        assert_eq!(statuses(&server, query, fields), ALL, "{query} {fields:?}");
    }
}

#[test]
fn the_header_wins_over_the_query_and_its_scheme_has_no_case() {
    let server = Server::start(&[
        "--publish-token",
        PUBLISH,
        "--listen-token",
        LISTEN,
        "--echo",
    ]);
    let good = format!("?token={PUBLISH}");
    for (query, field, expected) in [
        ("", format!("authorization: bearer {PUBLISH}"), ALL),
        ("", format!("AUTHORIZATION: BEARER   {PUBLISH} "), ALL),
        (&*good, bearer("wrong"), NO),
        (&*good, "Authorization: Bearer".to_owned(), NO),
        (&*good, bearer(LISTEN), LISTENS),
        ("?token=wrong", bearer(PUBLISH), ALL),
        ("?token=%zz", bearer(PUBLISH), ALL),
        // What somebody in between asked for.
        (&*good, "Authorization: Basic dXNlcjpwYXNz".to_owned(), ALL),
        (&*good, format!("Authorization: {PUBLISH}"), ALL),
        (&*good, format!("Authorization: Bearer,{PUBLISH}"), ALL),
        ("?token=", "X: y".to_owned(), NO),
        ("?token=%zz", "X: y".to_owned(), all(400)),
        (
            "?token=%70ublish-token-of-the-tests",
            "X: y".to_owned(),
            ALL,
        ),
        (
            "?token=x&token=publish-token-of-the-tests",
            "X: y".to_owned(),
            NO,
        ),
        ("", bearer(&format!("{PUBLISH} {PUBLISH}")), NO),
        ("", bearer(&format!("{PUBLISH}\u{e4}")), NO),
    ] {
        assert_eq!(
            statuses(&server, query, &[&field]),
            expected,
            "{query} {field}"
        );
    }
    let twice = [&*bearer(PUBLISH), &*bearer(PUBLISH)];
    assert_eq!(statuses(&server, "", &twice), NO);
}

#[test]
fn a_token_says_for_which_room_it_is() {
    let server = Server::start(&["--jwt-key", KEY]);
    let may = |rooms: &serde_json::Value, path: &str| {
        let fields = [HOST, &bearer(&token(rooms, true))];
        let mut peer = server.connect();
        peer.send(request(&format!("HEAD {path} HTTP/1.1"), &fields));
        match peer.response_without_body().status {
            200 => true,
            403 => false,
            status => unreachable!("{status}"),
        }
    };
    for path in ["/room", "/room/a", "/room/b"] {
        assert!(may(&json!(["*"]), path), "{path}");
        assert!(!may(&json!([]), path), "{path}");
        assert_eq!(may(&json!([""]), path), path == "/room", "{path}");
        assert_eq!(may(&json!(["a"]), path), path == "/room/a", "{path}");
        assert_eq!(may(&json!(["a", ""]), path), path != "/room/b", "{path}");
    }
}

#[test]
fn a_long_token_is_a_bad_one_and_a_longer_one_makes_a_long_head() {
    let longest = "t".repeat(4096);
    let server = Server::start(&["--listen-token", &longest]);
    let status = |field: &str| {
        let mut peer = server.connect();
        peer.send(request("GET /room HTTP/1.1", &[HOST, field]));
        peer.response_without_body().status
    };
    assert_eq!(status(&bearer(&longest)), 200);
    assert_eq!(status(&bearer(&format!("{longest}t"))), 401);
    assert_eq!(status(&bearer(&"t".repeat(8000))), 401);
    assert_eq!(status(&bearer(&"t".repeat(8 * 1024))), 431);
}

#[test]
fn a_listener_that_says_something_is_closed_and_nobody_hears_it() {
    let server = Server::start(&["--publish-token", PUBLISH]);
    let mut listener = server.listen_v1("/ws/a");
    listener.expect_fresh();
    for said in [
        text("hello"),
        text(" "),
        crate::common::wire::frame(0x82, b"x"),
    ] {
        let mut silent = Listener::v1(server.connect(), "/ws/a");
        silent.expect_fresh();
        // Only that ends it.
        silent.peer.send(crate::common::wire::frame(0x89, b"ping"));
        silent.peer.expect_frame(0x8a, b"ping");
        silent.peer.send(said);
        assert_eq!(silent.peer.expect_close(1008), "no right to publish here");
    }
    let mut peer = server.connect();
    peer.send(post_with("/room/a", &[&bearer(PUBLISH)], "first"));
    let id = peer.expect_id();
    assert_eq!(id.seq, 1);
    assert_eq!(listener.line(), format!("{id} first"));
}

#[test]
fn a_refused_publication_publishes_nothing_whatever_its_body() {
    let server = Server::start(&["--publish-token", PUBLISH]);
    server.expect_error(post_with("/room/a", &[], "hello"), 401);
    server.expect_error(post_with("/room/a", &[&bearer("x")], "hello"), 401);
    // It is known before any look at the body.
    let expects = ["Expect: 100-continue", HOST, "Content-Length: 5"];
    server.expect_error(request("POST /room/a HTTP/1.1", &expects), 401);
    let huge = [HOST, "Content-Length: 999999999"];
    server.expect_error(request("POST /room/a HTTP/1.1", &huge), 401);
    let mut peer = server.connect();
    peer.send(post_with("/room/a", &[&bearer(PUBLISH)], "hello"));
    assert_eq!(peer.expect_id().seq, 1);
}

#[test]
fn one_that_asks_why_without_an_upgrade_is_told() {
    let server = Server::start(&["--jwt-key", KEY, "--allow-origin", "https://*.one.example"]);
    let ask = |query: &str| -> Response {
        server.ask(request(
            &format!("GET /ws/a{query} HTTP/1.1"),
            &[HOST, "Origin: https://a.one.example"],
        ))
    };
    let expired = mint(&json!({"exp": 1, "rooms": ["*"]}));
    let early = mint(&json!({"exp": 1_u64 << 40, "nbf": 1_u64 << 39}));
    for (query, status, words) in [
        (String::new(), 401, "this takes a token"),
        ("?token=x".to_owned(), 401, "the token is not valid"),
        (format!("?token={expired}"), 401, "the token has expired"),
        (format!("?token={early}"), 401, "the token is not valid yet"),
        (
            format!("?token={}", token(&json!(["b"]), true)),
            403,
            "the token does not allow this",
        ),
        (
            format!("?token={}", token(&json!(["a"]), false)),
            426,
            "this is a WebSocket: the Upgrade header must say websocket",
        ),
    ] {
        let response = ask(&query);
        assert_eq!(response.status, status, "{response:?}");
        assert_eq!(
            String::from_utf8_lossy(&response.body),
            format!("{words}\n")
        );
        let allowed = response.field("access-control-allow-origin");
        assert_eq!(allowed, Some("https://a.one.example"));
    }
}

#[test]
fn pages_of_listed_origins_may_read_why_they_are_refused() {
    let server = Server::start(&["--jwt-key", KEY, "--allow-origin", "https://*.one.example"]);
    let origin = "https://a.b.one.example";
    let fields = [HOST, &format!("Origin: {origin}")];
    let elsewhere = bearer(&token(&json!(["b"]), true));
    for (line, field, status) in [
        ("GET /room/a HTTP/1.1", "X: y", 401),
        ("HEAD /room/a HTTP/1.1", "X: y", 401),
        ("POST /room/a HTTP/1.1", "Content-Length: 0", 401),
        ("GET /room/a HTTP/1.1", &*elsewhere, 403),
        ("POST /room/a HTTP/1.1", &*elsewhere, 403),
        // A preflight has no token to show.
        (
            "OPTIONS /room/a HTTP/1.1",
            "Access-Control-Request-Method: POST",
            204,
        ),
    ] {
        let mut peer = server.connect();
        peer.send(request(line, &[&fields[..], &[field]].concat()));
        let response = peer.response_without_body();
        assert_eq!(response.status, status, "{line} {response:?}");
        let allowed = response.field("access-control-allow-origin");
        assert_eq!(allowed, Some(origin), "{line}");
        assert_eq!(response.field("vary"), Some("Origin"), "{line}");
    }
}

#[test]
fn a_page_of_a_foreign_origin_is_refused_for_it_before_its_token_is_looked_at() {
    let server = Server::start(&["--jwt-key", KEY, "--allow-origin", "https://*.one.example"]);
    for origin in [
        "https://one.example",
        "https://evilone.example",
        "http://a.one.example",
    ] {
        let origin = format!("Origin: {origin}");
        for field in ["X: y".to_owned(), bearer(&token(&json!(["*"]), true))] {
            let response = server.ask(request("GET /room/a HTTP/1.1", &[HOST, &origin, &field]));
            assert_eq!(response.status, 403);
            assert!(response.body.starts_with(b"this origin"), "{response:?}");
        }
    }
}

#[test]
fn the_page_is_for_everybody() {
    let server = Server::start(&["--publish-token", PUBLISH, "--listen-token", LISTEN]);
    for path in ["/", "/fanfare.js", "/limits.json"] {
        for field in ["X: y", "Authorization: Bearer wrong"] {
            let response = server.ask(request(&format!("GET {path} HTTP/1.1"), &[HOST, field]));
            assert_eq!(response.status, 200, "{path}");
        }
    }
    server.expect_error(get("/nothing"), 404);
    server.expect_error(request("PUT /room HTTP/1.1", &[HOST]), 405);
    server.expect_error(upgrade_with(&["Sec-WebSocket-Version: 8"]), 401);
}
