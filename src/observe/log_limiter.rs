//! How many lines the log may get for what peers do: an attack must not become a flood of the log.

use std::time::Duration;

use tracing::info;

use crate::time::deadlines::Tick;

/// How many lines a period has.
pub const LINES_PER_PERIOD: u32 = 10;
const PERIOD: Duration = Duration::from_secs(1);

/// So many lines a second; the rest is counted and told in one line when the second is over.
#[derive(Debug, Default)]
pub struct LogBudget {
    period_end: Option<Tick>,
    used: u32,
}

impl LogBudget {
    /// Whether one more line may be written at `now`.
    pub fn take(&mut self, now: Tick) -> bool {
        self.settle(now);
        self.period_end.get_or_insert(now.after(PERIOD));
        self.used = self.used.saturating_add(1);
        self.used <= LINES_PER_PERIOD
    }

    /// Ends a period that is over, and tells how many lines it silenced; to be called now and then.
    /// Returns that number.
    pub fn settle(&mut self, now: Tick) -> u32 {
        if self.period_end.is_none_or(|end| end > now) {
            return 0;
        }
        let silenced = self.used.saturating_sub(LINES_PER_PERIOD);
        if silenced > 0 {
            info!(silenced, "more of the like was not logged");
        }
        *self = Self::default();
        silenced
    }
}
