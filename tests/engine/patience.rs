//! A client is not late while the server leaves its bytes unread or its answers untaken, and not longer.

use std::time::Duration;

use crate::world::{Peer, UPGRADE, World, masked_frame};
use fanfare::client::timers::SLOWEST_READER;
use fanfare::config::{OFFERS_PER_TURN, PRIVATE_LEN_MAX};

const GET: &[u8] = b"GET /chat.js HTTP/1.1\r\nHost: a\r\n\r\n";
const SECOND: Duration = Duration::from_secs(1);
/// How long a turn takes in which as much is offered as may be.
const LONG_TURN: Duration = Duration::from_millis(200);

fn echo_client(world: &mut World) -> Peer {
    let peer = world.connect();
    let upgrade = String::from_utf8_lossy(UPGRADE).replace("/ws", "/echo");
    peer.send(upgrade.as_bytes());
    world.settle();
    assert!(peer.take().starts_with(b"HTTP/1.1 101 "));
    peer
}

/// Reads what a client got, and answers its pings. Whether it is still open.
fn answer_pings(peer: &Peer) -> bool {
    for (first, _) in peer.take_frames() {
        match first {
            0x89 => peer.send(&masked_frame(0x8a, b"")),
            0x88 => return false,
            _ => {}
        }
    }
    !peer.is_closed()
}

/// Honest members beside flooders, of whom a round takes so long that pongs lie unread for 1.6 s.
fn members_beside_flooders(pong_wait: Duration) {
    const MEMBERS: usize = 1_000;
    const FLOODERS: usize = 400;
    const TURNS: usize = (FLOODERS * MEMBERS).div_ceil(OFFERS_PER_TURN);
    let mut world = World::with(|config| {
        // A message fills a batch, so that few bytes cost many offers.
        config.chat.send_queue = 1;
        config.timeouts.pong_wait = pong_wait;
        config.timeouts.ping_period = Some(pong_wait / 2);
    });
    world.network.short_means_blocked = true;
    let members: Vec<Peer> = (0..MEMBERS).map(|_| world.connect()).collect();
    for member in &members {
        member.send(UPGRADE);
    }
    world.settle();
    let (flooders, honest) = members.split_at(FLOODERS);
    let flood = masked_frame(0x81, b"x").repeat(20);
    assert!(LONG_TURN * TURNS as u32 > pong_wait);
    for _ in 0..5 * TURNS {
        for flooder in flooders {
            flooder.take();
            if flooder.unread_len() == 0 {
                flooder.send(&flood);
            }
        }
        world.turn();
        world.now += LONG_TURN;
        let open = honest.iter().filter(|member| answer_pings(member)).count();
        assert_eq!(open, honest.len(), "after {:?}", world.now);
    }
}

#[test]
fn pongs_that_lie_unread_while_others_flood_are_not_late() {
    members_beside_flooders(SECOND);
}

#[test]
fn pongs_that_lie_unread_for_several_pong_waits_are_not_late_either() {
    members_beside_flooders(2 * SECOND / 5);
}

#[test]
fn a_pong_that_was_not_announced_yet_is_not_late() {
    let mut world = World::with(|config| config.timeouts.pong_wait = 2 * SECOND);
    let peer = world.join();
    peer.send(&masked_frame(0x8a, b""));
    world.network.events_max = Some(0);
    // What a deadline brings is written in the next turn.
    let mut is_closed_after = |time| {
        world.now += time;
        world.turn();
        world.turn();
        peer.take_frames().iter().any(|frame| frame.0 == 0x88)
    };
    assert!(!is_closed_after(3 * SECOND));
    assert!(is_closed_after(5 * SECOND), "no further pong came");
}

