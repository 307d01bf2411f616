//! How many lines the log may get for what peers do: an attack must not become a flood of the log.

use std::time::Duration;

use tracing::info;

use crate::deadlines::Tick;

const LINES_PER_PERIOD: u32 = 10;
const PERIOD: Duration = Duration::from_secs(1);

/// So many lines a second; the rest is counted and told in one line later.
#[derive(Debug, Default)]
pub struct LogBudget {
    period_end: Option<Tick>,
    used: u32,
}

impl LogBudget {
    /// Whether one more line may be written at `now`.
    pub fn take(&mut self, now: Tick) -> bool {
        if self.period_end.is_none_or(|end| end <= now) {
            let silenced = self.used.saturating_sub(LINES_PER_PERIOD);
            if silenced > 0 {
                info!(silenced, "more of the like was not logged");
            }
            self.period_end = Some(now.after(PERIOD));
            self.used = 0;
        }
        self.used = self.used.saturating_add(1);
        self.used <= LINES_PER_PERIOD
    }
}
