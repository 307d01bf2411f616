//! Readers that do not keep up: what `--slow close` and `--slow skip` do to each kind, and how they come back.

use crate::common::rooms::{Id, Listener, follow};
use crate::common::wire::get;
use crate::common::{Peer, Server};

const MESSAGE_LEN: usize = 16 * 1024;
const COUNT: u64 = 300;

/// A server that gives up on a slow reader soon, in the way that `slow` says.
fn server(slow: &str) -> Server {
    let flags = [
        "--slow",
        slow,
        "--max-message",
        "32KiB",
        "--send-queue",
        "16",
        "--send-buffer",
        "64KiB",
        "--write-wait",
        "1h",
    ];
    Server::start(&flags)
}

/// Publishes more than the kernel holds for a reader that does not read; the id of the last message.
fn publish_much(server: &Server) -> Id {
    let mut talker = server.listen_v1("/ws/a");
    let mut last = talker.expect_fresh();
    for _ in 0..COUNT {
        talker.peer.say(&"x".repeat(MESSAGE_LEN));
        let line = talker.line();
        last = Id::parse(line.split(' ').next().expect("an id"));
    }
    last
}

fn slow_peer(server: &Server) -> Peer {
    Peer::connect_with_small_buffer(server.addr)
}

/// Reads up to the message with this id; every line but the first one.
fn read_up_to(listener: &mut Listener, last: &Id) -> Vec<String> {
    let prefix = format!("{last} ");
    let mut lines = Vec::new();
    while !lines
        .last()
        .is_some_and(|line: &String| line.starts_with(&prefix))
    {
        lines.push(listener.line());
    }
    lines
}

#[test]
fn a_slow_reader_that_knows_ids_skips_messages_and_is_told_how_many() {
    let server = server("skip");
    for is_sse in [false, true] {
        let mut slow = match is_sse {
            false => Listener::v1(slow_peer(&server), "/ws/a"),
            true => Listener::sse(slow_peer(&server), "/room/a"),
        };
        let start = slow.expect_fresh();
        let last = publish_much(&server);
        assert_eq!(last.seq, start.seq + COUNT);
        let lines = read_up_to(&mut slow, &last);
        let (position, skipped) = follow(start, &lines);
        assert_eq!(position, last);
        assert!(skipped > 0, "is_sse: {is_sse}: nothing was skipped");
        assert!(skipped < COUNT, "is_sse: {is_sse}: everything was skipped");
        // It has caught up.
        let next = server.publish("/room/a", "next");
        slow.expect(&[format!("{next} next")]);
    }
}

#[test]
fn a_slow_reader_that_takes_messages_one_by_one_skips_as_well() {
    let server = server("skip");
    let mut slow = Listener::v1(slow_peer(&server), "/ws/a?coalesce=0");
    let start = slow.expect_fresh();
    let last = publish_much(&server);
    let lines = read_up_to(&mut slow, &last);
    let (position, skipped) = follow(start, &lines);
    assert_eq!(position, last);
    assert!(skipped > 0, "nothing was skipped");
}

#[test]
fn a_slow_plain_reader_is_dropped_and_never_thinned() {
    let server = server("skip");
    let mut slow = slow_peer(&server).upgraded("/ws/a");
    publish_much(&server);
    server.wait_for_log(&["connection closed", "stuck"]);
    let lines = slow.hear_lines_to_the_end();
    assert!((lines.len() as u64) < COUNT, "it was not dropped");
}

#[test]
fn a_slow_reader_is_dropped_by_default_and_resumes_when_it_comes_back() {
    let server = server("close");
    let mut slow = Listener::v1(slow_peer(&server), "/ws/a");
    let start = slow.expect_fresh();
    let last = publish_much(&server);
    server.wait_for_log(&["connection closed", "stuck"]);
    let mut lines = slow.peer.hear_lines_to_the_end();
    let (position, skipped) = follow(start, &lines);
    assert_eq!(
        skipped, 0,
        "a reader is not thinned unless the server is told to"
    );
    assert!(position.seq < last.seq, "it was not dropped");
    let mut again = server.listen_v1(&format!("/ws/a?since={position}"));
    let first = again.line();
    lines = read_up_to(&mut again, &last);
    if first.starts_with(":gap ") {
        lines.insert(0, first);
    } else {
        assert_eq!(first, format!(":resumed {position}"));
    }
    assert_eq!(follow(position, &lines).0, last);
}

#[test]
fn a_slow_reader_of_events_is_dropped_by_default() {
    let server = server("close");
    let mut slow = slow_peer(&server);
    slow.send(get("/room/a"));
    assert_eq!(slow.response_without_body().status, 200);
    slow.block();
    publish_much(&server);
    server.wait_for_log(&["connection closed", "stuck"]);
    slow.wait_until_gone();
}

#[test]
fn a_reader_that_keeps_up_skips_nothing() {
    // With the usual buffers, so that nobody is behind for being scheduled late.
    let server = Server::start(&["--slow", "skip", "--max-message", "32KiB"]);
    let mut listeners = server.listen_both("/a");
    let start = listeners[0].expect_fresh();
    listeners[1].expect_fresh();
    let reading = listeners.map(|mut listener| {
        std::thread::spawn(move || (0..COUNT).map(|_| listener.line()).collect::<Vec<_>>())
    });
    let last = publish_much(&server);
    for reader in reading {
        let lines = reader.join().expect("everything was read");
        assert_eq!(follow(start.clone(), &lines), (last.clone(), 0));
    }
}
