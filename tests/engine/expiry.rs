//! Tokens that expire, by the time of day, and the connections that end with them.

use std::time::Duration;

use fanfare::config::{AccessSettings, Config, EXPIRIES_PER_TURN};
use fanfare::observe::CloseReason;
use serde_json::json;

use crate::world::publisher::take_answer;
use crate::world::token::{self, KEY};
use crate::world::{Peer, UNIX_START, UPGRADE, World, close_frame};

const SECOND: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(100);

fn access(key: &str) -> AccessSettings {
    AccessSettings {
        jwt_key: Some(key.into()),
        ..AccessSettings::default()
    }
}

fn settings(key: &str) -> Config {
    Config {
        access: access(key),
        ..Config::default()
    }
}

fn world() -> World {
    World::with(with_key)
}

fn with_key(config: &mut Config) {
    config.access = access(KEY);
    config.chat.echo = true;
}

/// A token for so many seconds after the start of the world.
fn token(seconds: u64) -> String {
    let claims = json!({"exp": UNIX_START + seconds, "rooms": ["*"], "say": true});
    token::mint(&claims)
}

/// Asks for an upgrade at this path.
fn ask(world: &mut World, path: &str, seconds: u64) -> Peer {
    let peer = world.connect();
    let upgrade = String::from_utf8(UPGRADE.to_vec()).unwrap();
    let target = format!("{path}?token={}", token(seconds));
    peer.send(upgrade.replace("/ws", &target).as_bytes());
    peer
}

/// A client whose token is good for so many seconds after the start of the world.
fn join(world: &mut World, path: &str, seconds: u64) -> Peer {
    let peer = ask(world, path, seconds);
    world.settle();
    let answer = String::from_utf8(peer.take()).unwrap();
    let status = if path.starts_with("/room") { 200 } else { 101 };
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status} ")),
        "{answer}"
    );
    peer
}

fn expired(world: &World) -> u64 {
    world.engine.metrics().closed(CloseReason::TokenExpired)
}

#[test]
fn a_websocket_is_closed_in_the_second_in_which_its_token_expires_and_not_before() {
    for path in ["/ws", "/echo"] {
        let mut world = world();
        world.pass(SECOND / 2);
        let peer = join(&mut world, path, 3);
        // Between two ticks, and in the last one.
        for now in [2950, 2999] {
            world.pass(Duration::from_millis(now) - world.now);
            peer.say("here");
            world.settle();
            assert_eq!(peer.take_lines(), ["here"], "{path} {now}");
        }
        world.pass(TICK);
        let frames = peer.take_frames();
        assert_eq!(frames, [close_frame(1008, "token expired")], "{path}");
        world.pass(10 * SECOND);
        assert_eq!(expired(&world), 1);
    }
}

#[test]
fn an_event_stream_ends_without_another_word() {
    let mut world = world();
    let peer = join(&mut world, "/room/a", 3);
    world.pass(3 * SECOND - TICK);
    assert!(!peer.socket().server_has_shut);
    world.pass(TICK);
    assert!(peer.socket().server_has_shut);
    assert_eq!(peer.take(), b"");
    peer.shut();
    world.settle();
    assert_eq!(expired(&world), 1);
}

#[test]
fn what_comes_after_the_end_is_not_published_and_what_was_published_before_is_received() {
    let mut world = world();
    let reader = join(&mut world, "/ws", 100);
    let peer = join(&mut world, "/ws", 3);
    peer.say("before");
    world.pass(3 * SECOND - TICK);
    // In the turn in which the token expires.
    world.now = 3 * SECOND;
    peer.say("after");
    world.settle();
    assert_eq!(reader.take_lines(), ["before"]);
    let frames = peer.take_frames();
    let last = close_frame(1008, "token expired");
    assert_eq!(frames, [(0x81, b"before".to_vec()), last]);
}

#[test]
fn each_token_ends_in_its_own_second_and_the_loop_sleeps_between() {
    let mut world = world();
    let seconds = [9, 5, 7, 5, 1_000_000];
    let peers = seconds.map(|second| join(&mut world, "/room/a", second));
    assert_eq!(world.engine.expiry_count(), seconds.len());
    // All that is due before is the check of the deadlines.
    assert!(world.wait().is_some_and(|wait| wait > SECOND));
    for now in 1..=10 {
        world.pass(SECOND);
        for (peer, second) in peers.iter().zip(seconds) {
            assert_eq!(peer.socket().server_has_shut, second <= now, "{second}");
        }
    }
    assert_eq!(world.engine.expiry_count(), 1);
}

#[test]
fn a_token_without_an_end_that_matters_disturbs_nothing() {
    let mut world = world();
    let claims = json!({"exp": u64::MAX, "rooms": ["*"], "say": true});
    let peer = world.connect();
    let request = format!(
        "GET /room/a?token={} HTTP/1.1\r\nHost: a\r\n\r\n",
        token::mint(&claims)
    );
    peer.send(request.as_bytes());
    world.pass(3600 * SECOND);
    assert!(!peer.socket().server_has_shut);
}

