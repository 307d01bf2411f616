//! Publications by HTTP: new ones, and those that are made once more under the same key, on any node.

use std::time::Duration;

use super::settings::Faults;
use super::{NAMES, Nodes, SECOND};
use crate::guarantee::steps::padded;
use crate::world::Peer;
use crate::world::listener::Position;
use crate::world::publisher::{Post, take_answer};

/// How long a key is used for.
const KEY_MAX: Duration = Duration::from_secs(250);

/// A publication, and what it was answered.
pub(super) struct Publication {
    room: usize,
    post: Post,
    messages: Vec<String>,
    first_sent: Duration,
    was_answered: bool,
}

/// A request that is not answered yet.
pub(super) struct Pending {
    pub(super) peer: Peer,
    pub(super) node: usize,
    publication: usize,
    sent: Duration,
}

impl Nodes {
    /// Somebody publishes by HTTP, anew or once more under the same key.
    pub(super) fn post(&mut self) {
        let now = self.now;
        let is_usable = |it: &Publication| it.post.key.is_some() && it.first_sent + KEY_MAX > now;
        let usable: Vec<usize> = (0..self.publications.len())
            .filter(|&index| is_usable(&self.publications[index]))
            .collect();
        if !usable.is_empty() && self.random.chance(40) {
            let index = *self.random.pick(&usable);
            return self.send_post(index);
        }
        let room = self.random.below(NAMES.len());
        let count = match self.random.chance(40) {
            true => self.random.between(1, 12),
            false => 1,
        };
        self.post_new(room, count);
    }

    /// A new publication of so many messages.
    pub(super) fn post_new(&mut self, room: usize, count: usize) {
        let name = format!("h{}", self.born);
        self.born += 1;
        let len_max = self.drawn.config.chat.max_message;
        let random = &mut self.random;
        let messages: Vec<String> = (0..count)
            .map(|number| padded(random, &name, number, len_max))
            .collect();
        let mut post = match count > 1 || random.chance(50) {
            true => Post::lines(NAMES[room], &messages),
            false => Post::new(NAMES[room], &messages[0]),
        };
        post.key = random.chance(50).then_some(name);
        self.publications.push(Publication {
            room,
            post,
            messages,
            first_sent: self.now,
            was_answered: false,
        });
        self.send_post(self.publications.len() - 1);
    }

    fn send_post(&mut self, publication: usize) {
        let Some(node) = self.pick_node() else {
            return;
        };
        let bytes = self.publications[publication].post.bytes();
        let peer = self.connect_to(node);
        peer.send(&bytes);
        self.pending.push(Pending {
            peer,
            node,
            publication,
            sent: self.now,
        });
    }

    /// A publisher is cut off from its node, and tries another one if it has a key.
    pub(super) fn cut_post(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let index = self.random.below(self.pending.len());
        let pending = self.pending.swap_remove(index);
        match self.random.chance(50) {
            true => pending.peer.shut(),
            false => pending.peer.reset(),
        }
        let has_key = self.publications[pending.publication].post.key.is_some();
        if has_key && self.random.chance(70) {
            self.send_post(pending.publication);
        }
    }

    /// What was published by then is answered, or will be in time.
    pub(super) fn take_answers(&mut self) {
        for pending in std::mem::take(&mut self.pending) {
            if let Some((status, line)) = take_answer(&pending.peer) {
                pending.peer.shut();
                self.take_answer(&pending, status, &line);
                continue;
            }
            let waited = self.now - pending.sent;
            assert!(!pending.peer.is_closed(), "a publisher was cut off");
            assert!(waited <= self.drawn.wait + SECOND, "no answer");
            self.pending.push(pending);
        }
    }

    fn take_answer(&mut self, pending: &Pending, status: u16, line: &str) {
        if status == 503 {
            let waited = self.now - pending.sent;
            assert!(waited >= self.drawn.wait, "503 after {waited:?}");
            assert!(self.drawn.faults != Faults::None, "nothing went wrong");
            self.happened.refused_posts += 1;
            let publication = &self.publications[pending.publication];
            if publication.post.key.is_none() {
                let messages = publication.messages.clone();
                self.withdraw(pending.node, &messages);
            }
            return;
        }
        assert_eq!(status, 200, "{line}");
        let id = Position::parse(line);
        let publication = &mut self.publications[pending.publication];
        for (text, back) in publication.messages.iter().rev().zip(0..) {
            let ids = self.truth.ids_of(text);
            let is_there = ids.contains(&id.at(id.seq - back));
            assert!(is_there, "{text:?} is at {ids:?}, and {id} was answered");
        }
        self.truth.check_position(NAMES[publication.room], &id);
        // Where it stands once, that was the answer each time.
        self.happened.repeated_posts += u64::from(publication.was_answered);
        publication.was_answered = true;
    }
}
