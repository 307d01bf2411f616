//! How much a client may say: a message rate with a burst, and a warning period before it counts.

use std::time::Duration;

use crate::time::deadlines::{TICKS_PER_SECOND, Tick};

/// What a tick adds is a whole number of such parts of a message.
const PARTS: i64 = TICKS_PER_SECOND as i64;

/// How long a client may stay above the rate before it has to leave.
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
            left: clamped(full(rate)),
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
        let refill = i64::from(rate) * i64::from(now.since(self.counted_at));
        self.counted_at = now;
        let before = (i64::from(self.left) + refill).min(full(rate));
        let left = before - i64::from(count) * PARTS;
        self.left = clamped(left);
        if before >= full(rate) / 2 {
            // It has slowed down; to pause for a moment would not be enough.
            self.over_since = Tick::NEVER;
        }
        if left >= 0 {
            return Verdict::Fine;
        }
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

/// A full bucket, in parts of a message.
fn full(rate: u32) -> i64 {
    i64::from(rate) * PARTS
}

fn clamped(parts: i64) -> i32 {
    i32::try_from(parts).unwrap_or(if parts < 0 { i32::MIN } else { i32::MAX })
}
