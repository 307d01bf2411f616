//! Publications by HTTP: what they may cost together, and what they cost the readers.

use fanfare::config::{Config, PRIVATE_LEN_MAX};
use fanfare::observe::CloseReason;

use crate::world::{Peer, World};

#[test]
fn when_bodies_are_too_much_together_the_longest_is_dropped() {
    const HEAD: &[u8] = b"POST /room?lines=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n";
    let mut world = World::with(|config| config.chat.max_queued = 100_000);
    let member = world.join();
    let [long, short, third] = [(); 3].map(|()| world.connect());
    let begin = |world: &mut World, peer: &Peer, len: usize| {
        peer.send(&[HEAD, &vec![b'x'; len]].concat());
        world.settle();
    };
    begin(&mut world, &long, 50_000);
    begin(&mut world, &short, 30_000);
    assert_eq!(world.engine.queued_len(), 80_000);
    begin(&mut world, &third, 30_000);
    assert_eq!(world.engine.metrics().closed(CloseReason::Overload), 1);
    assert!(long.is_closed() && !short.is_closed() && !third.is_closed() && !member.is_closed());
    // What is given up, and what is whole, is in no account any more.
    short.shut();
    third.send(&[b'\n'; 30_000]);
    world.settle();
    assert!(
        third.take().starts_with(b"HTTP/1.1 413 "),
        "a line is too long"
    );
    assert_eq!(world.engine.queued_len(), 0);
}

/// A publication of so many lines.
fn publication(lines: usize) -> Vec<u8> {
    let body = "x\n".repeat(lines);
    let head = format!(
        "POST /room?lines=1 HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}

#[test]
fn a_reader_that_keeps_up_is_not_dropped_for_what_was_published_together() {
    let mut world = World::new(Config::default());
    let (member, publisher) = (world.join(), world.connect());
    member.set_room(1_000);
    publisher.send(&publication(50_000));
    world.settle();
    assert!(publisher.take().starts_with(b"HTTP/1.1 200 "));
    // What others say behind it finds the queue not full.
    for number in 0..200 {
        publisher.send(&publication(1));
        world.settle();
        publisher.take();
        assert!(!member.is_closed(), "after {number}");
    }
    member.set_room(usize::MAX);
    world.settle();
    assert_eq!(member.take_lines().len(), 50_200);
}

#[test]
fn a_reader_that_takes_nothing_is_dropped_however_much_is_published_together() {
    let mut world = World::with(|config| config.chat.send_queue = 10);
    let (member, publisher) = (world.join(), world.connect());
    member.set_room(0);
    for number in 0..30 {
        publisher.send(&publication(if number % 2 == 0 { 100 } else { 1 }));
        world.settle();
        // Each publication counts as one message.
        assert_eq!(member.is_closed(), number >= 10, "{number}");
    }
    assert_eq!(world.engine.metrics().closed(CloseReason::Stuck), 1);
}

#[test]
fn what_stands_behind_a_body_is_answered_in_small_pieces() {
    const BODY_LEN: usize = 10;
    let mut world = World::new(Config::default());
    let peer = world.connect();
    peer.set_room(0);
    let head = format!("POST /room HTTP/1.1\r\nHost: a\r\nContent-Length: {BODY_LEN}\r\n\r\n");
    peer.send(&[head.as_bytes(), b"begun"].concat());
    world.settle();
    let requests = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n".repeat(3_000);
    peer.send(&[&b"ended"[..], &requests].concat());
    world.settle();
    let queued_len = world.engine.queued_len();
    let answers_max = PRIVATE_LEN_MAX + 64 * 1024;
    assert!(
        (PRIVATE_LEN_MAX..answers_max).contains(&queued_len),
        "{queued_len}"
    );
    peer.set_room(usize::MAX);
    world.settle();
    let answers = String::from_utf8(peer.take()).expect("answers are ASCII");
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 3_001);
}
