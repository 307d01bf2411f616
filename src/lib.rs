//! fanfare: a WebSocket chat and broadcast server. One binary, one thread, one poll loop.
//!
//! The map of the house. Arrows point down, and there is no circle:
//!
//! ```text
//! main -> server -> engine -> client -> connection -> ws::message -> ws::frame
//!                     |         |          |     +---> ws::mask, ws::payload -> ws::utf8
//!                     |         |          +-> page, ws::handshake -> http
//!                     |         +----------+-> outbox -> batch -> ws::frame
//!                     |         +-> timers, rate -> deadlines -> hub
//!                     |                 +-> ws::message
//!                     +-> hub -> batch
//!                     +-> addresses, log_budget -> deadlines
//! config, metrics, status, ws::close: what anyone may read; they know nobody but each other.
//! ```
//!
//! Who stands above may also name what stands further below: `server` a client and its id, `engine` what a
//! client is made of, `connection` a frame and a request.
//!
//! `server` is the only module that knows the poll and the clock. Everything below it takes bytes and time
//! as arguments, so tests, fuzz targets and benches drive the shipped code itself. The library exists
//! for them; what it promises to others is the binary's behaviour.

#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::cast_possible_truncation)
)]

pub mod client;
pub mod config;
pub mod engine;
pub mod http;
pub mod id;
pub mod limits;
pub mod observe;
pub mod outbox;
pub mod room;
pub mod server;
pub mod session;
pub mod time;
pub mod ws;
