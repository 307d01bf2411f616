//! The bodies of requests on the wire: lengths, chunks, requests behind requests, and those that mean to be
//! understood in two ways.

use crate::common::rooms::{post, post_chunked, post_with, upgrade_v1};
use crate::common::wire::{get, request, text};
use crate::common::{Peer, Server};

const HELLO: &str = "5\r\nhello\r\n0\r\n\r\n";

/// Expects the message of room `a` with this number.
fn assert_published(server: &Server, seq: u64, message: &str) {
    let mut listener = server.listen_v1("/ws/a?last=1");
    let position = listener.expect_fresh();
    assert_eq!(position.seq + 1, seq);
    listener.expect(&[format!("{} {message}", position.at(seq))]);
}

// Chunks.

#[test]
fn a_body_in_chunks_is_one_message() {
    let server = Server::start(&[]);
    let chunked = [
        HELLO,
        "2\r\nhe\r\n1\r\nl\r\n2\r\nlo\r\n0\r\n\r\n",
        "0005\r\nhello\r\n000\r\n\r\n",
        "5;a=b\r\nhello\r\n0;c\r\n\r\n",
        "2;a=\"b;\\\"c\"\r\nhe\r\n3;d=e\r\nllo\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nX-Trailer: y\r\nContent-Length: 100\r\n\r\n",
    ];
    for (seq, chunks) in (1..).zip(chunked) {
        let mut peer = server.connect();
        peer.send(post_chunked("/room/a", chunks));
        assert_eq!(peer.expect_id().seq, seq, "{chunks:?}");
        assert_published(&server, seq, "hello");
        // The end of the body was understood.
        peer.send(get("/"));
        assert_eq!(peer.response().status, 200, "{chunks:?}");
    }
    let mut peer = server.connect();
    peer.send(post_chunked(
        "/room/a",
        "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
    ));
    peer.expect_id();
    assert_published(&server, 7, "01234567890123456789");
}

#[test]
fn a_body_may_be_cut_anywhere() {
    let server = Server::start(&[]);
    let chunks = "3;a=\"b\"\r\nhel\r\n2\r\nlo\r\n0\r\nX: y\r\n\r\n";
    let whole = post_chunked("/room/a", chunks);
    let mut peer = server.connect();
    for (seq, cut) in (1..).zip(whole.len() - chunks.len()..whole.len()) {
        let (head, tail) = whole.split_at(cut);
        peer.send(head);
        peer.send(tail);
        assert_eq!(peer.expect_id().seq, seq, "{tail:?}");
    }
    let mut peer = server.connect();
    peer.send_byte_by_byte(&whole);
    peer.expect_id();
    peer.send_byte_by_byte(post("/room/a", "hello"));
    peer.expect_id();
}

// Requests behind requests.

#[test]
fn pipelined_messages_are_answered_in_order() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    let requests = [
        post("/room/a", "one"),
        post_chunked("/room/a", HELLO).into_bytes(),
        get("/nothing").into_bytes(),
        post("/room/a?lines=1", "two\nthree\n"),
        get("/").into_bytes(),
        post("/room/a", " "),
    ];
    peer.send(requests.concat());
    assert_eq!(peer.expect_id().seq, 1);
    assert_eq!(peer.expect_id().seq, 2);
    assert_eq!(peer.response().status, 404);
    assert_eq!(peer.expect_id().seq, 4);
    assert_eq!(peer.response().status, 200);
    assert_eq!(peer.response().status, 400);
}

#[test]
fn two_hundred_messages_in_one_segment_are_all_numbered() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    peer.send(post("/room/a", "hello").repeat(200));
    for seq in 1..=200 {
        assert_eq!(peer.expect_id().seq, seq);
    }
}

#[test]
fn a_connection_that_published_may_listen() {
    let server = Server::start(&[]);
    let published = post("/room/a", "one");
    let mut events = server.connect();
    events.send([&published[..], get("/room/a?last=1").as_bytes()].concat());
    let id = events.expect_id();
    assert_eq!(events.response_without_body().status, 200);
    assert_eq!(events.block()[0], format!(":fresh {}", id.at(0)));
    assert_eq!(
        events.block(),
        [format!("id: {id}"), "data: one".to_owned()]
    );
    let mut numbered = server.connect();
    let upgrade = upgrade_v1("/ws/a?last=1");
    numbered.send([&published[..], upgrade.as_bytes(), &text("two")].concat());
    assert_eq!(numbered.expect_id(), id.at(2));
    numbered.expect_upgrade_v1();
    let lines = numbered.hear_lines(3);
    assert_eq!(lines[0], format!(":fresh {id}"));
    assert_eq!(lines[2], format!("{} two", id.at(3)));
}

