//! Rooms: their names, who receives what is published in them, what they keep, and how many there may be.

use crate::common::rooms::{Id, post, upgrade_v1};
use crate::common::wire::{TEXT, frame, get, text, upgrade};
use crate::common::{Peer, Server, eventually};

/// How many messages a new reader of the room gets at most.
fn kept(server: &Server, room: &str, head: &Id) -> u64 {
    let mut listener = server.listen_v1(&format!("/ws/{room}?last=1000000"));
    let position = listener.expect_fresh();
    assert_eq!(position.epoch, head.epoch);
    head.seq - position.seq
}

/// Publishes `count` messages of 500 bytes, a few at a time, and gives the id of the last one.
fn publish_long(server: &Server, room: &str, count: usize) -> Id {
    const AT_ONCE: usize = 5;
    let lines = format!("{}\n", "x".repeat(500)).repeat(AT_ONCE);
    let path = format!("/room/{room}?lines=1");
    let ids: Vec<Id> = (0..count / AT_ONCE)
        .map(|_| server.publish(&path, &lines))
        .collect();
    ids.last().expect("there is a message").clone()
}

// Names.

#[test]
fn a_name_has_up_to_64_unreserved_characters() {
    let server = Server::start(&[]);
    let longest = "x".repeat(64);
    for name in [
        "a",
        "lobby",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "abcdefghijklmnopqrstuvwxyz",
        "0123456789._~-",
        "...",
        ".a",
        "-",
        "~",
        &longest,
    ] {
        let id = server.publish(&format!("/room/{name}"), "hello");
        for mut listener in server.listen_both(&format!("/{name}?last=1")) {
            assert_eq!(listener.line(), format!(":fresh {}", id.at(0)), "{name}");
            assert_eq!(listener.line(), format!("{id} hello"), "{name}");
        }
    }
}

#[test]
fn any_other_name_is_not_found() {
    let server = Server::start(&[]);
    let too_long = "x".repeat(65);
    for name in [
        "", ".", "..", "%41", "a%20b", "a/", "a/b", "a+b", "a:b", "a@b", "a!", "a,b", "*", "(a)",
        &too_long,
    ] {
        server.expect_error(get(&format!("/room/{name}")), 404);
        server.expect_error(post(&format!("/room/{name}"), "hello"), 404);
        server.expect_error(upgrade(&format!("/ws/{name}")), 404);
        server.expect_error(upgrade_v1(&format!("/ws/{name}?last=1")), 404);
    }
}

#[test]
fn no_name_is_the_default_room_and_its_listeners_are_of_all_kinds() {
    let server = Server::start(&[]);
    let mut plain = server.join();
    let [mut v1, mut sse] = server.listen_both("");
    let start = v1.expect_fresh();
    assert_eq!(sse.expect_fresh(), start);
    let id = server.publish("/room", "hello");
    plain.expect_frame(TEXT, b"hello");
    for listener in [&mut v1, &mut sse] {
        listener.expect(&[format!("{id} hello")]);
    }
    plain.say("hello yourself");
    plain.expect_frame(TEXT, b"hello yourself");
    for listener in [&mut v1, &mut sse] {
        listener.expect(&[format!("{} hello yourself", id.at(id.seq + 1))]);
    }
}

#[test]
fn names_differ_by_case() {
    let server = Server::start(&[]);
    let lower = server.publish("/room/lobby", "small");
    let upper = server.publish("/room/Lobby", "large");
    assert_eq!((lower.seq, upper.seq), (1, 1));
    assert_ne!(lower.epoch, upper.epoch);
}

// Who receives what.

#[test]
fn a_message_stays_in_its_room() {
    let server = Server::start(&[]);
    let mut here = server.connect().upgraded("/ws/here");
    let mut there = server.connect().upgraded("/ws/there");
    let mut default = server.join();
    here.say("in here");
    here.expect_frame(TEXT, b"in here");
    there.say("in there");
    there.expect_frame(TEXT, b"in there");
    default.say("in neither");
    default.expect_frame(TEXT, b"in neither");
    server.publish("/room/there", "and again");
    there.expect_frame(TEXT, b"and again");
}

