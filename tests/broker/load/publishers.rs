//! Publishers of two kinds, each of whom remembers what it was told to be published.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use super::{Nodes, room};
use crate::common::rooms::{Id, post_with, upgrade_v1};
use crate::common::wire::{self, CLOSE, PING, PONG};
use crate::common::{PATIENCE, Peer};
use crate::record::message;

/// How many publish by POST, how many messages at once, and how long one waits before the next ones.
const POSTERS: usize = 8;
const LINES: usize = 10;
const POST_PACE: Duration = Duration::from_millis(25);
/// How many publish by WebSocket, how many messages at once, and how long one waits before the next ones.
const TALKERS: usize = 8;
const BURST: usize = 5;
const TALK_PACE: Duration = Duration::from_millis(50);
/// How long a publication is tried again.
const RETRY_PATIENCE: Duration = Duration::from_secs(60);

/// Rooms, ids and texts.
pub(super) type Acknowledged = Vec<(String, Id, String)>;

pub(super) struct Publishers<'scope>(Vec<ScopedJoinHandle<'scope, Acknowledged>>);

impl Publishers<'_> {
    /// All that was acknowledged, once all have ended.
    pub(super) fn end(self) -> Acknowledged {
        let threads = self.0.into_iter();
        let acknowledged = threads.flat_map(|it| it.join().expect("no publisher fails"));
        acknowledged.collect()
    }
}

pub(super) fn start<'scope>(
    scope: &'scope Scope<'scope, '_>,
    nodes: &'scope Nodes,
    is_over: &'scope AtomicBool,
) -> Publishers<'scope> {
    let posters = (0..POSTERS).map(|name| scope.spawn(move || post_all(name, nodes, is_over)));
    let mut threads: Vec<_> = posters.collect();
    threads.extend((0..TALKERS).map(|name| scope.spawn(move || talk(name, nodes, is_over))));
    Publishers(threads)
}

/// Publishes by POST. What was not answered is asked again under its key, of another node.
fn post_all(name: usize, nodes: &Nodes, is_over: &AtomicBool) -> Acknowledged {
    let mut acknowledged = Vec::new();
    let mut number = 0;
    while !is_over.load(Ordering::Relaxed) {
        let room = room(name + number);
        let lines = (0..LINES).map(|line| format!("p{name} {}", number * LINES + line));
        let lines: Vec<String> = lines.collect();
        let key = format!("Idempotency-Key: p{name}-{number}");
        let path = format!("/room/{room}?lines=1");
        let request = post_with(&path, &[&key, "Connection: close"], lines.join("\n"));
        let deadline = Instant::now() + RETRY_PATIENCE;
        let mut attempt = name;
        let last = loop {
            match try_post(nodes.pick(attempt), &request) {
                Some(id) => break id,
                None => thread::sleep(POST_PACE),
            }
            attempt += 1;
            assert!(Instant::now() < deadline, "{lines:?} are never accepted");
        };
        let first = last.seq + 1 - LINES as u64;
        let ids = (first..).map(|seq| last.at(seq));
        let told = ids.zip(lines).map(|(id, line)| (room.clone(), id, line));
        acknowledged.extend(told);
        number += 1;
        thread::sleep(POST_PACE);
    }
    acknowledged
}

/// `None` if nobody knows: the node was killed, or the broker is away.
fn try_post(addr: SocketAddr, request: &[u8]) -> Option<Id> {
    let mut stream = TcpStream::connect(addr).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(request).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    match head.split(' ').nth(1)? {
        "503" => None,
        status => {
            assert_eq!(status, "200", "{answer}");
            Some(Id::parse(body.strip_suffix('\n')?))
        }
    }
}

/// Publishes by WebSocket. What comes back is acknowledged; of what does not, when the connection ends, nobody knows.
fn talk(name: usize, nodes: &Nodes, is_over: &AtomicBool) -> Acknowledged {
    let mut acknowledged = Vec::new();
    for visit in 0.. {
        let room = room(7 * name + visit);
        let mut talker = Talker::join(nodes.pick(name + visit), &room);
        let name = format!("w{name}.{visit}");
        for number in (0..).step_by(BURST) {
            if is_over.load(Ordering::Relaxed) {
                return acknowledged;
            }
            let texts = (number..number + BURST).map(|number| format!("{name} {number}"));
            let heard = talker.say_and_hear(&texts.collect::<Vec<_>>());
            let is_all = heard.len() == BURST;
            let told = heard.into_iter().map(|(id, text)| (room.clone(), id, text));
            acknowledged.extend(told);
            if !is_all {
                break;
            }
            thread::sleep(TALK_PACE);
        }
    }
    acknowledged
}

struct Talker(Peer);

impl Talker {
    fn join(addr: SocketAddr, room: &str) -> Self {
        let mut peer = Peer::connect(addr);
        peer.send(upgrade_v1(&format!("/ws/{room}")));
        peer.expect_upgrade_v1();
        Self(peer)
    }

    /// What of these messages came back before the connection ended.
    fn say_and_hear(&mut self, texts: &[String]) -> Vec<(Id, String)> {
        let mut heard = Vec::new();
        let frames: Vec<u8> = texts.iter().flat_map(|text| wire::text(text)).collect();
        let mut is_there = self.0.try_send(&frames);
        while is_there && heard.len() < texts.len() {
            while let Some(frame) = self.0.received_frame() {
                match frame.first {
                    PING => _ = self.0.try_send(&wire::frame(PONG, &frame.payload)),
                    CLOSE => return heard,
                    _ => {
                        let lines = self.0.text_of(frame);
                        let messages = lines.split('\n').filter_map(message);
                        let own = messages.filter(|(_, text)| texts.iter().any(|it| it == text));
                        heard.extend(own.map(|(id, text)| (Id::parse(id), text.to_owned())));
                    }
                }
            }
            is_there = heard.len() == texts.len() || self.0.receive().is_ok_and(|len| len > 0);
        }
        heard
    }
}
