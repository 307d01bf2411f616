//! A moment, counted in coarse steps.

use std::time::Duration;

/// How often time moves on in a second.
pub const TICKS_PER_SECOND: u32 = 10;
/// The grain of all deadlines.
pub const TICK: Duration = Duration::from_millis(1000 / TICKS_PER_SECOND as u64);

/// A moment, in ticks since the start. It fits into four bytes, since every client holds several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(u32);

impl Tick {
    /// The moment of the start.
    pub const START: Self = Self(0);
    /// Later than every deadline.
    pub const NEVER: Self = Self(u32::MAX);

    /// The tick into which a moment falls that comes `elapsed` after the start. Ticks last for 13 years.
    pub fn at(elapsed: Duration) -> Self {
        let ticks = elapsed.as_millis() / TICK.as_millis();
        Self(u32::try_from(ticks).unwrap_or(u32::MAX - 1))
    }

    /// When the tick begins, counted from the start; [`Duration::MAX`] if never.
    pub fn begins(self) -> Duration {
        if self == Self::NEVER {
            return Duration::MAX;
        }
        TICK * self.0
    }

    /// How many ticks passed since `earlier`.
    pub fn since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }

    /// The tick that follows.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// A deadline that is so many whole seconds later.
    pub fn plus_seconds(self, seconds: u32) -> Self {
        Self(
            self.0
                .saturating_add(seconds.saturating_mul(TICKS_PER_SECOND)),
        )
    }

    /// The first tick at which `wait` has surely passed, counted from any moment within this one.
    pub fn after(self, wait: Duration) -> Self {
        let begun = u64::from(wait.subsec_nanos().div_ceil(TICK.subsec_nanos()));
        let ticks = wait.as_secs().saturating_mul(TICKS_PER_SECOND.into());
        let ticks = ticks.saturating_add(begun + 1);
        Self(u32::try_from(ticks).map_or(u32::MAX, |ticks| self.0.saturating_add(ticks)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_early_and_at_most_two_ticks_late() {
        for set_ms in [0, 1, 99, 100, 150] {
            for wait_us in [0, 1, 999, 99_000, 100_000, 100_001, 999_999, 10_000_000] {
                let set = Duration::from_millis(set_ms);
                let wait = Duration::from_micros(wait_us);
                let due = Tick::at(set).after(wait).begins();
                assert!(due >= set + wait, "{set_ms} {wait_us}");
                assert!(due <= set + wait + 2 * TICK, "{set_ms} {wait_us}");
            }
        }
    }

    #[test]
    fn an_endless_wait_is_never_due() {
        assert_eq!(Tick::START.after(Duration::MAX), Tick::NEVER);
        assert!(Tick::at(Duration::MAX) < Tick::NEVER);
    }
}
