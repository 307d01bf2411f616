//! What befalls the broker, the connections to it, and nodes.

use std::time::Duration;

use super::follower::Follower;
use super::pipe::Cut;
use super::settings::Faults;
use super::truth::Known;
use super::{NAMES, Nodes, SECOND};

/// How many older copies of the broker there are.
const COPIES_MAX: usize = 3;
/// How few entries may be left.
const FEW_MAX: usize = 12;

impl Nodes {
    /// Something goes wrong, as far as it may.
    pub(super) fn fail(&mut self) {
        let faults = self.drawn.faults;
        let (low, high) = match faults {
            Faults::None => return,
            Faults::Links => (0, 50),
            Faults::Restarts => (0, 70),
            Faults::Trims => (0, 80),
            Faults::Losses => (0, 100),
        };
        match self.random.between(low, high - 1) {
            0..20 => self.cut_wire(),
            20..30 => self.hold_wires(),
            30..37 => {
                let until = self.now + self.time(12_000);
                self.broker.stall_until(until);
            }
            37..44 => self.trouble_dialing(),
            44..47 => self.lose_scripts(),
            47..50 => self.end_faults(),
            50..56 => self.restart_broker(),
            56..63 => {
                if let Some(index) = self.pick_node() {
                    self.kill_node(index);
                }
            }
            63..70 => self.start_missing_node(),
            70..73 if self.drawn.trims => self.trim(FEW_MAX),
            73..80 if self.drawn.trims => self.make_hole(),
            70..80 => self.copy_broker(),
            80..83 => self.copy_broker(),
            83..94 => self.fail_over(),
            _ => self.flush_broker(),
        }
    }

    /// All that can end by itself ends.
    pub(super) fn end_faults(&mut self) {
        self.broker.recover();
    }

    fn time(&mut self, millis_max: usize) -> Duration {
        Duration::from_millis(self.random.below(millis_max) as u64)
    }

    fn cut_wire(&mut self) {
        let Some(index) = self.pick_node() else {
            return;
        };
        self.happened.outages += 1;
        let which = self.random.below(2);
        let cut = *self.random.pick(&Cut::ALL);
        let both = self.random.chance(30);
        let Self {
            random,
            broker,
            nodes,
            truth,
            ..
        } = self;
        if let Some(node) = &mut nodes[index] {
            node.wires.cut(which, cut, random, broker);
            if both {
                node.wires.cut(1 - which, cut, random, broker);
            }
        }
        super::truth_of(broker, truth);
    }

    /// Nothing comes through for a while between a node and the broker.
    fn hold_wires(&mut self) {
        let until = self.now + self.time(9_000);
        let is_one = self.random.chance(50);
        let Some(index) = self.pick_node() else {
            return;
        };
        if let Some(node) = &mut self.nodes[index] {
            node.wires.hold(0, until);
            if !is_one {
                node.wires.hold(1, until);
            }
        }
    }

    fn trouble_dialing(&mut self) {
        self.broker.refused_percent = *self.random.pick(&[0, 50, 100]);
        self.broker.unanswered_percent = *self.random.pick(&[0, 30, 100]);
        self.cut_wire();
    }

    /// The broker knows no script any more, while somebody talks.
    fn lose_scripts(&mut self) {
        let Some(talker) = self.pick_talker() else {
            return;
        };
        let before = self.random.below(6);
        for round in 0..12 {
            if round == before {
                self.broker.flush_scripts();
            }
            if self.followers[talker].may_talk() {
                self.talk_as(talker, 1);
            }
            self.pass(Duration::from_millis(1));
        }
    }

    /// The broker is away for a while, and then back with all it had.
    fn restart_broker(&mut self) {
        self.broker.restart();
        self.lose_broker();
    }

    fn lose_broker(&mut self) {
        self.happened.outages += 1;
        let longest = *self.random.pick(&[4_000, 4_000, 20_000]);
        let until = self.now + self.time(longest);
        self.broker.be_away_until(until);
        for node in self.nodes.iter_mut().flatten() {
            node.wires.lose_broker(&mut self.random, &self.broker);
        }
    }

    fn trim(&mut self, left_max: usize) {
        self.truth.was_trimmed = true;
        let left = self.random.between(0, left_max);
        self.broker.trim(left);
    }

    /// What a reader's node has not read is cut off.
    fn make_hole(&mut self) {
        let Some(follower) = self.pick_connected() else {
            return;
        };
        let Follower { node, room, .. } = self.followers[follower];
        self.broker.refused_percent = 100;
        let Self {
            random,
            broker,
            nodes,
            ..
        } = self;
        if let Some(node) = &mut nodes[node] {
            node.wires.cut(1, Cut::Told, random, broker);
        }
        self.publish_some(room);
        self.trim(2);
        self.end_faults();
    }

    /// The state of the broker now is what a replica has.
    fn copy_broker(&mut self) {
        if self.copies.len() == COPIES_MAX {
            self.copies.remove(0);
        }
        let copy = self.broker.snapshot();
        self.copies.push((copy, self.truth.known()));
    }

    /// A replica takes over: it knows what it has received, or everything if none was behind.
    fn fail_over(&mut self) {
        let room = self.random.below(NAMES.len());
        if self.copies.is_empty() || self.random.chance(50) {
            self.copy_broker();
            self.publish_some(room);
        }
        let (copy, known) = self.random.pick(&self.copies).clone();
        self.copies.clear();
        let is_replica = self.random.chance(70);
        let longest = *self.random.pick(&[1, 60_000]);
        let behind = self.time(longest);
        self.broker.go_back_to(copy, is_replica, behind);
        self.truth.forget(known, self.now);
        self.lose_broker();
        if self.random.chance(50) {
            self.end_faults();
            self.pass(SECOND);
            self.publish_some(room);
        }
    }

    fn publish_some(&mut self, room: usize) {
        for _ in 0..self.random.between(1, 5) {
            let count = self.random.between(1, 4);
            self.post_new(room, count);
            self.pass(Duration::from_millis(20));
        }
    }

    fn flush_broker(&mut self) {
        self.broker.flush();
        self.copies.clear();
        self.truth.forget(Known::default(), self.now);
        if self.random.chance(30) {
            self.pass(SECOND);
        }
    }

    /// A node is gone, with all of its clients.
    pub(super) fn kill_node(&mut self, index: usize) {
        if self.nodes.iter().flatten().count() == 1 {
            return;
        }
        self.happened.deaths += 1;
        for follower in 0..self.followers.len() {
            if self.followers[follower].node == index {
                self.cut_follower(follower);
            }
        }
        self.pending.retain(|pending| pending.node != index);
        let Self {
            random,
            broker,
            nodes,
            ..
        } = self;
        if let Some(node) = nodes[index].take() {
            node.wires.end(random, broker);
        }
    }

    fn start_missing_node(&mut self) {
        if let Some(index) = self.nodes.iter().position(Option::is_none) {
            self.start_node(index);
        }
    }
}
