//! Statuses of the rooms' requests: methods, upgrades, too many messages, no seat. A reader of
//! events that is to come back is never answered with an error.

use crate::common::peer::{Response, assert_one_plain_line};
use crate::common::rooms::{post, post_with, upgrade_v1};
use crate::common::wire::{get, request, upgrade, upgrade_with};
use crate::common::{Peer, Server};

const HOST: &str = "Host: chat.example";

/// The methods that a `405` names, sorted.
fn allowed(response: &Response) -> Vec<&str> {
    let list = response.field("allow").unwrap_or_default();
    let mut methods: Vec<&str> = list.split(", ").collect();
    methods.sort_unstable();
    methods
}

/// Reads an event stream that says when to come back and nothing else, and ends.
pub(crate) fn expect_come_back(peer: &mut Peer) {
    let response = peer.response_without_body();
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(response.field("content-type"), Some("text/event-stream"));
    assert_eq!(
        response.field("cache-control"),
        Some("no-store, no-transform")
    );
    assert_eq!(response.field("x-accel-buffering"), Some("no"));
    assert_eq!(response.field("connection"), Some("close"));
    assert!(response.field("date").is_some(), "{response:?}");
    assert_eq!(peer.block(), ["retry: 5000"]);
    peer.expect_end();
}

#[track_caller]
pub(crate) fn assert_says_when_to_retry(response: &Response) {
    let seconds = response
        .field("retry-after")
        .and_then(|after| after.parse::<u32>().ok());
    assert!(seconds.is_some(), "{response:?}");
}

// Methods and upgrades.

#[test]
fn a_room_has_methods_to_listen_and_to_publish() {
    let server = Server::start(&[]);
    for path in ["/room", "/room/a", "/room/a?last=x"] {
        for method in ["PUT", "DELETE", "PATCH", "BREW", "post", "get"] {
            let response =
                server.expect_error(request(&format!("{method} {path} HTTP/1.1"), &[HOST]), 405);
            assert_eq!(
                allowed(&response),
                ["GET", "HEAD", "OPTIONS", "POST"],
                "{method} {path}"
            );
        }
    }
}

#[test]
fn a_websocket_has_one_method() {
    let server = Server::start(&[]);
    for path in ["/ws", "/ws/a", "/ws/a?last=x"] {
        for method in ["POST", "PUT", "OPTIONS"] {
            let request = upgrade(path).replacen("GET", method, 1);
            let response = server.expect_error(request, 405);
            assert_eq!(allowed(&response), ["GET"], "{method} {path}");
        }
    }
}

#[test]
fn a_method_that_is_not_there_is_known_before_any_look_at_the_body() {
    let server = Server::start(&[]);
    for field in ["Content-Length: 1000000000", "Transfer-Encoding: chunked"] {
        server.expect_error(request("PUT /room/a HTTP/1.1", &[HOST, field]), 405);
        server.expect_error(request("POST /ws/a HTTP/1.1", &[HOST, field]), 405);
        server.expect_error(request("POST / HTTP/1.1", &[HOST, field]), 405);
    }
}

#[test]
fn a_listener_sends_no_body() {
    let server = Server::start(&[]);
    let fields = [HOST, "Content-Length: 5"];
    server.expect_error(request("GET /room/a HTTP/1.1", &fields) + "hello", 413);
}

#[test]
fn a_room_is_joined_by_an_upgrade_alone() {
    let server = Server::start(&[]);
    let response = server.expect_error(get("/ws/a"), 426);
    assert_eq!(response.field("upgrade"), Some("websocket"));
    assert_eq!(response.field("sec-websocket-version"), Some("13"));
    for version in ["8", "14", ""] {
        let field = format!("Sec-WebSocket-Version: {version}");
        let request = upgrade_with(&["Sec-WebSocket-Version:", &field]).replacen("/ws", "/ws/a", 1);
        let response = server.expect_error(request, 426);
        assert_eq!(response.field("sec-websocket-version"), Some("13"));
    }
}

#[test]
fn a_post_needs_no_length_to_be_understood() {
    let server = Server::start(&[]);
    // No framing is a body of no bytes, and those are no message: 400, never 411.
    server.expect_error(request("POST /room/a HTTP/1.1", &[HOST]), 400);
}

#[test]
fn a_body_that_does_not_come_in_time_is_answered_with_a_timeout() {
    let server = Server::start(&["--request-timeout", "300ms"]);
    for fields in [
        [HOST, "Content-Length: 5"],
        [HOST, "Transfer-Encoding: chunked"],
    ] {
        let mut peer = server.connect();
        peer.send(request("POST /room/a HTTP/1.1", &fields));
        peer.expect_refusal(408);
    }
    assert_eq!(server.publish("/room/a", "hello").seq, 1);
}

// Too many.

