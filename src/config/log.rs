//! Settings of the log.

use clap::{Args, ValueEnum};

use super::values::parse_filter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged, and how.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Log")]
pub struct LogSettings {
    /// What to log: a level (off, error, warn, info, debug, trace) or a filter such as fanfare=debug
    #[arg(
        long = "log",
        env = "FANFARE_LOG",
        value_name = "FILTER",
        default_value = "info",
        value_parser = parse_filter,
        hide_env = true
    )]
    pub filter: String,

    /// How log lines look: auto is text on a terminal and JSON elsewhere
    #[arg(
        long = "log-format",
        env = "FANFARE_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "auto",
        hide_env = true
    )]
    pub format: LogFormat,
}
