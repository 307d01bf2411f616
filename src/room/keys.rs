//! Idempotency keys: a publication that is repeated with its key gets the answer of the first one.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use super::id::Id;
use crate::time::Tick;

/// The most keys that a room remembers.
pub(super) const KEYS_MAX: usize = 1_000;
/// How long a room remembers a key.
const KEY_AGE: Duration = Duration::from_secs(300);

/// The keys of a room, and what was answered.
#[derive(Debug, Default)]
pub(super) struct Keys {
    answers: HashMap<Rc<[u8]>, Id>,
    /// All keys in the order in which they came, and when they are forgotten.
    order: VecDeque<(Tick, Rc<[u8]>)>,
}

impl Keys {
    /// What was answered to this key.
    pub(super) fn get(&mut self, key: &[u8], now: Tick) -> Option<Id> {
        self.forget(now, KEYS_MAX);
        self.answers.get(key).copied()
    }

    /// Remembers the answer to a new key. Where there are too many, the oldest is forgotten.
    pub(super) fn insert(&mut self, key: &[u8], answer: Id, now: Tick) {
        self.forget(now, KEYS_MAX - 1);
        let key: Rc<[u8]> = key.into();
        self.answers.insert(key.clone(), answer);
        self.order.push_back((now.after(KEY_AGE), key));
    }

    fn forget(&mut self, now: Tick, max: usize) {
        while let Some((due, key)) = self.order.front()
            && (*due <= now || self.order.len() > max)
        {
            self.answers.remove(key);
            self.order.pop_front();
        }
    }
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
        let mut keys = Keys::default();
        keys.insert(b"a", id(1), at(0));
        assert_eq!(keys.get(b"a", at(300)), Some(id(1)));
        assert_eq!(keys.get(b"b", at(300)), None);
        assert_eq!(keys.get(b"a", at(301)), None);
        assert!(keys.answers.is_empty());
    }

    #[test]
    fn the_oldest_keys_give_way() {
        let mut keys = Keys::default();
        for seq in 0..=KEYS_MAX as u64 {
            keys.insert(&seq.to_be_bytes(), id(seq), Tick::START);
        }
        assert_eq!(keys.get(&0_u64.to_be_bytes(), Tick::START), None);
        assert_eq!(keys.get(&1_u64.to_be_bytes(), Tick::START), Some(id(1)));
        assert_eq!((keys.answers.len(), keys.order.len()), (KEYS_MAX, KEYS_MAX));
    }
}
