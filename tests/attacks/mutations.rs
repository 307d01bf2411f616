//! Handshakes and frame streams with a few bytes changed, from a seed.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

use crate::common::wire::{
    self, BEGIN_TEXT, BINARY, CLOSE, END, PING, PONG, TEXT, UPGRADE, close, frame, get, request,
    text, upgrade,
};
use crate::common::{PATIENCE, Server};
use crate::random::Random;
use crate::scene::Scene;

const MUTATIONS: u64 = 100_000;
const THREADS: u64 = 2;

#[test]
fn mutated_handshakes_and_frames() {
    let scene = Scene::start(&["--echo"]);
    thread::scope(|scope| {
        for first in 0..THREADS {
            let server = &scene.server;
            scope.spawn(move || {
                for seed in (first..MUTATIONS).step_by(THREADS as usize) {
                    let bytes = mutated(&mut Random::new(seed));
                    let answer = answer_to(server, &bytes);
                    assert!(
                        is_well_formed(&answer),
                        "seed {seed}: {answer:?} to {bytes:?}"
                    );
                }
            });
        }
    });
    scene.end("100,000 mutated handshakes and frame streams");
}

/// Something that a client may well say, with up to eight changes.
fn mutated(random: &mut Random) -> Vec<u8> {
    let head = match random.below(4) {
        0 => get("/"),
        1 => request("GET /chat.js HTTP/1.1", &UPGRADE),
        2 => upgrade("/ws"),
        _ => upgrade("/echo"),
    };
    let mut bytes = head.into_bytes();
    if random.chance(70) {
        let frames = [
            text("a word"),
            frame(BEGIN_TEXT, "ein Wört".as_bytes()),
            frame(PING, b"still there?"),
            frame(END, b"chen"),
            frame(BINARY, &[7; 300]),
            close(1000, b"enough"),
        ];
        bytes.extend(frames.concat());
    }
    for _ in 0..random.between(1, 8) {
        let at = random.below(bytes.len());
        match random.below(5) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.below(256) as u8,
            2 => bytes.insert(at, *random.pick(b"\r\n\0: \xff\x80,")),
            3 => drop(bytes.drain(at..(at + random.between(1, 8)).min(bytes.len() - 1).max(at))),
            _ => {
                let copy = bytes[at..(at + random.between(1, 40)).min(bytes.len())].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, copy);
            }
        }
    }
    bytes
}

/// All that the server has to say to `bytes`, up to the end that it makes.
fn answer_to(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server.addr).expect("the server accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(bytes).expect("the server listens");
    // The server may have ended the connection already.
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .expect("an end, not a reset or a long silence");
    answer
}

/// Whether these are whole responses, and after an upgrade whole frames.
fn is_well_formed(mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        let Some(head_end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else {
            return false;
        };
        let head = String::from_utf8_lossy(&bytes[..head_end]);
        bytes = &bytes[head_end + 4..];
        let status = head
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..4));
        match status {
            Some("101 ") => return are_frames(bytes),
            Some(
                "200 " | "400 " | "403 " | "404 " | "405 " | "413 " | "426 " | "431 " | "501 "
                | "505 ",
            ) => {}
            _ => return false,
        }
        let len = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "));
        match len.and_then(|len| bytes.get(len.parse().ok()?..)) {
            Some(rest) => bytes = rest,
            None => return false,
        }
    }
    true
}

/// Whether these are whole frames of a server: texts, pongs, and at most one close at the end.
fn are_frames(bytes: &[u8]) -> bool {
    let mut bytes = bytes.to_vec();
    let frames = wire::take_frames(&mut bytes);
    let last = frames.len().saturating_sub(1);
    bytes.is_empty()
        && frames
            .iter()
            .enumerate()
            .all(|(index, (first, payload))| match *first {
                TEXT => str::from_utf8(payload).is_ok(),
                BINARY | PONG => true,
                CLOSE => index == last,
                _ => false,
            })
}
