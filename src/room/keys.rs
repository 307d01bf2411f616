//! Idempotency keys: a publication that is repeated with its key gets the answer of the first one.
//!
//! The keys of all rooms stand in one list. All are remembered for the same time, so that the oldest is always the
//! next to be forgotten, and one bound holds for all of them together.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use super::id::{Epoch, Id};
use crate::time::Tick;

/// The most keys that are remembered, of all rooms together. Each takes about 200 bytes.
pub(super) const KEYS_MAX: usize = 100_000;
/// How long a key is remembered.
const KEY_AGE: Duration = Duration::from_secs(300);

/// The keys of all rooms, and what was answered.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// The numbers that were answered, by epoch and key: an epoch is that of one room.
    answers: HashMap<Rc<[u8]>, u64>,
    /// All keys in the order in which they came, and when they are forgotten.
    order: VecDeque<(Tick, Rc<[u8]>)>,
}

impl Keys {
    /// What was answered to this key in the room of this epoch.
    pub(super) fn get(&mut self, epoch: Epoch, key: &[u8], now: Tick) -> Option<Id> {
        self.forget(now);
        let seq = *self.answers.get(&name(epoch, key)[..])?;
        Some(Id { epoch, seq })
    }

    /// Remembers the answer to a new key. Where there are too many, the oldest is forgotten.
    pub(super) fn insert(&mut self, answer: Id, key: &[u8], now: Tick) {
        if self.order.len() >= KEYS_MAX {
            self.forget_oldest();
        }
        let name: Rc<[u8]> = name(answer.epoch, key).into();
        self.answers.insert(name.clone(), answer.seq);
        self.order.push_back((now.after(KEY_AGE), name));
    }

    /// Lets go what was remembered for long enough, and the memory with the last of it.
    pub(super) fn forget(&mut self, now: Tick) {
        if self.order.back().is_some_and(|(due, _)| *due <= now) {
            *self = Self::default();
        }
        while self.order.front().is_some_and(|(due, _)| *due <= now) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, name)) = self.order.pop_front() {
            self.answers.remove(&name);
        }
    }
}

fn name(epoch: Epoch, key: &[u8]) -> Vec<u8> {
    [epoch.as_bytes(), key].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(seq: u64) -> Id {
        let id = Id::parse(b"k3v9q2c1-0").expect("an id");
        Id { seq, ..id }
    }

    #[test]
    fn a_key_is_remembered_for_five_minutes() {
        let at = |seconds| Tick::at(Duration::from_secs(seconds));
        let epoch = id(0).epoch;
        let mut keys = Keys::default();
        keys.insert(id(1), b"a", at(0));
        keys.insert(id(2), b"b", at(100));
        assert_eq!(keys.get(epoch, b"a", at(300)), Some(id(1)));
        assert_eq!(keys.get(epoch, b"c", at(300)), None);
        assert_eq!(keys.get(epoch, b"a", at(301)), None);
        assert_eq!(keys.get(epoch, b"b", at(301)), Some(id(2)));
        keys.forget(at(401));
        assert_eq!((keys.answers.capacity(), keys.order.capacity()), (0, 0));
    }

    #[test]
    fn the_same_key_in_another_room_is_another_one() {
        let other = Id::parse(b"m2xw7d0a-7").expect("an id");
        let mut keys = Keys::default();
        keys.insert(id(1), b"a", Tick::START);
        assert_eq!(keys.get(other.epoch, b"a", Tick::START), None);
        keys.insert(other, b"a", Tick::START);
        assert_eq!(keys.get(other.epoch, b"a", Tick::START), Some(other));
        assert_eq!(keys.get(id(1).epoch, b"a", Tick::START), Some(id(1)));
    }

    #[test]
    fn the_oldest_keys_give_way() {
        let epoch = id(0).epoch;
        let mut keys = Keys::default();
        for seq in 0..=KEYS_MAX as u64 {
            keys.insert(id(seq), &seq.to_be_bytes(), Tick::START);
        }
        assert_eq!(keys.get(epoch, &0_u64.to_be_bytes(), Tick::START), None);
        let second = keys.get(epoch, &1_u64.to_be_bytes(), Tick::START);
        assert_eq!(second, Some(id(1)));
        assert_eq!((keys.answers.len(), keys.order.len()), (KEYS_MAX, KEYS_MAX));
    }
}