#[test]
fn a_clock_that_is_set_forward_ends_what_has_expired_by_it_and_one_set_back_ends_nothing() {
    let mut world = world();
    let [early, late] = [10, 10_000].map(|seconds| join(&mut world, "/ws", seconds));
    world.unix_start -= 3600;
    world.pass(20 * SECOND);
    world.unix_start = 0;
    world.pass(SECOND);
    early.say("still here");
    world.settle();
    assert!(late.take_lines().contains(&"still here".to_owned()));
    world.unix_start = UNIX_START;
    world.settle();
    let words = close_frame(1008, "token expired");
    assert_eq!(early.take_frames().last(), Some(&words));
    assert_ne!(late.take_frames().last(), Some(&words));
    world.unix_start = u64::MAX / 2;
    world.settle();
    assert_eq!(late.take_frames().last(), Some(&words));
}

#[test]
fn entries_of_clients_that_left_do_not_pile_up_and_mean_nobody_else() {
    let mut world = world();
    let stays = join(&mut world, "/ws", 1_000);
    for _ in 0..500 {
        let peer = join(&mut world, "/ws", 10);
        peer.reset();
        world.settle();
        // The one that stays, and up to 64 besides two for each.
        assert!(world.engine.expiry_count() <= 2 + 64 + 1);
    }
    // It has the slot of the ones that left.
    let other = join(&mut world, "/ws", 1_000);
    world.pass(20 * SECOND);
    for peer in [&stays, &other] {
        assert!(!peer.socket().server_has_shut);
    }
    assert_eq!(expired(&world), 0);
}

#[test]
fn a_client_that_is_being_closed_when_its_token_expires_is_left_alone() {
    let mut world = world();
    let peer = join(&mut world, "/ws", 2);
    peer.set_room(0);
    peer.send(&crate::world::masked_frame(0x88, &1000_u16.to_be_bytes()));
    world.settle();
    world.pass(3 * SECOND);
    peer.set_room(usize::MAX);
    world.settle();
    assert_eq!(peer.take_frames(), [close_frame(1000, "")]);
    assert_eq!(expired(&world), 0);
}

#[test]
fn a_body_that_comes_after_the_token_has_expired_is_not_published() {
    for (wait, status) in [(2 * SECOND - TICK, 200), (2 * SECOND, 401)] {
        let mut world = world();
        let peer = world.connect();
        let head = format!(
            "POST /room/a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nContent-Length: 5\r\n\r\n",
            token(2)
        );
        peer.send(head.as_bytes());
        world.pass(wait);
        peer.send(b"hello");
        world.settle();
        assert_eq!(take_answer(&peer).unwrap().0, status);
        assert_eq!(world.engine.metrics().messages(), u64::from(status == 200));
    }
}

#[test]
fn keys_are_replaced_while_the_server_runs_and_what_was_granted_stands() {
    let mut world = world();
    let before = join(&mut world, "/ws", 100);
    let other = "another key that is long enough for it";
    world.engine.reload(settings(other));
    let refused = ask(&mut world, "/ws", 100);
    world.settle();
    assert_eq!(take_answer(&refused).unwrap().0, 401);
    before.say("still here");
    world.settle();
    assert_eq!(before.take_lines(), ["still here"]);
    world.engine.reload(settings(KEY));
    join(&mut world, "/ws", 100);
    world.engine.reload(Config::default());
    join(&mut world, "/ws", 0);
}

#[test]
fn more_that_expire_in_one_second_than_a_turn_closes_are_closed_in_the_next() {
    let mut config = Config::default();
    with_key(&mut config);
    let count = EXPIRIES_PER_TURN + 1;
    let mut world = World::with_limit(config, count);
    let peers: Vec<_> = (0..count).map(|_| ask(&mut world, "/room/a", 5)).collect();
    world.settle();
    assert_eq!(world.engine.expiry_count(), count);
    world.now = 5 * SECOND;
    world.turn();
    assert_eq!(world.engine.expiry_count(), 1);
    assert_eq!(world.wait(), Some(Duration::ZERO));
    world.settle();
    assert!(peers.iter().all(|peer| peer.socket().server_has_shut));
}

#[test]
fn the_loop_wakes_by_itself_when_a_token_expires() {
    for began in [0, 550, 999] {
        let mut world = world();
        world.pass(Duration::from_millis(began));
        let peer = join(&mut world, "/room/a", 4);
        let mut turns = 0;
        while !peer.socket().server_has_shut {
            world.now += world.wait().unwrap().max(Duration::from_millis(1));
            world.settle();
            turns += 1;
        }
        let late = world.now - 4 * SECOND;
        assert!(late <= TICK, "{began}: {late:?}");
        // It sleeps up to the last second.
        assert!(turns <= 12, "{began}: {turns}");
    }
}
