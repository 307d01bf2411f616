//! Attacks on rooms: more of them than there may be, more history than is kept, and counts that never rest.

use std::iter;
use std::thread;
use std::time::Instant;

use crate::asking::{Answers, ask_all, listen, post, post_with, publish, sum};
use crate::common::wire::{get, text, upgrade, upgrade_with};
use crate::common::{Peer, Server};
use crate::scene::{Scene, hear_some, wait_for_frame};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
/// What a room may cost that has a message or a member, besides what its history and its name take.
const ROOM_LEN: usize = KIB;

/// Publishes from several connections at once: `request` makes each of `count` requests.
fn ask_from_four(
    server: &Server,
    count: usize,
    request: impl Fn(usize) -> Vec<u8> + Sync,
) -> Answers {
    const CONNECTIONS: usize = 4;
    let share = count / CONNECTIONS;
    let request = &request;
    thread::scope(|scope| {
        let asking = [(); CONNECTIONS].map(|()| ());
        let asking: Vec<_> = asking
            .iter()
            .enumerate()
            .map(|(part, ())| {
                scope.spawn(move || {
                    let numbers = part * share..(part + 1) * share;
                    ask_all(server, numbers.map(request))
                })
            })
            .collect();
        sum(asking.into_iter().map(|part| part.join().expect("answers")))
    })
}

/// Joins a room as one that reads ids.
fn join_v1(server: &Server, path: &str) -> Peer {
    let request = upgrade_with(&["Sec-WebSocket-Protocol: fanfare.v1"]);
    let mut peer = server.connect();
    peer.send(request.replacen("/ws", path, 1));
    peer.expect_upgrade();
    peer
}

#[test]
fn half_a_million_rooms_are_asked_for() {
    const ROOMS: usize = 10_000;
    let scene = Scene::start(&[]);
    let server = &scene.server;
    let mut member = join_v1(server, "/ws/kept");
    let answers = ask_from_four(server, 500_000, |number| {
        post(&format!("/room/{number}"), b"x")
    });
    // The pair's room and the member's are among them.
    assert_eq!(
        answers,
        Answers::from([(200, ROOMS - 2), (503, 500_000 - (ROOMS - 2))])
    );
    for number in 0..1_000 {
        let mut peer = server.connect();
        peer.send(upgrade(&format!("/ws/new-{number}")));
        peer.expect_refusal(503);
        let mut peer = listen(server, &format!("/room/new-{number}"));
        assert_eq!(peer.take(13), b"retry: 5000\n\n");
        peer.expect_end();
    }
    // Rooms that are there go on.
    publish(server, "/room/kept", b"still here");
    hear_some(&mut member, |line| line.ends_with("still here"));
    drop(member);
    scene.end_with(ROOMS * 2 * ROOM_LEN, "half a million rooms asked for");
}

#[test]
fn rooms_are_entered_and_left_as_fast_as_connections_come() {
    let scene = Scene::start(&["--max-rooms", "1000"]);
    for number in 0..10_000 {
        let mut peer = scene.server.connect();
        peer.send(upgrade(&format!("/ws/{number}")));
        peer.reset();
    }
    scene.end_with(
        1_000 * ROOM_LEN,
        "10,000 rooms entered and left, where 1,000 may be",
    );
}

#[test]
fn more_history_than_is_kept() {
    const ROOMS: usize = 9_900;
    let scene = Scene::start(&["--max-history", "16MiB"]);
    let lines = [b"a line of the history", &[b'x'; 400][..]].concat();
    let body = iter::repeat_n(lines, 20)
        .collect::<Vec<_>>()
        .join(&b"\n"[..]);
    let answers = ask_from_four(&scene.server, ROOMS, |number| {
        post(&format!("/room/{number}?lines=1"), &body)
    });
    assert_eq!(answers, Answers::from([(200, ROOMS)]));
    // Each room again, so that each has given up what it had.
    let answers = ask_from_four(&scene.server, ROOMS, |number| {
        post(&format!("/room/{number}?lines=1"), &body)
    });
    assert_eq!(answers, Answers::from([(200, ROOMS)]));
    let kept_len = 16 * MIB + ROOMS * 2 * ROOM_LEN;
    scene.end_with(
        kept_len,
        "9,900 rooms with 16 KiB each, where 16 MiB are kept in all",
    );
}

