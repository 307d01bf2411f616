//! What `--slow skip` leaves out for readers that are too far behind, and what it tells them.

use crate::world::World;
use crate::world::listener::{Item, Kind, Listener, Position};
use crate::world::publisher::Post;
use fanfare::config::SlowPolicy;
use fanfare::observe::CloseReason;

const SEND_QUEUE: usize = 4;

fn skipping() -> World {
    World::with(|config| {
        config.chat.send_queue = SEND_QUEUE;
        config.chat.slow = SlowPolicy::Skip;
    })
}

/// A reader whose first line is taken.
fn reader(world: &mut World, kind: Kind) -> Listener {
    let mut listener = world.listen(kind, "", "");
    world.settle();
    listener.take();
    listener
}

fn publish(world: &mut World, numbers: std::ops::RangeInclusive<u64>) -> Position {
    let mut id = String::new();
    for number in numbers {
        (_, id) = world.post(&Post::new("", &format!("message {number}")));
    }
    Position::parse(&id)
}

fn messages(id: &Position, numbers: std::ops::RangeInclusive<u64>) -> Vec<Item> {
    let message = |seq| Item::Message(Some(id.at(seq)), format!("message {seq}"));
    numbers.map(message).collect()
}

#[test]
fn a_reader_that_takes_nothing_is_told_exactly_what_it_misses() {
    for kind in Kind::WITH_IDS {
        let mut world = skipping();
        let mut slow = reader(&mut world, kind);
        slow.peer.set_room(0);
        let id = publish(&mut world, 1..=SEND_QUEUE as u64);
        slow.peer.set_room(usize::MAX);
        world.settle();
        let whole = messages(&id, 1..=4);
        assert_eq!(
            slow.take(),
            whole,
            "a full queue is no reason yet, {kind:?}"
        );

        slow.peer.set_room(0);
        publish(&mut world, 5..=9);
        publish(&mut world, 10..=11);
        slow.peer.set_room(usize::MAX);
        world.settle();
        let expected = [vec![Item::Gap(id.at(9), Some(5))], messages(&id, 10..=11)];
        assert_eq!(slow.take(), expected.concat(), "{kind:?}");
        assert!(!slow.peer.is_closed());
        assert_eq!(world.engine.queued_len(), 0);
    }
}

#[test]
fn what_is_skipped_again_before_it_was_told_is_one_gap() {
    let mut world = skipping();
    let mut slow = reader(&mut world, Kind::NumberedLines);
    slow.peer.set_room(0);
    publish(&mut world, 1..=10);
    let id = publish(&mut world, 11..=12);
    slow.peer.set_room(usize::MAX);
    world.settle();
    let expected = [vec![Item::Gap(id.at(10), Some(10))], messages(&id, 11..=12)];
    assert_eq!(slow.take(), expected.concat());
}

#[test]
fn a_frame_or_a_gap_that_was_begun_is_finished_wherever_the_socket_stops() {
    for kind in Kind::WITH_IDS {
        for (first, second) in (0..90).map(|room| (room, 90 - room)) {
            let mut world = skipping();
            let mut slow = reader(&mut world, kind);
            slow.peer.set_room(first);
            publish(&mut world, 1..=7);
            slow.peer.set_room(second);
            world.settle();
            publish(&mut world, 8..=13);
            let id = publish(&mut world, 14..=14);
            slow.peer.set_room(usize::MAX);
            world.settle();
            let items = slow.take();
            let last = check_dense(&items, &id, kind, first);
            assert_eq!(last, 14, "{kind:?} {first} {items:?}");
        }
    }
}

/// Every message or gap goes on where the one before it ended. Returns where the last one did.
fn check_dense(items: &[Item], id: &Position, kind: Kind, room: usize) -> u64 {
    items.iter().fold(0, |last, item| match item {
        Item::Message(Some(position), text) => {
            assert_eq!(*position, id.at(last + 1), "{kind:?} {room}");
            assert_eq!(*text, format!("message {}", last + 1));
            last + 1
        }
        Item::Gap(position, Some(count)) => {
            assert_eq!(*position, id.at(last + count), "{kind:?} {room}");
            last + count
        }
        _ => panic!("{item:?}"),
    })
}

#[test]
fn readers_without_ids_are_dropped_rather_than_thinned() {
    for kind in [Kind::Lines, Kind::Single] {
        let mut world = skipping();
        let slow = reader(&mut world, kind);
        slow.peer.set_room(0);
        publish(&mut world, 1..=4);
        assert!(!slow.peer.is_closed());
        publish(&mut world, 5..=5);
        assert!(slow.peer.is_closed(), "{kind:?}");
        assert_eq!(world.engine.metrics().closed(CloseReason::Stuck), 1);
        assert_eq!(world.engine.queued_len(), 0);
    }
}

#[test]
fn a_reader_that_was_dropped_resumes_without_a_gap() {
    let mut world = World::with(|config| config.chat.send_queue = SEND_QUEUE);
    let mut slow = reader(&mut world, Kind::NumberedSingle);
    let id = publish(&mut world, 1..=1);
    assert_eq!(slow.take(), messages(&id, 1..=1));
    slow.peer.set_room(0);
    publish(&mut world, 2..=6);
    assert!(slow.peer.is_closed());
    let mut back = world.listen(Kind::NumberedSingle, "", &format!("since={id}"));
    world.settle();
    assert_eq!(back.take().split_off(2), messages(&id, 2..=6));
}

#[test]
fn a_reader_that_closes_is_told_of_what_it_missed_before_the_end() {
    let mut world = skipping();
    let mut slow = reader(&mut world, Kind::NumberedLines);
    slow.peer.set_room(0);
    publish(&mut world, 1..=6);
    let id = publish(&mut world, 7..=7);
    let close = crate::world::masked_frame(0x88, &1000_u16.to_be_bytes());
    slow.peer.send(&close);
    world.settle();
    publish(&mut world, 8..=8);
    slow.peer.set_room(usize::MAX);
    world.settle();
    let mut expected = vec![Item::Gap(id.at(5), Some(5))];
    expected.extend(messages(&id, 6..=7));
    expected.push(Item::Close(1000));
    assert_eq!(slow.take(), expected);
}

#[test]
fn a_long_replay_that_is_taken_slowly_is_not_a_full_queue() {
    for kind in Kind::ALL {
        let mut world = World::with(|config| config.chat.send_queue = SEND_QUEUE);
        publish(&mut world, 1..=50);
        let mut slow = world.listen(kind, "", "last=50");
        slow.peer.set_room(100);
        world.settle();
        publish(&mut world, 51..=54);
        assert!(
            !slow.peer.is_closed(),
            "{kind:?} is dropped amid its replay"
        );
        slow.peer.set_room(usize::MAX);
        world.settle();
        let texts = slow.take_texts();
        assert_eq!(
            (texts.len(), texts[53].as_str()),
            (54, "message 54"),
            "{kind:?}"
        );
    }
}

#[test]
fn a_reader_that_takes_nothing_of_its_replay_is_dropped_at_a_full_queue_of_what_came_since() {
    let mut world = World::with(|config| config.chat.send_queue = SEND_QUEUE);
    publish(&mut world, 1..=50);
    let slow = world.listen(Kind::Single, "", "last=50");
    slow.peer.set_room(0);
    world.settle();
    publish(&mut world, 51..=54);
    assert!(!slow.peer.is_closed());
    publish(&mut world, 55..=55);
    assert!(slow.peer.is_closed());
}
