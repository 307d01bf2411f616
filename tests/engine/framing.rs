//! Which messages travel in one frame.

use crate::world::{Peer, World};
use fanfare::room::framing::JOINED_TEXT_MAX;

/// A member that publishes and one whose socket takes nothing yet.
fn publisher_and_laggard(world: &mut World) -> (Peer, Peer) {
    let (publisher, laggard) = (world.join(), world.join());
    laggard.set_room(0);
    (publisher, laggard)
}

/// Publishes two messages so long, in one turn or in two; the lengths of the frames that a laggard gets.
fn frame_lens(lens: [usize; 2], in_one_turn: bool) -> Vec<usize> {
    let mut world = World::with(|config| config.chat.max_message = 4 * JOINED_TEXT_MAX);
    let (publisher, laggard) = publisher_and_laggard(&mut world);
    for len in lens {
        publisher.say(&"x".repeat(len));
        if !in_one_turn {
            world.settle();
        }
    }
    world.settle();
    laggard.set_room(usize::MAX);
    world.settle();
    let frames = laggard.take_frames();
    let payload_len: usize = frames.iter().map(|frame| frame.1.len()).sum();
    assert_eq!(
        payload_len + frames.len(),
        lens[0] + lens[1] + 2,
        "all of it"
    );
    frames.iter().map(|frame| frame.1.len()).collect()
}

#[test]
fn messages_are_joined_up_to_the_bound_and_not_one_byte_beyond_it() {
    let half = JOINED_TEXT_MAX / 2;
    for in_one_turn in [true, false] {
        let joined = frame_lens([half, half - 1], in_one_turn);
        assert_eq!(joined, [JOINED_TEXT_MAX], "the newline counts");
        assert_eq!(frame_lens([half, half], in_one_turn), [half, half]);
    }
}

#[test]
fn a_message_longer_than_the_bound_travels_alone() {
    let long = JOINED_TEXT_MAX + 1;
    for in_one_turn in [true, false] {
        assert_eq!(frame_lens([long, 1], in_one_turn), [long, 1]);
        assert_eq!(frame_lens([1, long], in_one_turn), [1, long]);
    }
}

#[test]
fn a_laggard_gets_no_frame_beyond_the_bound_however_much_waits_for_it() {
    let mut world = World::with(|config| {
        config.chat.send_queue = 10_000;
        config.chat.max_message = 1_000;
    });
    let (publisher, laggard) = publisher_and_laggard(&mut world);
    for _ in 0..2_000 {
        publisher.say(&"x".repeat(1_000));
        world.settle();
        publisher.take();
    }
    laggard.set_room(usize::MAX);
    world.settle();
    let frames = laggard.take_frames();
    let longest = frames.iter().map(|frame| frame.1.len()).max().unwrap();
    assert!(longest <= JOINED_TEXT_MAX, "{longest}");
    let fewest = 2_000 * 1_001 / JOINED_TEXT_MAX;
    assert!(
        (fewest..=fewest + 1).contains(&frames.len()),
        "{}",
        frames.len()
    );
}
