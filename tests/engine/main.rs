//! The shipped engine over scripted sockets and a made-up clock.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that finds nothing, or something else, fails"
)]

mod admin;
mod bookkeeping;
mod bounds;
mod budgets;
mod counts;
mod delivery;
mod events;
mod expiry;
mod forwarded;
mod framing;
mod health;
mod history;
mod linger;
mod metrics;
#[path = "../common/openmetrics.rs"]
mod openmetrics;
mod patience;
mod posts;
mod publications;
#[path = "../common/random.rs"]
mod random;
mod rooms;
mod seats;
mod shutdown;
mod slow;
mod sockets;
mod timeouts;
mod watching;
#[path = "../world/mod.rs"]
mod world;
