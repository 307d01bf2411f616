//! Publications by HTTP: new ones, repeated ones, and those that end in the middle.

use super::{Guarantee, NAMES, Pending, ROOM_MEMORY};
use crate::world::publisher::Post;

impl Guarantee {
    /// Somebody publishes by HTTP, anew or once more under the same key.
    pub(super) fn post(&mut self) {
        let room = self.random.below(NAMES.len());
        self.probe(room);
        let now = self.world.now;
        let used = self.keys.iter().filter(|key| key.room == room);
        let fresh: Vec<Post> = used
            .filter(|key| now < key.at + ROOM_MEMORY)
            .map(|key| key.post.clone())
            .collect();
        if !fresh.is_empty() && self.random.chance(50) {
            let post = self.random.pick(&fresh).clone();
            return self.send_post(post, room, Vec::new());
        }
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
        let messages: Vec<String> = (0..count)
            .map(|number| self.message(&name, number))
            .collect();
        let mut post = match self.random.chance(50) || count > 1 {
            true => Post::lines(NAMES[room], &messages),
            false => Post::new(NAMES[room], &messages[0]),
        };
        post.key = self.random.chance(30).then_some(name);
        post.chunk_len = self.random.chance(40).then(|| self.random.between(1, 40));
        for text in &messages {
            self.ledgers[room].publish(text, self.world.now);
            self.published += 1;
        }
        self.send_post(post, room, messages);
    }

    fn send_post(&mut self, post: Post, room: usize, messages: Vec<String>) {
        let peer = self.world.connect();
        peer.send(&post.bytes());
        self.pending.push(Pending {
            peer,
            post,
            room,
            messages,
        });
    }

    /// A publication ends in the middle: nothing is published.
    pub(super) fn break_off_post(&mut self) {
        let room = self.random.below(NAMES.len());
        let bytes = Post::new(NAMES[room], "never whole").bytes();
        let peer = self.world.connect();
        peer.send(&bytes[..self.random.below(bytes.len())]);
        match self.random.chance(50) {
            true => peer.shut(),
            false => peer.reset(),
        }
    }
}
