//! The WebSocket protocol, server role (RFC 6455): pure functions and small state machines over bytes.
//!
//! Nothing here reads a socket, a clock or a setting. Each layer takes bytes and returns values;
//! "more bytes are needed" is `Ok(None)`, never an error.

pub mod close;
pub mod deflate;
pub mod extensions;
pub mod frame;
pub mod handshake;
pub mod mask;
pub mod message;
pub mod payload;
mod unfinished;
pub mod utf8;
