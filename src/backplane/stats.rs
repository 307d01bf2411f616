//! What the metrics tell about the backplane.

use std::mem;
use std::time::Duration;

/// The most append times that are kept until they are asked for.
pub const APPEND_TIMES_MAX: usize = 4096;

/// Counts since the start, and the last lag.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// How long the last probe took from being handed over to being read back.
    pub lag: Option<Duration>,
    /// How many entries were appended.
    pub appends: u64,
    /// How often the connections were made again after an outage.
    pub reconnects: u64,
}

/// How long appends took.
#[derive(Debug, Default)]
pub(super) struct AppendTimes(Vec<Duration>);

impl AppendTimes {
    pub(super) fn push(&mut self, time: Duration) {
        if self.0.len() < APPEND_TIMES_MAX {
            self.0.push(time);
        }
    }

    pub(super) fn take(&mut self) -> Vec<Duration> {
        mem::take(&mut self.0)
    }
}
