//! Messages that wait for company: nothing is received twice, and nobody who joins gets what was published before.

use std::time::Duration;

use crate::world::listener::{Kind, Start};
use crate::world::publisher::Post;
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

#[test]
fn what_fills_a_batch_waits_for_nothing() {
    let mut world = World::with(|config| {
        config.rooms.linger = LINGER;
        config.chat.send_queue = 3;
    });
    let (talker, reader) = (world.join(), world.join());
    for text in ["one", "two", "three"] {
        assert_eq!(reader.take(), b"");
        talker.say(text);
        world.settle();
    }
    assert_eq!(reader.take_lines(), ["one", "two", "three"]);
    talker.say("four");
    world.settle();
    assert_eq!(reader.take(), b"");
    world.pass(LINGER);
    assert_eq!(reader.take_lines(), ["four"]);
}

#[test]
fn a_publication_of_many_lines_waits_for_nothing() {
    let mut world = world();
    let reader = world.join();
    let lines = ["a", "b"].map(ToOwned::to_owned);
    assert_eq!(world.post(&Post::lines("", &lines)).0, 200);
    assert_eq!(reader.take_lines(), lines);
}

#[test]
fn a_reader_that_comes_while_messages_wait_does_not_get_them_twice() {
    for kind in Kind::WITH_IDS {
        let mut world = world();
        let (talker, reader) = (world.join(), world.join());
        talker.say("early");
        world.pass(2 * LINGER);
        talker.say("waits");
        world.settle();
        let mut fresh = world.listen(kind, "", "");
        let mut replayed = world.listen(kind, "", "last=1");
        world.settle();
        world.pass(2 * LINGER);
        let (start, position, texts) = fresh.take_start();
        assert_eq!((start, position.seq), (Start::Fresh, 2));
        assert_eq!(texts, [] as [&str; 0]);
        let (_, before, texts) = replayed.take_start();
        assert_eq!((before.seq, &texts[..]), (1, &["waits".to_owned()][..]));
        assert_eq!(reader.take_lines(), ["early", "waits"]);

        talker.say("next");
        world.settle();
        let query = format!("since={before}");
        let mut resumed = world.listen(kind, "", &query);
        world.pass(2 * LINGER);
        let (start, _, texts) = resumed.take_start();
        assert_eq!(
            (start, &texts[..]),
            (Start::Resumed, &["waits", "next"].map(str::to_owned)[..])
        );
        assert_eq!(fresh.take_texts(), ["next"]);
        assert_eq!(replayed.take_texts(), ["next"]);
        assert_eq!(reader.take_lines(), ["next"]);
    }
}
