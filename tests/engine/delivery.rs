//! Who receives what, in which frames, and which client that does not take it is closed.

use std::time::Duration;

use crate::world::{Peer, UPGRADE, World, close_frame, masked_frame};
use fanfare::config::OFFERS_PER_TURN;
use fanfare::observe::CloseReason;

const SECOND: Duration = Duration::from_secs(1);
/// The default of the write wait.
const CONFIG_WRITE_WAIT: Duration = Duration::from_secs(10);

#[test]
fn what_is_said_in_one_turn_leaves_as_one_frame_with_one_write() {
    let mut world = World::with(|_| {});
    let (a, b) = (world.join(), world.join());
    let before = b.socket().writes;
    a.say("one");
    a.say("two");
    b.say("three");
    world.settle();
    let frames = [(0x81, b"one\ntwo\nthree".to_vec())];
    assert_eq!(a.take_frames(), frames);
    assert_eq!(b.take_frames(), frames);
    assert_eq!(b.socket().writes, before + 1);
}

#[test]
fn messages_that_wait_for_a_laggard_leave_as_one_frame() {
    let mut world = World::with(|_| {});
    let (a, laggard) = (world.join(), world.join());
    laggard.set_room(0);
    for text in ["one", "two", "three"] {
        a.say(text);
        world.settle();
    }
    assert_eq!(laggard.take(), b"");
    laggard.set_room(usize::MAX);
    world.settle();
    assert_eq!(laggard.take_frames(), [(0x81, b"one\ntwo\nthree".to_vec())]);
}

#[test]
fn a_stuck_client_is_dropped_at_a_full_queue_and_not_one_message_before() {
    let mut world = World::with(|config| config.chat.send_queue = 5);
    let (a, stuck) = (world.join(), world.join());
    stuck.set_room(0);
    for i in 0..5 {
        a.say(&format!("{i}"));
        world.settle();
    }
    assert!(!stuck.is_closed(), "the queue is full, and holds");
    a.say("5");
    world.settle();
    assert!(stuck.is_closed());
    assert_eq!(a.take_lines(), ["0", "1", "2", "3", "4", "5"]);
    assert_eq!(world.engine.metrics().closed(CloseReason::Stuck), 1);
}

#[test]
fn a_full_queue_is_offered_to_the_socket_before_it_is_judged() {
    let mut world = World::with(|config| config.chat.send_queue = 5);
    let (a, slow) = (world.join(), world.join());
    slow.set_room(0);
    for i in 0..5 {
        a.say(&format!("{i}"));
        world.settle();
    }
    slow.set_room_silently(usize::MAX);
    a.say("5");
    world.settle();
    assert!(!slow.is_closed());
    assert_eq!(slow.take_lines(), ["0", "1", "2", "3", "4", "5"]);
}

#[test]
fn a_client_whose_socket_takes_too_little_is_kept_until_its_queue_is_full_twice_over() {
    let mut world = World::with(|config| config.chat.send_queue = 2);
    let (speaker, slow) = (world.join(), world.join());
    slow.set_room(3);
    let mut said = 0;
    while !slow.is_closed() {
        assert!(said < 10, "not even a full queue ends it");
        // A byte at a time, which is never announced.
        slow.socket().room += 1;
        speaker.say("0123456789");
        said += 1;
        world.settle();
    }
    // One is begun and four wait; the sixth is too much.
    assert_eq!(said, 6);
    assert_eq!(world.engine.metrics().closed(CloseReason::Stuck), 1);
}

#[test]
fn a_socket_whose_room_was_not_announced_is_offered_once_more_before_it_is_given_up() {
    let mut world = World::with(|_| {});
    let (speaker, slow) = (world.join(), world.join());
    slow.set_room(0);
    speaker.say("hello");
    world.settle();
    for _ in 0..5 {
        slow.set_room_silently(1);
        world.pass(CONFIG_WRITE_WAIT + SECOND / 2);
        speaker.send(&masked_frame(0x8a, b""));
    }
    assert!(!slow.is_closed());
    assert_eq!(slow.take(), b"\x81\x05hel");
    world.pass(CONFIG_WRITE_WAIT + SECOND);
    assert!(slow.is_closed());
    assert_eq!(world.engine.metrics().closed(CloseReason::WriteTimeout), 1);
}

#[test]
fn a_peer_that_takes_a_long_frame_bit_by_bit_is_not_asked_for_a_pong_meanwhile() {
    let mut world = World::with(|config| {
        config.timeouts.pong_wait = 4 * SECOND;
        config.chat.max_message = 1000;
    });
    world.network.short_means_blocked = true;
    let (speaker, slow) = (world.join(), world.join());
    slow.set_room(0);
    speaker.say(&"x".repeat(900));
    for _ in 0..90 {
        world.pass(SECOND / 5);
        speaker.send(&masked_frame(0x8a, b""));
        slow.set_room(10);
    }
    world.settle();
    assert!(!slow.is_closed());
    slow.set_room(usize::MAX);
    world.pass(4 * SECOND - SECOND / 2);
    speaker.send(&masked_frame(0x8a, b""));
    assert!(!slow.is_closed());
    // Now that it could answer a ping, it has to.
    world.pass(SECOND);
    assert_eq!(
        slow.take_frames().last(),
        Some(&close_frame(1008, "no pong in time"))
    );
}

