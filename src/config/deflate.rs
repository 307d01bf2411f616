//! Settings of compression.

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args};

use super::values::{parse_len, parse_level};

/// Whether messages are compressed, and how.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Compression")]
pub struct DeflateSettings {
    /// Compress messages for WebSocket clients that offer it (permessage-deflate), once for all of them. Lengths may
    /// then betray a secret that stands in one message beside a text that an attacker chose
    #[arg(
        long,
        env = "FANFARE_DEFLATE",
        action = ArgAction::SetTrue,
        value_parser = BoolishValueParser::new(),
        hide_env = true
    )]
    pub deflate: bool,

    /// How long what is published in one turn must be to be compressed
    #[arg(
        long,
        env = "FANFARE_DEFLATE_MIN",
        value_name = "SIZE",
        default_value = "200B",
        value_parser = parse_len,
        hide_env = true
    )]
    pub deflate_min: usize,

    /// How hard to compress: from 1, the fastest, to 9
    #[arg(
        long,
        env = "FANFARE_DEFLATE_LEVEL",
        value_name = "LEVEL",
        default_value = "3",
        value_parser = parse_level,
        hide_env = true
    )]
    pub deflate_level: u32,
}
