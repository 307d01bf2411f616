//! What is taken back before it was sent, and what is given up because it waited for too long.

use std::collections::HashSet;
use std::time::Duration;

use super::Queue;
use crate::backplane::said::{Part, Told};
use crate::id::ClientId;

/// How often messages are given up at most: the whole queue is looked through.
const GIVE_UP_STEP: Duration = Duration::from_millis(50);

impl Queue {
    /// Takes back at the end of the turn what a client published and what was not sent.
    pub(in crate::backplane) fn withdraw(&mut self, by: ClientId) {
        if self.has_unsent() {
            self.withdrawn.insert(by);
        }
    }

    fn has_unsent(&self) -> bool {
        self.sent_end < self.first + self.entries.len() as u64
    }

    /// Removes what was withdrawn.
    pub(in crate::backplane) fn settle(&mut self) {
        if !self.withdrawn.is_empty() {
            self.remove_unsent();
            self.withdrawn.clear();
            self.pop_over();
        }
    }

    fn remove_unsent(&mut self) {
        let sent = usize::try_from(self.sent_end.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let Self {
            entries, withdrawn, ..
        } = self;
        for entry in entries.iter_mut().skip(sent) {
            if entry.is_over {
                continue;
            }
            self.held_len -= entry.held_len();
            entry.retain(|part| part.by.is_none_or(|by| !withdrawn.contains(&by)));
            self.held_len += entry.held_len();
        }
        let end = self.first + self.entries.len() as u64;
        for place in self.sent_end..end {
            if self.get(place).is_some_and(|entry| entry.count == 0) {
                self.end(place);
            }
        }
    }

    /// Gives up what was published `wait` ago. Each publisher is told once.
    pub(in crate::backplane) fn give_up(&mut self, now: Duration, wait: Duration) {
        if now < self.give_up_due(wait) {
            return;
        }
        self.gave_up_at = Some(now);
        let is_late = |part: &Part| part.said_at + wait <= now;
        let late = self.entries.iter().filter(|entry| !entry.is_over);
        let late = late
            .flat_map(|entry| &entry.parts)
            .filter(|part| is_late(part));
        let clients: HashSet<_> = late.filter_map(|part| part.by).collect();
        for place in self.first..self.sent_end {
            let Some(entry) = self.get_mut(place) else {
                continue;
            };
            let is_last_late = entry.parts.last().is_none_or(is_late);
            for part in &mut entry.parts {
                part.by = part.by.filter(|by| !clients.contains(by));
            }
            if is_last_late {
                self.end(place);
            }
        }
        let mut told: Vec<_> = clients.iter().copied().collect();
        // In one order, so that a simulation repeats.
        told.sort_unstable_by_key(|by| by.to_bits());
        self.told
            .extend(told.iter().map(|by| Told::GaveUp { by: *by }));
        self.withdrawn.extend(clients);
        self.settle();
        self.pop_over();
    }

    /// When something may have to be given up.
    pub(in crate::backplane) fn give_up_due(&self, wait: Duration) -> Duration {
        let Some(first) = self.entries.front() else {
            return Duration::MAX;
        };
        let due = first.begun_at.saturating_add(wait);
        self.gave_up_at.map_or(due, |at| due.max(at + GIVE_UP_STEP))
    }
}
