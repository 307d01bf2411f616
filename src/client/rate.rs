//! How much a client may say: a message rate with a burst, and a warning period before it counts.

use std::time::Duration;

use crate::time::{TICKS_PER_SECOND, Tick};

/// What a tick adds is a whole number of such parts of a message.
const UNITS_PER_MESSAGE: i64 = TICKS_PER_SECOND as i64;

/// How long a client may stay above the rate before it is closed.
pub const RATE_WARNING: Duration = Duration::from_secs(10);

/// What one client has left to say: a token bucket that holds one second's worth of messages. What was
/// said beyond it stays as a debt, so that a pause of a moment does not undo a flood.
#[derive(Debug, Clone, Copy)]
pub struct MessageRate {
    /// In parts of a message; below zero, a debt. It saturates, far above any rate that can be reached.
    left: i32,
    counted_at: Tick,
    over_since: Tick,
}

/// What the rate says about some messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They are within the rate, or the client has been warned and has time to slow down.
    Allowed,
    /// They are the first above the rate.
    Warned,
    /// The client has been above the rate for all of [`RATE_WARNING`].
    Exceeded,
}

impl MessageRate {
    /// A full bucket of `rate` messages.
    pub fn new(rate: u32, now: Tick) -> Self {
        Self {
            left: clamped(full(rate)),
            counted_at: now,
            over_since: Tick::NEVER,
        }
    }

    /// Whether there is something left of a rate of `rate` a second; a rate of 0 allows everything.
    pub fn has_left(&self, rate: u32, now: Tick) -> bool {
        let refill = i64::from(rate) * i64::from(now.since(self.counted_at));
        rate == 0 || i64::from(self.left) + refill > 0
    }

    /// Counts `count` messages against `rate` a second; a rate of 0 allows everything.
    #[inline]
    pub fn spend(&mut self, count: u32, rate: u32, now: Tick) -> Verdict {
        if rate == 0 || count == 0 {
            return Verdict::Allowed;
        }
        let refill = i64::from(rate) * i64::from(now.since(self.counted_at));
        self.counted_at = now;
        let before = (i64::from(self.left) + refill).min(full(rate));
        let left = before - i64::from(count) * UNITS_PER_MESSAGE;
        self.left = clamped(left);
        if before >= full(rate) / 2 {
            // It has slowed down; to pause for a moment would not be enough.
            self.over_since = Tick::NEVER;
        }
        if left >= 0 {
            return Verdict::Allowed;
        }
        if self.over_since == Tick::NEVER {
            self.over_since = now;
            Verdict::Warned
        } else if now >= self.over_since.after(RATE_WARNING) {
            Verdict::Exceeded
        } else {
            Verdict::Allowed
        }
    }
}

/// A full bucket, in parts of a message.
fn full(rate: u32) -> i64 {
    i64::from(rate) * UNITS_PER_MESSAGE
}

fn clamped(parts: i64) -> i32 {
    i32::try_from(parts).unwrap_or(if parts < 0 { i32::MIN } else { i32::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spends one message at each of `moments`, in milliseconds, and tells the first verdict of each kind.
    fn first(rate: u32, moments: impl Iterator<Item = u64>) -> (Option<u64>, Option<u64>) {
        let mut bucket = MessageRate::new(rate, Tick::START);
        let (mut warned, mut exceeded) = (None, None);
        for at in moments {
            let now = Tick::at(Duration::from_millis(at));
            match bucket.spend(1, rate, now) {
                Verdict::Allowed => {}
                Verdict::Warned => warned = warned.or(Some(at)),
                Verdict::Exceeded => exceeded = exceeded.or(Some(at)),
            }
        }
        (warned, exceeded)
    }

    /// Every `gap` milliseconds, for a minute.
    fn every(gap: u64) -> impl Iterator<Item = u64> {
        (0..60_000).step_by(gap as usize)
    }

    #[test]
    fn a_client_within_the_rate_is_never_warned_however_low_it_is() {
        for (rate, gap) in [(1, 1_000), (3, 334), (7, 143), (9, 112), (50, 20), (99, 11)] {
            assert_eq!(first(rate, every(gap)), (None, None), "{rate} a second");
        }
    }

    #[test]
    fn a_client_above_the_rate_is_warned_and_closed_ten_seconds_later() {
        for (rate, gap) in [(3, 250), (9, 90), (50, 12), (100, 5)] {
            let (warned, exceeded) = first(rate, every(gap));
            let (warned, exceeded) = (warned.expect("warned"), exceeded.expect("exceeded"));
            assert!(
                (10_000..10_700).contains(&(exceeded - warned)),
                "{rate} a second"
            );
        }
    }

    #[test]
    fn a_burst_is_allowed_and_a_client_that_slows_down_after_a_warning_stays() {
        let burst = (0..100).map(|_| 0);
        assert_eq!(first(100, burst), (None, None));
        // Twice the rate for three seconds, then a quarter of it for seven, again and again.
        let moments = every(5).filter(|at| at % 10_000 < 3_000 || at % 40 == 0);
        let (warned, exceeded) = first(100, moments);
        assert!(warned.is_some());
        assert_eq!(exceeded, None);
    }

    #[test]
    fn a_pause_of_a_moment_does_not_undo_a_flood() {
        // A hundred times the rate for nine seconds, then a pause of one, again and again.
        let moments = every(1).filter(|at| at % 10_000 < 9_000);
        let (warned, exceeded) = first(10, moments);
        let (warned, exceeded) = (warned.expect("warned"), exceeded.expect("exceeded"));
        assert!((10_000..10_700).contains(&(exceeded - warned)));
    }

    #[test]
    fn no_limit_is_no_limit_and_the_highest_rate_does_not_overflow() {
        assert_eq!(first(0, every(1)), (None, None));
        assert_eq!(first(u32::MAX, every(1)), (None, None));
    }
}
