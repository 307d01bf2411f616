//! Who is due when.
//!
//! Time is counted in coarse ticks. Each client is listed under one tick: the earliest at which
//! something may be due. When that tick comes the client is looked at, and listed again under its next
//! one; until then it costs nothing, however many there are. A deadline that moves further away is
//! therefore free. One that moves nearer lists the client once more; the later entry finds nothing due.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::id::ClientId;

/// How often time moves on in a second.
pub const TICKS_PER_SECOND: u32 = 10;
/// The grain of all deadlines.
pub const TICK: Duration = Duration::from_millis(1000 / TICKS_PER_SECOND as u64);

/// A moment, in ticks since the program started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(u32);

impl Tick {
    /// Later than every deadline.
    pub const NEVER: Self = Self(u32::MAX);

    /// How many ticks passed since `earlier`.
    pub fn since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }

    /// The first tick at which `wait` has surely passed, counted from any moment within this one.
    pub fn after(self, wait: Duration) -> Self {
        let ticks = wait.as_millis().div_ceil(TICK.as_millis()) + 1;
        Self(u32::try_from(ticks).map_or(u32::MAX, |ticks| self.0.saturating_add(ticks)))
    }
}

/// The list of clients by the tick at which to look at them, and the meaning of ticks.
#[derive(Debug)]
pub struct Deadlines {
    start: Instant,
    due: BTreeMap<Tick, Vec<ClientId>>,
}

impl Deadlines {
    /// An empty list; `start` is tick 0.
    pub fn new(start: Instant) -> Self {
        Self {
            start,
            due: BTreeMap::new(),
        }
    }

    /// The tick that `now` falls into.
    pub fn tick(&self, now: Instant) -> Tick {
        let ticks = now.saturating_duration_since(self.start).as_millis() / TICK.as_millis();
        // A 32-bit tick lasts for 13 years.
        Tick(u32::try_from(ticks).unwrap_or(u32::MAX - 1))
    }

    /// Lists a client under `at`. [`Tick::NEVER`] lists it nowhere.
    pub fn push(&mut self, at: Tick, id: ClientId) {
        if at != Tick::NEVER {
            self.due.entry(at).or_default().push(id);
        }
    }

    /// Takes the clients of one tick that has come, if there is one; to be called until there is none.
    pub fn pop(&mut self, now: Tick) -> Option<Vec<ClientId>> {
        let entry = self.due.first_entry()?;
        (*entry.key() <= now).then(|| entry.remove())
    }

    /// How long until the next tick at which somebody may be due; `None` if nobody is listed.
    pub fn wait(&self, now: Instant) -> Option<Duration> {
        let (&next, _) = self.due.first_key_value()?;
        Some(self.until(next, now))
    }

    /// How long until `tick` begins.
    pub fn until(&self, tick: Tick, now: Instant) -> Duration {
        (self.start + TICK * tick.0).saturating_duration_since(now)
    }
}
