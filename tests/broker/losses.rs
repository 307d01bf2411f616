//! A broker that loses what was acknowledged, again and again and in every way, in an order that a seed draws: whatever is
//! lost is told, and no id ever means two messages.

use std::collections::HashMap;
use std::env;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::broker::Kind;
use crate::common::rooms::{Id, Listener, post};
use crate::common::{Peer, Server};
use crate::failover::Pair;
use crate::node::{publish_surely, start_node};
use crate::proxy::{Fate, Proxy, Towards};
use crate::random::Random;
use crate::record::{LAST, message};

const NODES: usize = 3;
const ROOMS: usize = 4;
/// For this long something is lost, in seconds, where the environment does not say otherwise.
const SECONDS: u64 = 10;
const PACE: Duration = Duration::from_millis(5);

/// A message under its id, as somebody was told.
type Told = Vec<(String, String)>;

/// Reads to the last message. Each line follows the one before it, or a gap tells why not.
fn read(mut listener: Listener) -> Told {
    let mut position = listener.expect_fresh();
    let mut told = Vec::new();
    loop {
        let line = listener.line();
        if let Some((id, text)) = message(&line) {
            position.seq += 1;
            assert_eq!(id, position.to_string(), "{line}");
            told.push((id.to_owned(), text.to_owned()));
            if text.starts_with(LAST) {
                return told;
            }
            continue;
        }
        let gap = line.strip_prefix(":gap ").expect(&line);
        let (id, count) = gap.split_once(' ').expect(&line);
        let end = Id::parse(id);
        match count.parse::<u64>() {
            Ok(count) => assert_eq!(end, position.at(position.seq + count), "{line}"),
            Err(_) => assert_eq!(count, "?"),
        }
        position = end;
    }
}

/// Publishes on one node after the other; what was acknowledged.
fn publish(name: usize, nodes: &[SocketAddr], is_over: &AtomicBool) -> Told {
    let mut told = Vec::new();
    for number in 0.. {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let text = format!("{name} {number}");
        let mut peer = Peer::connect(nodes[number % NODES]);
        peer.send(post(&format!("/room/r{}", number % ROOMS), &text));
        let response = peer.response();
        match response.status {
            200 => {
                let id = String::from_utf8(response.body).expect("an id is ASCII");
                told.push((id.trim_end().to_owned(), text));
            }
            status => assert_eq!(status, 503, "{response:?}"),
        }
        thread::sleep(PACE);
    }
    told
}

struct Losses {
    pair: Option<Pair>,
    /// The way of each node to the primary's address.
    ways: Vec<Proxy>,
    random: Random,
}

impl Losses {
    fn pause(&mut self, from_ms: usize, to_ms: usize) {
        let wait = self.random.between(from_ms, to_ms);
        thread::sleep(Duration::from_millis(wait as u64));
    }

    fn step(&mut self) {
        let place = self.random.below(NODES);
        let mut pair = self.pair.take().expect("it is put back");
        match self.random.below(7) {
            0 => _ = pair.primary.connect().ask(&["FLUSHALL"]),
            1 => _ = pair.primary.connect().ask(&["DEL", "{fanfare}:state"]),
            2 => {
                pair.primary.kill();
                self.pause(0, 300);
                pair.primary.start_again();
            }
            3 => pair = self.fail_over(pair),
            4 => {
                self.ways[place].set(Towards::Node, Fate::Dropped);
                self.pause(10, 300);
            }
            5 => {
                self.ways[place].set(Towards::Broker, Fate::Stalled);
                self.pause(10, 1_000);
            }
            // Nothing but what comes below.
            _ => {}
        }
        self.pair = Some(pair);
        if self.random.chance(50) {
            self.ways[place].cut();
        }
        self.ways[place].mend();
        self.pause(0, 500);
    }

    /// The replica takes over without what was published in the last moments.
    fn fail_over(&mut self, mut pair: Pair) -> Pair {
        pair.replication.set(Towards::Node, Fate::Stalled);
        self.pause(0, 500);
        pair.fail_over();
        pair.renew()
    }
}

#[test]
fn whatever_is_lost_is_told_and_no_id_means_two_messages() {
    let seed = env::var("FANFARE_CHAOS_SEED").ok();
    let seed: u64 = seed.map_or(1, |it| it.parse().expect("a number"));
    let kind = if seed.is_multiple_of(2) {
        Kind::AppendOnly
    } else {
        Kind::Memory
    };
    let Some(pair) = Pair::start(kind) else {
        return;
    };
    let ways: Vec<_> = (0..NODES).map(|_| Proxy::to(pair.front.addr())).collect();
    let flags = ["--backplane-wait", "1s"];
    let nodes: Vec<Server> = ways
        .iter()
        .map(|it| start_node(it.addr(), &flags))
        .collect();
    let addrs: Vec<_> = nodes.iter().map(|it| it.addr).collect();
    let mut losses = Losses {
        pair: Some(pair),
        ways,
        random: Random::new(seed),
    };
    let is_over = AtomicBool::new(false);
    let all: Vec<Told> = thread::scope(|scope| {
        let mut threads = Vec::new();
        for number in 0..NODES * ROOMS {
            let [v1, sse] = nodes[number % NODES].listen_both(&format!("/r{}", number % ROOMS));
            threads.extend([v1, sse].map(|it| scope.spawn(move || read(it))));
        }
        for name in 0..2 {
            let (addrs, is_over) = (&addrs, &is_over);
            threads.push(scope.spawn(move || publish(name, addrs, is_over)));
        }
        let seconds = env::var("FANFARE_LOAD_SECONDS").ok();
        let seconds = seconds.map_or(SECONDS, |it| it.parse().expect("a number of seconds"));
        let end = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < end {
            losses.step();
        }
        is_over.store(true, Ordering::Relaxed);
        for room in 0..ROOMS {
            let path = format!("/room/r{room}");
            publish_surely(&addrs, &path, "last", &format!("{LAST} {room}"));
        }
        let threads = threads.into_iter();
        threads
            .map(|it| it.join().expect("no reader fails"))
            .collect()
    });
    let mut texts = HashMap::new();
    for (id, text) in all.iter().flatten() {
        let known = texts.entry(id).or_insert(text);
        assert_eq!(known, &text, "{id} means two messages");
    }
    assert!(texts.len() > 100, "{}", texts.len());
}
