//! Settings of rooms: how many there are, and what they keep.

use std::time::Duration;

use clap::Args;

use super::values::{parse_count, parse_drain, parse_len, parse_number, parse_wait};

/// How many rooms there are, and what they keep.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Rooms")]
pub struct RoomSettings {
    /// How many rooms there may be. A room is there while it has a listener or history, and 5 minutes longer
    #[arg(
        long,
        env = "FANFARE_MAX_ROOMS",
        value_name = "N",
        default_value = "10000",
        value_parser = parse_count,
        hide_env = true
    )]
    pub max_rooms: usize,

    /// How many messages a room keeps for clients that come, or come back; 0 for none
    #[arg(
        long,
        env = "FANFARE_HISTORY",
        value_name = "N",
        default_value = "1000",
        value_parser = parse_number,
        hide_env = true
    )]
    pub history: u32,

    /// How much memory the kept messages of a room may take
    #[arg(
        long,
        env = "FANFARE_HISTORY_SIZE",
        value_name = "SIZE",
        default_value = "1MiB",
        value_parser = parse_len,
        hide_env = true
    )]
    pub history_size: usize,

    /// How long a room keeps a message
    #[arg(
        long,
        env = "FANFARE_HISTORY_AGE",
        value_name = "TIME",
        default_value = "10m",
        value_parser = parse_wait,
        hide_env = true
    )]
    pub history_age: Duration,

    /// How much memory the kept messages of all rooms may take together; beyond it the rooms published to least
    /// recently lose theirs first
    #[arg(
        long,
        env = "FANFARE_MAX_HISTORY",
        value_name = "SIZE",
        default_value = "64MiB",
        value_parser = parse_len,
        hide_env = true
    )]
    pub max_history: usize,

    /// How long a message waits for others of its room, so that they leave together
    #[arg(
        long,
        env = "FANFARE_LINGER",
        value_name = "TIME",
        default_value = "0ms",
        value_parser = parse_drain,
        hide_env = true
    )]
    pub linger: Duration,
}
