//! What is told of the stream of several nodes. Without `--backplane` nothing is.

use std::fmt;
use std::time::Duration;

use prometheus_client::registry::Unit;

use super::families::Families;
use super::times::AppendTimes;

/// The backplane, as it is at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackplaneFigures {
    /// Whether it is connected, and what was in the stream has been read.
    pub up: bool,
    /// Whether a probe was also read back in time.
    pub ready: bool,
    /// How long the last probe took to come back. `None` before the first one.
    pub lag: Option<Duration>,
    /// Entries appended since the start.
    pub appends: u64,
    /// How often it was connected again since the start.
    pub reconnects: u64,
}

impl BackplaneFigures {
    pub(super) fn encode(&self, times: &AppendTimes, families: &mut Families<'_>) -> fmt::Result {
        for (name, help, is_so) in [
            (
                "fanfare_backplane_up",
                "Whether the broker is connected, and its stream read up to its end",
                self.up,
            ),
            (
                "fanfare_backplane_ready",
                "Whether a probe was also read back in time, as /readyz tells",
                self.ready,
            ),
        ] {
            families.gauge(name, help, None, u64::from(is_so))?;
        }
        if let Some(lag) = self.lag {
            let help = "How long the last probe took through the stream and back";
            let lag = lag.as_secs_f64();
            families.gauge("fanfare_backplane_lag", help, Some(&Unit::Seconds), lag)?;
        }
        for (name, help, count) in [
            (
                "fanfare_backplane_appends",
                "Entries that this node appended to the stream",
                self.appends,
            ),
            (
                "fanfare_backplane_reconnects",
                "How often the broker was connected again",
                self.reconnects,
            ),
        ] {
            families.counter(name, help, None, count)?;
        }
        let help = "How long the broker took to answer an append";
        families.times("fanfare_backplane_append", help, times)
    }
}