/// Expects messages to be published until there are too many, and the last answer to say when to try again.
fn assert_too_many(mut next: impl FnMut() -> Response) {
    assert_eq!(next().status, 200);
    let response = loop {
        let response = next();
        if response.status != 200 {
            break response;
        }
    };
    assert_eq!(response.status, 429, "{response:?}");
    assert_one_plain_line(&response);
    assert_says_when_to_retry(&response);
}

#[test]
fn too_many_messages_are_refused_with_the_time_to_wait() {
    let server = Server::start(&["--message-rate", "2"]);
    let mut peer = server.connect();
    assert_too_many(|| {
        peer.send(post("/room/a", "hello"));
        peer.response()
    });
    // Others are not concerned.
    server.publish("/room/a", "hello");
}

#[test]
fn too_many_messages_in_one_segment_are_refused_as_well() {
    let server = Server::start(&["--message-rate", "2"]);
    let mut peer = server.connect();
    peer.send(post("/room/a", "hello").repeat(20));
    assert_too_many(|| peer.response());
}

#[test]
fn many_lines_are_many_messages() {
    let server = Server::start(&["--message-rate", "10"]);
    let mut peer = server.connect();
    let mut published = 0;
    assert_too_many(|| {
        peer.send(post("/room/a?lines=1", "x\n".repeat(8)));
        let response = peer.response();
        published += 8 * u64::from(response.status == 200);
        response
    });
    // Refused lines are not published in part.
    assert_eq!(server.publish("/room/a", "hello").seq, published + 1);
}

#[test]
fn a_client_without_a_seat_is_told_to_come_back() {
    let server = Server::start(&["--max-clients", "1"]);
    let mut member = server.join();
    for request in [
        post("/room/a", "hello"),
        upgrade("/ws/a").into_bytes(),
        upgrade_v1("/ws").into_bytes(),
        get("/").into_bytes(),
    ] {
        let mut peer = server.connect();
        peer.send(request);
        let response = peer.expect_refusal(503);
        assert_says_when_to_retry(&response);
    }
    for path in ["/room", "/room/a?last=5"] {
        let mut peer = server.connect();
        peer.send(get(path));
        expect_come_back(&mut peer);
    }
    member.say("hello");
    assert_eq!(member.hear(), "hello");
}

#[test]
fn a_client_without_a_seat_is_read_to_the_end_of_its_request() {
    let server = Server::start(&["--max-clients", "1"]);
    let _member = server.join();
    let mut peer = server.connect();
    peer.send_byte_by_byte(get("/room/a"));
    expect_come_back(&mut peer);
    let mut peer = server.connect();
    peer.send_byte_by_byte(upgrade("/ws/a"));
    peer.expect_refusal(503);
    let mut peer = server.connect();
    peer.send_byte_by_byte(post("/room/a", "hello"));
    peer.expect_refusal(503);
}

#[test]
fn a_reader_of_events_in_a_room_too_many_is_told_to_come_back() {
    let server = Server::start(&["--max-rooms", "1"]);
    server.publish("/room/one", "hello");
    let mut peer = server.connect();
    peer.send(get("/room/two"));
    expect_come_back(&mut peer);
    let mut peer = server.connect();
    peer.send(get("/room/two?last=x"));
    assert_eq!(peer.response().status, 400, "what will not pass is told");
}

#[test]
fn a_listed_page_may_read_that_it_is_to_come_back() {
    let flags = ["--max-rooms", "1", "--allow-origin", "https://one.example"];
    let server = Server::start(&flags);
    server.publish("/room/one", "hello");
    let mut peer = server.connect();
    let fields = [HOST, "Origin: https://one.example"];
    peer.send(request("GET /room/two HTTP/1.1", &fields));
    let response = peer.response_without_body();
    assert_eq!(response.status, 200);
    let origin = response.field("access-control-allow-origin");
    assert_eq!(origin, Some("https://one.example"));
    assert_eq!(peer.block(), ["retry: 5000"]);
}

#[test]
fn every_answer_has_a_date() {
    let server = Server::start(&["--allow-origin", "*"]);
    for bytes in [
        upgrade("/ws/a").into_bytes(),
        upgrade_v1("/ws").into_bytes(),
        get("/room/a").into_bytes(),
        post("/room/a", "hello"),
        post("/room/a", ""),
        post_with("/room/a", &["Idempotency-Key:"], "hello"),
        get("/room/%41").into_bytes(),
        request("PUT /room/a HTTP/1.1", &[HOST]).into_bytes(),
        request("OPTIONS /room/a HTTP/1.1", &[HOST, "Origin: null"]).into_bytes(),
        b"nonsense\r\n\r\n".to_vec(),
    ] {
        let mut peer = server.connect();
        peer.send(&bytes);
        let response = peer.response_without_body();
        let date = response.field("date").unwrap_or_default();
        assert!(
            date.ends_with(" GMT"),
            "{}{response:?}",
            String::from_utf8_lossy(&bytes)
        );
    }
}
