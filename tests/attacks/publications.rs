//! Attacks by publications: bodies that do not end, chunks that hold next to nothing, and answers nobody reads.

use std::io::Write;
use std::thread;
use std::time::Duration;

use crate::asking::{listen_on, post, post_chunked, publish};
use crate::common::wire::{get, request, upgrade_with};
use crate::common::{Peer, Server};
use crate::scene::{Scene, hear_some};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
/// The longest body of many messages.
const BODY_MAX: usize = 256 * KIB;

/// The head of a publication whose body is of this length.
fn head(path: &str, body_len: usize) -> String {
    let length = format!("Content-Length: {body_len}");
    request(&format!("POST {path} HTTP/1.1"), &["Host: a", &length])
}

/// Publications that stop in the middle of their bodies, which are never more than `sent_max` together.
fn half_bodies(flags: &[&str], sent_max: usize, attack: &str) {
    const PEERS: usize = 500;
    let scene = Scene::start(&[&["--request-timeout", "3s"], flags].concat());
    let part = vec![b'x'; BODY_MAX - KIB];
    let mut peers: Vec<Peer> = (0..PEERS).map(|_| scene.server.connect()).collect();
    for (number, peer) in peers.iter_mut().enumerate() {
        match number % 3 {
            0 => peer.send(head("/room/half?lines=1", BODY_MAX)),
            1 => peer.send(post_chunked("/room/half?lines=1") + "3ff00\r\n"),
            // A head without a body.
            _ => peer.send(head("/room/half", 500)),
        }
        if number % 3 != 2 {
            peer.try_send(&part);
        }
    }
    thread::sleep(Duration::from_millis(500));
    assert!(scene.growth() < sent_max + 8 * MIB, "no more than may be");
    for peer in &mut peers {
        peer.wait_until_gone();
    }
    drop(peers);
    // The allocator keeps more of so many large pieces.
    scene.end_with(8 * MIB, attack);
}

#[test]
fn bodies_that_stop_in_the_middle() {
    let sent_len = 334 * BODY_MAX;
    half_bodies(&[], sent_len, "500 publications that stop in their bodies");
}

#[test]
fn bodies_that_stop_in_the_middle_are_bounded_together() {
    let flags = ["--max-queued", "24MiB"];
    half_bodies(
        &flags,
        24 * MIB,
        "the same, where 24 MiB may be held in all",
    );
}

#[test]
fn bodies_of_one_byte_at_a_time() {
    let scene = Scene::start(&["--request-timeout", "2s"]);
    let mut slow: Vec<Peer> = (0..200).map(|_| scene.server.connect()).collect();
    for (number, peer) in slow.iter_mut().enumerate() {
        peer.send(match number % 2 {
            0 => head("/room/slow", 500),
            _ => post_chunked("/room/slow") + "1f4\r\n",
        });
    }
    for _ in 0..80 {
        for peer in &mut slow {
            peer.try_send(b"x");
        }
        thread::sleep(Duration::from_millis(20));
    }
    for peer in &mut slow {
        peer.expect_refusal(408);
    }
    // In time, it is a publication like any other.
    let mut peer = scene.server.connect();
    peer.send_byte_by_byte(post("/room/slow", &[b'x'; 500]));
    assert_eq!(peer.response().status, 200);
    drop((slow, peer));
    scene.end("200 bodies that come one byte at a time");
}

#[test]
fn chunks_that_claim_what_no_body_has() {
    let scene = Scene::start(&[]);
    for (size, status) in [
        ("ffffffffffffffff", 413),
        ("7fffffffffffffff", 413),
        ("8000000000000000", 413),
        ("40001", 413),
        ("10000000000000000", 400),
        ("fffffffffffffffff", 400),
        (&"0".repeat(1_000), 400),
        (&"f".repeat(1_000), 400),
    ] {
        for _ in 0..50 {
            let mut peer = scene.server.connect();
            peer.send(post_chunked("/room/size?lines=1"));
            peer.send("1\r\na\r\n");
            peer.send(format!("{size}\r\n"));
            peer.expect_refusal(status);
        }
    }
    scene.end("400 chunks larger than can be");
}

/// A body that is spun out: what it begins with, and what is repeated until it is refused.
fn spin_out(scene: &Scene, begins: &str, goes_on: &str, status: u16) {
    for _ in 0..8 {
        let mut peer = scene.server.connect();
        peer.send(post_chunked("/room/endless?lines=1") + begins);
        let (mut mouth, goes_on) = (peer.writer(), goes_on.repeat(100));
        let speaker = thread::spawn(move || {
            // The server answers long before this is through, and listens for a while only.
            (0..10_000).all(|_| mouth.write_all(goes_on.as_bytes()).is_ok())
        });
        peer.expect_refusal(status);
        speaker.join().expect("it ends");
    }
}

