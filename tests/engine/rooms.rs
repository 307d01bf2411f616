//! Rooms beside each other: who receives what, how many listen, what a turn costs, and how many rooms there are.

use std::time::Duration;

use crate::world::listener::{Item, Kind, Listener};
use crate::world::publisher::Post;
use crate::world::{Peer, World};

const SECOND: Duration = Duration::from_secs(1);

/// The counts that a listener was told since the last call.
fn counts(listener: &mut Listener) -> Vec<usize> {
    let items = listener.take().into_iter();
    let counts = items.filter_map(|item| match item {
        Item::Here(count) => Some(count),
        _ => None,
    });
    counts.collect()
}

#[test]
fn a_message_goes_to_its_room_in_every_framing_and_to_no_other() {
    let mut world = World::with(|_| {});
    let rooms = ["", "a", "A", "a.b_c~d-9"];
    let mut listeners: Vec<(&str, Listener)> = Vec::new();
    for room in rooms {
        for kind in Kind::ALL {
            listeners.push((room, world.listen(kind, room, "")));
        }
    }
    world.settle();
    for room in rooms {
        assert_eq!(world.post(&Post::new(room, &format!("in {room}."))).0, 200);
    }
    for (room, listener) in &mut listeners {
        assert_eq!(listener.take_texts(), [format!("in {room}.")]);
    }
    assert_eq!(world.engine.room_count(), rooms.len());
}

#[test]
fn those_who_want_to_know_are_told_how_many_listen_behind_the_replay() {
    for kind in Kind::WITH_IDS {
        let mut world = World::with(|_| {});
        let lines = ["1", "2", "3"].map(ToOwned::to_owned);
        world.post(&Post::lines("", &lines));
        let _other = world.join();
        let mut listener = world.listen(kind, "", "here=1&last=3");
        world.settle();
        let items = listener.take();
        assert_eq!(items.len(), 6, "{items:?}");
        assert_eq!(items.last(), Some(&Item::Here(2)));
    }
}

#[test]
fn a_count_waits_for_a_replay_that_the_socket_takes_slowly() {
    let mut world = World::with(|_| {});
    world.post(&Post::new("", &"x".repeat(300)));
    let mut listener = world.listen(Kind::NumberedLines, "", "here=1&last=1");
    listener.peer.set_room(300);
    world.settle();
    assert_eq!(counts(&mut listener), [] as [usize; 0]);
    let _other = world.join();
    world.pass(2 * SECOND);
    listener.peer.set_room(usize::MAX);
    world.settle();
    assert_eq!(
        listener.take()[1..],
        [Item::Here(2)],
        "the latest count alone"
    );
}

#[test]
fn changes_of_the_count_are_told_once_a_second_at_most_and_the_last_one_is_told() {
    let mut world = World::with(|_| {});
    world.pass(SECOND / 11);
    let mut listener = world.listen(Kind::Events, "", "here=1");
    world.settle();
    assert_eq!(counts(&mut listener), [1]);
    let mut told = vec![(world.now, 1)];
    let mut crowd = Vec::new();
    for moment in 0..100 {
        if moment < 60 {
            crowd.push(world.join());
        }
        world.pass(SECOND / 13);
        told.extend(
            counts(&mut listener)
                .into_iter()
                .map(|count| (world.now, count)),
        );
    }
    let mut gaps = told.iter().zip(&told[1..]);
    assert!(gaps.all(|(one, next)| next.0 - one.0 >= SECOND), "{told:?}");
    assert!((5..=6).contains(&told.len()), "{told:?}");
    assert_eq!(told.last().unwrap().1, 61);
    crowd.iter().for_each(Peer::shut);
    world.pass(2 * SECOND);
    assert_eq!(counts(&mut listener), [1]);
    world.pass(2 * SECOND);
    assert_eq!(
        counts(&mut listener),
        [] as [usize; 0],
        "nothing has changed"
    );
}

