//! Every bound on what a client or a turn may cost, with the shipped engine over scripted sockets.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use crate::world::{Peer, UPGRADE, World, masked_frame};
use fanfare::config::{
    ACCEPTS_PER_TURN, Config, HTTP_READ_LEN, PRIVATE_LEN_MAX, READ_LEN, REFUSED_CLIENTS_MAX,
    WRITES_PER_TURN,
};
use fanfare::observe::CloseReason;
use fanfare::time::TICK;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const SECOND: Duration = Duration::from_secs(1);

/// An address of which clients are counted, unlike those of loopback.
fn stranger() -> SocketAddr {
    ([192, 0, 2, 1], 1).into()
}

/// How long the answer to [`GET`] is.
fn answer_len() -> usize {
    let mut world = World::new(Config::default());
    let peer = world.connect();
    peer.send(GET);
    world.settle();
    peer.take().len()
}

#[test]
fn an_echo_that_is_not_read_is_bounded_by_one_read_and_the_rest_stays_in_the_socket() {
    let mut world = World::with(|config| config.chat.echo = true);
    let peer = world.connect();
    let upgrade = String::from_utf8_lossy(UPGRADE).replace("/ws", "/echo");
    peer.send(upgrade.as_bytes());
    world.settle();
    peer.set_room(0);
    let flood = masked_frame(0x82, &[7; 500]).repeat(2_000);
    peer.send(&flood);
    world.settle();
    let queued_len = world.engine.queued_len();
    assert!(queued_len > PRIVATE_LEN_MAX, "it reads until the bound");
    assert!(queued_len <= PRIVATE_LEN_MAX + READ_LEN, "{queued_len}");
    assert!(peer.unread_len() > flood.len() / 2);
}

#[test]
fn answers_that_are_not_read_are_bounded_by_those_to_one_short_read() {
    let mut world = World::new(Config::default());
    let peer = world.connect();
    peer.set_room(0);
    let flood = GET.repeat(64 * 1024 / GET.len());
    peer.send(&flood);
    world.settle();
    let queued_len = world.engine.queued_len();
    // The read may also end a request that was begun in the one before.
    let answers = HTTP_READ_LEN / GET.len() + 1;
    assert!(queued_len > PRIVATE_LEN_MAX, "it reads until the bound");
    assert!(
        queued_len <= PRIVATE_LEN_MAX + answers * answer_len(),
        "{queued_len}"
    );
    assert!(peer.unread_len() > flood.len() / 2);
}

#[test]
fn a_laggard_gets_so_many_writes_a_turn_and_the_others_their_turn() {
    let mut world = World::new(Config::default());
    let (speaker, laggard) = (world.join(), world.join());
    laggard.set_room(0);
    let lines: Vec<String> = (0..200)
        .map(|i| format!("{i} {}", "x".repeat(400)))
        .collect();
    for line in &lines {
        speaker.say(line);
        world.settle();
    }
    laggard.socket().write_max = 100;
    laggard.set_room(usize::MAX);
    let before = laggard.socket().writes;
    world.turn();
    assert_eq!(laggard.socket().writes - before, WRITES_PER_TURN);
    assert_eq!(world.wait(), Some(Duration::ZERO));
    world.settle();
    assert_eq!(laggard.take_lines(), lines);
}

#[test]
fn a_crowd_is_accepted_over_several_turns() {
    let mut world = World::new(Config::default());
    for _ in 0..2 * ACCEPTS_PER_TURN {
        world.connect();
    }
    world.turn();
    assert_eq!(world.engine.client_count(), ACCEPTS_PER_TURN);
    assert_eq!(world.wait(), Some(Duration::ZERO));
    world.turn();
    assert_eq!(world.engine.client_count(), 2 * ACCEPTS_PER_TURN);
}

#[test]
fn those_who_join_together_are_not_pinged_together() {
    let mut world = World::new(Config::default());
    let mut waiting: Vec<Peer> = (0..64).map(|_| world.connect()).collect();
    for peer in &waiting {
        peer.send(UPGRADE);
    }
    world.turn();
    assert_eq!(world.engine.metrics().joined, 64);

    let start = world.now;
    let period = Config::default().timeouts.ping_period();
    // A deadline holds for any moment within its tick, and so comes a tick later.
    let second_half = period / 2..=period + TICK;
    while !waiting.is_empty() {
        world.pass(TICK);
        let before = waiting.len();
        waiting.retain(|peer| !peer.take_frames().contains(&(0x89, vec![])));
        let pinged = before - waiting.len();
        let at = world.now - start;
        assert!(pinged <= 4, "{pinged} at {at:?}");
        assert!(pinged == 0 || second_half.contains(&at), "{at:?}");
        assert!(at <= *second_half.end(), "some are never pinged");
    }
}

#[test]
fn when_laggards_are_owed_too_much_together_the_one_owed_most_is_dropped() {
    let mut world = World::with(|config| {
        config.chat.max_message = 2_000;
        config.chat.max_queued = 100_000;
    });
    let (speaker, most, less) = (world.join(), world.join(), world.join());
    let mut said = Vec::new();
    most.set_room(0);
    for number in 0..140 {
        if number == 60 {
            less.take();
            less.set_room(0);
            said.clear();
        }
        let line = format!("{number} {}", "x".repeat(1_000));
        speaker.say(&line);
        said.push(line);
        world.settle();
        assert!(world.engine.queued_len() <= 100_000, "at {number}");
        assert!(number > 90 || !most.is_closed(), "there was room yet");
    }
    assert!(most.is_closed());
    assert!(!less.is_closed() && !speaker.is_closed());
    assert_eq!(world.engine.metrics().closed(CloseReason::Overload), 1);
    less.set_room(usize::MAX);
    world.settle();
    assert_eq!(less.take_lines(), said);
}

