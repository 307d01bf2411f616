//! Limits the log lines about what peers do: an attack must not become a flood of the log.

use std::time::Duration;

use tracing::info;

use crate::time::Tick;

/// How many lines a period has.
pub const LINES_PER_PERIOD: u32 = 10;
const PERIOD: Duration = Duration::from_secs(1);

/// Allows so many lines per second. The rest is counted and reported in one line when the second is over.
#[derive(Debug, Default)]
pub struct LogLimiter {
    period_end: Option<Tick>,
    used: u32,
}

impl LogLimiter {
    /// Whether one more line may be written at `now`.
    pub fn allow(&mut self, now: Tick) -> bool {
        self.report(now);
        self.period_end.get_or_insert(now.after(PERIOD));
        self.used = self.used.saturating_add(1);
        self.used <= LINES_PER_PERIOD
    }

    /// Ends a period that is over, and logs how many lines it suppressed; to be called once per turn.
    /// Returns that number.
    pub fn report(&mut self, now: Tick) -> u32 {
        if self.period_end.is_none_or(|end| end > now) {
            return 0;
        }
        let suppressed = self.used.saturating_sub(LINES_PER_PERIOD);
        if suppressed > 0 {
            info!(suppressed, "more lines of this kind were not logged");
        }
        *self = Self::default();
        suppressed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_lines_per_second_are_allowed_and_the_rest_is_reported() {
        let tick = |tenths: u64| Tick::at(Duration::from_millis(100 * tenths));
        let mut limiter = LogLimiter::default();
        let allowed = (0..100).filter(|_| limiter.allow(tick(5))).count();
        assert_eq!(allowed, LINES_PER_PERIOD as usize);
        assert_eq!(limiter.report(tick(14)), 0);
        assert_eq!(limiter.report(tick(16)), 100 - LINES_PER_PERIOD);
        assert_eq!(limiter.report(tick(16)), 0);
        assert!(limiter.allow(tick(16)));
        // A server that ends does not wait for the end of the second.
        (0..LINES_PER_PERIOD).for_each(|_| _ = limiter.allow(tick(16)));
        assert_eq!(limiter.report(Tick::NEVER), 1);
    }
}
