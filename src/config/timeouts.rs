//! Settings of time: how long each wait may last.

use std::time::Duration;

use clap::Args;

use super::values::{parse_drain, parse_wait};
use super::{USER_TIMEOUT_MAX, USER_TIMEOUT_MIN};

/// The longest default of the ping period: below the idle limits of common proxies, 30 s and more.
const PING_PERIOD_DEFAULT: Duration = Duration::from_secs(25);

/// How long each wait may last.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Timeouts")]
pub struct Timeouts {
    /// How long to wait for a pong, and for the rest of a message that was begun
    #[arg(
        long,
        env = "FANFARE_PONG_WAIT",
        value_name = "TIME",
        default_value = "60s",
        value_parser = parse_wait,
        hide_env = true
    )]
    pub pong_wait: Duration,

    /// How often to ping; must be below the pong wait [default: 25s, or 9/10 of the pong wait where that is less]
    #[arg(
        long,
        env = "FANFARE_PING_PERIOD",
        value_name = "TIME",
        value_parser = parse_wait,
        hide_env = true
    )]
    pub ping_period: Option<Duration>,

    /// How long a client's socket may take nothing while something is queued for it
    #[arg(
        long,
        env = "FANFARE_WRITE_WAIT",
        value_name = "TIME",
        default_value = "10s",
        value_parser = parse_wait,
        hide_env = true
    )]
    pub write_wait: Duration,

    /// How long a whole request may take, from its first byte; for the first request, from the connection
    #[arg(
        long,
        env = "FANFARE_REQUEST_TIMEOUT",
        value_name = "TIME",
        default_value = "10s",
        value_parser = parse_wait,
        hide_env = true
    )]
    pub request_timeout: Duration,

    /// How long a kept HTTP connection may be without a further request
    #[arg(
        long,
        env = "FANFARE_KEEP_ALIVE",
        value_name = "TIME",
        default_value = "75s",
        value_parser = parse_wait,
        hide_env = true
    )]
    pub keep_alive: Duration,

    /// How long a shutdown is announced, by 503 at /readyz, before it begins: as long as those who send clients here
    /// take to notice
    #[arg(
        long,
        env = "FANFARE_DRAIN_DELAY",
        value_name = "TIME",
        default_value = "0s",
        value_parser = parse_drain,
        hide_env = true
    )]
    pub drain_delay: Duration,

    /// How long a shutdown takes at most: clients are closed one after the other over three quarters of it, each
    /// after what is queued for it
    #[arg(
        long,
        env = "FANFARE_DRAIN",
        value_name = "TIME",
        default_value = "5s",
        value_parser = parse_drain,
        hide_env = true
    )]
    pub drain: Duration,
}

impl Timeouts {
    /// How often a client is pinged.
    pub fn ping_period(&self) -> Duration {
        let default = PING_PERIOD_DEFAULT.min(self.pong_wait / 10 * 9);
        self.ping_period.unwrap_or(default)
    }

    /// When the kernel is to give a peer up that acknowledges nothing or keeps its window closed.
    ///
    /// Never before we would: a peer that only pauses must not be lost to the kernel while its pong and its
    /// reading are not yet late.
    pub fn user_timeout(&self) -> Duration {
        let ours = self.pong_wait.saturating_add(self.write_wait);
        ours.clamp(USER_TIMEOUT_MIN, USER_TIMEOUT_MAX)
    }
}