#[test]
fn a_finished_message_is_not_late_because_what_follows_is_deferred() {
    let mut world = World::with(|config| {
        config.timeouts.pong_wait = 2 * SECOND;
        config.timeouts.ping_period = Some(SECOND);
        config.chat.send_queue = 1;
    });
    let peer = world.join();
    let first = masked_frame(0x81, b"first");
    let (begin, end) = first.split_at(8);
    peer.send(begin);
    world.settle();
    // Each message fills a batch. The pongs leave the message's clock alone to be at fault.
    let pong_and_message = [masked_frame(0x8a, b""), masked_frame(0x81, b"m")].concat();
    peer.send(&[end, &pong_and_message.repeat(50)].concat());
    for _ in 0..45 {
        world.now += SECOND / 10;
        world.turn();
        assert!(answer_pings(&peer), "closed after {:?}", world.now);
    }
}

#[test]
fn a_client_whose_requests_are_not_read_for_want_of_room_is_not_idle() {
    let mut world = World::with(|_| {});
    let peer = world.connect();
    peer.set_room(0);
    // A long answer, so that those to one read last.
    let get = b"GET /fanfare.js HTTP/1.1\r\nHost: a\r\n\r\n";
    peer.send(&get.repeat(200));
    world.settle();
    let unread_len = peer.unread_len();
    assert!(unread_len > 0);
    // Longer than the keep-alive, the request timeout and the write wait.
    for second in 0..90 {
        peer.set_room(3_000);
        world.pass(SECOND);
        peer.take();
        let is_cut = peer.socket().server_has_shut || peer.is_closed();
        assert!(!is_cut, "closed after {second} s");
    }
    assert_eq!(peer.unread_len(), unread_len, "it was never read meanwhile");
    peer.set_room(usize::MAX);
    world.settle();
    assert_eq!(peer.unread_len(), 0, "it is read again");
    assert!(!peer.socket().server_has_shut);
}

#[test]
fn a_client_that_takes_its_answer_slowly_is_not_idle() {
    let mut world = World::with(|_| {});
    let peer = world.connect();
    peer.set_room(0);
    peer.send(GET);
    world.settle();
    for second in 0..90 {
        peer.set_room(1);
        world.pass(SECOND);
        let is_cut = peer.socket().server_has_shut || peer.is_closed();
        assert!(!is_cut, "closed after {second} s");
    }
    peer.set_room(usize::MAX);
    world.settle();
    let answer = peer.take();
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
    assert!(!peer.socket().server_has_shut);
    peer.send(GET);
    world.settle();
    // All is the same but the date.
    let second = peer.take();
    assert!(second.starts_with(b"HTTP/1.1 200 ") && second.len() == answer.len());
}

/// An echo client that takes so little of its echoes that it is not read, with `unread` behind them.
fn paused_echo_client(world: &mut World, begun: &[u8], unread: &[u8]) -> Peer {
    let peer = echo_client(world);
    peer.set_room(0);
    let echoes = masked_frame(0x82, &[7; 500]).repeat(PRIVATE_LEN_MAX / 500);
    peer.send(&[&echoes, begun].concat());
    world.settle();
    assert_eq!(peer.unread_len(), 0);
    peer.send(unread);
    world.settle();
    assert_eq!(peer.unread_len(), unread.len(), "it is paused");
    peer
}

#[test]
fn an_echo_client_that_is_not_read_is_not_late_with_a_pong_or_a_message() {
    let message = masked_frame(0x81, b"begun and ended");
    for (begun, unread) in [
        (&b""[..], &masked_frame(0x8a, b"")[..]),
        message.split_at(9),
    ] {
        let mut world = World::with(|config| {
            config.chat.echo = true;
            config.timeouts.pong_wait = 4 * SECOND;
        });
        let peer = paused_echo_client(&mut world, begun, unread);
        for second in 0..40 {
            peer.set_room(1);
            world.pass(SECOND);
            assert_eq!(peer.unread_len(), unread.len(), "read after {second} s");
        }
        peer.set_room(usize::MAX);
        world.settle();
        assert_eq!(peer.unread_len(), 0, "it is read again");
        assert!(answer_pings(&peer), "after {begun:?}");
    }
}

