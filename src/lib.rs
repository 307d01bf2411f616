//! fanfare: a WebSocket chat and broadcast server. One binary, one thread, one poll loop.
//!
//! The map of the modules. Arrows point down, and there is no circle:
//!
//! ```text
//! main -> server -> engine -> client -> session -> ws::message -> ws::frame
//!                     |         |          |  +--> ws::handshake -> http
//!                     |         |          |  +--> access
//!                     |         |          |  +--> proxy_header
//!                     |         +----------+-----> outbox -> room -> ws::frame
//!                     +-> backplane, room, limits, time
//! config, decimal, id, observe, percent, time: what any module may use. They use none but each other, and the names of
//! `http::status` and `ws::close`.
//! ```
//!
//! - `server`: the poll loop, the sockets, the clock.
//! - `engine`: one turn over all clients: accept, deliver, read, broadcast, write, timeouts, reap.
//! - `client`: a connected peer: its stream, its state from open to closed, its deadlines.
//! - `session`: a peer's protocol: bytes in, events out, replies into the outbox.
//! - `backplane`: the stream that orders what several nodes publish, without input or output.
//! - `access`: what a token allows.
//! - `outbox`: what is queued for one client.
//! - `room`: members and a log of batches; a member that is behind has a cursor into the log.
//! - `ws`, `http`, `proxy_header`: the protocols, without input or output.
//!
//! A module may also use what stands further below: `server` a client and its id, `engine` a session's events,
//! `session` a frame.
//!
//! `server` is the only module that knows the poll and the clock. Everything below it takes bytes and time
//! as arguments, so tests, fuzz targets and benches drive the shipped code itself. The library exists
//! for them; what it promises to others is the binary's behaviour.

#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::cast_possible_truncation)
)]

pub mod access;
pub mod backplane;
pub mod client;
pub mod config;
pub mod decimal;
pub mod engine;
pub mod http;
pub mod id;
pub mod limits;
pub mod observe;
pub mod outbox;
pub mod percent;
pub mod proxy_header;
pub mod room;
pub mod server;
pub mod session;
pub mod time;
pub mod ws;
