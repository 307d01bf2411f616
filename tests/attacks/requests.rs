//! Attacks on the HTTP half: slowness, size, and bytes that mean two things.

use std::io::Write;
use std::thread;
use std::time::Duration;

use crate::common::Peer;
use crate::common::wire::get;
use crate::scene::Scene;

#[test]
fn silence_and_slowness() {
    let scene = Scene::start(&["--request-timeout", "1s"]);
    let mut silent: Vec<Peer> = (0..100).map(|_| scene.server.connect()).collect();
    let mut slow: Vec<Peer> = (0..100).map(|_| scene.server.connect()).collect();
    for byte in get("/").bytes().take(30) {
        for peer in &mut slow {
            // The deadline comes before the last byte does.
            peer.try_send(&[byte]);
        }
        thread::sleep(Duration::from_millis(20));
    }
    for peer in silent.iter_mut().chain(&mut slow) {
        peer.expect_refusal(408);
    }
    drop((silent, slow));
    scene.end("200 connections silent, or a header byte at a time");
}

#[test]
fn heads_without_end() {
    let scene = Scene::start(&[]);
    for line in ["X: y\r\n".to_owned(), "a".repeat(1024)] {
        for _ in 0..50 {
            let mut peer = scene.server.connect();
            peer.send("GET / HTTP/1.1\r\nHost: a\r\n");
            let (mut mouth, line) = (peer.writer(), line.clone());
            let speaker = thread::spawn(move || {
                // The server answers long before this is through, and listens for a while only.
                (0..10_000).all(|_| mouth.write_all(line.as_bytes()).is_ok())
            });
            peer.expect_refusal(431);
            speaker.join().expect("it ends");
        }
    }
    scene.end("100 heads that never end");
}

#[test]
fn heads_that_are_too_large() {
    let scene = Scene::start(&[]);
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}", "X: y\r\n".repeat(10_000));
    let long = format!("GET /{}", "a".repeat(1024 * 1024));
    for head in [&many, &long] {
        for _ in 0..20 {
            let mut peer = scene.server.connect();
            peer.send(head);
            peer.expect_refusal(431);
        }
    }
    scene.end("10,000 headers, and request lines of 1 MiB");
}

#[test]
fn bodies_that_never_come() {
    let scene = Scene::start(&["--request-timeout", "1s"]);
    let mut peers: Vec<Peer> = (0..200).map(|_| scene.server.connect()).collect();
    for (i, peer) in peers.iter_mut().enumerate() {
        peer.send(match i % 2 {
            0 => "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807\r\n\r\n",
            _ => "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        });
    }
    for peer in &mut peers {
        peer.expect_refusal(413);
    }
    drop(peers);
    scene.end("200 bodies that never come");
}

#[test]
fn lines_that_end_strangely() {
    let scene = Scene::start(&[]);
    let heads = [
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\rHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n X: folded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: y\rZ: w\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
        "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
        "\0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n",
        "GET /\r\nX: / HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    for head in heads {
        for _ in 0..20 {
            let mut peer = scene.server.connect();
            peer.send(head);
            peer.expect_refusal(400);
        }
    }
    scene.end("200 heads with strange line ends and NULs");
}
