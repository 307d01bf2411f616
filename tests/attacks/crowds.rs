//! Attacks by many: readers that stop, resets at every stage, more connections than there is room for.

use std::net::Ipv4Addr;
use std::thread;

use crate::common::wire::{TEXT, close, frame, get, text, upgrade};
use crate::common::{Peer, Server, eventually};
use crate::scene::{Scene, hear_some};

/// A flood that no socket's buffers hold: 16 MB to each member.
fn flood(server: &Server) {
    let mut speaker = server.join();
    let mut heard = 0;
    for number in 0..500 {
        speaker.say(&format!("{number} {}", "x".repeat(32 * 1024 - 10)));
        while heard <= number {
            heard += hear_some(&mut speaker, |line| line.ends_with('x'));
        }
    }
}

fn readers_that_stop(readers: usize, sleepers: usize, attack: &str) {
    let scene = Scene::start(&[
        "--max-message",
        "32KiB",
        "--write-wait",
        "1s",
        "--send-buffer",
        "64KiB",
    ]);
    let sleeping: Vec<Peer> = (0..sleepers)
        .map(|_| scene.server.join_with_small_buffer())
        .collect();
    let reading: Vec<_> = (0..readers)
        .map(|_| {
            let mut reader = scene.server.join();
            thread::spawn(move || {
                let mut heard = 0;
                while heard < 500 {
                    heard += hear_some(&mut reader, |line| line.ends_with('x'));
                }
            })
        })
        .collect();
    flood(&scene.server);
    for reader in reading {
        reader.join().expect("those who read miss nothing");
    }
    // The sleepers hold their sockets until the server has dropped them.
    scene.server.wait_for_log(&["connection closed"]);
    let server = scene.end(attack);
    drop((server, sleeping));
}

#[test]
fn one_reader_stops() {
    readers_that_stop(9, 1, "one reader of 10 stops");
}

#[test]
fn a_tenth_of_the_readers_stops() {
    readers_that_stop(45, 5, "5 readers of 50 stop");
}

#[test]
fn all_readers_stop() {
    readers_that_stop(0, 50, "50 readers of 50 stop");
}

#[test]
fn more_is_queued_than_there_may_be() {
    let scene = Scene::start(&[
        "--max-message",
        "32KiB",
        "--send-queue",
        "100000",
        "--send-buffer",
        "64KiB",
        // A quarter of the flood: a healthy member that has to wait for the processor is owed less.
        "--max-queued",
        "4MiB",
    ]);
    let sleeping: Vec<Peer> = (0..20)
        .map(|_| scene.server.join_with_small_buffer())
        .collect();
    flood(&scene.server);
    scene
        .server
        .wait_for_log(&["connection closed", "--max-queued"]);
    let server = scene.end("20 readers stop, with queues without end and 4 MiB for all");
    drop((server, sleeping));
}

#[test]
fn resets_at_every_stage() {
    let scene = Scene::start(&["--max-message", "64KiB"]);
    let stages: [fn(&Server) -> Peer; 10] = [
        Server::connect,
        |server| with(server.connect(), b"GET / HT"),
        |server| with(server.connect(), get("/").as_bytes()),
        |server| with(server.connect(), get("/").repeat(20).as_bytes()),
        |server| with(server.connect(), b"\0\0\0\0"),
        |server| with(server.connect(), upgrade("/ws").as_bytes()),
        Server::join,
        |server| with(server.join(), &frame(TEXT, &[b'a'; 60_000])[..30_000]),
        |server| with(server.join(), &text("a word").repeat(100)),
        |server| with(server.join(), &close(1000, b"")),
    ];
    for _ in 0..100 {
        for stage in stages {
            stage(&scene.server).reset();
        }
    }
    scene.end("1,000 resets, at ten stages");
}

fn with(mut peer: Peer, bytes: &[u8]) -> Peer {
    peer.send(bytes);
    peer
}

#[test]
fn twenty_thousand_connects_and_aborts() {
    let scene = Scene::start(&[]);
    for _ in 0..10_000 {
        scene.server.connect().reset();
        with(scene.server.connect(), b"GET /ws HTTP/1.1\r\n").reset();
    }
    scene.end("20,000 connects and aborts");
}

#[test]
fn more_clients_than_there_is_room_for() {
    let scene = Scene::start(&["--max-clients", "20"]);
    let members: Vec<Peer> = (0..18).map(|_| scene.server.join()).collect();
    let mut crowd: Vec<Peer> = (0..300).map(|_| scene.server.connect()).collect();
    // As each one that was told leaves, the next is taken from the backlog and told.
    for mut peer in crowd.drain(..) {
        peer.send(get("/"));
        peer.expect_refusal(503);
    }
    drop(members);
    eventually("there is room again", || {
        let mut peer = scene.server.connect();
        peer.send(get("/"));
        (peer.response().status == 200).then_some(())
    });
    scene.end("300 connections beyond --max-clients");
}

#[test]
fn more_clients_from_one_address_than_it_may_have() {
    let scene = Scene::start(&["--max-clients-per-ip", "10"]);
    let local = Ipv4Addr::new(127, 0, 0, 2).into();
    let connect = || Peer::connect_from(local, scene.server.addr);
    let members: Vec<Peer> = (0..10).map(|_| connect().upgraded("/ws")).collect();
    for _ in 0..200 {
        let mut peer = connect();
        peer.send(get("/"));
        peer.expect_refusal(503);
    }
    scene.server.join();
    drop(members);
    eventually("the address may have more again", || {
        let mut peer = connect();
        peer.send(get("/"));
        (peer.response().status == 200).then_some(())
    });
    scene.end("200 connections beyond --max-clients-per-ip");
}
