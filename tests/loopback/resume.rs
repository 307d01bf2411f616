//! Where a connection starts: each row of the table that decides it, for both readers that know ids, and what
//! a reader has in the end after it came back.

use crate::common::Server;
use crate::common::rooms::{Id, Listener, upgrade_v1};
use crate::common::wire::{get, text, upgrade};

/// Expects both kinds of reader of room `a` to be told `first`, then the messages behind that position up to
/// `head`, each the text of its number, and then what is new.
fn assert_starts(server: &Server, query: &str, head: &mut Id, first: &str) {
    let position = first.split(' ').nth(1).expect(first);
    let position = Id::parse(position);
    let replay = (position.seq + 1..=head.seq).map(|seq| format!("{} {seq}", head.at(seq)));
    let replay: Vec<String> = replay.collect();
    let mut listeners = server.listen_both(&format!("/a?{query}"));
    for listener in &mut listeners {
        assert_eq!(listener.line(), first, "{query}");
        listener.expect(&replay);
    }
    let new = head.seq + 1;
    *head = server.publish("/room/a", &new.to_string());
    for listener in &mut listeners {
        listener.expect(&[format!("{head} {new}")]);
    }
}

/// A server that keeps `history` messages, and that has published so many numbers in room `a`.
fn server_with(history: &str, count: usize) -> (Server, Id) {
    let server = Server::start(&["--history", history]);
    let head = server.publish_numbers("/room/a", count);
    (server, head)
}

// Nothing, or `last=N`.

#[test]
fn a_fresh_reader_starts_at_the_last_message_or_so_many_before() {
    for (query, seq) in [
        ("", 5),
        ("last=0", 5),
        ("last=1", 4),
        ("last=3", 2),
        ("last=4", 2),
        ("last=18446744073709551615", 2),
        ("last=99999999999999999999", 2),
    ] {
        let (server, mut head) = server_with("3", 5);
        let first = format!(":fresh {}", head.at(seq));
        assert_starts(&server, query, &mut head, &first);
    }
}

#[test]
fn a_room_that_was_not_there_starts_at_zero_for_all() {
    let server = Server::start(&[]);
    let [mut v1, mut sse] = server.listen_both("/new?last=5");
    let position = v1.expect_fresh();
    assert_eq!(position.seq, 0);
    assert_eq!(sse.expect_fresh(), position);
    let since = format!("/new?since={position}");
    for mut listener in server.listen_both(&since) {
        listener.expect(&[format!(":resumed {position}")]);
    }
}

// The same epoch.

#[test]
fn a_reader_resumes_where_nothing_is_missing() {
    // Messages 3, 4 and 5 are kept, so that position 2 is the first that has all behind it.
    for seq in 2..=5 {
        for last in ["", "&last=0", "&last=1"] {
            let (server, mut head) = server_with("3", 5);
            let since = head.at(seq);
            let query = format!("since={since}{last}");
            assert_starts(&server, &query, &mut head, &format!(":resumed {since}"));
        }
    }
}

#[test]
fn a_reader_is_told_how_many_are_missing() {
    for (seq, last, position) in [
        (1, "", 2),
        (0, "", 2),
        (1, "&last=99", 2),
        (1, "&last=3", 2),
        (1, "&last=2", 3),
        (1, "&last=1", 4),
        (1, "&last=0", 5),
        (0, "&last=1", 4),
    ] {
        let (server, mut head) = server_with("3", 5);
        let query = format!("since={}{last}", head.at(seq));
        let first = format!(":gap {} {}", head.at(position), position - seq);
        assert_starts(&server, &query, &mut head, &first);
    }
}

#[test]
fn an_id_that_was_never_given_is_a_gap_of_unknown_size() {
    for seq in [
        "6",
        "7",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999",
    ] {
        for (last, position) in [("", 2), ("&last=2", 3), ("&last=0", 5)] {
            let (server, mut head) = server_with("3", 5);
            let query = format!("since={}-{seq}{last}", head.epoch);
            let first = format!(":gap {} ?", head.at(position));
            assert_starts(&server, &query, &mut head, &first);
        }
    }
}

#[test]
fn a_reader_resumes_inside_a_batch() {
    let server = Server::start(&[]);
    let mut plain = server.connect().upgraded("/ws/a");
    let batch: Vec<u8> = (1..=50).flat_map(|n| text(&n.to_string())).collect();
    plain.send(batch);
    assert_eq!(plain.hear_lines(50).len(), 50);
    let mut head = server.publish("/room/a", "51");
    assert_eq!(head.seq, 51);
    for seq in [0, 1, 17, 49, 50] {
        let since = head.at(seq);
        let query = format!("since={since}");
        assert_starts(&server, &query, &mut head, &format!(":resumed {since}"));
    }
}

#[test]
fn a_gap_may_end_inside_a_batch() {
    let server = Server::start(&["--history", "7"]);
    let mut head = server.publish_numbers("/room/a", 50);
    let first = format!(":gap {} 43", head.at(43));
    let since = format!("since={}", head.at(0));
    assert_starts(&server, &since, &mut head, &first);
}

// Nothing is kept.

