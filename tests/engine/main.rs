//! The shipped engine over scripted sockets and a made-up clock, and the parts of it that need the clock.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing fails")]

mod bounds;
mod deadlines;
mod rate;
mod turns;
#[path = "../world/mod.rs"]
mod world;
