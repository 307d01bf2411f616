//! Which client is due next.
//!
//! Each client has one entry at most, under the earliest tick at which something may be due. When that tick
//! comes the client is checked and scheduled again; until then it costs nothing. A deadline that moves
//! further away is therefore free. One that moves nearer moves the entry, in constant time: the client knows
//! its place, and the last entry of a tick fills the place of one that goes, as in a room's list of members.
//!
//! An entry is a client's slot: it goes with its client, so that no other client can be meant.

use std::collections::BTreeMap;

use super::tick::Tick;

/// The entries of all clients, by tick.
#[derive(Debug, Default)]
pub struct Deadlines {
    due: BTreeMap<Tick, Vec<u32>>,
}

/// Where a client's entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    tick: Tick,
    place: u32,
}

impl Entry {
    /// Of a client that has no entry.
    pub const NONE: Self = Self {
        tick: Tick::NEVER,
        place: 0,
    };

    /// The tick of the entry; [`Tick::NEVER`] if there is none.
    #[inline]
    pub fn tick(self) -> Tick {
        self.tick
    }
}

impl Deadlines {
    /// Adds the entry of a client that has none. [`Tick::NEVER`] adds nothing.
    pub fn insert(&mut self, tick: Tick, slot: u32) -> Entry {
        if tick == Tick::NEVER {
            return Entry::NONE;
        }
        let slots = self.due.entry(tick).or_default();
        if slots.len() == slots.capacity() {
            // Doubling would cost an idle client half as much again.
            slots.reserve_exact(4 + slots.len() / 4);
        }
        let place = u32::try_from(slots.len()).expect("slots are 32-bit numbers");
        slots.push(slot);
        Entry { tick, place }
    }

    /// Removes an entry. Returns the client that got its place, whose entry the caller has to update.
    pub fn remove(&mut self, entry: Entry) -> Option<u32> {
        let slots = self.due.get_mut(&entry.tick)?;
        slots.swap_remove(entry.place as usize);
        let moved = slots.get(entry.place as usize).copied();
        if slots.is_empty() {
            self.due.remove(&entry.tick);
        }
        moved
    }

    /// Takes all entries of one tick that has come, if there is one; to be called until there is none.
    pub fn pop(&mut self, now: Tick) -> Option<Vec<u32>> {
        let entry = self.due.first_entry()?;
        (*entry.key() <= now).then(|| entry.remove())
    }

    /// The next tick at which a client may be due; [`Tick::NEVER`] if no client has an entry.
    pub fn next(&self) -> Tick {
        let first = self.due.first_key_value();
        first.map_or(Tick::NEVER, |(tick, _)| *tick)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.due.values().map(Vec::len).sum()
    }

    /// Whether no client has an entry.
    pub fn is_empty(&self) -> bool {
        self.due.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn tick(seconds: u64) -> Tick {
        Tick::at(Duration::from_secs(seconds))
    }

    #[test]
    fn entries_are_popped_in_the_order_of_their_ticks_and_only_when_they_have_come() {
        let mut deadlines = Deadlines::default();
        deadlines.insert(tick(5), 1);
        deadlines.insert(tick(3), 2);
        deadlines.insert(tick(5), 3);
        assert_eq!(deadlines.insert(Tick::NEVER, 4), Entry::NONE);
        assert_eq!(deadlines.next(), tick(3));
        assert_eq!(deadlines.pop(tick(2)), None);
        assert_eq!(deadlines.pop(tick(9)), Some(vec![2]));
        assert_eq!(deadlines.pop(tick(9)), Some(vec![1, 3]));
        assert_eq!(deadlines.pop(tick(9)), None);
        assert_eq!(deadlines.next(), Tick::NEVER);
    }

    #[test]
    fn a_removed_entry_leaves_its_place_to_the_last_one_of_its_tick() {
        let mut deadlines = Deadlines::default();
        let entries = [1, 2, 3].map(|slot| deadlines.insert(tick(5), slot));
        assert_eq!(deadlines.remove(entries[0]), Some(3));
        assert_eq!(deadlines.remove(entries[1]), None);
        assert_eq!(deadlines.len(), 1);
        assert_eq!(deadlines.remove(entries[0]), None, "where slot 3 is now");
        assert!(deadlines.is_empty());
        assert_eq!(deadlines.remove(Entry::NONE), None);
    }
}