#[test]
fn a_begun_frame_is_not_in_the_queue_and_is_finished_whole() {
    let mut world = World::with(|config| config.chat.send_queue = 2);
    let (a, slow) = (world.join(), world.join());
    slow.set_room(3);
    for text in ["first", "a", "b"] {
        a.say(text);
        world.settle();
    }
    assert!(!slow.is_closed());
    slow.set_room(usize::MAX);
    world.settle();
    let frames = [(0x81, b"first".to_vec()), (0x81, b"a\nb".to_vec())];
    assert_eq!(slow.take_frames(), frames);
}

#[test]
fn a_burst_larger_than_the_queue_reaches_everybody_who_reads() {
    let mut world = World::with(|_| {});
    let (a, b) = (world.join(), world.join());
    let burst: Vec<String> = (0..5000).map(|i| format!("message {i}")).collect();
    for text in &burst {
        a.say(text);
    }
    world.settle();
    assert_eq!(a.take_lines(), burst);
    assert_eq!(b.take_lines(), burst);
}

#[test]
fn a_joiner_sees_what_is_said_after_its_join_and_nothing_before() {
    let mut world = World::with(|_| {});
    let a = world.join();
    a.say("before");
    let late = world.connect();
    late.send(&[UPGRADE, &masked_frame(0x81, b"hello")].concat());
    world.settle();
    assert_eq!(a.take_lines(), ["before", "hello"]);
    assert_eq!(late.take_lines(), ["hello"]);
}

#[test]
fn a_joiner_that_is_dropped_for_what_it_is_owed_leaves_no_seat_behind() {
    const GET: &[u8] = b"GET /chat.js HTTP/1.1\r\nHost: a\r\n\r\n";
    let asset_len = {
        let mut world = World::with(|_| {});
        let peer = world.connect();
        peer.send(GET);
        world.settle();
        peer.take().len()
    };
    // Three answers may wait, not four.
    let mut world = World::with(|config| config.chat.max_queued = 7 * asset_len / 2);
    let speaker = world.join();
    let [other, joiner] = [world.connect(), world.connect()];
    other.set_room(0);
    joiner.set_room(0);
    joiner.send(&[GET, GET, b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
    other.send(GET);
    world.settle();

    // In one turn: the room has something new, too much is queued in all, and the client with the most queued joins.
    speaker.say("news");
    other.send(GET);
    joiner.send(UPGRADE);
    world.settle();
    assert!(joiner.is_closed());
    assert_eq!(world.engine.metrics().closed(CloseReason::Overload), 1);

    let stranger = world.connect();
    speaker.say("not for strangers");
    world.settle();
    assert_eq!(stranger.take(), b"");
    assert_eq!(speaker.take_lines(), ["news", "not for strangers"]);
}

#[test]
fn nobody_is_dropped_for_what_its_socket_was_not_offered_yet() {
    let mut world = World::with(|config| {
        config.chat.echo = true;
        config.chat.max_queued = 4096;
    });
    let speaker = world.join();
    let echo = world.connect();
    echo.send(
        str::from_utf8(UPGRADE)
            .unwrap()
            .replace("/ws", "/echo")
            .as_bytes(),
    );
    world.settle();
    echo.take();
    let said = masked_frame(0x82, &[7; 500]).repeat(20);
    echo.send(&said);
    speaker.say("hello");
    world.settle();
    assert!(!echo.is_closed());
    assert_eq!(echo.take_frames().len(), 20);
}

#[test]
fn a_client_that_fills_a_batch_is_read_on_in_the_next_turn_and_others_beside_it() {
    let mut world = World::with(|config| config.chat.send_queue = 10);
    let [flooder, other] = [world.join(), world.join()];
    let said: Vec<String> = (0..35).map(|number| number.to_string()).collect();
    let frames: Vec<u8> = said
        .iter()
        .flat_map(|text| masked_frame(0x81, text.as_bytes()))
        .collect();
    flooder.send(&frames);
    world.turn();
    assert_eq!(other.take_lines(), said[..10]);
    assert_eq!(world.wait(), Some(Duration::ZERO));
    other.say("me too");
    world.turn();
    let lines = other.take_lines();
    assert_eq!(lines, [&said[10..20], &["me too".to_owned()]].concat());
    world.settle();
    assert_eq!(other.take_lines(), said[20..]);
    assert_eq!(flooder.take_lines().len(), 36);
}

#[test]
fn a_turn_that_has_offered_enough_leaves_the_rest_to_the_next() {
    // Each batch is one message, so that each speaker costs a broadcast.
    let mut world = World::with(|config| config.chat.send_queue = 1);
    let members: Vec<Peer> = (0..600).map(|_| world.join()).collect();
    for speaker in &members[..200] {
        speaker.say("all at once");
    }
    world.turn();
    let heard = members[0].take_lines().len();
    assert_eq!(heard, OFFERS_PER_TURN.div_ceil(members.len()));
    world.turn();
    assert_eq!(members[0].take_lines().len(), heard);
    world.settle();
    assert_eq!(members[0].take_lines().len(), 200 - 2 * heard);
}
