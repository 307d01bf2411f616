//! When a client is told how many listen.

use std::time::Duration;

use crate::world::{World, decode_frames, find};

const UPGRADE: &str = "GET /ws?here=1&last=9 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: fanfare.v1\r\n\r\n";

/// The lines of these bytes, without epochs.
fn lines(bytes: &[u8]) -> Vec<String> {
    let head = find(bytes, b"\r\n\r\n").map_or(0, |end| end + 4);
    let frames = decode_frames(&bytes[head..]);
    let texts = frames.iter().map(|(_, text)| String::from_utf8_lossy(text));
    let lines = texts.flat_map(|text| text.split('\n').map(str::to_owned).collect::<Vec<_>>());
    let without_epoch = |line: String| match line.split_once('-') {
        Some((before, after)) => format!("{}#{after}", &before[..before.len() - 8]),
        None => line,
    };
    lines.map(without_epoch).collect()
}

#[test]
fn the_first_count_follows_what_was_missed() {
    let mut world = World::with(|_| {});
    let publisher = world.join();
    for text in ["one", "two", "three"] {
        publisher.say(text);
        world.settle();
    }
    let peer = world.connect();
    peer.send(UPGRADE.as_bytes());
    peer.set_room(0);
    world.settle();
    // What is published meanwhile is behind what was missed as well.
    publisher.say("four");
    let mut taken = Vec::new();
    for _ in 0..1000 {
        peer.set_room(7);
        world.settle();
        taken.extend(peer.take());
    }
    // The others may have been told just before.
    world.pass(Duration::from_secs(1));
    peer.set_room(usize::MAX);
    world.settle();
    taken.extend(peer.take());
    let expected = [
        ":fresh #0",
        "#1 one",
        "#2 two",
        "#3 three",
        "#4 four",
        ":here 2",
    ];
    assert_eq!(lines(&taken), expected);
}