#[test]
fn without_a_history_positions_go_on() {
    for (query_seq, first_word, count) in [
        (Some(5), "resumed", ""),
        (Some(4), "gap", " 1"),
        (Some(0), "gap", " 5"),
        (Some(6), "gap", " ?"),
        (None, "fresh", ""),
    ] {
        let (server, mut head) = server_with("0", 5);
        let since = query_seq.map_or("last=9".to_owned(), |seq| {
            format!("last=9&since={}", head.at(seq))
        });
        let first = format!(":{first_word} {head}{count}");
        assert_starts(&server, &since, &mut head, &first);
    }
}

// Another epoch.

#[test]
fn another_epoch_is_a_gap_of_unknown_size() {
    for (last, position) in [("", 2), ("&last=1", 4), ("&last=0", 5), ("&last=99", 2)] {
        for seq in [0, 3, 5, 6] {
            let (server, mut head) = server_with("3", 5);
            let query = format!("since=aaaaaaaa-{seq}{last}");
            let first = format!(":gap {} ?", head.at(position));
            assert_starts(&server, &query, &mut head, &first);
        }
    }
}

#[test]
fn a_room_that_was_not_there_is_another_epoch() {
    let server = Server::start(&[]);
    for mut listener in server.listen_both("/new?since=aaaaaaaa-7") {
        let line = listener.line();
        let position = line
            .strip_prefix(":gap ")
            .and_then(|line| line.strip_suffix(" ?"));
        assert_eq!(Id::parse(position.expect(&line)).seq, 0);
    }
}

#[test]
fn the_same_room_has_the_same_epoch_on_every_connection() {
    let server = Server::start(&[]);
    let mut first = server.listen_v1("/ws/a");
    let position = first.expect_fresh();
    drop(first);
    for mut listener in server.listen_both("/a") {
        assert_eq!(listener.expect_fresh(), position);
    }
    assert_eq!(server.publish("/room/a", "hello"), position.at(1));
}

// What is no id.

#[test]
fn what_has_not_the_form_of_an_id_is_refused() {
    let server = Server::start(&[]);
    let id = server.publish("/room/a", "hello");
    let epoch = &id.epoch;
    for since in [
        String::new(),
        "x".to_owned(),
        "1".to_owned(),
        epoch.clone(),
        format!("{epoch}-"),
        format!("{epoch}1"),
        format!("{epoch}-01"),
        format!("{epoch}-00"),
        format!("{epoch}--1"),
        format!("{epoch}-+1"),
        format!("{epoch}-1x"),
        format!("{epoch}-1%20"),
        format!("%20{epoch}-1"),
        format!("{epoch}_1"),
        format!("{epoch}a-1"),
        format!("{}-1", &epoch[1..]),
        "AAAAAAAA-1".to_owned(),
        "aaaa.aaa-1".to_owned(),
        format!("{epoch}-123456789012345678901"),
    ] {
        server.expect_error(upgrade_v1(&format!("/ws/a?since={since}")), 400);
        server.expect_error(get(&format!("/room/a?since={since}")), 400);
    }
}

#[test]
fn a_plain_reader_cannot_resume() {
    let server = Server::start(&[]);
    let id = server.publish("/room/a", "hello");
    for since in [
        id.to_string(),
        id.at(0).to_string(),
        "x".to_owned(),
        String::new(),
    ] {
        server.expect_error(upgrade(&format!("/ws/a?since={since}")), 400);
        server.expect_error(upgrade(&format!("/ws/a?last=1&since={since}")), 400);
    }
}

// What a reader has in the end.

#[test]
fn a_reader_that_comes_back_again_and_again_has_every_message_once() {
    const ROUNDS: u64 = 40;
    let server = Server::start(&[]);
    let mut position = server.listen_v1("/ws/a").expect_fresh();
    let publish = |seq: u64| server.publish("/room/a", &seq.to_string());
    for round in 0..ROUNDS {
        // Two while it is away, one while it is there.
        let first = round * 3 + 1;
        publish(first);
        publish(first + 1);
        let mut listener = match round % 2 {
            0 => server.listen_v1(&format!("/ws/a?since={position}")),
            _ => server.listen_sse(&format!("/room/a?since={position}")),
        };
        publish(first + 2);
        listener.expect(&[format!(":resumed {position}")]);
        let lines = (first..first + 3).map(|seq| format!("{} {seq}", position.at(seq)));
        listener.expect(&lines.collect::<Vec<_>>());
        position = position.at(first + 2);
    }
}

#[test]
fn a_reader_that_has_received_nothing_yet_resumes_as_well() {
    let server = Server::start(&[]);
    for listen in ["v1", "sse"] {
        let start = |rest: &str| -> Listener {
            match listen {
                "v1" => server.listen_v1(&format!("/ws/{listen}{rest}")),
                _ => server.listen_sse(&format!("/room/{listen}{rest}")),
            }
        };
        let position = start("").expect_fresh();
        let id = server.publish(&format!("/room/{listen}"), "while it was away");
        let mut listener = start(&format!("?since={position}"));
        listener.expect(&[
            format!(":resumed {position}"),
            format!("{id} while it was away"),
        ]);
    }
}
