//! Two nodes and a broker with faults: one order, no loss, no doubling.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::{self, AssertUnwindSafe};
use std::thread;
use std::time::Duration;

use fanfare::backplane::Line;
use fanfare::id::ClientId;
use fanfare::room::id::Id;

use crate::node::{Node, Told, broker, client, settings};
use crate::random::Random;
use crate::stream::{Broker, Snapshot};

const ROOMS: [&str; 3] = ["", "a", "b"];
const STEPS: usize = 300;
const SEEDS: u64 = 150;

/// What may go wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Faults {
    None,
    /// Connections and scripts are lost, now and then.
    Cuts,
    /// They are lost often, and answers come late.
    Connections,
    /// What is kept is lost too.
    Data,
}

struct World {
    random: Random,
    broker: Broker,
    nodes: Vec<Node>,
    /// Each publication: the node, who published it, its room and its texts.
    said: Vec<(usize, ClientId, &'static str, Vec<String>)>,
    posts: BTreeSet<u32>,
    snapshot: Option<Snapshot>,
    clients: u32,
    now: Duration,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let nodes = (0..2).map(|node| {
            let mut node = Node::new(settings(), seed * 2 + node);
            node.bytes_max = *random.pick(&[1000, 10_000, usize::MAX]);
            node.events_max = *random.pick(&[1, 10, usize::MAX]);
            node
        });
        Self {
            nodes: nodes.collect(),
            broker: broker(seed),
            random,
            said: Vec::new(),
            posts: BTreeSet::new(),
            snapshot: None,
            clients: 0,
            now: Duration::ZERO,
        }
    }

    fn run(&mut self, faults: Faults) {
        if faults == Faults::Cuts {
            self.unbound();
        }
        for _ in 0..STEPS {
            let step = *self.random.pick(&[0, 1, 1, 10, 10, 100, 700]);
            self.now += Duration::from_millis(step);
            let percent = match faults {
                Faults::None => 0,
                Faults::Cuts => 2,
                Faults::Connections | Faults::Data => 10,
            };
            if self.random.chance(percent) {
                self.break_something(faults);
            }
            let node = self.random.below(2);
            let publishes = self.random.chance(60);
            self.turn(node, publishes);
        }
        self.broker.stall(false);
        self.unbound();
        self.settle(600);
        // What one node read and the broker lost is followed by something that both read.
        for room in ROOMS {
            self.clients += 1;
            let by = client(self.clients);
            let text = format!("{}.last", self.clients);
            self.nodes[0].turn(&mut self.broker, |backplane| backplane.say(room, by, &text));
            self.said.push((0, by, room, vec![text]));
        }
        self.settle(20);
    }

    /// Time goes on for both nodes, in steps of 50 ms.
    fn settle(&mut self, steps: usize) {
        for _ in 0..steps {
            self.now += Duration::from_millis(50);
            self.turn(0, false);
            self.turn(1, false);
        }
    }

    /// Nothing slows the nodes down.
    fn unbound(&mut self) {
        for node in &mut self.nodes {
            node.bytes_max = usize::MAX;
            node.events_max = usize::MAX;
            node.is_reachable = true;
        }
    }

    fn break_something(&mut self, faults: Faults) {
        let node = self.random.below(2);
        let kinds = match faults {
            Faults::None | Faults::Cuts => 3,
            Faults::Connections => 8,
            Faults::Data => 11,
        };
        match self.random.below(kinds) {
            0 | 1 => {
                let line = *self.random.pick(&[Line::Append, Line::Read]);
                if let Some(peer) = self.nodes[node].peer(line) {
                    self.broker.cut(peer);
                }
            }
            2 => self.broker.flush_scripts(),
            3 => self.broker.stall(true),
            4 | 5 => self.broker.stall(false),
            6 => self.broker.restart(),
            7 => self.nodes[node].is_reachable = self.random.chance(70),
            8 => self.snapshot = Some(self.broker.snapshot()),
            9 if self.random.chance(20) => self.broker.flush_all(),
            _ => {
                if let Some(snapshot) = self.snapshot.take() {
                    self.broker.fail_over_to(snapshot);
                }
            }
        }
    }

    fn turn(&mut self, place: usize, publishes: bool) {
        let node = &mut self.nodes[place];
        node.now = self.now;
        let mut said = Vec::new();
        if publishes {
            for _ in 0..self.random.between(1, 4) {
                self.clients += 1;
                let room = *self.random.pick(&ROOMS);
                let count = self.random.between(1, 3);
                let texts = (0..count).map(|text| format!("{}.{text}", self.clients));
                said.push((place, client(self.clients), room, texts.collect::<Vec<_>>()));
            }
        }
        let (random, posts) = (&mut self.random, &mut self.posts);
        node.turn(&mut self.broker, |backplane| {
            for (_, by, room, texts) in &said {
                match random.below(3) {
                    0 => texts.iter().for_each(|text| backplane.say(room, *by, text)),
                    kind => {
                        posts.insert(by.slot());
                        let key = (kind == 2).then(|| texts[0].as_bytes());
                        backplane.post(room, *by, texts.iter().map(String::as_str), key);
                    }
                }
            }
        });
        self.said.extend(said);
    }

    /// How often a node lost its connections.
    fn losses(&self) -> usize {
        let told = self.nodes.iter().flat_map(|node| &node.told);
        told.filter(|told| **told == Told::Lost).count()
    }

