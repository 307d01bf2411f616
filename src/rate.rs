//! How much a client may say: a message rate with a burst, and a warning period before it counts.

use std::time::Duration;

use crate::deadlines::{TICK, Tick};

/// How long a client may stay above the rate before it has to leave.
pub const RATE_WARNING: Duration = Duration::from_secs(10);

/// What one client has left to say: a token bucket that holds one second's worth of messages.
#[derive(Debug, Clone, Copy)]
pub struct MessageRate {
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
            left: rate,
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
        let passed = TICK * now.since(self.counted_at);
        let refill = passed.as_millis() * u128::from(rate) / 1000;
        self.counted_at = now;
        self.left =
            u32::try_from(refill).map_or(rate, |refill| self.left.saturating_add(refill).min(rate));
        if let Some(left) = self.left.checked_sub(count) {
            self.left = left;
            self.over_since = Tick::NEVER;
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