#[test]
fn when_answers_are_too_much_together_the_one_owed_most_is_dropped() {
    let answer_len = answer_len();
    let mut world = World::with(|config| config.chat.max_queued = 4 * answer_len);
    let (most, less) = (world.connect(), world.connect());
    for peer in [&less, &most] {
        peer.set_room(0);
        peer.send(&GET.repeat(2));
    }
    world.settle();
    assert!(!most.is_closed(), "the bound is reached, and holds");
    most.send(GET);
    world.settle();
    assert!(most.is_closed() && !less.is_closed());
    assert_eq!(world.engine.queued_len(), 2 * answer_len);
    assert_eq!(world.engine.metrics().closed(CloseReason::Overload), 1);
}

/// Lets a peer say something every `gap` during some time; when it was closed for it, if it was.
fn chatter(world: &mut World, peer: &Peer, gap: Duration, time: Duration) -> Option<Duration> {
    let start = world.now;
    while world.now < start + time {
        peer.say("and another thing");
        world.settle();
        if peer
            .take_frames()
            .contains(&(0x88, b"\x03\xf0too many messages".to_vec()))
        {
            return Some(world.now - start);
        }
        world.pass(gap);
    }
    None
}

#[test]
fn a_client_at_twice_the_rate_is_warned_once_and_closed_with_1008_ten_seconds_later() {
    let mut world = World::with(|config| config.chat.message_rate = 10);
    let peer = world.join();
    let closed = chatter(&mut world, &peer, SECOND / 20, 12 * SECOND).unwrap();
    assert!(
        (10 * SECOND..23 * SECOND / 2).contains(&closed),
        "{closed:?}"
    );
    assert_eq!(world.engine.metrics().rate_warnings, 1);
    peer.shut();
    world.settle();
    assert_eq!(world.engine.metrics().closed(CloseReason::RateExceeded), 1);
}

#[test]
fn a_client_within_the_rate_is_neither_warned_nor_closed() {
    let mut world = World::with(|config| config.chat.message_rate = 10);
    let peer = world.join();
    assert_eq!(chatter(&mut world, &peer, SECOND / 9, 30 * SECOND), None);
    assert_eq!(world.engine.metrics().rate_warnings, 0);
    assert!(!peer.is_closed());
}

#[test]
fn a_client_that_pauses_for_a_moment_between_floods_is_closed_all_the_same() {
    let mut world = World::with(|config| config.chat.message_rate = 10);
    let peer = world.join();
    let is_closed = (0..5).any(|_| {
        let closed = chatter(&mut world, &peer, SECOND / 20, 9 * SECOND);
        world.pass(SECOND);
        closed.is_some()
    });
    assert!(is_closed, "18 a second, where 10 are allowed");
}

#[test]
fn so_many_are_told_that_their_address_has_no_seat_and_the_rest_is_turned_away() {
    let mut world = World::with(|config| config.network.max_clients_per_ip = Some(1));
    let seated = world.connect_from(stranger());
    let told: Vec<Peer> = (0..REFUSED_CLIENTS_MAX)
        .map(|_| world.connect_from(stranger()))
        .collect();
    told.iter().for_each(|peer| peer.send(UPGRADE));
    let turned_away: Vec<Peer> = (0..3).map(|_| world.connect_from(stranger())).collect();
    world.settle();
    assert_eq!(world.engine.client_count(), 1 + REFUSED_CLIENTS_MAX);
    assert_eq!(world.engine.metrics().turned_away, 3);
    assert_eq!(seated.take(), b"");
    assert!(
        told.iter()
            .all(|peer| peer.take().starts_with(b"HTTP/1.1 503 "))
    );
    assert!(
        turned_away
            .iter()
            .all(|peer| peer.is_closed() && peer.take() == b"")
    );
}

#[test]
fn when_one_that_was_told_leaves_the_next_is_told_again() {
    let mut world = World::with(|config| config.network.max_clients_per_ip = Some(1));
    let crowd: Vec<Peer> = (0..1 + REFUSED_CLIENTS_MAX)
        .map(|_| world.connect_from(stranger()))
        .collect();
    world.settle();
    crowd[1].shut();
    world.settle();
    let (next, last) = (
        world.connect_from(stranger()),
        world.connect_from(stranger()),
    );
    next.send(UPGRADE);
    world.settle();
    assert!(next.take().starts_with(b"HTTP/1.1 503 "));
    assert!(last.is_closed());
}

#[test]
fn a_failed_registration_gives_the_seat_of_its_address_back() {
    let mut world = World::with(|config| config.network.max_clients_per_ip = Some(1));
    world
        .network
        .register_errors
        .push_back(ErrorKind::StorageFull.into());
    let unlucky = world.connect_from(stranger());
    world.settle();
    assert!(unlucky.is_closed());
    let next = world.connect_from(stranger());
    next.send(UPGRADE);
    world.settle();
    assert!(next.take().starts_with(b"HTTP/1.1 101 "));
}

#[test]
fn a_join_costs_one_turn_one_read_and_one_write() {
    let mut world = World::new(Config::default());
    world.network.short_means_blocked = true;
    let peer = world.connect();
    peer.send(UPGRADE);
    world.turn();
    assert_eq!(world.engine.metrics().joined, 1);
    assert_eq!(peer.socket().reads, 1);
    assert_eq!(peer.socket().writes, 1);
    assert_ne!(world.wait(), Some(Duration::ZERO));
}