#[test]
fn a_connection_ends_behind_a_message_where_the_request_says_so() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    peer.send(post_with("/room/a", &["Connection: close"], "hello"));
    assert_eq!(peer.expect_id().seq, 1);
    peer.expect_end();
}

#[test]
fn http_1_0_publishes_with_a_length_and_the_connection_ends() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    peer.send(request("POST /room/a HTTP/1.0", &["Content-Length: 5"]) + "hello");
    assert_eq!(peer.expect_id().seq, 1);
    peer.expect_end();
}

// What is expected before a body is sent.

fn expecting(length: &str) -> String {
    let fields = ["Host: chat.example", length, "Expect: 100-continue"];
    request("POST /room/a HTTP/1.1", &fields)
}

#[test]
fn a_client_that_waits_is_asked_to_continue() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    for (seq, length, body) in [
        (1, "Content-Length: 5", "hello"),
        (2, "Transfer-Encoding: chunked", HELLO),
    ] {
        peer.send(expecting(length));
        assert_eq!(peer.response_without_body().status, 100, "{length}");
        peer.send(body);
        assert_eq!(peer.expect_id().seq, seq);
    }
}

#[test]
fn a_client_whose_message_will_be_refused_is_not_asked_to_continue() {
    let server = Server::start(&[]);
    server.expect_error(expecting("Content-Length: 515"), 413);
    server.expect_error(expecting("Content-Length: 18446744073709551616"), 413);
    server.expect_error(expecting("Content-Length: 5").replace("POST", "PUT"), 405);
    server.expect_error(expecting("Content-Length: 5").replace("/a", "/%41"), 404);
    let foreign = expecting("Content-Length: 5")
        .replace("\r\nExpect", "\r\nOrigin: http://evil.example\r\nExpect");
    server.expect_error(foreign, 403);
}

// Too large.

#[test]
fn a_message_that_will_be_too_large_is_refused_before_its_body_comes() {
    let server = Server::start(&[]);
    for length in ["515", "1000000", "99999999999999999999999999"] {
        let length = format!("Content-Length: {length}");
        let fields = ["Host: chat.example", &length];
        server.expect_error(request("POST /room/a HTTP/1.1", &fields), 413);
    }
    let fields = ["Host: chat.example", "Content-Length: 262145"];
    server.expect_error(request("POST /room/a?lines=1 HTTP/1.1", &fields), 413);
    for chunks in ["203\r\n", "1000000\r\nx", "fffffffffffffff\r\n"] {
        server.expect_error(post_chunked("/room/a", chunks), 413);
    }
    let many_chunks = "40\r\n".to_owned() + &"x".repeat(64) + "\r\n";
    server.expect_error(post_chunked("/room/a", &many_chunks.repeat(9)), 413);
}

#[test]
fn a_refused_body_is_answered_whole_although_it_waits_behind_its_head() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    peer.send(post("/room/a", vec![b'x'; 1024 * 1024]));
    peer.expect_refusal(413);
}

#[test]
fn chunks_cannot_be_wrapped_without_end() {
    let server = Server::start(&[]);
    // Each of these is endless where nothing bounds it.
    for chunks in [
        format!("1;{}\r\n", "x".repeat(64 * 1024)),
        format!("{}\r\n", "0".repeat(64 * 1024)),
        format!("0\r\nX: {}\r\n", "x".repeat(64 * 1024)),
        format!("0\r\n{}", "X: y\r\n".repeat(16 * 1024)),
    ] {
        let mut peer = server.connect();
        // It may be refused before all of it is taken.
        peer.try_send(post_chunked("/room/a", &chunks).as_bytes());
        let status = peer.response().status;
        assert!([400, 413, 431].contains(&status), "{status}");
    }
    assert_eq!(server.publish("/room/a", "hello").seq, 1);
}

