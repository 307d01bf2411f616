//! Settings of the chat: what a message may be, and how much may wait.

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, ValueEnum};

use super::values::{parse_count, parse_len, parse_rate};

/// What becomes of a client that is further behind than the send queue and takes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SlowPolicy {
    /// It is dropped.
    Close,
    /// What it has not begun to take is left out, and it is told how much. One that reads no ids is dropped.
    Skip,
}

/// What a message may be, and how much may wait.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Chat")]
pub struct ChatSettings {
    /// The largest message a client may send
    #[arg(
        long,
        env = "FANFARE_MAX_MESSAGE",
        value_name = "SIZE",
        default_value = "512B",
        value_parser = parse_len,
        hide_env = true
    )]
    pub max_message: usize,

    /// How many messages may wait for one client. A client with more is offered them once more; it is dropped if
    /// its socket takes nothing, and at twice as many in any case
    #[arg(
        long,
        env = "FANFARE_SEND_QUEUE",
        value_name = "N",
        default_value = "256",
        value_parser = parse_count,
        hide_env = true
    )]
    pub send_queue: usize,

    /// What becomes of a client that is further behind than the send queue and takes nothing: close drops it;
    /// skip leaves out what it has not begun to take, and tells it how much, if it reads ids (fanfare.v1, SSE)
    #[arg(
        long,
        env = "FANFARE_SLOW",
        value_name = "POLICY",
        value_enum,
        default_value_t = SlowPolicy::Close,
        hide_env = true
    )]
    pub slow: SlowPolicy,

    /// How many bytes may be queued for all clients together, with those that were read and wait for the next
    /// turn; beyond it the clients with the most queued are dropped
    #[arg(
        long,
        env = "FANFARE_MAX_QUEUED",
        value_name = "SIZE",
        default_value = "256MiB",
        value_parser = parse_len,
        hide_env = true
    )]
    pub max_queued: usize,

    /// How many messages, pings and pongs a client may send per second, with a burst of as many; 0 for no limit
    #[arg(
        long,
        env = "FANFARE_MESSAGE_RATE",
        value_name = "N",
        default_value = "100000",
        value_parser = parse_rate,
        hide_env = true
    )]
    pub message_rate: u32,

    /// Also serve /echo, which sends every message back to its sender
    #[arg(
        long,
        env = "FANFARE_ECHO",
        action = ArgAction::SetTrue,
        value_parser = BoolishValueParser::new(),
        hide_env = true
    )]
    pub echo: bool,
}
