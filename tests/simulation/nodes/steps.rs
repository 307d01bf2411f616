//! What happens between two turns: readers come, talk, stall, are cut and come back to any node.

use std::time::Duration;

use super::follower::{Asked, Follower};
use super::{NAMES, Nodes, facts};
use crate::guarantee::steps::padded;
use crate::world::listener::{Kind, Listener, Position, request};
use crate::world::{Peer, wire};

const FOLLOWERS_MAX: usize = 12;

impl Nodes {
    /// One thing happens.
    pub(super) fn step(&mut self) {
        match self.random.below(100) {
            0..24 => self.come(),
            24..48 => self.talk(),
            48..60 => self.post(),
            60..64 => self.cut_post(),
            64..68 => self.disturb(),
            68..71 => self.outrun(),
            71..81 => self.cut(),
            81..93 => self.fail(),
            93..98 => {
                let time = self.random.between(500, 12_000) as u64;
                self.pass(Duration::from_millis(time));
            }
            98 => self.catch_up(),
            _ => self.pass(Duration::from_secs(20)),
        }
    }

    /// One of the nodes that are there.
    pub(super) fn pick_node(&mut self) -> Option<usize> {
        let there: Vec<usize> = (0..self.nodes.len())
            .filter(|&index| self.nodes[index].is_some())
            .collect();
        (!there.is_empty()).then(|| *self.random.pick(&there))
    }

    pub(super) fn connect_to(&mut self, node: usize) -> Peer {
        let node = self.nodes[node].as_mut().expect("it is there");
        node.world.connect()
    }

    /// A reader connects that is new, or that was there before.
    fn come(&mut self) {
        let gone: Vec<usize> = (0..self.followers.len())
            .filter(|&index| !self.followers[index].is_connected())
            .collect();
        let is_full = self.followers.len() == FOLLOWERS_MAX;
        if !gone.is_empty() && (is_full || self.random.chance(60)) {
            let index = *self.random.pick(&gone);
            self.connect(index);
        } else if !is_full {
            let kind = *self.random.pick(&Kind::ALL);
            let name = format!("r{}", self.followers.len());
            let room = self.random.below(NAMES.len());
            self.followers.push(Follower::new(name, room, kind));
            self.connect(self.followers.len() - 1);
        }
    }

    /// A reader connects to any node, and goes on where it was.
    pub(super) fn connect(&mut self, index: usize) {
        let Some(node) = self.pick_node() else {
            return;
        };
        let asked = self.ask(index);
        let wants_here = self.random.chance(30);
        let peer = self.connect_to(node);
        let follower = &mut self.followers[index];
        follower.wants_here = follower.kind.has_ids() && wants_here;
        let mut query = format!("here={}", u8::from(follower.wants_here));
        if let Some(last) = asked.last {
            query += &format!("&last={last}");
        }
        if let Some(since) = &asked.since {
            query += &format!("&since={since}");
        }
        peer.send(&request(follower.kind, NAMES[follower.room], &query));
        let listener = Listener::new(peer, follower.kind);
        follower.begin(listener, node, asked);
    }

    /// Where a reader wants to start.
    fn ask(&mut self, index: usize) -> Asked {
        let follower = &self.followers[index];
        let last = *self.random.pick(&[0, 1, 2, 7, 30, u64::MAX]);
        let last = self.random.chance(30).then_some(last);
        let other = Position {
            epoch: "zzzzzzzz".to_owned(),
            seq: 3,
        };
        let (since, is_bogus) = match &follower.position {
            _ if !follower.kind.has_ids() => (None, false),
            Some(position) => match self.random.below(20) {
                0 => (None, false),
                1 => (Some(position.at(position.seq + 1_000_000)), true),
                2 => (Some(other), true),
                3 => (Some(position.at(position.seq.saturating_sub(4))), false),
                _ => (Some(position.clone()), false),
            },
            None => match self.random.chance(10) {
                true => (Some(other), true),
                false => (None, false),
            },
        };
        Asked {
            since,
            is_bogus,
            last,
        }
    }

    /// One of those who may talk says something.
    fn talk(&mut self) {
        let Some(talker) = self.pick_talker() else {
            return;
        };
        let count = match self.random.below(10) {
            0..8 => self.random.between(1, 3),
            _ => self.random.between(1, 30),
        };
        self.talk_as(talker, count);
    }

    pub(super) fn talk_as(&mut self, index: usize, count: usize) {
        let follower = &mut self.followers[index];
        let publisher = follower.publisher();
        for _ in 0..count {
            let number = follower.next_number();
            let len_max = self.drawn.config.chat.max_message;
            let text = padded(&mut self.random, &publisher, number, len_max);
            let listener = follower.listener.as_ref().expect("it may talk");
            listener.peer.send(&wire::text(&format!(" {text}\n")));
            follower.note_said(text, self.now);
        }
    }

    pub(super) fn pick_talker(&mut self) -> Option<usize> {
        self.pick_follower(Follower::may_talk)
    }

    pub(super) fn pick_connected(&mut self) -> Option<usize> {
        self.pick_follower(Follower::is_connected)
    }

    fn pick_follower(&mut self, is_right: fn(&Follower) -> bool) -> Option<usize> {
        let right: Vec<usize> = (0..self.followers.len())
            .filter(|&index| is_right(&self.followers[index]))
            .collect();
        (!right.is_empty()).then(|| *self.random.pick(&right))
    }

    /// A socket takes less, or everything again; a reader reads nothing for a while.
    fn disturb(&mut self) {
        let Some(index) = self.pick_connected() else {
            return;
        };
        let Self {
            random, followers, ..
        } = self;
        let follower = &mut followers[index];
        match random.below(10) {
            0..5 => follower.limit(random),
            5..7 => {
                follower.is_dozing = true;
                follower.is_steady = false;
            }
            _ => follower.wake(),
        }
    }

    /// More is published in the room of a reader that takes little than may wait for it.
    fn outrun(&mut self) {
        let Some(index) = self.pick_connected() else {
            return;
        };
        let queue = self.drawn.rules.send_queue as usize;
        for _ in 0..self.random.between(1, 3) {
            let follower = &mut self.followers[index];
            follower.limit(&mut self.random);
            let room = follower.room;
            let count = queue + self.random.between(1, 2 * queue + 1);
            self.post_new(room, count);
            self.pass(Duration::from_millis(50));
        }
        if self.random.chance(50) {
            self.followers[index].wake();
        }
    }

    fn cut(&mut self) {
        if let Some(index) = self.pick_connected() {
            self.cut_follower(index);
        }
    }

    /// A connection breaks anywhere: of what was on its way to the reader, only a part arrives.
    pub(super) fn cut_follower(&mut self, index: usize) {
        let follower = &mut self.followers[index];
        let Some(listener) = &follower.listener else {
            return;
        };
        let peer = listener.peer.clone();
        let len = peer.socket().outbound.len();
        peer.socket().outbound.truncate(self.random.below(len + 1));
        follower.is_steady = false;
        let facts = facts(&self.drawn, &self.truth, self.now, follower.room);
        follower.hear(&facts, &mut self.happened);
        follower.listener = None;
        match self.random.chance(50) {
            true => peer.shut(),
            false => peer.reset(),
        }
    }
}
