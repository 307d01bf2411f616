//! The guarantee of rooms that several nodes share, played from seeds: readers of every framing come to any node, stall,
//! are cut and come back to another one, while members talk, others publish by HTTP, connections to the broker break
//! or stall, and the broker restarts, forgets, or goes back to an older copy; nodes die and others start.
//!
//! The broker is made up and the nodes are the shipped ones. All that the stream is told is written down; what readers
//! receive on all nodes is checked against it.

mod broker;
mod faults;
mod follower;
mod happened;
mod node;
mod pipe;
mod posts;
mod settings;
mod steps;
#[path = "../../common/stream.rs"]
mod stream;
mod truth;
mod wire;

use std::time::Duration;

use fanfare::backplane::Backplane;

use crate::random::Random;
use crate::world::World;
use broker::Broker;
use follower::{Facts, Follower};
pub(crate) use happened::Happened;
use node::Node;
use posts::{Pending, Publication};
use settings::Drawn;
use stream::Snapshot;
use truth::{Known, Truth};
use wire::Wires;

const SECOND: Duration = Duration::from_secs(1);
const NAMES: [&str; 3] = ["", "a", "Room-2_~."];
/// How long it may take until a connection that nobody is told of is given up and made anew, with the longest wait.
const RECOVERY_MAX: Duration = Duration::from_secs(30);
/// How long the listeners of a node that died may be counted.
const GHOST_MAX: Duration = Duration::from_secs(15);
/// How long a count of listeners takes to every reader: three periods, and one for who was told one when it joined.
const COUNT_MAX: Duration = Duration::from_secs(5);

pub(crate) struct Nodes {
    random: Random,
    drawn: Drawn,
    now: Duration,
    broker: Broker,
    /// The places of nodes; where one has died, another one may start.
    nodes: Vec<Option<Node>>,
    truth: Truth,
    followers: Vec<Follower>,
    pending: Vec<Pending>,
    publications: Vec<Publication>,
    copies: Vec<(Snapshot, Known)>,
    born: usize,
    happened: Happened,
}

