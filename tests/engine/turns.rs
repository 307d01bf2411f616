//! The shipped engine over scripted sockets and a made-up clock: short reads, short writes, WouldBlock at
//! each point, resets, deadlines.

use std::io::ErrorKind;
use std::time::Duration;

use crate::world::{Peer, UPGRADE, World, client_id, decode_frames, find, masked_frame};
use fanfare::config::{CLOSE_WAIT, Config, OFFERS_PER_TURN};
use fanfare::observe::CloseReason;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const SECOND: Duration = Duration::from_secs(1);
/// The default of the write wait.
const CONFIG_WRITE_WAIT: Duration = Duration::from_secs(10);

fn world() -> World {
    World::new(Config::default())
}

fn world_with(change: impl FnOnce(&mut Config)) -> World {
    let mut config = Config::default();
    change(&mut config);
    World::new(config)
}

/// A close frame with a code and the reason in words.
pub(crate) fn close_frame(code: u16, words: &str) -> (u8, Vec<u8>) {
    (0x88, [&code.to_be_bytes(), words.as_bytes()].concat())
}

fn status(answer: &[u8]) -> &str {
    std::str::from_utf8(&answer[9..12]).unwrap()
}

/// A conversation of all that a connection may see: HTTP, upgrade, chat, ping, fragments, close.
fn whole_conversation() -> Vec<u8> {
    [
        GET,
        b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n",
        UPGRADE,
        &masked_frame(0x81, "  grüße\nan alle ".as_bytes()),
        &masked_frame(0x89, b"ping"),
        &masked_frame(0x01, b"frag"),
        &masked_frame(0x8a, b""),
        &masked_frame(0x80, b"ment"),
        &masked_frame(0x82, &[b'x'; 300]),
        &masked_frame(0x88, &1000_u16.to_be_bytes()),
    ]
    .concat()
}

/// The answers of HTTP; the lines of chat, so that batching makes no difference; the other frames.
type Answers = (Vec<u8>, Vec<String>, Vec<(u8, Vec<u8>)>);

/// What the server answers.
fn conversation_with(change: impl FnOnce(&Peer)) -> Answers {
    let mut world = world();
    let peer = world.connect();
    change(&peer);
    peer.send(&whole_conversation());
    world.settle();
    peer.set_room(usize::MAX);
    world.settle();
    // Where a short read proves that the socket is empty, nothing is waited for after both close frames.
    let short_means_blocked = peer.socket().short_means_blocked;
    assert_eq!(peer.is_closed(), short_means_blocked);
    assert!(peer.socket().server_has_shut || short_means_blocked);
    peer.shut();
    world.settle();
    assert!(peer.is_closed());
    assert_eq!(world.engine.client_count(), 0);

    let bytes = peer.take();
    let upgraded = find(&bytes, b"HTTP/1.1 101").unwrap();
    let end = upgraded + find(&bytes[upgraded..], b"\r\n\r\n").unwrap() + 4;
    let (http, frames) = bytes.split_at(end);
    let (text, other): (Vec<_>, Vec<_>) = decode_frames(frames)
        .into_iter()
        .partition(|(first, _)| *first == 0x81);
    let lines = text
        .iter()
        .flat_map(|(_, payload)| std::str::from_utf8(payload).unwrap().split('\n'))
        .map(ToOwned::to_owned)
        .collect();
    (http.to_vec(), lines, other)
}

fn smooth_conversation() -> Answers {
    let smooth = conversation_with(|_| {});
    assert_eq!(smooth.1, ["grüße an alle", "fragment", &"x".repeat(300)]);
    assert_eq!(smooth.2, [(0x8a, b"ping".to_vec()), close_frame(1000, "")]);
    smooth
}

#[test]
fn short_reads_change_nothing() {
    let smooth = smooth_conversation();
    for read_max in [1, 2, 3, 7, 100] {
        let chopped = conversation_with(|peer| peer.socket().read_max = read_max);
        assert_eq!(chopped, smooth, "{read_max}");
    }
}