#[test]
fn the_count_is_repeated_with_every_ping() {
    for kind in Kind::WITH_IDS {
        let mut world = World::with(|_| {});
        let mut listener = world.listen(kind, "", "here=1");
        world.settle();
        assert_eq!(counts(&mut listener), [1]);
        let mut pings = 0;
        for _ in 0..200 {
            world.pass(SECOND / 2);
            match &listener.take()[..] {
                [] => {}
                [Item::Ping, Item::Here(1)] => pings += 1,
                items => panic!("{items:?}"),
            }
        }
        assert!(pings >= 4, "{pings}");
    }
}

#[test]
fn readers_that_do_not_ask_and_those_without_ids_are_told_no_count() {
    let mut world = World::with(|_| {});
    let mut listeners: Vec<Listener> = [
        (Kind::NumberedLines, ""),
        (Kind::Events, "here=0"),
        (Kind::Lines, "here=1"),
        (Kind::Single, "here=1"),
    ]
    .map(|(kind, query)| world.listen(kind, "", query))
    .into();
    world.pass(60 * SECOND);
    for listener in &mut listeners {
        assert_eq!(counts(listener), [] as [usize; 0]);
    }
}

#[test]
fn a_turn_costs_nothing_for_rooms_in_which_nothing_happens() {
    let mut world = World::with(|_| {});
    let mut listeners = Vec::new();
    for room in 0..300 {
        let name = format!("room-{room}");
        listeners.push(world.listen(Kind::NumberedLines, &name, ""));
        world.settle();
        world.post(&Post::new(&name, "kept"));
    }
    let calls = |listener: &Listener| {
        let socket = listener.peer.socket();
        socket.reads + socket.writes
    };
    let before: Vec<usize> = listeners.iter().map(calls).collect();
    let offered = world.engine.metrics().deliveries;
    listeners[7].peer.say("hello");
    world.settle();
    assert_eq!(world.engine.metrics().deliveries - offered, 1);
    for (room, listener) in listeners.iter().enumerate() {
        let calls = calls(listener) - before[room];
        assert_eq!(calls > 0, room == 7, "{calls} calls in room {room}");
    }
    assert!(world.wait() > Some(SECOND), "nothing is left to do");
}

#[test]
fn a_room_beyond_the_limit_is_refused_until_one_is_forgotten() {
    let mut world = World::with(|config| {
        config.rooms.max_rooms = 2;
        config.rooms.history = 0;
    });
    assert_eq!(world.post(&Post::new("a", "text")).0, 200);
    let listener = world.listen(Kind::NumberedLines, "b", "");
    world.settle();
    let refused = world.post(&Post::new("c", "text"));
    assert_eq!(
        refused,
        (503, "there are too many rooms (--max-rooms)".to_owned())
    );
    world.pass(299 * SECOND);
    assert_eq!(world.post(&Post::new("c", "text")).0, 503);
    world.pass(3 * SECOND);
    assert_eq!(world.post(&Post::new("c", "text")).0, 200);
    assert!(!listener.peer.is_closed() || world.engine.room_count() == 2);
}

#[test]
fn a_room_that_was_forgotten_begins_with_another_epoch() {
    let mut world = World::with(|config| config.rooms.history_age = 10 * SECOND);
    let (_, first) = world.post(&Post::new("a", "one"));
    world.pass(305 * SECOND);
    let (_, second) = world.post(&Post::new("a", "two"));
    let epoch = first.strip_suffix("-1").unwrap();
    assert_eq!(second, format!("{epoch}-2"), "ids outlive history");
    world.pass(320 * SECOND);
    assert_eq!(world.engine.room_count(), 0);
    let (_, third) = world.post(&Post::new("a", "three"));
    assert!(
        third.ends_with("-1") && !third.starts_with(epoch),
        "{third}"
    );
    let mut listener = world.listen(Kind::NumberedLines, "a", &format!("since={second}"));
    world.settle();
    assert_eq!(listener.take_texts(), ["three"]);
}