// What could be understood in two ways.

/// Expects the request to be refused, and what stands behind it not to be taken for another one.
fn assert_not_smuggled(server: &Server, bytes: &str, status: u16) {
    let mut peer: Peer = server.connect();
    let smuggled = post("/room/a", "smuggled");
    peer.send([bytes.as_bytes(), &smuggled].concat());
    let response = peer.response();
    assert_eq!(response.status, status, "{bytes:?}");
    assert_eq!(response.field("connection"), Some("close"), "{bytes:?}");
    peer.expect_end();
}

#[test]
fn a_body_whose_end_can_be_understood_in_two_ways_is_refused() {
    let server = Server::start(&[]);
    for (fields, body) in [
        (
            &["Content-Length: 5", "Transfer-Encoding: chunked"][..],
            HELLO,
        ),
        (&["Transfer-Encoding: chunked", "Content-Length: 15"], HELLO),
        (&["Content-Length: 5", "Content-Length: 5"], "hello"),
        (&["Content-Length: 5", "Content-Length: 6"], "hello"),
        (&["Content-Length: 5, 5"], "hello"),
        (&["Content-Length: +5"], "hello"),
        (&["Content-Length: 0x5"], "hello"),
        (&["Content-Length: 5 5"], "hello"),
        (&["Content-Length:"], ""),
        (&["Content-Length : 5"], "hello"),
        (&["Content-Length: 5", " 6"], "hello"),
        (&["X: y", "\tContent-Length: 5"], "hello"),
        (&["Transfer-Encoding : chunked"], HELLO),
        (&["Transfer-Encoding: chunked, chunked"], HELLO),
        (
            &["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
            HELLO,
        ),
        (&["Transfer-Encoding: chunked, identity"], HELLO),
        (&["Transfer-Encoding: xchunked"], HELLO),
        (&["Transfer-Encoding:"], HELLO),
        (&["Transfer-Encoding: \"chunked\""], HELLO),
        (&["Transfer-Encoding:", " chunked"], HELLO),
    ] {
        let fields = [&["Host: chat.example"], fields].concat();
        let request = request("POST /room/a HTTP/1.1", &fields) + body;
        assert_not_smuggled(&server, &request, 400);
    }
    let old = request("POST /room/a HTTP/1.0", &["Transfer-Encoding: chunked"]) + HELLO;
    assert_not_smuggled(&server, &old, 400);
    let bare = "POST /room/a HTTP/1.1\r\nHost: chat.example\nContent-Length: 5\r\n\r\nhello";
    assert_not_smuggled(&server, bare, 400);
    assert_eq!(server.publish("/room/a", "hello").seq, 1);
}

#[test]
fn chunks_that_can_be_understood_in_two_ways_are_refused() {
    let server = Server::start(&[]);
    for chunks in [
        // Bare line feeds and carriage returns.
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r\n0\n\r\n",
        "5\r\nhello\r\n0\r\n\n",
        "5\rhello\r\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nX: y\n\r\n",
        // Sizes that are none, or too many digits for a number.
        "\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5 5\r\nhello\r\n0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",
        ";\r\nhello\r\n0\r\n\r\n",
        // Data longer and shorter than its size.
        "4\r\nhello\r\n0\r\n\r\n",
        "6\r\nhello\r\n0\r\n\r\n",
    ] {
        assert_not_smuggled(&server, &post_chunked("/room/a", chunks), 400);
    }
    assert_eq!(server.publish("/room/a", "hello").seq, 1);
}

#[test]
fn a_chunk_size_that_overflows_is_refused() {
    let server = Server::start(&[]);
    for size in [
        "10000000000000005",
        "ffffffffffffffffb",
        "ffffffffffffffff",
        "100000005",
    ] {
        let mut peer = server.connect();
        let chunks = format!("{size}\r\nhello\r\n0\r\n\r\n");
        peer.send(
            [
                post_chunked("/room/a", &chunks).into_bytes(),
                post("/room/a", "x"),
            ]
            .concat(),
        );
        let response = peer.response();
        assert!(
            [400, 413].contains(&response.status),
            "{size}: {response:?}"
        );
        peer.expect_end();
    }
    assert_eq!(server.publish("/room/a", "hello").seq, 1);
}
