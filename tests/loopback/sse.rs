//! Server-sent events: the head to the byte, the blocks, where a stream starts, and what keeps it alive.

use crate::common::rooms::{Id, Listener, post};
use crate::common::wire::{get, request, text};
use crate::common::{Peer, Server};

/// The head that every event stream has, but for its date.
const HEAD: [(&str, &str); 4] = [
    ("content-type", "text/event-stream"),
    ("cache-control", "no-store, no-transform"),
    ("x-accel-buffering", "no"),
    ("connection", "close"),
];

/// Reads a head that must have the fields of an event stream, a date, and no others.
fn expect_head(peer: &mut Peer) {
    let response = peer.response_without_body();
    assert_eq!(response.status, 200, "{response:?}");
    let date = response.field("date").expect("a date");
    assert!(date.ends_with(" GMT"), "{date}");
    for (name, value) in HEAD {
        assert_eq!(response.field(name), Some(value), "{response:?}");
    }
    assert_eq!(response.fields.len(), HEAD.len() + 1, "{response:?}");
}

fn stream(server: &Server, path: &str) -> Peer {
    let mut peer = server.connect();
    peer.send(get(path));
    expect_head(&mut peer);
    peer
}

#[test]
fn a_stream_begins_with_its_head_and_its_first_block_to_the_byte() {
    let server = Server::start(&[]);
    let id = server.publish("/room/a", "hello");
    let mut peer = server.connect();
    peer.send(get("/room/a"));
    assert_eq!(peer.take(17), b"HTTP/1.1 200 OK\r\n");
    // The rest of the head has the form of every head.
    while peer.line() != "\r" {}
    let block = format!(":fresh {id}\nretry: 3000\nid: {id}\n\n");
    assert_eq!(peer.take(block.len()), block.as_bytes());
    let next = server.publish("/room/a", "hello yourself");
    let block = format!("id: {next}\ndata: hello yourself\n\n");
    assert_eq!(peer.take(block.len()), block.as_bytes());
}

#[test]
fn the_head_of_a_stream_says_that_nobody_should_store_or_buffer_it() {
    let server = Server::start(&[]);
    for path in ["/room", "/room/a", "/room/a?last=1&here=1&unknown=x"] {
        stream(&server, path);
    }
}

#[test]
fn a_resumed_stream_says_so_and_goes_on() {
    let server = Server::start(&[]);
    let head = server.publish_numbers("/room/a", 3);
    let since = head.at(1);
    let mut peer = stream(&server, &format!("/room/a?since={since}"));
    let expected = format!(
        ":resumed {since}\nretry: 3000\nid: {since}\n\nid: {}\ndata: 2\n\nid: {head}\ndata: 3\n\n",
        head.at(2)
    );
    let bytes = peer.take(expected.len());
    assert_eq!(String::from_utf8_lossy(&bytes), expected);
}

#[test]
fn a_gap_is_an_event_behind_the_first_block() {
    let server = Server::start(&["--history", "1"]);
    let head = server.publish_numbers("/room/a", 3);
    let position = head.at(2);
    for (since, count) in [
        (head.at(1).to_string(), "1"),
        ("aaaaaaaa-1".to_owned(), "?"),
    ] {
        let mut peer = stream(&server, &format!("/room/a?since={since}"));
        let first = peer.block();
        assert_eq!(
            first[1..],
            ["retry: 3000".to_owned(), format!("id: {position}")]
        );
        assert!(first[0].starts_with(':'), "{first:?}");
        let gap = format!("event: gap\nid: {position}\ndata: {count}\n\n");
        assert_eq!(String::from_utf8_lossy(&peer.take(gap.len())), gap);
        assert_eq!(peer.block(), [format!("id: {head}"), "data: 3".to_owned()]);
    }
}

#[test]
fn the_count_of_listeners_is_an_event_of_its_own() {
    let server = Server::start(&[]);
    let mut peer = stream(&server, "/room/a?here=1");
    peer.block();
    let here = "event: here\ndata: 1\n\n";
    assert_eq!(peer.take(here.len()), here.as_bytes());
}

#[test]
fn a_stream_is_not_chunked_and_old_clients_get_it_too() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    peer.send(request("GET /room/a HTTP/1.0", &[]));
    expect_head(&mut peer);
    assert!(peer.block()[0].starts_with(":fresh "));
    let id = server.publish("/room/a", "hello");
    assert_eq!(
        peer.block(),
        [format!("id: {id}"), "data: hello".to_owned()]
    );
}

#[test]
fn a_head_request_gets_the_head_alone() {
    let server = Server::start(&[]);
    for path in ["/room", "/room/a", "/room/a?last=5"] {
        let mut peer = server.connect();
        peer.send(get(path).replacen("GET", "HEAD", 1));
        expect_head(&mut peer);
        peer.expect_end();
    }
    let mut counting = server.listen_sse("/room/a?here=1");
    counting.expect_fresh();
    assert_eq!(counting.line(), ":here 1", "nobody else listens");
}

// Last-Event-ID.

