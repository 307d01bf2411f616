//! What is kept, sent to readers of every kind: long replays, and joins in the midst of a flood.

use std::io::Write;
use std::thread;

use crate::common::rooms::{Id, Listener, follow, upgrade_v1};
use crate::common::wire::text;
use crate::common::{Peer, Server};

/// Far more than the send queue holds.
const KEPT: usize = 1_000;

fn small_buffer(server: &Server) -> Peer {
    Peer::connect_with_small_buffer(server.addr)
}

/// A server whose room `a` keeps many long messages, and the id of the last one.
fn server_with_much() -> (Server, Id, Vec<String>) {
    let server = Server::start(&["--history-size", "8MiB", "--max-message", "4KiB"]);
    let message = |number: usize| format!("{number} {}", "x".repeat(3_000));
    let messages: Vec<String> = (1..=KEPT).map(message).collect();
    let mut head = None;
    for lines in messages.chunks(50) {
        head = Some(server.publish("/room/a?lines=1", &lines.join("\n")));
    }
    let head = head.expect("something was published");
    (server, head, messages)
}

#[test]
fn a_replay_longer_than_the_send_queue_reaches_a_plain_reader_whole() {
    let (server, _, messages) = server_with_much();
    for query in ["?last=1000", "?last=1000&coalesce=0"] {
        let mut peer = small_buffer(&server).upgraded(&format!("/ws/a{query}"));
        let lines = peer.hear_lines(KEPT);
        assert!(lines == messages, "{query}: the replay differs");
    }
}

#[test]
fn a_replay_longer_than_the_send_queue_reaches_readers_of_ids_whole() {
    let (server, head, messages) = server_with_much();
    let expected: Vec<String> = (1..)
        .zip(&messages)
        .map(|(seq, message)| format!("{} {message}", head.at(seq)))
        .collect();
    let since = head.at(0);
    let mut listeners = [
        Listener::v1(small_buffer(&server), "/ws/a?last=1000"),
        Listener::v1(
            small_buffer(&server),
            &format!("/ws/a?since={since}&coalesce=0"),
        ),
        Listener::sse(small_buffer(&server), "/room/a?last=99999"),
        Listener::sse(small_buffer(&server), &format!("/room/a?since={since}")),
    ];
    for listener in &mut listeners {
        assert!(listener.line().ends_with(&format!(" {since}")));
        let lines: Vec<String> = (0..KEPT).map(|_| listener.line()).collect();
        assert!(lines == expected, "the replay differs");
    }
    // What is new comes behind it.
    let next = server.publish("/room/a", "next");
    for mut listener in listeners {
        listener.expect(&[format!("{next} next")]);
    }
}

#[test]
fn readers_that_join_in_a_flood_miss_nothing_behind_their_position() {
    const COUNT: u64 = 20_000;
    let server = Server::start(&["--send-queue", "100000"]);
    let mut witness = server.listen_v1("/ws/a");
    let start = witness.expect_fresh();
    let last = start.at(COUNT);
    let mut talker = witness.peer.writer();
    let talking = thread::spawn(move || {
        for number in 1..=COUNT {
            talker
                .write_all(&text(&number.to_string()))
                .expect("it is taken");
        }
    });
    let read_to_the_end = |mut listener: Listener| {
        let last = last.clone();
        thread::spawn(move || {
            let first = listener.line();
            let position = Id::parse(first.split(' ').nth(1).expect("a position"));
            let mut lines = Vec::new();
            let suffix = format!("{last} {COUNT}");
            while position != last && lines.last() != Some(&suffix) {
                lines.push(listener.line());
            }
            assert_eq!(follow(position, &lines), (last, 0));
            // The text of each message is its number.
            assert!(
                lines
                    .iter()
                    .all(|line| line.split(['-', ' ']).nth(1) == line.split(' ').nth(1))
            );
        })
    };
    let mut readers = Vec::new();
    for seq in 0..30 {
        let query = match seq % 3 {
            0 => "last=50".to_owned(),
            1 => format!("since={}&last=20", start.at(seq * 10)),
            _ => "coalesce=0".to_owned(),
        };
        readers.push(read_to_the_end(match seq % 2 {
            0 => server.listen_v1(&format!("/ws/a?{query}")),
            _ => server.listen_sse(&format!("/room/a?{query}")),
        }));
    }
    let own: Vec<String> = (0..COUNT).map(|_| witness.line()).collect();
    assert_eq!(follow(start, &own), (last, 0));
    talking.join().expect("everything was said");
    for reader in readers {
        reader.join().expect("everything was read");
    }
}

#[test]
fn the_first_line_the_replay_and_what_is_new_come_in_this_order() {
    let server = Server::start(&[]);
    let head = server.publish_numbers("/room/a", 3);
    let mut peer = server.connect();
    // The message is sent together with the handshake.
    peer.send([upgrade_v1("/ws/a?last=2").as_bytes(), &text("4")].concat());
    peer.expect_upgrade_v1();
    let lines = peer.hear_lines(4);
    let expected = [
        format!(":fresh {}", head.at(1)),
        format!("{} 2", head.at(2)),
        format!("{} 3", head.at(3)),
        format!("{} 4", head.at(4)),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn readers_that_join_while_messages_linger_get_each_of_them_once() {
    let server = Server::start(&["--linger", "2s"]);
    // The answers come while the messages wait.
    let first = server.publish("/room/a", "one");
    let second = server.publish("/room/a", "two");
    assert_eq!(second, first.at(2));
    let mut readers = Vec::new();
    for (query, start, seq) in [
        ("".to_owned(), "fresh", 2),
        ("last=1".to_owned(), "fresh", 1),
        ("last=9".to_owned(), "fresh", 0),
        (format!("since={first}"), "resumed", 1),
        (format!("since={}", first.at(0)), "resumed", 0),
        (format!("since={second}&coalesce=0"), "resumed", 2),
    ] {
        for mut listener in server.listen_both(&format!("/a?{query}")) {
            assert_eq!(listener.line(), format!(":{start} {}", first.at(seq)));
            readers.push((listener, seq));
        }
    }
    let mut plain = server.connect().upgraded("/ws/a?last=1");
    let third = server.publish("/room/a", "three");
    let lines = [
        format!("{first} one"),
        format!("{second} two"),
        format!("{third} three"),
    ];
    for (mut listener, seq) in readers {
        listener.expect(&lines[seq as usize..]);
    }
    assert_eq!(plain.hear_lines(2), ["two", "three"]);
}