#[test]
fn short_writes_change_nothing() {
    let smooth = smooth_conversation();
    for write_max in [1, 2, 3, 7, 100, 5000] {
        assert_eq!(
            conversation_with(|peer| peer.socket().write_max = write_max),
            smooth,
            "{write_max}"
        );
    }
}

#[test]
fn a_socket_that_blocks_after_any_number_of_bytes_changes_nothing() {
    let smooth = smooth_conversation();
    for room in (0..600).chain((600..20_000).step_by(97)) {
        for short_means_blocked in [false, true] {
            let blocked = conversation_with(|peer| {
                peer.socket().short_means_blocked = short_means_blocked;
                peer.set_room(room);
            });
            assert_eq!(blocked, smooth, "{room}, {short_means_blocked}");
        }
    }
}

#[test]
fn a_socket_whose_short_writes_say_enough_is_not_asked_again() {
    for (short_means_blocked, writes) in [(true, 1), (false, 2)] {
        let mut world = world();
        world.network.short_means_blocked = short_means_blocked;
        let (speaker, laggard) = (world.join(), world.join());
        laggard.set_room(3);
        let before = laggard.socket().writes;
        speaker.say("hello");
        world.settle();
        assert_eq!(laggard.socket().writes - before, writes);
        laggard.set_room(100);
        world.settle();
        assert_eq!(laggard.socket().writes - before, writes + 1);
        assert_eq!(laggard.take_lines(), ["hello"]);
    }
}

#[test]
fn interrupted_calls_are_repeated() {
    let smooth = smooth_conversation();
    let interrupted = conversation_with(|peer| {
        let mut socket = peer.socket();
        socket
            .read_errors
            .extend([ErrorKind::Interrupted; 3].map(Into::into));
        socket
            .write_errors
            .extend([ErrorKind::Interrupted; 3].map(Into::into));
    });
    assert_eq!(interrupted, smooth);
}

#[test]
fn a_reset_ends_one_client_and_nobody_else_notices() {
    let mut world = world();
    let (reset, broken, healthy) = (world.join(), world.join(), world.join());
    reset.reset();
    broken
        .socket()
        .write_errors
        .push_back(ErrorKind::BrokenPipe.into());
    healthy.say("still here");
    world.settle();
    assert!(reset.is_closed() && broken.is_closed());
    assert_eq!(healthy.take_lines(), ["still here"]);
    assert_eq!(world.engine.client_count(), 1);
    let metrics = world.engine.metrics();
    assert_eq!(metrics.closed(CloseReason::Broken(ErrorKind::Other)), 2);
}

