//! Rooms: who is in one, and what is published there.

pub mod batch;
pub mod hub;
