//! What rooms keep, what readers that come back get of it, and what it counts for.

use std::time::Duration;

use crate::world::World;
use crate::world::listener::{Item, Kind, Listener, Position, Start};
use crate::world::publisher::Post;

const SECOND: Duration = Duration::from_secs(1);

fn publish(world: &mut World, room: &str, text: &str) -> Position {
    let (status, id) = world.post(&Post::new(room, text));
    assert_eq!(status, 200, "{id}");
    Position::parse(&id)
}

/// Where a connection starts, and the messages that it receives.
fn start_and_texts(listener: &mut Listener) -> (Start, u64, String) {
    let (start, position, texts) = listener.take_start();
    (start, position.seq, texts.join(" "))
}

/// What a reader receives that asks like this.
fn asked(world: &mut World, kind: Kind, query: &str) -> (Start, u64, String) {
    let mut listener = world.listen(kind, "", query);
    world.settle();
    let answer = start_and_texts(&mut listener);
    listener.peer.shut();
    world.settle();
    answer
}

#[test]
fn a_reader_gets_what_it_asks_for_of_the_last_messages_that_are_kept() {
    let mut world = World::with(|config| config.rooms.history = 4);
    let lines = ["1", "2", "3", "4", "5", "6"].map(ToOwned::to_owned);
    let (_, id) = world.post(&Post::lines("", &lines));
    let head = Position::parse(&id);
    for kind in Kind::WITH_IDS {
        let golden = [
            ("", Start::Fresh, 6, ""),
            ("last=2", Start::Fresh, 4, "5 6"),
            ("last=99999999999999999999", Start::Fresh, 2, "3 4 5 6"),
            (&format!("since={head}"), Start::Resumed, 6, ""),
            (&format!("since={}", head.at(4)), Start::Resumed, 4, "5 6"),
            (
                &format!("since={}", head.at(2)),
                Start::Resumed,
                2,
                "3 4 5 6",
            ),
            (
                &format!("since={}", head.at(1)),
                Start::Gap(Some(1)),
                2,
                "3 4 5 6",
            ),
            (
                &format!("since={}&last=1", head.at(1)),
                Start::Gap(Some(4)),
                5,
                "6",
            ),
            (
                &format!("since={}", head.at(7)),
                Start::Gap(None),
                2,
                "3 4 5 6",
            ),
            ("since=zzzzzzzz-3&last=0", Start::Gap(None), 6, ""),
        ];
        for (query, start, position, texts) in golden {
            let expected = (start, position, texts.to_owned());
            assert_eq!(asked(&mut world, kind, query), expected, "{kind:?} {query}");
        }
    }
    let plain = [("last=2", "5\n6"), ("last=7", "3\n4\n5\n6")];
    for (query, texts) in plain {
        let mut listener = world.listen(Kind::Lines, "", query);
        world.settle();
        assert_eq!(listener.take_texts().join("\n"), texts);
    }
}

#[test]
fn a_malformed_position_is_refused_but_in_the_header_of_an_event_source() {
    let mut world = World::with(|_| {});
    publish(&mut world, "", "kept");
    for kind in [Kind::NumberedLines, Kind::Events] {
        let mut listener = world.listen(kind, "", "since=yesterday");
        world.settle();
        assert_eq!(listener.take(), [Item::Status(400)], "{kind:?}");
    }
    let mut listener = world.listen(Kind::Lines, "", "since=zzzzzzzz-1");
    world.settle();
    assert_eq!(listener.take(), [Item::Status(400)]);
    let peer = world.connect();
    peer.send(b"GET /room HTTP/1.1\r\nHost: a\r\nLast-Event-ID: yesterday\r\n\r\n");
    world.settle();
    let mut listener = Listener::new(peer, Kind::Events);
    let expected = (Start::Gap(None), 0, "kept".to_owned());
    assert_eq!(start_and_texts(&mut listener), expected);
}

#[test]
fn what_is_too_old_is_not_replayed_even_before_anybody_has_looked() {
    let mut world = World::with(|config| config.rooms.history_age = 10 * SECOND);
    publish(&mut world, "", "old");
    world.pass(8 * SECOND);
    publish(&mut world, "", "new");
    let all = |world: &mut World| asked(world, Kind::NumberedLines, "last=9");
    assert_eq!(all(&mut world), (Start::Fresh, 0, "old new".to_owned()));
    // Nothing announces this moment.
    world.now += 3 * SECOND;
    assert_eq!(all(&mut world), (Start::Fresh, 1, "new".to_owned()));
    world.pass(8 * SECOND);
    assert_eq!(all(&mut world), (Start::Fresh, 2, String::new()));
    assert_eq!(world.engine.history_len(), 0);
}

#[test]
fn history_is_not_queued_and_what_is_queued_is_not_history() {
    let mut world = World::with(|config| config.chat.max_queued = 4 * 512);
    let reader = world.join();
    for number in 0..100 {
        publish(&mut world, "", &format!("{number} {}", "x".repeat(400)));
    }
    assert_eq!(reader.take_lines().len(), 100);
    assert_eq!(world.engine.queued_len(), 0);
    let history_len = world.engine.history_len();
    assert!(history_len > 40_000);

    let slow = world.join();
    slow.set_room(0);
    publish(&mut world, "", "waits");
    assert!(world.engine.queued_len() > 0);
    assert_eq!(world.engine.history_len(), history_len);
    slow.set_room(usize::MAX);
    world.settle();
    assert_eq!(world.engine.queued_len(), 0);
    assert!(world.engine.history_len() > history_len);
}

#[test]
fn what_a_slow_reader_has_taken_is_history_and_within_its_bound() {
    let mut world = World::with(|config| config.rooms.max_history = 3_000);
    let slow = world.join();
    slow.set_room(0);
    for number in 0..50 {
        publish(&mut world, "", &format!("{number} {}", "x".repeat(400)));
    }
    assert!(world.engine.queued_len() > 20_000);
    slow.set_room(usize::MAX);
    world.settle();
    assert_eq!(slow.take_lines().len(), 50);
    let history_len = world.engine.history_len();
    assert!((1_000..=3_000).contains(&history_len), "{history_len}");
}

#[test]
fn rooms_published_to_least_recently_lose_their_history_first_whoever_reads_them() {
    let mut world = World::with(|config| config.rooms.max_history = 2_000);
    let text = "x".repeat(400);
    let mut slow = world.listen(Kind::NumberedLines, "old", "");
    world.settle();
    slow.peer.set_room(0);
    publish(&mut world, "old", &text);
    // The history of all others is too much, and that of the first one is needed.
    for room in ["b", "c", "d", "e", "f"] {
        publish(&mut world, room, &text);
    }
    slow.peer.set_room(usize::MAX);
    world.settle();
    assert_eq!(slow.take_texts().concat(), text);
    publish(&mut world, "g", &text);
    let mut kept = |room: &str| {
        let mut listener = world.listen(Kind::Lines, room, "last=1");
        world.settle();
        listener.take_texts().len()
    };
    assert_eq!((kept("old"), kept("f"), kept("g")), (0, 1, 1));
}
