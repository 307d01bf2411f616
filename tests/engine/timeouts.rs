//! Pings, answers and deadlines of single clients.

use std::time::Duration;

use crate::world::{UPGRADE, World, close_frame, masked_frame};
use fanfare::config::CLOSE_WAIT;
use fanfare::observe::CloseReason;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const SECOND: Duration = Duration::from_secs(1);

fn status(answer: &[u8]) -> &str {
    std::str::from_utf8(&answer[9..12]).unwrap()
}

#[test]
fn pings_and_echoes_count_as_messages_where_their_rate_is_limited() {
    for (path, first) in [("/ws", 0x89), ("/echo", 0x81)] {
        let mut world = World::with(|config| {
            config.chat.message_rate = 10;
            config.chat.echo = true;
        });
        let peer = world.connect();
        peer.send(
            str::from_utf8(UPGRADE)
                .unwrap()
                .replace("/ws", path)
                .as_bytes(),
        );
        for _ in 0..130 {
            peer.send(&masked_frame(first, b"again").repeat(2));
            world.pass(SECOND / 10);
        }
        assert_eq!(
            peer.take_frames().last(),
            Some(&close_frame(1008, "too many messages")),
            "{path}"
        );
        assert_eq!(world.engine.metrics().rate_warnings, 1);
    }
}

#[test]
fn pongs_go_out_and_a_flood_of_pings_costs_a_bounded_queue() {
    let mut world = World::with(|_| {});
    let peer = world.join();
    peer.set_room(0);
    for i in 0..50_000_u32 {
        peer.send(&masked_frame(0x89, &i.to_be_bytes()));
    }
    world.settle();
    peer.set_room(usize::MAX);
    world.settle();
    let frames = peer.take_frames();
    assert!(frames.len() < 2000, "{}", frames.len());
    let newest = (0x8a, 49_999_u32.to_be_bytes().to_vec());
    assert_eq!(frames.last(), Some(&newest));
}

#[test]
fn an_echo_that_is_not_read_stops_the_reading() {
    let mut world = World::with(|config| {
        config.chat.echo = true;
        config.chat.max_message = 100_000;
    });
    let peer = world.connect();
    let upgrade = String::from_utf8(UPGRADE.to_vec())
        .unwrap()
        .replace("/ws", "/echo");
    peer.send(upgrade.as_bytes());
    world.settle();
    peer.take();
    peer.set_room(0);
    for _ in 0..50 {
        peer.send(&masked_frame(0x82, &[7; 50_000]));
    }
    world.settle();
    assert_eq!(peer.take(), b"");
    peer.set_room(usize::MAX);
    world.settle();
    let frames = peer.take_frames();
    assert_eq!(frames.len(), 50);
    assert!(frames.iter().all(|frame| *frame == (0x82, vec![7; 50_000])));
}

#[test]
fn a_peer_that_half_closes_still_gets_its_answers() {
    let mut world = World::with(|_| {});
    let peer = world.connect();
    peer.set_room(10);
    peer.send(&[GET, GET].concat());
    peer.shut();
    world.settle();
    peer.set_room(usize::MAX);
    world.settle();
    let answers = peer.take();
    assert!(
        answers
            .windows(12)
            .filter(|at| at == b"HTTP/1.1 200")
            .count()
            == 2
    );
    assert!(peer.is_closed());
}

#[test]
fn a_refusal_is_whole_and_unread_input_is_drained_before_the_end() {
    let mut world = World::with(|_| {});
    let peer = world.connect();
    peer.set_room(20);
    peer.send(b"BAD\r\n\r\n");
    peer.send(&[b'x'; 300_000]);
    world.settle();
    peer.set_room(usize::MAX);
    world.settle();
    let answer = peer.take();
    assert_eq!(status(&answer), "400");
    assert!(answer.ends_with(b"\n"));
    assert!(peer.socket().server_has_shut && !peer.is_closed());
    peer.shut();
    world.settle();
    assert!(peer.is_closed());
}

#[test]
fn a_request_that_does_not_come_is_answered_with_408_and_the_stream_ends() {
    for sent in [&b""[..], b"GET / HT", b"\r\n"] {
        let mut world = World::with(|_| {});
        let peer = world.connect();
        peer.send(sent);
        world.pass(9 * SECOND);
        assert_eq!(peer.take(), b"");
        world.pass(2 * SECOND);
        assert_eq!(status(&peer.take()), "408");
        assert!(peer.socket().server_has_shut && !peer.is_closed());
        world.pass(CLOSE_WAIT + SECOND);
        assert!(peer.is_closed());
    }
}