#[test]
fn a_client_that_was_blocked_before_it_is_closed_gets_no_more_time() {
    let mut world = World::with(|config| config.timeouts.write_wait = 10 * SECOND);
    let (publisher, blocked) = (world.join(), world.join());
    blocked.set_room(0);
    publisher.say("hello");
    world.settle();
    world.pass(9 * SECOND);
    assert!(!blocked.is_closed());
    blocked.send(&masked_frame(0x88, &1000_u16.to_be_bytes()));
    world.settle();
    assert!(!blocked.is_closed(), "it is still owed something");
    world.pass(3 * SECOND / 2);
    assert!(blocked.is_closed());
}

/// A reader behind a kernel buffer that takes everything.
struct SlowReader {
    peer: Peer,
    unread: Vec<u8>,
}

impl SlowReader {
    /// Reads up to `len` bytes, and answers the pings that were among them.
    fn read(&mut self, len: usize) {
        self.unread.extend(self.peer.take());
        let taken: Vec<u8> = self.unread.drain(..len.min(self.unread.len())).collect();
        // All it gets besides is text without this byte.
        for _ in taken.iter().filter(|byte| **byte == 0x89) {
            self.peer.send(&masked_frame(0x8a, b""));
        }
    }
}

/// A reader to whom a burst was sent that its kernel has taken, and how long the burst is.
fn behind_a_burst(world: &mut World) -> (SlowReader, usize) {
    let (publisher, slow) = (world.join(), world.join());
    world.pass(SECOND);
    for _ in 0..40 {
        publisher.say(&"x".repeat(62_500));
        world.settle();
    }
    publisher.shut();
    world.settle();
    let unread = slow.take();
    let len = unread.len();
    assert!(len > 2_500_000);
    (SlowReader { peer: slow, unread }, len)
}

#[test]
fn a_slow_reader_is_not_closed_for_a_pong_before_it_can_have_read_the_ping() {
    let mut world = World::with(|config| config.chat.max_message = 65_536);
    let (mut slow, burst_len) = behind_a_burst(&mut world);
    let rate = 30_000;
    assert!(
        burst_len / rate > 80,
        "the first ping is read after the pong wait"
    );
    for second in 0..200 {
        slow.read(rate);
        world.pass(SECOND);
        assert!(!slow.peer.socket().server_has_shut, "after {second} s");
        assert!(!slow.peer.is_closed(), "after {second} s");
    }
    assert!(slow.unread.is_empty(), "it has caught up");
}

#[test]
fn a_pong_confirms_what_was_written_before_its_ping_and_not_what_came_after() {
    let mut world = World::with(|config| config.chat.max_message = 65_536);
    let (publisher, peer) = (world.join(), world.join());
    while !peer.take_frames().contains(&(0x89, vec![])) {
        world.pass(SECOND / 10);
    }
    // The burst is on its way when the pong comes.
    for _ in 0..40 {
        publisher.say(&"x".repeat(62_500));
    }
    world.settle();
    peer.send(&masked_frame(0x8a, b""));
    publisher.shut();
    world.settle();
    let mut slow = SlowReader {
        unread: peer.take(),
        peer,
    };
    for second in 0..200 {
        slow.read(30_000);
        world.pass(SECOND);
        assert!(!slow.peer.socket().server_has_shut, "after {second} s");
        assert!(!slow.peer.is_closed(), "after {second} s");
    }
    assert!(slow.unread.is_empty(), "it has caught up");
}

#[test]
fn a_reader_that_stays_silent_for_longer_than_its_allowance_is_closed() {
    let mut world = World::with(|config| config.chat.max_message = 65_536);
    let (slow, burst_len) = behind_a_burst(&mut world);
    let allowance = (burst_len / SLOWEST_READER as usize) as u32 * SECOND;
    let is_closed = |slow: &SlowReader| slow.peer.take_frames().iter().any(|it| it.0 == 0x88);
    world.pass(60 * SECOND + allowance - 2 * SECOND);
    assert!(!is_closed(&slow));
    world.pass(4 * SECOND);
    assert!(is_closed(&slow));
}
