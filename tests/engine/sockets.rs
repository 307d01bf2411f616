//! Short reads, short writes, WouldBlock at each point, resets: none of them changes what is received.

use std::io::ErrorKind;

use crate::world::{Peer, UPGRADE, World, close_frame, decode_frames, find, masked_frame};
use fanfare::observe::CloseReason;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

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
    let mut world = World::with(|_| {});
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
        let mut world = World::with(|_| {});
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
    let mut world = World::with(|_| {});
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
fn room_for_output_is_asked_for_once_a_socket_was_full() {
    let mut world = World::with(|_| {});
    let (slow, healthy) = (world.join(), world.join());
    for text in ["one", "two"] {
        slow.set_room(0);
        healthy.say(text);
        world.settle();
        assert!(slow.is_output_watched());
        slow.set_room(usize::MAX);
        world.settle();
        assert_eq!(slow.take_lines(), [text]);
    }
    assert_eq!(healthy.take_lines(), ["one", "two"]);
    assert!(!healthy.is_output_watched());
}

#[test]
fn an_answer_that_fills_a_socket_in_its_first_turn_is_finished() {
    let mut world = World::with(|_| {});
    let peer = world.connect();
    peer.set_room(10);
    peer.send(UPGRADE);
    world.settle();
    assert!(peer.is_registered() && peer.is_output_watched());
    let mut answer = peer.take();
    assert_eq!(answer.len(), 10);
    peer.set_room(usize::MAX);
    world.settle();
    answer.extend(peer.take());
    assert!(answer.ends_with(b"\r\n\r\n"));
}

#[test]
fn a_client_whose_room_cannot_be_told_is_closed() {
    let mut world = World::with(|_| {});
    let (slow, healthy) = (world.join(), world.join());
    slow.set_room(0);
    let error = ErrorKind::OutOfMemory;
    world.network.watch_errors.push_back(error.into());
    healthy.say("hello");
    world.settle();
    assert!(slow.is_closed());
    assert_eq!(healthy.take_lines(), ["hello"]);
    let metrics = world.engine.metrics();
    assert_eq!(metrics.closed(CloseReason::Broken(error)), 1);
    assert_eq!(metrics.accept_failures, 0);
}
