//! Rooms: a room is a log, a reader is a cursor.
//!
//! What is published goes into the room's open batch, which is sealed at the end of the turn and appended to
//! the log. A reader that is caught up owns nothing: it is offered the newest batch, one write of bytes that
//! all share. A reader that is behind owns a cursor into the log; history is the log's tail, and resuming is
//! starting with an old cursor. Nothing here knows a socket or a clock.

pub mod batch;
pub mod compression;
pub mod cursor;
pub mod form;
mod frame;
pub mod framing;
pub mod hub;
pub mod id;
mod keys;
pub mod log;
pub mod member;
pub mod notice;
pub mod pool;
mod recency;
#[expect(clippy::module_inception, reason = "a hub has rooms")]
mod room;
mod room_id;
mod shared;
pub mod start;
mod upkeep;

pub use cursor::Cursor;
pub use framing::Framing;
pub use hub::{Hub, RoomId};
pub use member::Membership;
pub use shared::ChangedCount;