impl Nodes {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let drawn = settings::draw(&mut random);
        let broker = Broker::new(seed, &drawn);
        let mut truth = Truth::default();
        truth.was_trimmed = drawn.is_short();
        let count = random.between(2, 4);
        let mut nodes = Self {
            random,
            drawn,
            now: Duration::ZERO,
            broker,
            nodes: (0..count).map(|_| None).collect(),
            truth,
            followers: Vec::new(),
            pending: Vec::new(),
            publications: Vec::new(),
            copies: Vec::new(),
            born: 0,
            happened: Happened::default(),
        };
        for index in 0..count {
            nodes.start_node(index);
        }
        nodes
    }

    /// A node starts, without a past.
    fn start_node(&mut self, index: usize) {
        let mut world = World::new(self.drawn.config.clone());
        world.network.short_means_blocked = self.random.chance(50);
        world.network.events_max = self.random.chance(30).then(|| self.random.between(1, 3));
        let seed = self.random.below(usize::MAX) as u64;
        world
            .engine
            .share(Backplane::new(self.drawn.backplane(), seed));
        let wires = Wires::new();
        self.nodes[index] = Some(Node { world, wires });
    }

    pub(crate) fn run(mut self) -> Happened {
        for _ in 0..self.random.between(20, 80) {
            self.step();
            let time = *self.random.pick(&[0, 0, 1, 5, 30, 200, 1_000]);
            self.pass(Duration::from_millis(time));
        }
        self.catch_up();
        self.lose_one_for_good();
        self.happened.losses = self.truth.loss_count() as u64;
        self.happened
    }

    /// Whoever has something to do does it, and what was received is checked.
    fn turn(&mut self) {
        let Self {
            random,
            now,
            broker,
            nodes,
            truth,
            ..
        } = self;
        let count = nodes.len();
        let first = random.below(count);
        for index in first..first + count {
            if let Some(node) = &mut nodes[index % count]
                && node.next_due() <= *now
            {
                node.turn(random, broker);
            }
        }
        if broker.is_there() {
            broker.advance_to(*now);
            for node in nodes.iter_mut().flatten() {
                node.wires.serve(broker, random);
                truth_of(broker, truth);
            }
            broker.serve_abandoned(random);
            truth_of(broker, truth);
        }
        self.hear();
        self.take_answers();
    }

    fn hear(&mut self) {
        for index in 0..self.followers.len() {
            let follower = &mut self.followers[index];
            if follower.is_dozing && !follower.is_cut_off() {
                continue;
            }
            let facts = facts(&self.drawn, &self.truth, self.now, follower.room);
            follower.hear(&facts, &mut self.happened);
            if follower.was_given_up {
                let (node, unheard) = (follower.node, follower.take_unheard());
                self.withdraw(node, &unheard);
            }
        }
    }

    /// Of what these messages' publisher was told that it may not have been appended, only what the node has begun to send
    /// may be.
    fn withdraw(&mut self, node: usize, messages: &[String]) {
        let node = self.nodes[node].as_ref();
        let unsent = messages
            .iter()
            .filter(|text| node.is_some_and(|node| !node.wires.has_sent(text)));
        unsent.for_each(|text| self.truth.withdraw(text));
    }

    /// When somebody has something to do.
    fn next_due(&mut self) -> Duration {
        let mut due = Duration::MAX;
        let mut broker_due = self.broker.next_due();
        for node in self.nodes.iter_mut().flatten() {
            due = due.min(node.next_due());
            broker_due = broker_due.min(node.wires.broker_due());
        }
        due.min(broker_due.max(self.broker.is_there_from()))
    }

    /// Takes turns until nothing is left to do now.
    fn settle(&mut self) {
        for _ in 0..50_000 {
            self.turn();
            if self.next_due() > self.now {
                return;
            }
        }
        panic!("the loop spins at {:?}", self.now);
    }

    /// Lets time pass.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.settle();
            if self.now >= end {
                return;
            }
            let next = self.next_due().max(self.now + Duration::from_micros(100));
            self.now = end.min(next);
            self.broker.advance_to(self.now);
        }
    }

    /// The faults are over: everybody recovers, and everybody has everything then.
    fn catch_up(&mut self) {
        self.end_faults();
        for follower in &mut self.followers {
            follower.wake();
        }
        self.pass(RECOVERY_MAX);
        for index in 0..self.nodes.len() {
            if self.nodes[index].is_none() {
                self.start_node(index);
            }
        }
        self.pass(5 * SECOND);
        for node in self.nodes.iter_mut().flatten() {
            let backplane = node.backplane();
            assert!(backplane.is_up() && backplane.is_ready(), "a node is away");
        }
        for index in 0..self.followers.len() {
            if !self.followers[index].is_connected() && self.random.chance(70) {
                self.connect(index);
            }
        }
        self.pass(SECOND);
        for room in 0..NAMES.len() {
            self.post_new(room, 1);
        }
        self.pass(self.drawn.rules.linger + 2 * SECOND);
        assert!(self.pending.is_empty(), "all is answered");
        self.check_caught_up();
        self.pass(COUNT_MAX);
        self.check_counts();
    }

    fn check_caught_up(&mut self) {
        for follower in self.followers.iter().filter(|it| it.is_connected()) {
            let last = self.truth.head(NAMES[follower.room]);
            follower.check_caught_up(last.expect("something was published in every room"));
        }
        for node in self.nodes.iter_mut().flatten() {
            assert!(!node.backplane().has_unanswered(), "all is in the stream");
        }
    }

    /// Each reader that wants to know is told how many listen on all nodes.
    fn check_counts(&self) {
        if self.broker.were_counts_disturbed {
            return;
        }
        for follower in &self.followers {
            let neighbours = self.followers.iter().filter(|it| it.room == follower.room);
            let count = neighbours.filter(|it| it.is_connected()).count();
            let is_right = follower.here == Some(count) || !follower.wants_here;
            assert!(
                is_right || !follower.is_connected(),
                "{} was told that {:?} listen, not {count}",
                follower.name,
                follower.here
            );
        }
    }

    /// A node dies and nobody takes its place: its listeners are counted no more, soon.
    fn lose_one_for_good(&mut self) {
        let index = self.random.below(self.nodes.len());
        self.kill_node(index);
        self.pass(GHOST_MAX + COUNT_MAX);
        self.check_counts();
    }
}

/// What the broker was told is written down.
fn truth_of(broker: &mut Broker, truth: &mut Truth) {
    for entry in broker.take_appended() {
        truth.append(&entry);
    }
}

fn facts<'a>(drawn: &'a Drawn, truth: &'a Truth, now: Duration, room: usize) -> Facts<'a> {
    Facts {
        truth,
        rules: &drawn.rules,
        keeps_all: drawn.keeps_all,
        wait: drawn.wait,
        now,
        room: NAMES[room],
    }
}
