//! Whatever may fail without losing what the broker has, one after the other, in an order that a seed draws.

use std::env;
use std::thread;
use std::time::{Duration, Instant};

use super::{Nodes, QUIET, alone, duration, under_load};
use crate::broker::{Broker, Kind};
use crate::common::Server;
use crate::node::start_node;
use crate::proxy::{Fate, Proxy, Towards};
use crate::random::Random;

const READERS: usize = 96;
const NODES: usize = 3;
/// The seed, where the environment names none.
const SEED: u64 = 1;

struct Chaos<'a> {
    broker: Broker,
    /// The way of each node to the broker.
    ways: Vec<Proxy>,
    servers: Vec<Server>,
    nodes: &'a Nodes,
    random: Random,
}

impl Chaos<'_> {
    fn pause(&mut self, from_ms: usize, to_ms: usize) {
        let wait = self.random.between(from_ms, to_ms);
        thread::sleep(Duration::from_millis(wait as u64));
    }

    fn step(&mut self) {
        let place = self.random.below(NODES);
        let towards = *self.random.pick(&[Towards::Broker, Towards::Node]);
        match self.random.below(10) {
            0 | 1 => self.ways[place].cut(),
            2 | 3 => {
                self.ways[place].set(towards, Fate::Dropped);
                self.pause(10, 300);
                self.ways[place].cut();
            }
            4 => {
                self.ways[place].set(towards, Fate::Stalled);
                // Now and then for longer than a node waits.
                let longest = *self.random.pick(&[500, 1_500, 7_000]);
                self.pause(100, longest);
            }
            5 => {
                self.ways[place].set(towards, Fate::Delayed(Duration::from_millis(30)));
                self.pause(300, 1_000);
            }
            6 => {
                self.broker.signal("STOP");
                self.pause(100, 1_000);
                self.broker.signal("CONT");
            }
            7 => {
                self.broker.kill();
                self.pause(0, 500);
                self.broker.start_again();
            }
            8 => _ = self.broker.connect().ask(&["SCRIPT", "FLUSH"]),
            _ => self.replace(place),
        }
        self.ways[place].mend();
        self.pause(50, 400);
    }

    /// Kills a node, and starts another one.
    fn replace(&mut self, place: usize) {
        let new = start_node(self.ways[place].addr(), QUIET);
        self.nodes.add(&new);
        let old = std::mem::replace(&mut self.servers[place], new);
        self.nodes.kill(old);
    }
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_whatever_fails_next() {
    let _alone = alone();
    let Some(broker) = Broker::start(Kind::AppendOnly) else {
        return;
    };
    let ways: Vec<_> = (0..NODES).map(|_| Proxy::to(broker.addr())).collect();
    let servers: Vec<_> = ways.iter().map(|it| start_node(it.addr(), QUIET)).collect();
    let nodes = Nodes::of(&servers);
    let seed = env::var("FANFARE_CHAOS_SEED").ok();
    let seed = seed.map_or(SEED, |it| it.parse().expect("a number"));
    let mut chaos = Chaos {
        broker,
        ways,
        servers,
        nodes: &nodes,
        random: Random::new(seed),
    };
    under_load(&nodes, READERS, || {
        let end = Instant::now() + duration();
        while Instant::now() < end {
            chaos.step();
        }
    });
}
