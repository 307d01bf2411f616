//! Attacks on the WebSocket half: lengths, fragments, floods, and ends that do not end.

use std::io::Write;
use std::thread;
use std::time::Duration;

use crate::common::Peer;
use crate::common::wire::{
    BEGIN_TEXT, CLOSE, CONTINUE, END, PING, PONG, TEXT, close, frame, header_64, text,
};
use crate::scene::{Scene, hear_some, wait_for_frame};

const MIB: usize = 1024 * 1024;

#[test]
fn lengths_beyond_belief() {
    let scene = Scene::start(&[]);
    for (len, code) in [(1 << 63, 1002), (u64::MAX, 1002), ((1 << 63) - 1, 1009)] {
        for _ in 0..50 {
            let mut peer = scene.server.join();
            peer.send(header_64(TEXT, len));
            assert_eq!(end_of(&mut peer), Some(code));
        }
    }
    scene.end("150 frames of 2^63 bytes");
}

#[test]
fn lengths_that_are_claimed_only() {
    let scene = Scene::start(&["--max-message", "64MiB"]);
    let mut peers: Vec<Peer> = (0..200).map(|_| scene.server.join()).collect();
    for peer in &mut peers {
        peer.send(header_64(TEXT, 64 * MIB as u64));
        peer.send(frame(PING, b"")[1..].repeat(2));
    }
    thread::sleep(Duration::from_millis(200));
    assert!(scene.growth() < 2 * MIB, "nothing is reserved");
    drop(peers);
    scene.end("200 times 64 MiB claimed and not sent");
}

#[test]
fn a_million_empty_fragments() {
    let scene = Scene::start(&[]);
    let mut peer = scene.server.join();
    peer.send(frame(BEGIN_TEXT, b"a"));
    let fragments = frame(CONTINUE, b"").repeat(10_000);
    for _ in 0..100 {
        peer.send(&fragments);
    }
    peer.send(frame(END, b"b"));
    hear_some(&mut peer, |line| line == "ab");
    drop(peer);
    scene.end("a million empty fragments");
}

#[test]
fn fragments_of_one_byte() {
    let scene = Scene::start(&["--max-message", "1MiB"]);
    let mut peer = scene.server.join();
    peer.send(frame(BEGIN_TEXT, b"a"));
    let fragments = frame(CONTINUE, b"a").repeat(1024);
    for _ in 0..MIB / 1024 - 1 {
        peer.send(&fragments);
    }
    peer.send(frame(CONTINUE, b"a").repeat(1023));
    assert!(
        scene.growth() < 2 * MIB,
        "one buffer, which grows to the limit"
    );
    peer.send(frame(CONTINUE, b"a"));
    assert_eq!(end_of(&mut peer), Some(1009));
    drop(peer);
    scene.end("1 MiB in fragments of one byte, and one more");
}

#[test]
fn messages_that_are_never_finished() {
    let scene = Scene::start(&["--max-message", "64KiB", "--pong-wait", "2s"]);
    unfinished_messages(&scene);
    scene.end("100 messages that are never finished");
}

#[test]
fn what_was_freed_is_used_again() {
    let scene = Scene::start(&["--max-message", "64KiB", "--pong-wait", "1s"]);
    unfinished_messages(&scene);
    let once = scene.growth();
    for _ in 0..4 {
        unfinished_messages(&scene);
    }
    assert!(
        scene.growth() < once + MIB,
        "the same again costs nothing more"
    );
    scene.end("the same five times");
}

fn unfinished_messages(scene: &Scene) {
    let mut peers: Vec<Peer> = (0..100).map(|_| scene.server.join()).collect();
    for (i, peer) in peers.iter_mut().enumerate() {
        peer.send(match i % 2 {
            0 => frame(BEGIN_TEXT, &vec![b'a'; 60_000]),
            _ => frame(TEXT, &vec![b'a'; 60_000])[..30_000].to_vec(),
        });
    }
    for peer in &mut peers {
        assert_eq!(end_of(peer), Some(1008));
    }
}

