//! What the engine keeps about its clients: to-do lists, deadlines, the account of what is queued.

use std::io::ErrorKind;
use std::time::Duration;

use crate::world::{Peer, UPGRADE, World, masked_frame};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_slot_that_is_used_again_is_read_once_per_turn() {
    let mut world = World::with(|config| config.chat.send_queue = 1);
    let members: Vec<Peer> = (0..600).map(|_| world.join()).collect();
    // It is still listed as readable when the turn has done enough, and is then found to be broken.
    let broken = world.join();
    for member in members.iter().take(200) {
        member.say("x");
    }
    broken.say("never read");
    let error = ErrorKind::BrokenPipe.into();
    broken.socket().write_errors.push_back(error);
    world.turn();
    assert!(broken.is_closed());
    assert_eq!(broken.unread_len(), masked_frame(0x81, b"never read").len());

    let next = world.connect();
    next.socket().read_max = 1;
    next.send(UPGRADE.split_at(100).0);
    for _ in 0..3 {
        world.turn();
    }
    for _ in 0..20 {
        let before = next.socket().reads;
        world.turn();
        assert_eq!(next.socket().reads - before, 1, "reads in one turn");
    }
}

#[test]
fn each_client_has_one_deadline_at_most_however_often_it_changes() {
    let mut world = World::with(|config| {
        config.timeouts.pong_wait = 3600 * SECOND;
        config.timeouts.write_wait = SECOND / 10;
        config.timeouts.keep_alive = 3600 * SECOND;
    });
    let clients: Vec<Peer> = (0..10).map(|_| world.join()).collect();
    let mut most = 0;
    for round in 0..2_000 {
        let client = clients.get(round % 10).unwrap();
        client.set_room(0);
        clients.first().unwrap().say("hello");
        world.settle();
        most = most.max(world.engine.deadline_count());
        assert!(world.engine.deadline_count() <= world.engine.client_count());
        client.set_room(usize::MAX);
        world.settle();
        client.take();
        world.now += Duration::from_millis(10);
    }
    assert!(most > 0);
    assert_eq!(world.engine.client_count(), 10);
    for client in &clients {
        client.shut();
    }
    world.settle();
    assert_eq!(world.engine.deadline_count(), 0);
}

#[test]
fn bytes_that_are_left_to_the_next_turn_count_as_queued() {
    let mut world = World::with(|config| config.chat.send_queue = 1);
    let peer = world.join();
    let message = masked_frame(0x81, b"hello");
    peer.send(&message.repeat(50));
    for received in 1..50 {
        world.turn();
        assert_eq!(world.engine.queued_len(), (50 - received) * message.len());
    }
    world.settle();
    assert_eq!(world.engine.queued_len(), 0);
    assert_eq!(peer.take_lines(), ["hello"; 50]);
}

#[test]
fn what_a_client_takes_before_it_is_dropped_as_stuck_does_not_stay_counted() {
    let mut world = World::with(|config| config.chat.send_queue = 1);
    let (publisher, other, stuck) = (world.join(), world.join(), world.join());
    stuck.set_room(0);
    publisher.say("one");
    stuck.send(&masked_frame(0x89, b"ping"));
    world.settle();
    // It takes the pong, and still too little.
    stuck.set_room_silently(6);
    publisher.say("two");
    other.say("three");
    world.settle();
    assert!(stuck.is_closed());
    assert_eq!(world.engine.queued_len(), 0);
}