#[test]
fn small_messages_in_buffers_that_were_large() {
    const ROOMS: usize = 2_000;
    let scene = Scene::start(&["--message-rate", "0", "--history", "1"]);
    // A large batch, which the next message sends out of the history: its buffer is free then.
    let large = "x".repeat(500) + "\n";
    let large = large.repeat(500);
    let requests = (0..ROOMS).flat_map(|number| {
        let small = |room: String| post(&room, b"small");
        [
            post("/room/large?lines=1", large.as_bytes()),
            small("/room/large".to_owned()),
            small(format!("/room/{number}")),
        ]
    });
    let requests: Vec<Vec<u8>> = requests.collect();
    let answers = ask_all(&scene.server, requests.into_iter());
    assert_eq!(answers, Answers::from([(200, 3 * ROOMS)]));
    // And all of them once more, so that each room has an older message.
    let again = (0..ROOMS).map(|number| post(&format!("/room/{number}"), b"small"));
    ask_all(&scene.server, again);
    scene.end_with(
        ROOMS * 2 * ROOM_LEN,
        "2,000 rooms with small messages after large ones",
    );
}

#[test]
fn idempotency_keys_by_the_hundred_thousand() {
    const KEYS: usize = 400_000;
    let scene = Scene::start(&["--message-rate", "0", "--history", "1"]);
    let key = |number: usize| format!("Idempotency-Key: {number:064}");
    let answers = ask_from_four(&scene.server, KEYS, |number| {
        post_with(&format!("/room/{}", number % 400), &[&key(number)], b"x")
    });
    assert_eq!(answers, Answers::from([(200, KEYS)]));
    // The newest are remembered.
    let once = post_with("/room/7", &[&key(KEYS)], b"once");
    let mut peer = scene.server.connect();
    peer.send(&once);
    let first = peer.response();
    peer.send(&once);
    assert_eq!(peer.response().body, first.body);
    drop(peer);
    // 100,000 keys of 64 characters are remembered.
    scene.end_with(16 * MIB, "400,000 idempotency keys in 400 rooms");
}

#[test]
fn listeners_that_come_and_go_while_others_count_them() {
    const COUNTING: usize = 20;
    let scene = Scene::start(&[]);
    let server = &scene.server;
    let start = Instant::now();
    let mut counting: Vec<Peer> = (0..COUNTING)
        .map(|_| join_v1(server, "/ws/busy?here=1"))
        .collect();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for number in 0..1_500 {
                    let query = if number % 2 == 0 { "?here=1" } else { "" };
                    let mut peer = match number % 3 {
                        0 => listen(server, &format!("/room/busy{query}")),
                        _ => join_v1(server, &format!("/ws/busy{query}")),
                    };
                    if number % 5 == 0 {
                        peer.send(text("coming and going"));
                    }
                    peer.reset();
                }
            });
        }
    });
    publish(server, "/room/busy", b"the last one");
    let seconds = start.elapsed().as_secs() as usize;
    for peer in &mut counting {
        let (mut count_lines, mut is_through) = (0, false);
        // In the end they count each other.
        let last = format!(":here {COUNTING}");
        wait_for_frame(peer, "the last message, and the last count", |received| {
            let text = String::from_utf8_lossy(&received.payload);
            let counts = text.lines().filter(|line| line.starts_with(":here "));
            count_lines += counts.count();
            is_through |= text.ends_with(" the last one");
            (is_through && text.ends_with(&last)).then_some(())
        });
        let is_once_a_second = count_lines <= seconds + 3;
        assert!(is_once_a_second, "{count_lines} counts in {seconds} s");
    }
    drop(counting);
    scene.end("6,000 listeners that come and go, and 20 that are told how many");
}

#[test]
fn requests_for_rooms_with_names_that_no_room_has() {
    let scene = Scene::start(&[]);
    let long = "x".repeat(65);
    let very_long = "x".repeat(7_000);
    for name in [&long, &very_long, "a/b", "%00", "a%2fb", "..", "\u{e9}"] {
        for path in ["/ws", "/room"] {
            let mut peer = scene.server.connect();
            peer.send(get(&format!("{path}/{name}")));
            peer.finish();
            let status = peer.response().status;
            assert!([400, 404].contains(&status), "{status} for {name}");
        }
    }
    scene.end("names that no room has");
}
