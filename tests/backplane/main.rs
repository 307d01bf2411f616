//! What several nodes share: the state machine against a made-up broker and against bytes that no broker would send, and
//! the scripts against a real server.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may fail")]

mod broker;
#[path = "../common/mod.rs"]
mod common;
mod cuts;
mod failures;
mod generations;
mod golden;
mod node;
mod pair;
mod presence;
#[path = "../common/random.rs"]
mod random;
#[path = "../common/resp.rs"]
mod resp;
mod scene;
mod scripts;
mod said;
#[path = "../common/stream.rs"]
mod stream;
mod waits;
mod wire;