#[test]
fn all_listeners_see_the_same_text_under_the_same_id_in_the_same_order() {
    const EACH: usize = 200;
    let server = Server::start(&[]);
    let [mut v1, mut sse] = server.listen_both("/busy");
    let start = v1.expect_fresh();
    assert_eq!(sse.expect_fresh(), start);
    let mut talkers: Vec<Peer> = (0..3)
        .map(|_| server.connect().upgraded("/ws/busy"))
        .collect();
    for number in 0..EACH {
        for (talker, peer) in talkers.iter_mut().enumerate() {
            peer.say(&format!("{talker} {number}"));
        }
    }
    let first: Vec<String> = (0..3 * EACH).map(|_| v1.line()).collect();
    for (line, seq) in first.iter().zip(start.seq + 1..) {
        assert!(line.starts_with(&format!("{} ", start.at(seq))), "{line}");
    }
    sse.expect(&first);
}

#[test]
fn a_message_becomes_one_line_however_it_comes() {
    let server = Server::start(&[]);
    let mut plain = server.connect().upgraded("/ws/lines");
    let [mut v1, mut sse] = server.listen_both("/lines");
    let start = v1.expect_fresh();
    assert_eq!(sse.expect_fresh(), start);
    let mut seq = start.seq;
    for (sent, line) in [
        ("  hello\t ", "hello"),
        ("a\nb", "a b"),
        ("a\rb", "a b"),
        ("a\r\nb", "a  b"),
        ("\r\n a\n\rb \n", "a  b"),
        ("data: x", "data: x"),
        (":here 9", ":here 9"),
    ] {
        let mut expect = |plain: &mut Peer| {
            seq += 1;
            plain.expect_frame(TEXT, line.as_bytes());
            for listener in [&mut v1, &mut sse] {
                listener.expect(&[format!("{} {line}", start.at(seq))]);
            }
        };
        plain.say(sent);
        expect(&mut plain);
        server.publish("/room/lines", sent);
        expect(&mut plain);
    }
}

#[test]
fn a_plain_reader_gets_the_last_messages_first_where_it_asks_for_them() {
    let server = Server::start(&["--history", "3"]);
    server.publish_numbers("/room/a", 5);
    for (query, replay) in [
        ("?last=2", "4\n5"),
        ("?last=99", "3\n4\n5"),
        ("?last=18446744073709551615", "3\n4\n5"),
        ("?last=99999999999999999999", "3\n4\n5"),
    ] {
        let mut peer = server.connect().upgraded(&format!("/ws/a{query}"));
        assert_eq!(peer.hear_lines(replay.lines().count()).join("\n"), replay);
    }
    for query in ["", "?last=0", "?last=00"] {
        let mut peer = server.connect().upgraded(&format!("/ws/a{query}"));
        peer.send(frame(0x89, b"anything?"));
        peer.expect_frame(0x8a, b"anything?");
    }
}

#[test]
fn messages_travel_one_by_one_where_a_reader_asks_for_it() {
    let server = Server::start(&[]);
    let mut single = server.connect().upgraded("/ws/a?coalesce=0");
    let mut joined = server.connect().upgraded("/ws/a?coalesce=1");
    joined.send([text("a"), text("b"), text("c")].concat());
    joined.expect_frame(TEXT, b"a\nb\nc");
    for message in ["a", "b", "c"] {
        single.expect_frame(TEXT, message.as_bytes());
    }
    let mut replayed = server.connect().upgraded("/ws/a?coalesce=0&last=3");
    for message in ["a", "b", "c"] {
        replayed.expect_frame(TEXT, message.as_bytes());
    }
}

#[test]
fn messages_that_come_within_the_linger_leave_together() {
    let server = Server::start(&["--linger", "2s"]);
    let mut talker = server.connect().upgraded("/ws/a");
    let mut listener = server.connect().upgraded("/ws/a");
    for message in ["a", "b", "c"] {
        talker.say(message);
        // The pong shows that the message was read on its own.
        talker.send(frame(0x89, message.as_bytes()));
        talker.expect_frame(0x8a, message.as_bytes());
    }
    listener.expect_frame(TEXT, b"a\nb\nc");
    talker.expect_frame(TEXT, b"a\nb\nc");
}

// What is kept.

