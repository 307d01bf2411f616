//! The shipped engine over scripted sockets and a made-up clock.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing fails")]

mod bookkeeping;
mod bounds;
mod framing;
mod patience;
mod shutdown;
mod turns;
#[path = "../world/mod.rs"]
mod world;
