//! Messages that wait for company: nothing is received twice, and nobody who joins gets what was published before.

use std::time::Duration;

use crate::world::{Peer, World};

const LINGER: Duration = Duration::from_millis(50);

fn world() -> World {
    World::with(|config| config.rooms.linger = LINGER)
}

#[test]
fn messages_wait_for_each_other_and_leave_in_one_frame() {
    let mut world = world();
    let (a, b) = (world.join(), world.join());
    a.say("one");
    world.settle();
    assert_eq!(b.take(), b"");
    assert_eq!(world.wait(), Some(LINGER));
    world.pass(LINGER - Duration::from_millis(1));
    b.say("two");
    world.settle();
    assert_eq!(a.take(), b"");
    world.pass(Duration::from_millis(1));
    assert_eq!(a.take(), b"\x81\x07one\ntwo");
    assert_eq!(b.take(), b"\x81\x07one\ntwo");
}

#[test]
fn a_reader_that_catches_up_meanwhile_receives_nothing_twice() {
    let mut world = world();
    let (slow, speaker) = (world.join(), world.join());
    slow.set_room(0);
    speaker.say("behind");
    world.pass(LINGER);
    let leaver = world.join();
    speaker.say("lingers");
    world.settle();
    // What was published before somebody leaves is sealed.
    leaver.shut();
    slow.set_room(usize::MAX);
    world.settle();
    world.pass(LINGER);
    assert_eq!(slow.take_lines(), ["behind", "lingers"]);
    assert_eq!(speaker.take_lines(), ["behind", "lingers"]);
}

#[test]
fn a_client_that_joins_meanwhile_gets_what_is_published_after_it() {
    let mut world = world();
    let speaker: Peer = world.join();
    speaker.say("before");
    world.settle();
    let joiner = world.join();
    speaker.say("after");
    world.pass(LINGER);
    assert_eq!(speaker.take_lines(), ["before", "after"]);
    assert_eq!(joiner.take_lines(), ["after"]);
}

#[test]
fn a_client_that_leaves_meanwhile_gets_what_was_published_before() {
    let mut world = world();
    let (speaker, leaver) = (world.join(), world.join());
    speaker.say("before");
    world.settle();
    leaver.send(&crate::world::wire::close(1000, b""));
    world.settle();
    assert!(leaver.take().starts_with(b"\x81\x06before\x88"));
    world.pass(LINGER);
    assert_eq!(speaker.take_lines(), ["before"]);
}
