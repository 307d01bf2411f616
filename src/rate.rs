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
