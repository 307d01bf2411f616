//! The shipped engine over scripted sockets and a made-up clock.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing fails")]

mod bookkeeping;
mod bounds;
mod budgets;
mod counts;
mod delivery;
mod framing;
mod linger;
mod patience;
mod publications;
mod seats;
mod shutdown;
mod sockets;
mod timeouts;
#[path = "../world/mod.rs"]
mod world;
