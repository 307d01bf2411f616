//! The microseconds since a swarm began, as its messages carry them.

use std::time::Instant;

#[derive(Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now_us(self) -> u32 {
        self.at_us(Instant::now())
    }

    pub(crate) fn at_us(self, moment: Instant) -> u32 {
        // A swarm does not live for the 71 minutes after which this wraps.
        let since = moment.saturating_duration_since(self.0);
        u32::try_from(since.as_micros()).unwrap_or(u32::MAX)
    }
}
