//! The backplane's state machine against a made-up broker, and against bytes that no broker would send.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may fail")]

mod cuts;
mod failures;
mod garbage;
mod generations;
mod golden;
mod node;
mod pair;
mod presence;
#[path = "../common/random.rs"]
mod random;
mod said;
#[path = "../common/stream.rs"]
mod stream;
mod waits;
mod wire;