    /// How many publications were given up.
    fn given_up(&self) -> usize {
        let told = self.nodes.iter().flat_map(|node| &node.told);
        told.filter(|told| matches!(told, Told::GaveUp { .. }))
            .count()
    }

    /// Every message is in the stream once, or its client was told that it was given up.
    fn check_exactly_once(&self) {
        let messages = self.nodes[0].messages();
        let mut places = HashMap::new();
        for (place, (_, _, text)) in messages.iter().enumerate() {
            assert_eq!(
                places.insert(text.clone(), place),
                None,
                "{text} is doubled"
            );
        }
        for (place, by, room, texts) in &self.said {
            let told = &self.nodes[*place].told;
            let gave_up = told.contains(&Told::GaveUp { by: *by });
            let found: Vec<_> = texts.iter().map(|text| places.get(text)).collect();
            assert!(found.is_sorted(), "{texts:?}: {found:?}");
            if !gave_up {
                assert!(found.iter().all(Option::is_some), "{texts:?} is lost");
            }
            let appended = told.iter().filter_map(|told| match told {
                Told::Appended { by: told, id } if told == by => Some(*id),
                _ => None,
            });
            let appended: Vec<_> = appended.collect();
            let is_post = self.posts.contains(&by.slot());
            assert_eq!(
                appended.len(),
                usize::from(is_post && !gave_up),
                "{texts:?}"
            );
            for id in appended {
                let (told_room, told_id, told_text) = &messages[*found.last().unwrap().unwrap()];
                assert_eq!((&**told_room, *told_id), (*room, id));
                assert_eq!(Some(told_text), texts.last());
            }
        }
    }

    fn check_dense(&self) {
        let mut heads = BTreeMap::new();
        for (room, id, _) in self.nodes[0].messages() {
            let head: &mut Id = heads.entry(room).or_insert(Id { seq: 0, ..id });
            assert_eq!((id.epoch, id.seq), (head.epoch, head.seq + 1));
            *head = id;
        }
    }

    fn check_one_order(&self) {
        assert_eq!(self.nodes[0].messages(), self.nodes[1].messages());
        assert!(self.nodes.iter().all(|node| node.backplane.is_ready()));
        assert!(
            self.nodes
                .iter()
                .all(|node| !node.backplane.has_unanswered())
        );
    }

    /// No id has two texts, and both nodes know the same last message of each room.
    fn check_no_id_twice(&self) {
        let mut texts = HashMap::new();
        let [one, other] = [0, 1].map(|node: usize| {
            let mut heads = BTreeMap::new();
            for (room, id, text) in self.nodes[node].messages() {
                let known = texts.entry((room.clone(), id.to_string()));
                assert_eq!(known.or_insert_with(|| text.clone()), &text, "{id}");
                heads.insert(room, (id, text));
            }
            heads
        });
        assert_eq!(one, other);
        assert_eq!(one.len(), ROOMS.len());
        assert!(self.nodes.iter().all(|node| node.backplane.is_ready()));
    }
}

/// Plays the seeds, on as many threads as there are; one that fails is named.
fn play<T: Send>(seeds: u64, play: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let play = &play;
    let run = move |first: u64| {
        let seeds = (first..seeds).step_by(threads);
        let outcomes = seeds.map(|seed| {
            let outcome = panic::catch_unwind(AssertUnwindSafe(|| play(seed)));
            outcome.unwrap_or_else(|_| panic!("seed {seed} failed"))
        });
        outcomes.collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads as u64)
            .map(|first| scope.spawn(move || run(first)))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    })
}

#[test]
fn two_nodes_see_one_order_without_faults() {
    play(20, |seed| {
        let mut world = World::new(seed);
        world.run(Faults::None);
        world.check_one_order();
        world.check_exactly_once();
        world.check_dense();
        assert_eq!(world.losses(), 0);
    });
}

#[test]
fn nothing_is_given_up_when_connections_fail_now_and_then() {
    let losses = play(SEEDS / 2, |seed| {
        let mut world = World::new(seed);
        world.run(Faults::Cuts);
        world.check_one_order();
        world.check_exactly_once();
        assert_eq!(world.given_up(), 0);
        world.losses()
    });
    assert!(losses.iter().sum::<usize>() > SEEDS as usize, "{losses:?}");
}

#[test]
fn nothing_is_lost_doubled_or_reordered_when_connections_fail() {
    let outcomes = play(SEEDS, |seed| {
        let mut world = World::new(seed);
        world.run(Faults::Connections);
        world.check_one_order();
        world.check_exactly_once();
        world.check_dense();
        (world.losses(), world.given_up(), world.said.len())
    });
    let sums = outcomes.iter().fold((0, 0, 0), |sums, outcome| {
        (sums.0 + outcome.0, sums.1 + outcome.1, sums.2 + outcome.2)
    });
    assert!(
        sums.0 > SEEDS as usize && 0 < sums.1 && 2 * sums.1 < sums.2,
        "{sums:?}"
    );
}

#[test]
fn no_id_has_two_texts_when_what_was_kept_is_lost() {
    play(SEEDS, |seed| {
        let mut world = World::new(seed);
        world.run(Faults::Data);
        world.check_no_id_twice();
    });
}
