//! How a shutdown goes: everybody gets what they are owed and 1001, within the drain time.

use std::time::Duration;

use crate::world::listener::{Kind, request};
use crate::world::publisher::{Post, take_answer};
use crate::world::{Peer, UPGRADE, World, close_frame, find};
use fanfare::config::{ACCEPTS_PER_TURN, Config};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_drain_counts_from_the_signal_however_long_the_loop_slept_before() {
    let drain = SECOND / 2;
    let mut world = World::with(|config| config.timeouts.drain = drain);
    let peer = world.join();
    world.settle();
    world.now += Duration::from_millis(900);
    let signal = world.now;
    world.begin_shutdown();
    world.turn();
    assert_eq!(
        peer.take_frames(),
        [close_frame(1001, "server is going away")]
    );
    world.pass(drain - Duration::from_millis(1));
    assert!(
        !peer.is_closed(),
        "cut {:?} after the signal",
        world.now - signal
    );
    world.pass(SECOND / 4);
    assert!(world.engine.is_shut_down());
}

#[test]
fn a_reader_that_takes_a_byte_a_second_is_kept_for_all_of_a_long_drain() {
    let mut world = World::with(|config| {
        config.timeouts.drain = 60 * SECOND;
        config.timeouts.write_wait = 10 * SECOND;
    });
    let (publisher, slow, blocked) = (world.join(), world.join(), world.join());
    slow.set_room(0);
    blocked.set_room(0);
    publisher.say(&"x".repeat(100));
    world.settle();
    world.begin_shutdown();
    publisher.shut();
    for second in 1..60 {
        world.pass(SECOND);
        slow.set_room(1);
        world.settle();
        assert!(!slow.is_closed(), "cut after {second} s");
        assert!(second > 9 || !blocked.is_closed(), "cut after {second} s");
        assert!(second < 12 || blocked.is_closed(), "kept for {second} s");
    }
    assert_eq!(slow.take().len(), 59);
    world.pass(3 * SECOND / 2);
    assert!(slow.is_closed());
    assert!(world.engine.is_shut_down());
}

#[test]
fn a_shutdown_says_1001_after_what_is_owed_and_is_over_in_time() {
    let mut world = World::with(|_| {});
    let (a, slow, deaf, http) = (world.join(), world.join(), world.join(), world.connect());
    world.settle();
    slow.set_room(0);
    deaf.set_room(0);
    a.say("last words");
    world.settle();
    world.begin_shutdown();
    world.pass(4 * SECOND);
    assert_eq!(
        a.take_frames(),
        [
            (0x81, b"last words".to_vec()),
            close_frame(1001, "server is going away")
        ]
    );
    slow.set_room(usize::MAX);
    world.settle();
    assert_eq!(
        slow.take_frames(),
        [
            (0x81, b"last words".to_vec()),
            close_frame(1001, "server is going away")
        ]
    );
    assert!(http.socket().server_has_shut);
    let late = world.connect();
    late.send(UPGRADE);
    for peer in [&a, &slow, &http] {
        peer.shut();
    }
    world.settle();
    assert!(!world.engine.is_shut_down());
    world.pass(Config::default().timeouts.drain + SECOND);
    assert!(world.engine.is_shut_down());
    assert!(deaf.is_closed());
    assert_eq!(late.take(), b"");
}

#[test]
fn clients_are_closed_one_after_the_other_and_served_until_then() {
    let mut world = World::with(|config| config.timeouts.drain = 4 * SECOND);
    let idle = world.connect();
    world.settle();
    let clients: Vec<Peer> = (0..30).map(|_| world.join()).collect();
    world.begin_shutdown();
    let mut closed = Vec::new();
    for _ in 0..20 {
        world.pass(SECOND / 10);
        closed.push(
            clients
                .iter()
                .filter(|peer| !peer.socket().outbound.is_empty())
                .count(),
        );
    }
    let steps = closed.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(closed[0] >= 1 && steps.max() <= Some(2), "{closed:?}");
    assert_eq!(closed[15], 17, "{closed:?}");
    clients[0].say("to those who are still there");
    idle.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    world.pass(SECOND / 5);
    assert!(
        clients[0]
            .take()
            .starts_with(b"\x81\x1cto those who are still there")
    );
    assert!(idle.take().starts_with(b"HTTP/1.1 503 "));
    world.pass(2 * SECOND);
    assert!(world.engine.is_shut_down());
}

#[test]
fn a_second_shutdown_ends_at_once() {
    let mut world = World::with(|_| {});
    let deaf = world.join();
    world.begin_shutdown();
    world.settle();
    assert!(!world.engine.is_shut_down());
    world.begin_shutdown();
    world.settle();
    assert!(world.engine.is_shut_down() && deaf.is_closed());
}