#[test]
fn the_last_event_id_wins_over_the_query() {
    let server = Server::start(&[]);
    let head = server.publish_numbers("/room/a", 5);
    for (query, field, seq) in [
        (String::new(), head.at(3), 3),
        (format!("?since={}", head.at(1)), head.at(4), 4),
        (format!("?since={}&last=1", head.at(1)), head.at(2), 2),
    ] {
        let field = format!("Last-Event-ID: {field}");
        let path = format!("/room/a{query}");
        let mut listener = Listener::sse_with(server.connect(), &path, &[&field]);
        assert_eq!(listener.line(), format!(":resumed {}", head.at(seq)));
        let rest: Vec<_> = (seq + 1..=5)
            .map(|seq| format!("{} {seq}", head.at(seq)))
            .collect();
        listener.expect(&rest);
    }
}

#[test]
fn a_malformed_last_event_id_counts_as_another_epoch() {
    let server = Server::start(&["--history", "3"]);
    let head = server.publish_numbers("/room/a", 5);
    for value in [
        "",
        "x",
        "41",
        "k3v9q2c1",
        "k3v9q2c1-01",
        "K3V9Q2C1-1",
        "aaaaaaaa-5",
        "a b c",
    ] {
        let field = format!("Last-Event-ID: {value}");
        for (query, seq) in [("", 2), ("?last=1", 4)] {
            let path = format!("/room/a{query}");
            let mut listener = Listener::sse_with(server.connect(), &path, &[&field]);
            assert_eq!(
                listener.line(),
                format!(":gap {} ?", head.at(seq)),
                "{value}"
            );
        }
    }
}

#[test]
fn a_malformed_last_event_id_wins_over_a_good_query() {
    let server = Server::start(&[]);
    let head = server.publish_numbers("/room/a", 5);
    let path = format!("/room/a?since={}", head.at(3));
    let mut listener = Listener::sse_with(server.connect(), &path, &["Last-Event-ID: x"]);
    assert_eq!(listener.line(), format!(":gap {} ?", head.at(0)));
}

#[test]
fn a_malformed_query_is_refused_although_the_last_event_id_is_good() {
    let server = Server::start(&[]);
    let id = server.publish("/room/a", "hello");
    let field = format!("Last-Event-ID: {id}");
    let fields = ["Host: chat.example", &field];
    server.expect_error(request("GET /room/a?since=x HTTP/1.1", &fields), 400);
    server.expect_error(request("GET /room/a?last=x HTTP/1.1", &fields), 400);
}

// While it goes on.

#[test]
fn a_comment_comes_each_ping_period() {
    let server = Server::start(&["--ping-period", "200ms", "--pong-wait", "1min"]);
    let mut peer = stream(&server, "/room/a");
    peer.block();
    for _ in 0..4 {
        assert_eq!(peer.take(2), b":\n");
    }
    let id = server.publish("/room/a", "hello");
    let mut block = peer.block();
    block.retain(|line| line != ":");
    assert_eq!(block, [format!("id: {id}"), "data: hello".to_owned()]);
}

#[test]
fn a_stream_is_bound_neither_by_pongs_nor_by_the_timeouts_of_requests() {
    let flags = [
        "--ping-period",
        "200ms",
        "--pong-wait",
        "500ms",
        "--request-timeout",
        "300ms",
        "--keep-alive",
        "300ms",
    ];
    let server = Server::start(&flags);
    let mut peer = stream(&server, "/room/a");
    peer.block();
    // Several times as long as each of these.
    for _ in 0..10 {
        assert_eq!(peer.line(), ":");
    }
    let id = server.publish("/room/a", "hello");
    let mut block = peer.block();
    block.retain(|line| line != ":");
    assert_eq!(block, [format!("id: {id}"), "data: hello".to_owned()]);
}

#[test]
fn an_event_is_one_line_whatever_is_published() {
    let server = Server::start(&[]);
    let mut listener = server.listen_sse("/room/a");
    let start = listener.expect_fresh();
    let mut peer = server.connect().upgraded("/ws/a");
    let sent = [
        "a\n\nid: x",
        "a\r\rdata: y",
        "\u{2028}a\u{2028}b\u{85}c",
        "",
    ];
    peer.send(sent.map(text).concat());
    let received = ["a  id: x", "a  data: y", "a\u{2028}b\u{85}c", ""];
    for (seq, line) in (1..).zip(received) {
        listener.expect(&[format!("{} {line}", start.at(seq))]);
    }
}

#[test]
fn what_a_reader_of_events_sends_behind_its_request_is_not_answered() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    peer.send([get("/room/a").as_bytes(), &post("/room/a", "hello")].concat());
    expect_head(&mut peer);
    let position = Id::parse(peer.block()[0].trim_start_matches(":fresh "));
    let id = server.publish("/room/a", "from elsewhere");
    assert_eq!(id, position.at(1), "the request behind was obeyed");
    assert_eq!(
        peer.block(),
        [format!("id: {id}"), "data: from elsewhere".to_owned()]
    );
}
