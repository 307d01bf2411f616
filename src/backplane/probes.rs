//! Probes: entries that are read back, to know that what is appended arrives.

use std::collections::VecDeque;
use std::time::Duration;

/// How often a probe is appended.
pub const PROBE_PERIOD: Duration = Duration::from_secs(5);
/// How long a probe that was read back makes the node ready.
pub const PROBE_FRESH: Duration = Duration::from_secs(15);
/// The most probes that are awaited.
const AWAITED_MAX: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Probes {
    /// Counters of those that were appended, and when.
    awaited: VecDeque<(u64, Duration)>,
    next_at: Duration,
    back_at: Option<Duration>,
}

impl Probes {
    /// The connections are there: the first is due.
    pub(super) fn begin(&mut self, now: Duration) {
        *self = Self {
            next_at: now,
            ..Self::default()
        };
    }

    pub(super) fn end(&mut self) {
        *self = Self::default();
    }

    pub(super) fn due(&self) -> Duration {
        self.next_at
    }

    pub(super) fn note_sent(&mut self, counter: u64, now: Duration) {
        self.next_at = now + PROBE_PERIOD;
        if self.awaited.len() >= AWAITED_MAX {
            self.awaited.pop_front();
        }
        self.awaited.push_back((counter, now));
    }

    /// A probe was not appended: another one is due.
    pub(super) fn note_refused(&mut self, now: Duration) {
        self.next_at = now;
    }

    /// A probe was read back. Returns how long that took, unless it is none of those that are awaited.
    pub(super) fn note_back(&mut self, counter: u64, now: Duration) -> Option<Duration> {
        let place = self.awaited.iter().position(|(sent, _)| *sent == counter)?;
        let (_, sent_at) = self.awaited.drain(..=place).next_back()?;
        self.back_at = Some(now);
        Some(now.saturating_sub(sent_at))
    }

    pub(super) fn are_fresh(&self, now: Duration) -> bool {
        self.back_at
            .is_some_and(|at| now.saturating_sub(at) <= PROBE_FRESH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_probe_that_was_read_back_is_fresh_for_a_while() {
        let mut probes = Probes::default();
        probes.begin(at(10));
        assert_eq!(probes.due(), at(10));
        assert!(!probes.are_fresh(at(10)));
        probes.note_sent(7, at(10));
        assert_eq!(probes.due(), at(15));
        assert_eq!(probes.note_back(8, at(11)), None);
        assert_eq!(probes.note_back(7, at(12)), Some(at(2)));
        assert_eq!(probes.note_back(7, at(12)), None);
        assert!(probes.are_fresh(at(27)));
        assert!(!probes.are_fresh(at(28)));
        probes.end();
        assert!(!probes.are_fresh(at(12)));
    }

    #[test]
    fn a_refused_probe_is_followed_by_another_at_once() {
        let mut probes = Probes::default();
        probes.begin(at(0));
        probes.note_sent(1, at(0));
        probes.note_refused(at(1));
        assert_eq!(probes.due(), at(1));
        probes.note_sent(2, at(1));
        assert_eq!(probes.note_back(2, at(3)), Some(at(2)));
    }
}