#[test]
fn trickled_headers_do_not_extend_the_deadline() {
    let mut world = World::with(|_| {});
    let peer = world.connect();
    for byte in GET.iter().take(11) {
        peer.send(&[*byte]);
        world.pass(SECOND);
    }
    assert_eq!(status(&peer.take()), "408");
}

#[test]
fn a_kept_connection_without_a_further_request_ends_in_silence() {
    let mut world = World::with(|_| {});
    let peer = world.connect();
    world.pass(8 * SECOND);
    peer.send(GET);
    world.settle();
    assert_eq!(status(&peer.take()), "200");
    world.pass(8 * SECOND);
    peer.send(GET);
    world.settle();
    assert_eq!(status(&peer.take()), "200");
    world.pass(74 * SECOND);
    assert!(!peer.socket().server_has_shut);
    world.pass(2 * SECOND);
    assert_eq!(peer.take(), b"");
    assert!(peer.socket().server_has_shut);
}

#[test]
fn pings_are_sent_and_a_peer_that_answers_stays() {
    let mut world = World::with(|_| {});
    let peer = world.join();
    for _ in 0..20 {
        let mut seen = false;
        for _ in 0..56 {
            world.pass(SECOND);
            if peer.take_frames() == [(0x89, vec![])] {
                seen = true;
                peer.send(&masked_frame(0x8a, b""));
            }
        }
        assert!(seen, "a ping comes in every period");
    }
    assert!(!peer.is_closed());
}

#[test]
fn a_peer_that_sends_no_pong_is_closed_with_1008() {
    let mut world = World::with(|_| {});
    let peer = world.join();
    world.pass(59 * SECOND);
    peer.say("talking is no pong");
    world.pass(2 * SECOND);
    let frames = peer.take_frames();
    assert_eq!(frames.first(), Some(&(0x89, vec![])));
    assert_eq!(frames.last(), Some(&close_frame(1008, "no pong in time")));
    world.pass(CLOSE_WAIT + SECOND);
    assert!(peer.is_closed());
    assert_eq!(world.engine.metrics().closed(CloseReason::PongTimeout), 1);
}

#[test]
fn a_message_that_is_begun_and_never_finished_is_closed_with_1008() {
    let mut world = World::with(|config| {
        config.timeouts.pong_wait = 600 * SECOND;
        config.timeouts.ping_period = Some(SECOND);
    });
    let peer = world.join();
    peer.send(&masked_frame(0x01, b"begun"));
    for _ in 0..599 {
        world.pass(SECOND);
        peer.send(&masked_frame(0x8a, b""));
    }
    assert!(
        !peer
            .take_frames()
            .contains(&close_frame(1008, "the message was not finished in time"))
    );
    world.pass(2 * SECOND);
    assert!(
        peer.take_frames()
            .contains(&close_frame(1008, "the message was not finished in time"))
    );
    let metrics = world.engine.metrics();
    assert_eq!(
        metrics.closed(CloseReason::MessageTimeout),
        0,
        "not over yet"
    );
    world.pass(CLOSE_WAIT + SECOND);
    assert_eq!(
        world.engine.metrics().closed(CloseReason::MessageTimeout),
        1
    );
}

#[test]
fn a_socket_that_takes_nothing_is_given_up_after_the_write_wait() {
    let mut world = World::with(|_| {});
    let (a, deaf) = (world.join(), world.join());
    deaf.set_room(0);
    a.say("are you there");
    world.pass(9 * SECOND);
    assert!(!deaf.is_closed());
    world.pass(2 * SECOND);
    assert!(deaf.is_closed());
    assert_eq!(world.engine.metrics().closed(CloseReason::WriteTimeout), 1);
}

#[test]
fn a_socket_that_takes_a_little_now_and_then_is_not_given_up() {
    let mut world = World::with(|_| {});
    let (a, slow) = (world.join(), world.join());
    slow.set_room(0);
    a.say("take your time");
    for _ in 0..10 {
        world.pass(9 * SECOND / 2);
        slow.set_room(1);
    }
    assert!(!slow.is_closed());
}

#[test]
fn a_close_handshake_that_the_peer_never_ends_is_ended() {
    let mut world = World::with(|_| {});
    let peer = world.join();
    peer.send(&masked_frame(0x88, &4000_u16.to_be_bytes()));
    world.settle();
    assert_eq!(peer.take_frames(), [close_frame(4000, "")]);
    assert!(peer.socket().server_has_shut);
    for _ in 0..4 {
        peer.send(&masked_frame(0x81, b"after close"));
        world.pass(SECOND);
        assert!(!peer.is_closed());
    }
    world.pass(2 * SECOND);
    assert!(peer.is_closed());
    assert_eq!(world.engine.metrics().closed(CloseReason::PeerClosed), 1);
}
