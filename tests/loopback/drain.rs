//! A stop: what readers are told and given before it, and requests that come meanwhile.

use std::thread;
use std::time::{Duration, Instant};

use crate::common::rooms::post;
use crate::common::wire::get;
use crate::common::{Peer, Server};
use crate::statuses::{assert_says_when_to_retry, expect_come_back};

const CROWD: usize = 20;

/// Readers of events in room `a`, behind their first block.
fn crowd_of_events(server: &Server) -> Vec<Peer> {
    let join = |_| {
        let mut peer = server.connect();
        peer.send(get("/room/a"));
        assert_eq!(peer.response_without_body().status, 200);
        peer.block();
        peer
    };
    (0..CROWD).map(join).collect()
}

#[test]
fn each_reader_of_events_is_told_when_to_come_back_and_given_what_was_published() {
    let mut server = Server::start(&["--drain", "1s"]);
    let readers = crowd_of_events(&server);
    let id = server.publish("/room/a", "the last message");
    server.signal("TERM");
    let mut waits: Vec<u64> = Vec::new();
    for mut reader in readers {
        let message = [format!("id: {id}"), "data: the last message".to_owned()];
        assert_eq!(reader.block(), message);
        let line = reader.line();
        let wait = line.strip_prefix("retry: ");
        waits.push(wait.and_then(|wait| wait.parse().ok()).expect(&line));
        // An empty line may end the block.
        reader.wait_until_gone();
    }
    waits.sort_unstable();
    waits.dedup();
    assert!(waits.len() > 1, "all come back at once, after {waits:?} ms");
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn goodbyes_are_spread_over_the_drain() {
    let mut server = Server::start(&["--drain", "3s"]);
    let paths = ["/ws/a", "/ws/a?coalesce=0"].into_iter().cycle();
    let crowd: Vec<Peer> = paths
        .take(CROWD)
        .map(|path| server.connect().upgraded(path))
        .collect();
    server.signal("TERM");
    let begin = Instant::now();
    let leaving: Vec<_> = crowd
        .into_iter()
        .map(|mut peer| {
            thread::spawn(move || {
                peer.expect_close(1001);
                begin.elapsed()
            })
        })
        .collect();
    let times = leaving
        .into_iter()
        .map(|peer| peer.join().expect("a close"));
    let times: Vec<Duration> = times.collect();
    let first = times.iter().min().expect("there is a crowd");
    let last = times.iter().max().expect("there is a crowd");
    let spread = *last - *first;
    assert!(spread > Duration::from_millis(500), "all within {spread:?}");
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn a_reader_of_ids_is_given_what_was_published_before_its_goodbye() {
    let mut server = Server::start(&["--drain", "2s"]);
    let mut listener = server.listen_v1("/ws/a");
    let start = listener.expect_fresh();
    let mut talker = server.connect().upgraded("/ws/a");
    talker.say("the last message");
    assert_eq!(talker.hear(), "the last message");
    server.signal("TERM");
    listener.expect(&[format!("{} the last message", start.at(1))]);
    assert_eq!(listener.peer.expect_close(1001), "server is going away");
    drop((listener, talker));
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn requests_during_a_drain_are_told_to_come_back() {
    let server = Server::start(&["--drain", "1h", "--request-timeout", "1h"]);
    // Begun before the signal, so that these connections are still there.
    let begin = |line: &str| {
        let mut peer = server.connect();
        peer.send(get("/nothing") + line + "\r\nHost: chat.example\r\n");
        assert_eq!(peer.response().status, 404);
        peer
    };
    let mut publisher = begin("POST /room/a HTTP/1.1");
    let mut reader = begin("GET /room/a HTTP/1.1");
    server.signal("TERM");
    server.wait_for_log(&["shutting down"]);
    publisher.send("Content-Length: 5\r\n\r\nhello");
    let response = publisher.response();
    assert_eq!(response.status, 503, "{response:?}");
    assert_says_when_to_retry(&response);
    reader.send("\r\n");
    expect_come_back(&mut reader);
}

/// More than are accepted in a turn.
const WAITING: usize = 200;

#[test]
#[cfg(target_os = "linux")]
fn who_has_connected_before_the_signal_is_answered_although_nobody_had_taken_the_connection_yet() {
    let mut server = Server::start(&["--drain", "10s"]);
    server.freeze();
    let ask = |_| {
        let mut peer = server.connect();
        peer.send(post("/room/a", "just in time"));
        peer
    };
    let publishers: Vec<Peer> = (0..WAITING).map(ask).collect();
    server.signal("TERM");
    server.signal("CONT");
    for mut publisher in publishers {
        publisher.expect_id();
    }
    assert_eq!(server.wait_for_exit().code(), Some(0));
}