#[test]
fn pings_whose_pongs_nobody_reads() {
    const PINGS: u32 = 200_000;
    let scene = Scene::start(&[]);
    let mut peer = Peer::connect_with_small_buffer(scene.server.addr).upgraded("/ws");
    for first in (0..PINGS).step_by(100) {
        let pings = (first..first + 100).map(|number| {
            let payload = [&number.to_be_bytes()[..], &[0; 121]].concat();
            frame(PING, &payload)
        });
        peer.send(pings.flatten().collect::<Vec<u8>>());
    }
    assert!(scene.growth() < MIB, "the newest pongs only are kept");
    let mut last = None;
    while last != Some(PINGS - 1) {
        let number = wait_for_frame(&mut peer, "the newest pong", |received| {
            let number = received.payload.first_chunk().copied();
            (received.first == PONG).then_some(number.map(u32::from_be_bytes))
        });
        assert!(last < number, "pongs go in the order of the pings");
        last = number;
    }
    drop(peer);
    scene.end("200,000 pings by a peer that reads no pong");
}

#[test]
fn a_flood_of_messages() {
    let scene = Scene::start(&[]);
    let mut flooder = scene.server.join();
    let mut mouth = flooder.writer();
    let messages = text("a flood of this").repeat(1_000);
    let speaker = thread::spawn(move || {
        for _ in 0..200 {
            mouth.write_all(&messages).expect("the server listens");
        }
    });
    let mut heard = 0;
    while heard < 200_000 {
        heard += hear_some(&mut flooder, |line| line.starts_with('a'));
    }
    speaker.join().expect("all was said");
    drop(flooder);
    scene.end("200,000 messages as fast as they go");
}

#[test]
fn more_messages_than_the_rate_allows() {
    let scene = Scene::start(&["--message-rate", "400"]);
    let mut flooder = scene.server.join();
    let mut mouth = flooder.writer();
    let messages = text("a flood").repeat(100);
    let speaker = thread::spawn(move || {
        while mouth.write_all(&messages).is_ok() {
            thread::sleep(Duration::from_millis(100));
        }
    });
    assert_eq!(end_of(&mut flooder), Some(1008));
    flooder.reset();
    speaker.join().expect("it ends");
    scene.end("1,000 messages a second where 400 are allowed");
}

#[test]
fn ends_that_never_end() {
    let scene = Scene::start(&["--pong-wait", "1s", "--ping-period", "400ms"]);
    let mut peers: Vec<Peer> = (0..120).map(|_| scene.server.join()).collect();
    for (i, peer) in peers.iter_mut().enumerate() {
        match i % 4 {
            // It says goodbye, and stays.
            0 => peer.send(close(1000, b"")),
            // It breaks a rule, and stays.
            1 => peer.send(b"\x81\x00"),
            // It ends its own half.
            2 => peer.finish(),
            // It vanishes: no pong will come.
            _ => {}
        }
    }
    for _ in 0..40 {
        for peer in peers.iter_mut().step_by(2) {
            // Data behind the close.
            peer.try_send(&text("still here"));
        }
        thread::sleep(Duration::from_millis(50));
    }
    for (i, peer) in peers.iter_mut().enumerate() {
        match i % 4 {
            1 => assert_eq!(end_of(peer), Some(1002)),
            3 => assert_eq!(end_of(peer), Some(1008)),
            _ => {}
        }
    }
    // They are never closed from this side; the server ends them.
    let server = scene.end("120 peers that never close");
    drop((server, peers));
}

/// The code of the close frame that ends what a peer hears.
pub(crate) fn end_of(peer: &mut Peer) -> Option<u16> {
    wait_for_frame(peer, "a close frame", |received| {
        let code = received.payload.first_chunk().copied();
        (received.first == CLOSE).then_some(code.map(u16::from_be_bytes))
    })
}
