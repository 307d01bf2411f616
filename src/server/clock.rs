//! The only place that reads the clock.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant, SystemTime};

use tracing::info;

use crate::time::{Now, Tick};

/// The loop never sleeps longer, so that a sleep that is longer is known not to be its own.
pub(super) const SLEEP_MAX: Duration = Duration::from_secs(1);
/// A turn takes well under this; a longer one means that the process did not run.
const TURN_MAX: Duration = Duration::from_secs(2);

/// Time as clients experience it: it hardly moves while the server itself is stopped or suspended, so
/// that nobody is late for a deadline that the server slept through.
#[derive(Debug)]
pub(super) struct Clock {
    last: Instant,
    /// The time that has passed since the start, as clients experience it.
    elapsed: Duration,
    /// The same for everybody else.
    running: Duration,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self {
            last: Instant::now(),
            elapsed: Duration::ZERO,
            running: Duration::ZERO,
        }
    }

    pub(super) fn read(&mut self) -> Now {
        let now = Instant::now();
        let mut passed = now.saturating_duration_since(self.last);
        self.last = now;
        self.running += passed;
        if passed > SLEEP_MAX + TURN_MAX {
            info!(
                ?passed,
                "the server did not run for a while, deadlines move"
            );
            // Time goes on even if every turn should take that long.
            passed = SLEEP_MAX;
        }
        self.elapsed += passed;
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Now {
            tick: Tick::at(self.elapsed),
            elapsed: self.elapsed,
            unix_seconds: unix.map_or(0, |since| since.as_secs()),
        }
    }

    /// The time that had passed since the start when the clock was last read, stops included.
    pub(super) fn running(&self) -> Duration {
        self.running
    }

    /// How long ago the clock was last read.
    pub(super) fn since_last_read(&self) -> Duration {
        self.last.elapsed()
    }

    /// How long to sleep until a moment, counted from the start, as the clock was last read.
    pub(super) fn until(&self, moment: Duration) -> Duration {
        moment.saturating_sub(self.elapsed).min(SLEEP_MAX)
    }
}

/// When something must be over that blocks: a program that asks, not the server.
#[derive(Debug)]
pub(super) struct Deadline(Instant);

impl Deadline {
    pub(super) fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// How long there is left; an error if nothing is.
    pub(super) fn left(&self) -> io::Result<Duration> {
        let left = self.0.saturating_duration_since(Instant::now());
        match left.is_zero() {
            true => Err(ErrorKind::TimedOut.into()),
            false => Ok(left),
        }
    }
}
