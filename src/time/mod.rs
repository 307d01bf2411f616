//! Time, in ticks, and what is due when.

pub mod deadlines;