#[test]
fn what_is_said_in_one_turn_leaves_as_one_frame_with_one_write() {
    let mut world = world();
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
    let mut world = world();
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
    let mut world = world_with(|config| config.chat.send_queue = 5);
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
    let mut world = world_with(|config| config.chat.send_queue = 5);
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
    let mut world = world_with(|config| config.chat.send_queue = 2);
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
    let mut world = world();
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
    let mut world = world_with(|config| {
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
    let mut world = world_with(|config| config.chat.send_queue = 2);
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
    let mut world = world();
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
    let mut world = world();
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
        let mut world = world();
        let peer = world.connect();
        peer.send(GET);
        world.settle();
        peer.take().len()
    };
    // Three answers may wait, not four.
    let mut world = world_with(|config| config.chat.max_queued = 7 * asset_len / 2);
    let speaker = world.join();
    let [other, joiner] = [world.connect(), world.connect()];
    other.set_room(0);
    joiner.set_room(0);
    joiner.send(&[GET, GET, b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
    other.send(GET);
    world.settle();

    // In one turn: the room has news, too much waits in all, and who is owed most of it joins.
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
    let mut world = world_with(|config| {
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
fn who_fills_a_batch_is_heard_on_in_the_next_turn_and_others_beside_it() {
    let mut world = world_with(|config| config.chat.send_queue = 10);
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
    let mut world = world_with(|config| config.chat.send_queue = 1);
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

#[test]
fn pings_and_echoes_count_as_messages_where_their_rate_is_limited() {
    for (path, first) in [("/ws", 0x89), ("/echo", 0x81)] {
        let mut world = world_with(|config| {
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
    let mut world = world();
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
    let mut world = world_with(|config| {
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
    let mut world = world();
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
    let mut world = world();
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
        let mut world = world();
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
    let mut world = world();
    let peer = world.connect();
    for byte in GET.iter().take(11) {
        peer.send(&[*byte]);
        world.pass(SECOND);
    }
    assert_eq!(status(&peer.take()), "408");
}

#[test]
fn a_kept_connection_without_a_further_request_ends_in_silence() {
    let mut world = world();
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
    let mut world = world();
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
    let mut world = world();
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
    let mut world = world_with(|config| {
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
    let mut world = world();
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
    let mut world = world();
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
    let mut world = world();
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

#[test]
fn a_shutdown_says_1001_after_what_is_owed_and_is_over_in_time() {
    let mut world = world();
    let (a, slow, deaf, http) = (world.join(), world.join(), world.join(), world.connect());
    world.settle();
    slow.set_room(0);
    deaf.set_room(0);
    a.say("last words");
    world.settle();
    world.begin_shutdown();
    world.settle();
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
fn a_second_shutdown_ends_at_once() {
    let mut world = world();
    let deaf = world.join();
    world.begin_shutdown();
    world.settle();
    assert!(!world.engine.is_shut_down());
    world.begin_shutdown();
    world.settle();
    assert!(world.engine.is_shut_down() && deaf.is_closed());
}

#[test]
fn one_client_too_many_gets_503_and_the_next_after_a_leaver_does_not() {
    let mut world = World::with_limit(Config::default(), 2);
    let (a, _b) = (world.join(), world.join());
    let refused = world.connect();
    refused.send(UPGRADE);
    world.settle();
    assert_eq!(status(&refused.take()), "503");
    refused.shut();
    a.shut();
    world.settle();
    world.join();
}

#[test]
fn when_descriptors_run_out_the_listener_rests_until_a_client_leaves_or_a_second_passes() {
    let mut world = world();
    let a = world.join();
    let resource_error = ErrorKind::Other;
    world.network.backlog.push_back(Err(resource_error.into()));
    let waiting = world.connect();
    waiting.send(UPGRADE);
    world.settle();
    assert_eq!(waiting.take(), b"", "resting, not spinning");
    a.shut();
    world.settle();
    assert!(waiting.take().starts_with(b"HTTP/1.1 101"));

    world.network.backlog.push_back(Err(resource_error.into()));
    let waiting = world.connect();
    waiting.send(UPGRADE);
    world.settle();
    assert_eq!(waiting.take(), b"");
    world.pass(2 * SECOND);
    assert!(waiting.take().starts_with(b"HTTP/1.1 101"));
}

#[test]
fn a_connection_that_dies_in_the_backlog_does_not_stop_the_next() {
    let mut world = world();
    for error in [ErrorKind::ConnectionAborted, ErrorKind::Interrupted] {
        world.network.backlog.push_back(Err(error.into()));
    }
    world.join();
}

#[test]
fn stale_and_spurious_events_are_harmless() {
    let mut world = world();
    let a = world.join();
    for slot in 0..5 {
        for generation in 0..5 {
            let (near, far) = (
                client_id(slot, generation),
                client_id(slot << 20, generation),
            );
            world.engine.note_ready(near, true, true, false);
            world.engine.note_ready(far, true, true, true);
        }
    }
    world.settle();
    a.say("unmoved");
    world.settle();
    assert_eq!(a.take_lines(), ["unmoved"]);
}

#[test]
fn an_idle_world_sleeps_until_something_is_due() {
    let mut world = world();
    world.settle();
    assert_eq!(world.wait(), None);
    world.join();
    world.pass(SECOND);
    assert!(world.wait() > Some(10 * SECOND));
}
