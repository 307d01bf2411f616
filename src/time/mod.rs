//! Time, in ticks, and which client is due next. Nothing here reads a clock.

use std::time::Duration;

pub mod deadlines;
pub mod tick;

pub use deadlines::{Deadlines, Entry};
pub use tick::{TICK, TICKS_PER_SECOND, Tick};

/// The time of one turn, as the loop tells it to the engine.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// How far the server's own time has come. It hardly moves while the process does not run.
    pub tick: Tick,
    /// The same, as finely as it is known.
    pub elapsed: Duration,
    /// The time of day, in seconds since 1970.
    pub unix_seconds: u64,
}