#[test]
fn a_room_keeps_exactly_the_last_messages_inside_a_batch_too() {
    let server = Server::start(&["--history", "3"]);
    for (count, expected) in [(1, 1), (3, 3), (4, 3), (100, 3)] {
        let room = format!("of-{count}");
        let head = server.publish_numbers(&format!("/room/{room}"), count);
        assert_eq!(head.seq, count as u64);
        assert_eq!(kept(&server, &room, &head), expected, "{count}");
    }
    let head = server.publish("/room/of-100", "one more");
    assert_eq!((head.seq, kept(&server, "of-100", &head)), (101, 3));
}

#[test]
fn a_thousand_messages_are_kept_by_default() {
    let server = Server::start(&[]);
    let head = server.publish_numbers("/room/a", 1_500);
    assert_eq!(kept(&server, "a", &head), 1_000);
}

#[test]
fn a_room_that_keeps_nothing_still_counts_its_messages() {
    let server = Server::start(&["--history", "0"]);
    let first = server.publish("/room/a", "one");
    let second = server.publish("/room/a", "two");
    assert_eq!(second, first.at(2));
    assert_eq!(kept(&server, "a", &second), 0);
}

#[test]
fn a_room_keeps_no_more_than_its_size() {
    let server = Server::start(&["--history-size", "20KiB"]);
    let head = publish_long(&server, "a", 200);
    let count = kept(&server, "a", &head);
    assert!((1..=40).contains(&count), "{count} of 500 bytes are kept");
}

#[test]
fn messages_are_forgotten_at_their_age() {
    let server = Server::start(&["--history-age", "1s"]);
    let head = server.publish("/room/a", "hello");
    assert_eq!(kept(&server, "a", &head), 1);
    eventually("the message is forgotten", || {
        (kept(&server, "a", &head) == 0).then_some(())
    });
    // The numbers go on.
    assert_eq!(server.publish("/room/a", "again"), head.at(2));
}

#[test]
fn the_room_that_was_quiet_for_longest_forgets_first() {
    let server = Server::start(&["--history-size", "140KiB", "--max-history", "140KiB"]);
    let quiet = publish_long(&server, "quiet", 150);
    assert_eq!(kept(&server, "quiet", &quiet), 150);
    let busy = publish_long(&server, "busy", 150);
    assert_eq!(kept(&server, "busy", &busy), 150);
    assert!(kept(&server, "quiet", &quiet) < 150);
}

// How many there may be.

#[test]
fn a_room_too_many_is_refused_and_the_others_go_on() {
    let server = Server::start(&["--max-rooms", "1"]);
    let id = server.publish("/room/one", "hello");
    let refusals = [
        post("/room/two", "hello"),
        upgrade("/ws/two").into_bytes(),
        upgrade_v1("/ws/two").into_bytes(),
    ];
    for request in refusals {
        let response = server.expect_error(request, 503);
        assert!(response.field("retry-after").is_some(), "{response:?}");
    }
    assert_eq!(server.publish("/room/one", "again"), id.at(2));
}

#[test]
fn a_room_without_listeners_and_history_is_still_there_for_a_while() {
    let server = Server::start(&["--max-rooms", "1", "--history", "0"]);
    let id = server.publish("/room/one", "hello");
    drop(server.listen_v1("/ws/one"));
    server.expect_error(post("/room/two", "hello"), 503);
    let mut listener = server.listen_sse(&format!("/room/one?since={id}"));
    listener.expect(&[format!(":resumed {id}")]);
}

#[test]
fn a_request_that_is_refused_makes_no_room() {
    let server = Server::start(&["--max-rooms", "1"]);
    for (bytes, status) in [
        (post("/room/one", " "), 400),
        (post("/room/one", "x".repeat(513)), 413),
        (get("/room/one?last=x").into_bytes(), 400),
        (upgrade("/ws/one?since=x").into_bytes(), 400),
        (get("/ws/one").into_bytes(), 426),
    ] {
        server.expect_error(bytes, status);
    }
    let mut peer = server.connect();
    peer.send(get("/room/one").replacen("GET", "HEAD", 1));
    assert_eq!(peer.response_without_body().status, 200);
    assert_eq!(server.publish("/room/two", "hello").seq, 1);
}
