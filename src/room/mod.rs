//! Rooms: a room is a log, a reader is a cursor.
//!
//! What is published goes into the room's open batch, which is sealed at the end of the turn and appended to
//! the log. A reader that is caught up owns nothing: it is offered the newest batch, one write of bytes that
//! all share. A reader that is behind owns a cursor into the log. Nothing here knows a socket or a clock.

pub mod batch;
pub mod cursor;
pub mod framing;
pub mod hub;
pub mod log;

pub use cursor::Cursor;
pub use hub::{Hub, Membership, RoomId};