#[test]
fn chunks_without_end() {
    let scene = Scene::start(&[]);
    spin_out(&scene, "1;", "a", 400);
    spin_out(&scene, "1", ";a=b", 400);
    spin_out(&scene, "1", " ", 400);
    spin_out(&scene, "0", "0", 400);
    spin_out(&scene, "1;a=\"", "\\\"", 400);
    // One byte in each chunk, and as much around it as a line may have.
    let padding = "x".repeat(200);
    spin_out(&scene, "", &format!("1;{padding}\r\na\r\n"), 400);
    spin_out(&scene, "0\r\n", "X: y\r\n", 400);
    spin_out(&scene, "0\r\n", "X", 400);
    // Chunks that hold much, until the body is too large.
    spin_out(
        &scene,
        "",
        &format!("1000\r\n{}\r\n", "x".repeat(4 * KIB)),
        413,
    );
    scene.end("72 bodies that are spun out");
}

#[test]
fn many_lines_to_readers_of_all_kinds() {
    const LINES: usize = 131_072;
    const TIMES: usize = 2;
    let scene = Scene::start(&["--send-buffer", "64KiB"]);
    let body = "x\n".repeat(LINES);
    assert_eq!(body.len(), BODY_MAX);
    let readers: Vec<_> = (0..25)
        .map(|number| {
            let mut reader = join_by_kind(&scene.server, number % 5);
            thread::spawn(move || read_to_the_last(&mut reader, number % 5))
        })
        .collect();
    for number in 1..=TIMES {
        let id = publish(&scene.server, "/room/many?lines=1", body.as_bytes());
        assert!(id.ends_with(&format!("-{}", number * LINES)), "{id}");
    }
    publish(&scene.server, "/room/many", b"the last one");
    for reader in readers {
        reader.join().expect("each gets the last message");
    }
    // All five framings of all of it were held for those that are slow; the allocator keeps a part.
    scene.end_with(
        48 * MIB,
        "131,072 lines at once, twice, to 25 readers of five kinds",
    );
}

/// A reader in one of the five ways.
fn join_by_kind(server: &Server, kind: usize) -> Peer {
    let peer = server.connect();
    let v1 = |target: &str| {
        let request = upgrade_with(&["Sec-WebSocket-Protocol: fanfare.v1"]);
        let mut peer = server.connect();
        peer.send(request.replacen("/ws", target, 1));
        peer.expect_upgrade();
        peer
    };
    match kind {
        0 => peer.upgraded("/ws/many"),
        1 => peer.upgraded("/ws/many?coalesce=0"),
        2 => v1("/ws/many"),
        3 => v1("/ws/many?coalesce=0"),
        _ => listen_on(peer, "/room/many"),
    }
}

fn read_to_the_last(reader: &mut Peer, kind: usize) {
    if kind < 4 {
        hear_some(reader, |line| line.ends_with("the last one"));
        return;
    }
    let mut stream = reader.writer();
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 256 * KIB]);
    while memchr::memmem::find(&bytes, b"data: the last one\n").is_none() {
        let kept = bytes.len().saturating_sub(100);
        bytes.drain(..kept);
        let len = std::io::Read::read(&mut stream, &mut buffer).expect("events, not silence");
        assert!(len > 0, "the events end");
        bytes.extend(&buffer[..len]);
    }
}

#[test]
fn answers_that_nobody_reads() {
    let scene = Scene::start(&["--write-wait", "2s"]);
    let posts = post("/room/unread", b"x").repeat(500);
    let pages = get("/").repeat(1_000);
    // The end of a body, and much behind it that is announced by nothing.
    let begun = head("/room/unread", 10) + "12345";
    let behind = "67890".to_owned() + &"GET / HTTP/1.1\r\nHost:a\r\n\r\n".repeat(2_000);
    let mut peers: Vec<Peer> = (0..60)
        .map(|_| Peer::connect_with_small_buffer(scene.server.addr))
        .collect();
    for peer in peers.iter_mut().skip(2).step_by(3) {
        peer.send(&begun);
    }
    thread::sleep(Duration::from_millis(200));
    let speakers: Vec<_> = peers
        .iter()
        .enumerate()
        .map(|(number, peer)| {
            let mut mouth = peer.writer();
            let bytes = match number % 3 {
                0 => posts.clone(),
                1 => pages.clone().into_bytes(),
                _ => behind.clone().into_bytes(),
            };
            // It ends when the server has dropped the connection.
            thread::spawn(move || while mouth.write_all(&bytes).is_ok() {})
        })
        .collect();
    thread::sleep(Duration::from_secs(1));
    let each = scene.growth() / peers.len();
    for speaker in speakers {
        speaker.join().expect("it ends");
    }
    assert!(each < BODY_MAX, "{} KiB for each of them", each / KIB);
    drop(peers);
    scene.end("60 clients that ask for thousands of answers and read none");
}