#[test]
fn what_is_asked_during_a_drain_is_refused_and_what_was_begun_is_answered_so_too() {
    let mut world = World::with(|config| config.timeouts.drain = 8 * SECOND);
    let reader = world.join();
    let (post, begun, events) = (world.connect(), world.connect(), world.connect());
    let publication = Post::new("", "too late").bytes();
    begun.send(&publication[..20]);
    world.settle();
    world.begin_shutdown();
    world.settle();
    post.send(&publication);
    events.send(&request(Kind::Events, "", ""));
    begun.send(&publication[20..]);
    world.settle();
    assert_eq!(take_answer(&post).unwrap().0, 503);
    assert_eq!(take_answer(&begun).unwrap().0, 503);
    let answer = events.take();
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
    assert!(answer.ends_with(b"\r\n\r\nretry: 5000\n\n"));
    world.pass(9 * SECOND);
    assert!(world.engine.is_shut_down());
    assert_eq!(world.engine.metrics().messages(), 0);
    assert_eq!(
        reader.take_frames(),
        [close_frame(1001, "server is going away")]
    );
}

#[test]
fn a_request_that_came_before_the_drain_is_served() {
    for delay in [Duration::ZERO, SECOND] {
        let mut world = World::with(|config| config.timeouts.drain_delay = delay);
        let (reader, post) = (world.join(), world.connect());
        world.settle();
        if !delay.is_zero() {
            world.begin_shutdown();
            world.settle();
            world.now += delay + SECOND / 5;
        }
        post.send(&Post::new("", "just in time").bytes());
        if delay.is_zero() {
            world.begin_shutdown();
        }
        world.settle();
        assert!(world.engine.is_draining());
        assert_eq!(take_answer(&post).expect("an answer").0, 200);
        world.pass(4 * SECOND);
        assert_eq!(
            reader.take_frames(),
            [
                (0x81, b"just in time".to_vec()),
                close_frame(1001, "server is going away")
            ]
        );
    }
}

#[test]
fn who_has_connected_before_the_drain_is_answered() {
    let mut world = World::with(|config| config.timeouts.drain = 8 * SECOND);
    let many = ACCEPTS_PER_TURN + 1;
    let waiting: Vec<Peer> = (0..many).map(|_| world.connect()).collect();
    let post = Post::new("", "just in time").bytes();
    waiting.iter().for_each(|peer| peer.send(&post));
    world.begin_shutdown();
    world.settle();
    assert!(world.engine.is_draining());
    let too_late = world.connect();
    too_late.send(&post);
    world.pass(9 * SECOND);
    for peer in &waiting {
        assert_eq!(take_answer(peer).expect("an answer").0, 200);
    }
    assert!(take_answer(&too_late).is_none());
    assert!(world.engine.is_shut_down());
}

#[test]
fn a_connection_without_a_request_yet_is_closed_last_and_answered_until_then() {
    let mut world = World::with(|config| config.timeouts.drain = 8 * SECOND);
    let readers: Vec<Peer> = (0..3).map(|_| world.join()).collect();
    let (asking, silent) = (world.connect(), world.connect());
    world.settle();
    world.begin_shutdown();
    world.pass(3 * SECOND);
    for reader in &readers {
        assert_eq!(
            reader.take_frames(),
            [close_frame(1001, "server is going away")]
        );
    }
    asking.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    world.settle();
    assert_eq!(take_answer(&asking).expect("an answer").0, 503);
    assert!(!silent.socket().server_has_shut);
    world.pass(3 * SECOND);
    assert!(silent.socket().server_has_shut);
}

#[test]
fn a_publication_that_a_drain_finds_begun_is_its_connections_last() {
    let mut world = World::with(|config| config.timeouts.drain = 8 * SECOND);
    let begun = world.connect();
    let publication = Post::new("", "in time").bytes();
    begun.send(&publication[..publication.len() - 1]);
    world.settle();
    world.begin_shutdown();
    world.pass(SECOND);
    begun.send(&publication[publication.len() - 1..]);
    world.settle();
    let answer = begun.take();
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
    assert!(find(&answer, b"\r\nConnection: close\r\n").is_some());
    begun.shut();
    world.settle();
    assert!(world.engine.is_shut_down(), "nobody else is waited for");
}

#[test]
fn a_shutdown_is_announced_for_the_drain_delay_and_clients_are_served_meanwhile() {
    let mut world = World::with(|config| config.timeouts.drain_delay = 10 * SECOND);
    let before = world.join();
    let probe = world.connect();
    world.settle();
    world.begin_shutdown();
    world.pass(9 * SECOND);
    probe.send(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n");
    let after = world.join();
    after.say("hello");
    world.settle();
    assert_eq!(take_answer(&probe).expect("an answer").0, 503);
    for member in [&before, &after] {
        assert_eq!(member.take_lines(), ["hello"]);
    }
    assert!(!world.engine.is_draining());
    world.pass(SECOND + SECOND / 10);
    assert!(world.engine.is_draining());
    world.pass(6 * SECOND);
    for member in [&before, &after] {
        let last = member.take_frames().pop();
        assert_eq!(last, Some(close_frame(1001, "server is going away")));
    }
    assert!(world.engine.is_shut_down());
}

#[test]
fn a_second_signal_in_the_drain_delay_ends_at_once() {
    let mut world = World::with(|config| config.timeouts.drain_delay = 10 * SECOND);
    let member = world.join();
    world.settle();
    world.begin_shutdown();
    world.settle();
    assert!(!member.is_closed());
    world.begin_shutdown();
    world.settle();
    assert!(member.is_closed() && world.engine.is_shut_down());
}
