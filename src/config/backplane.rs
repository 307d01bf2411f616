//! Settings of the backplane: where several nodes meet.

use std::time::Duration;

use clap::Args;

use super::broker_url::{BrokerUrl, parse_broker_url};
use super::values::parse_wait;

/// The longest prefix, in bytes.
pub const PREFIX_LEN_MAX: usize = 64;
/// The longest time that a publication waits for the broker.
pub const BACKPLANE_WAIT_MAX: Duration = Duration::from_secs(3600);
/// How short the stream may be kept: a node that was away for a moment must find what it missed.
pub const BACKPLANE_ENTRIES_MIN: u64 = 1_000;
/// How long the stream may be kept: the broker holds it in memory.
pub const BACKPLANE_ENTRIES_MAX: u64 = 100_000_000;

/// Where several nodes meet.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Backplane")]
pub struct BackplaneSettings {
    /// The Valkey or Redis server that several nodes share: redis://USER:PASSWORD@HOST:PORT/DB, of which only
    /// redis://HOST is needed; USER may be empty. A command line can be seen by others: with a password, the
    /// environment is a better place [default: none, one node alone]
    #[arg(
        long,
        env = "FANFARE_BACKPLANE",
        value_name = "URL",
        value_parser = parse_broker_url,
        hide_env = true,
        hide_env_values = true
    )]
    pub backplane: Option<BrokerUrl>,

    /// What the names of all keys in the broker begin with, so that several groups of nodes may share it
    #[arg(
        long,
        env = "FANFARE_BACKPLANE_PREFIX",
        value_name = "PREFIX",
        default_value = "fanfare",
        value_parser = parse_prefix,
        hide_env = true
    )]
    pub backplane_prefix: String,

    /// How long what is published may wait while the broker is away, before it is refused
    #[arg(
        long,
        env = "FANFARE_BACKPLANE_WAIT",
        value_name = "TIME",
        default_value = "5s",
        value_parser = parse_backplane_wait,
        hide_env = true
    )]
    pub backplane_wait: Duration,

    /// How many entries the broker keeps, about: each holds what one room of one node published in one turn
    #[arg(
        long,
        env = "FANFARE_BACKPLANE_ENTRIES",
        value_name = "N",
        default_value = "100000",
        value_parser = parse_entries,
        hide_env = true
    )]
    pub backplane_entries: u64,
}

/// It stands in braces, by which a cluster keeps all keys together, and so has none itself.
fn parse_prefix(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    match (1..=PREFIX_LEN_MAX).contains(&text.len()) && text.bytes().all(is_plain) {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "it must be 1 to {PREFIX_LEN_MAX} of the letters A to Z and a to z, digits, and . _ -"
        )),
    }
}

fn parse_backplane_wait(text: &str) -> Result<Duration, String> {
    match parse_wait(text) {
        Ok(wait) if wait > BACKPLANE_WAIT_MAX => Err(format!(
            "it must be at most {}",
            humantime::format_duration(BACKPLANE_WAIT_MAX)
        )),
        parsed => parsed,
    }
}

fn parse_entries(text: &str) -> Result<u64, String> {
    let entries = text.parse().ok();
    let range = BACKPLANE_ENTRIES_MIN..=BACKPLANE_ENTRIES_MAX;
    entries.filter(|it| range.contains(it)).ok_or_else(|| {
        format!("it must be a whole number from {BACKPLANE_ENTRIES_MIN} to {BACKPLANE_ENTRIES_MAX}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_plain_and_short() {
        let longest = "x".repeat(PREFIX_LEN_MAX);
        for text in ["a", "A.b_c-9", &longest] {
            assert_eq!(parse_prefix(text).as_deref(), Ok(text));
        }
        let longer = "x".repeat(PREFIX_LEN_MAX + 1);
        for text in ["", "a:b", "{a}", "a b", "a*", "\u{e9}", "a\n", &longer] {
            let line = parse_prefix(text).expect_err(text);
            assert!(line.starts_with("it must be 1 to 64"), "{line}");
        }
    }

    #[test]
    fn the_wait_is_a_time_up_to_an_hour() {
        for (text, millis) in [("100ms", 100), ("5s", 5_000), ("1h", 3_600_000)] {
            assert_eq!(
                parse_backplane_wait(text),
                Ok(Duration::from_millis(millis))
            );
        }
        for (text, words) in [
            ("99ms", "at least 100ms"),
            ("0s", "at least 100ms"),
            ("1h 1ms", "at most 1h"),
            ("5", "it must be a time"),
            ("", "it must be a time"),
        ] {
            let line = parse_backplane_wait(text).expect_err(text);
            assert!(line.contains(words), "{text}: {line}");
        }
    }

    #[test]
    fn the_entries_have_a_least_and_a_greatest_number() {
        for (text, entries) in [("1000", 1_000), ("100000000", 100_000_000)] {
            assert_eq!(parse_entries(text), Ok(entries));
        }
        for text in [
            "999",
            "100000001",
            "0",
            "-1",
            "1.5",
            "many",
            "",
            "99999999999999999999",
        ] {
            let line = parse_entries(text).expect_err(text);
            assert!(line.contains("from 1000 to 100000000"), "{line}");
        }
    }
}
