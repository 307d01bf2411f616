//! How much a client may say: a message rate with a burst, and a warning period before it counts.

use std::time::Duration;

use crate::deadlines::{TICKS_PER_SECOND, Tick};

/// What a tick adds is a whole number of such parts of a message.
const PARTS: u32 = TICKS_PER_SECOND;

/// How long a client may stay above the rate before it has to leave.
pub const RATE_WARNING: Duration = Duration::from_secs(10);

/// What one client has left to say: a token bucket that holds one second's worth of messages.
#[derive(Debug, Clone, Copy)]
pub struct MessageRate {
    /// In parts of a message.
    left: u32,
    counted_at: Tick,
    over_since: Tick,
}

/// What the rate says about some messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They are within the rate, or the client has been warned and has time to slow down.
    Fine,
    /// They are the first above the rate.
    Warned,
    /// The client has been above the rate for all of [`RATE_WARNING`].
    Exceeded,
}

impl MessageRate {
    /// A full bucket of `rate` messages.
    pub fn new(rate: u32, now: Tick) -> Self {
        Self {
            left: rate.saturating_mul(PARTS),
            counted_at: now,
            over_since: Tick::NEVER,
        }
    }

    /// Counts `count` messages against `rate` a second; a rate of 0 allows everything.
    #[inline]
    pub fn spend(&mut self, count: u32, rate: u32, now: Tick) -> Verdict {
        if rate == 0 || count == 0 {
            return Verdict::Fine;
        }
        let full = rate.saturating_mul(PARTS);
        let refill = rate.saturating_mul(now.since(self.counted_at));
        self.counted_at = now;
        self.left = self.left.saturating_add(refill).min(full);
        if self.left >= full / 2 {
            // It has slowed down; to pause for a moment would not be enough.
            self.over_since = Tick::NEVER;
        }
        if let Some(left) = self.left.checked_sub(count.saturating_mul(PARTS)) {
            self.left = left;
            return Verdict::Fine;
        }
        self.left = 0;
        if self.over_since == Tick::NEVER {
            self.over_since = now;
            Verdict::Warned
        } else if now >= self.over_since.after(RATE_WARNING) {
            Verdict::Exceeded
        } else {
            Verdict::Fine
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::deadlines::Deadlines;

    /// Spends one message at each of `moments`, in milliseconds, and tells the first verdict of each kind.
    fn first(rate: u32, moments: impl Iterator<Item = u64>) -> (Option<u64>, Option<u64>) {
        let start = Instant::now();
        let deadlines = Deadlines::new(start);
        let mut bucket = MessageRate::new(rate, deadlines.tick(start));
        let (mut warned, mut exceeded) = (None, None);
        for at in moments {
            let now = deadlines.tick(start + Duration::from_millis(at));
            match bucket.spend(1, rate, now) {
                Verdict::Fine => {}
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
    fn who_stays_within_the_rate_is_never_warned_however_low_it_is() {
        for (rate, gap) in [(1, 1_000), (3, 334), (7, 143), (9, 112), (50, 20), (99, 11)] {
            assert_eq!(first(rate, every(gap)), (None, None), "{rate} a second");
        }
    }

    #[test]
    fn who_stays_above_the_rate_is_warned_and_has_to_leave_ten_seconds_later() {
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
    fn a_burst_is_allowed_and_who_slows_down_after_a_warning_may_stay() {
        let burst = (0..100).map(|_| 0);
        assert_eq!(first(100, burst), (None, None));
        // Twice the rate for five seconds, then half of it for five, again and again.
        let moments = every(5).filter(|at| at % 10_000 < 5_000 || at % 20 == 0);
        let (warned, exceeded) = first(100, moments);
        assert!(warned.is_some());
        assert_eq!(exceeded, None);
    }

    #[test]
    fn no_limit_is_no_limit_and_the_highest_rate_does_not_overflow() {
        assert_eq!(first(0, every(1)), (None, None));
        assert_eq!(first(u32::MAX, every(1)), (None, None));
    }
}
