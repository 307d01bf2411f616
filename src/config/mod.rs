//! Every setting: its unit, its default, its reason; and the bounds that are not settings.
//!
//! # What one client can cost, in bytes
//!
//! | what | at most | when |
//! |---|---|---|
//! | its entry in the slab | 128 | always |
//! | its seat in the room, its deadlines | 40 | always |
//! | a request head that is not whole | twice [`HEAD_MAX`](crate::http::HEAD_MAX), 16 KiB: buffers double as they grow | until it is |
//! | a message that is not whole | `--max-message` and 4 KiB | until it is, `--pong-wait` at most |
//! | what it said beyond a full batch | [`READ_LEN`], 64 KiB | until the next turn |
//! | answers and echoes it does not take | twice [`OWN_BYTES_MAX`] and those to one more read: 256 KiB, or one message of `--max-message` | `--write-wait` at most |
//! | pings and pongs it does not take | twice [`PONGS_MAX`](crate::client::outbox::PONGS_MAX), 4 KiB | `--write-wait` at most |
//! | references to shared batches | 24 for each of four times `--send-queue`, in a buffer that doubles: 48 KiB | until it is dropped |
//!
//! Only some of this can come together: with the defaults the worst client costs about 260 KiB while it speaks
//! HTTP, and 120 KiB in the room; an idle one costs 150 bytes. The batches themselves are shared; they and all
//! of the answers and echoes together stay below `--max-queued` and what one client adds in a turn, because
//! those who are owed most are dropped. Messages that are not whole are in no sum but that of the clients: for
//! a large `--max-message` choose `--max-clients` to fit.

mod bounds;
mod values;

use std::env;
use std::ffi::OsStr;
use std::time::Duration;

use clap::builder::{BoolishValueParser, Resettable};
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, ValueEnum};

pub use bounds::*;
use values::{
    parse_count, parse_drain, parse_filter, parse_len, parse_origin, parse_rate, parse_wait,
};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A WebSocket chat and broadcast server: what one says, everybody hears.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "fanfare",
    version,
    about = "A WebSocket chat and broadcast server: what one says, everybody hears",
    long_about = None,
    after_help = "Each setting can also come from the environment: FANFARE_ and the flag's name, such as \
                  FANFARE_MAX_CLIENTS. Flags win."
)]
pub struct Config {
    /// Where to listen: HOST:PORT, or :PORT for all interfaces, IPv6 and IPv4; port 0 picks a free one
    #[arg(
        long,
        env = "FANFARE_ADDR",
        value_name = "ADDR",
        default_value = ":8080",
        hide_env = true,
        help_heading = "Network"
    )]
    pub addr: String,

    /// How many clients may be connected [default: what the descriptor limit allows]
    #[arg(
        long,
        env = "FANFARE_MAX_CLIENTS",
        value_name = "N",
        value_parser = parse_count,
        hide_env = true,
        help_heading = "Network"
    )]
    pub max_clients: Option<usize>,

    /// How many clients may be connected from one IPv4 address or IPv6 /64 [default: a quarter of
    /// --max-clients, at least 100, and no limit for loopback, where a proxy speaks for all]
    #[arg(
        long,
        env = "FANFARE_MAX_CLIENTS_PER_IP",
        value_name = "N",
        value_parser = parse_count,
        hide_env = true,
        help_heading = "Network"
    )]
    pub max_clients_per_ip: Option<usize>,

    /// The size of the kernel's send buffer of each client [default: the kernel's choice]
    #[arg(
        long,
        env = "FANFARE_SEND_BUFFER",
        value_name = "SIZE",
        value_parser = parse_len,
        hide_env = true,
        help_heading = "Network"
    )]
    pub send_buffer: Option<usize>,

    /// An origin whose pages may connect, besides the server's own; repeatable, * for all
    #[arg(
        long,
        env = "FANFARE_ALLOW_ORIGIN",
        value_name = "ORIGIN",
        value_delimiter = ',',
        value_parser = parse_origin,
        hide_env = true,
        help_heading = "Network"
    )]
    pub allow_origin: Vec<String>,

    /// The largest message a client may send
    #[arg(
        long,
        env = "FANFARE_MAX_MESSAGE",
        value_name = "SIZE",
        default_value = "512B",
        value_parser = parse_len,
        hide_env = true,
        help_heading = "Chat"
    )]
    pub max_message: usize,

    /// How many messages may wait for a client that does not take them; with one more it is dropped
    #[arg(
        long,
        env = "FANFARE_SEND_QUEUE",
        value_name = "N",
        default_value = "256",
        value_parser = parse_count,
        hide_env = true,
        help_heading = "Chat"
    )]
    pub send_queue: usize,

    /// How many bytes may be queued for all clients together; beyond it those who owe most are dropped
    #[arg(
        long,
        env = "FANFARE_MAX_QUEUED",
        value_name = "SIZE",
        default_value = "256MiB",
        value_parser = parse_len,
        hide_env = true,
        help_heading = "Chat"
    )]
    pub max_queued: usize,

    /// How many messages a second a client may send, in the long run; 0 for no limit
    #[arg(
        long,
        env = "FANFARE_MESSAGE_RATE",
        value_name = "N",
        default_value = "100000",
        value_parser = parse_rate,
        hide_env = true,
        help_heading = "Chat"
    )]
    pub message_rate: u32,

    /// Also serve /echo, which sends every message back to its sender
    #[arg(
        long,
        env = "FANFARE_ECHO",
        action = ArgAction::SetTrue,
        value_parser = BoolishValueParser::new(),
        hide_env = true,
        help_heading = "Chat"
    )]
    pub echo: bool,

    /// How long to wait for a pong, and for the end of a message that was begun
    #[arg(
        long,
        env = "FANFARE_PONG_WAIT",
        value_name = "TIME",
        default_value = "60s",
        value_parser = parse_wait,
        hide_env = true,
        help_heading = "Timeouts"
    )]
    pub pong_wait: Duration,

    /// How often to ping; must be below the pong wait [default: 9/10 of the pong wait]
    #[arg(
        long,
        env = "FANFARE_PING_PERIOD",
        value_name = "TIME",
        value_parser = parse_wait,
        hide_env = true,
        help_heading = "Timeouts"
    )]
    pub ping_period: Option<Duration>,

    /// How long a client may take nothing of what it is owed
    #[arg(
        long,
        env = "FANFARE_WRITE_WAIT",
        value_name = "TIME",
        default_value = "10s",
        value_parser = parse_wait,
        hide_env = true,
        help_heading = "Timeouts"
    )]
    pub write_wait: Duration,

    /// How long a whole request may take, from accept or from the last answer
    #[arg(
        long,
        env = "FANFARE_REQUEST_TIMEOUT",
        value_name = "TIME",
        default_value = "10s",
        value_parser = parse_wait,
        hide_env = true,
        help_heading = "Timeouts"
    )]
    pub request_timeout: Duration,

    /// How long a shutdown waits for clients to take what they are owed
    #[arg(
        long,
        env = "FANFARE_DRAIN",
        value_name = "TIME",
        default_value = "5s",
        value_parser = parse_drain,
        hide_env = true,
        help_heading = "Timeouts"
    )]
    pub drain: Duration,

    /// What to log: a level (off, error, warn, info, debug, trace) or a filter such as fanfare=debug
    #[arg(
        long,
        env = "FANFARE_LOG",
        value_name = "FILTER",
        default_value = "info",
        value_parser = parse_filter,
        hide_env = true,
        help_heading = "Log"
    )]
    pub log: String,

    /// How log lines look
    #[arg(
        long,
        env = "FANFARE_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text",
        hide_env = true,
        help_heading = "Log"
    )]
    pub log_format: LogFormat,
}

impl Default for Config {
    /// The settings of a server started without flags, whatever the environment says.
    fn default() -> Self {
        Self {
            addr: ":8080".to_owned(),
            max_clients: None,
            max_clients_per_ip: None,
            send_buffer: None,
            allow_origin: Vec::new(),
            max_message: 512,
            send_queue: 256,
            max_queued: 256 * 1024 * 1024,
            message_rate: 100_000,
            echo: false,
            pong_wait: Duration::from_secs(60),
            ping_period: None,
            write_wait: Duration::from_secs(10),
            request_timeout: Duration::from_secs(10),
            drain: Duration::from_secs(5),
            log: "info".to_owned(),
            log_format: LogFormat::Text,
        }
    }
}

impl Config {
    /// The settings of this process: its arguments, and what its environment adds to them. A variable that
    /// is empty counts as one that is not there, as scripts leave them.
    ///
    /// # Errors
    /// Something makes no sense, or only help or the version was asked for.
    pub fn from_process() -> Result<Self, clap::Error> {
        let is_empty = |name: &OsStr| env::var_os(name).is_some_and(|value| value.is_empty());
        let mut command = Self::command().mut_args(|argument| match argument.get_env() {
            Some(name) if is_empty(name) => argument.env(Resettable::Reset),
            _ => argument,
        });
        let matches = command.try_get_matches_from_mut(env::args_os())?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    }

    /// How often a client is pinged.
    pub fn ping_period(&self) -> Duration {
        self.ping_period.unwrap_or(self.pong_wait / 10 * 9)
    }

    /// When the kernel is to give a peer up that acknowledges nothing or keeps its window closed.
    ///
    /// Never before we would: a peer that only pauses must not be lost to the kernel while its pong and its
    /// reading are not yet late.
    pub fn user_timeout(&self) -> Duration {
        let ours = self.pong_wait.saturating_add(self.write_wait);
        ours.clamp(USER_TIMEOUT_MIN, USER_TIMEOUT_MAX)
    }

    /// How many clients one address may have, where `client_limit` may be connected in all, and whether
    /// that holds for loopback too.
    pub fn clients_per_ip(&self, client_limit: usize) -> (usize, bool) {
        match self.max_clients_per_ip {
            Some(max) => (max, true),
            None => ((client_limit / 4).max(CLIENTS_PER_IP_MIN), false),
        }
    }

    /// Checks what no single setting can know.
    ///
    /// # Errors
    /// A line that says which settings contradict each other.
    pub fn check(&self) -> Result<(), String> {
        let port = self
            .addr
            .rsplit_once(':')
            .map(|(_, port)| port.parse::<u16>());
        if !matches!(port, Some(Ok(_))) {
            return Err(format!(
                "--addr {:?} has no port; write it HOST:PORT, or :PORT for all interfaces",
                self.addr
            ));
        }
        if self.ping_period() >= self.pong_wait {
            return Err(format!(
                "--ping-period ({}) must be below --pong-wait ({}), or every client is lost",
                humantime::format_duration(self.ping_period()),
                humantime::format_duration(self.pong_wait)
            ));
        }
        if self.max_queued < self.max_message.saturating_mul(QUEUED_MESSAGES_MIN) {
            return Err(format!(
                "--max-queued ({}B) must be at least {QUEUED_MESSAGES_MIN} times --max-message ({}B), or \
                 one message would drop everybody it waits for",
                self.max_queued, self.max_message
            ));
        }
        Ok(())
    }

    /// How many clients to take, where `descriptors` may be open.
    ///
    /// # Errors
    /// A line that says how many descriptors the wanted number of clients needs.
    pub fn client_limit(&self, descriptors: usize) -> Result<usize, String> {
        let overhead = RESERVED_DESCRIPTORS + REFUSED_CLIENTS_MAX;
        let possible = descriptors.saturating_sub(overhead);
        let wanted = self.max_clients.unwrap_or(possible.max(1));
        if wanted > possible {
            let need = match wanted {
                1 => "1 client needs".to_owned(),
                _ => format!("{wanted} clients need"),
            };
            let files = wanted.saturating_add(overhead);
            // Lowering does not help where there is no room for a single client.
            let or_lower = match possible {
                0 => "",
                _ => ", or lower --max-clients",
            };
            return Err(format!(
                "{need} {files} open files and the limit is {descriptors}; raise it with ulimit -n{or_lower}"
            ));
        }
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the program makes of its arguments, whatever the environment of the tests says.
    fn parsed(arguments: &[&str]) -> Result<Config, clap::Error> {
        let command = Config::command().mut_args(|argument| argument.env(Resettable::Reset));
        let matches = command.try_get_matches_from([&["fanfare"], arguments].concat())?;
        Config::from_arg_matches(&matches)
    }

    #[test]
    fn the_defaults_in_the_help_are_those_of_a_config_made_by_hand() {
        let by_flags = parsed(&[]).expect("no flag is needed");
        assert_eq!(
            format!("{by_flags:#?}"),
            format!("{:#?}", Config::default())
        );
        assert_eq!(by_flags.check(), Ok(()));
    }

    #[test]
    fn as_many_clients_are_taken_as_descriptors_allow() {
        let config = Config::default();
        assert_eq!(config.client_limit(1_024), Ok(1_024 - 96));
        assert_eq!(config.client_limit(97), Ok(1));
        assert!(config.client_limit(96).is_err());
        let line = "1 client needs 97 open files and the limit is 50; raise it with ulimit -n";
        assert_eq!(config.client_limit(50), Err(line.to_owned()));
    }

    #[test]
    fn more_clients_than_descriptors_allow_are_refused() {
        let config = |max_clients| Config {
            max_clients: Some(max_clients),
            ..Config::default()
        };
        assert_eq!(config(10).client_limit(1_024), Ok(10));
        assert_eq!(config(928).client_limit(1_024), Ok(928));
        let line = config(929).client_limit(1_024).expect_err("one too many");
        assert!(
            line.starts_with("929 clients need 1025 open files"),
            "{line}"
        );
        assert!(config(usize::MAX).client_limit(1_024).is_err());
        assert!(line.ends_with("or lower --max-clients"), "{line}");
        let line = config(2).client_limit(96).expect_err("not even one");
        assert!(line.ends_with("raise it with ulimit -n"), "{line}");
    }

    #[test]
    fn one_address_may_have_a_quarter_and_a_hundred_at_least() {
        let config = Config::default();
        assert_eq!(config.clients_per_ip(1_000), (250, false));
        assert_eq!(config.clients_per_ip(399), (100, false));
        let config = Config {
            max_clients_per_ip: Some(3),
            ..config
        };
        assert_eq!(config.clients_per_ip(1_000), (3, true));
    }

    #[test]
    fn pings_come_before_the_pong_is_late() {
        let config = |ping_period| Config {
            ping_period: Some(Duration::from_millis(ping_period)),
            ..waits(10, 10)
        };
        assert_eq!(waits(10, 10).ping_period(), Duration::from_secs(9));
        assert_eq!(config(9_999).check(), Ok(()));
        let line = config(10_000).check().expect_err("it is too late");
        assert!(line.contains("--ping-period (10s)"), "{line}");
        assert!(line.contains("--pong-wait (10s)"), "{line}");
    }

    #[test]
    fn an_address_has_a_port() {
        let config = |addr: &str| Config {
            addr: addr.to_owned(),
            ..Config::default()
        };
        for addr in [":0", "localhost:65535", "[::1]:80"] {
            assert_eq!(config(addr).check(), Ok(()), "{addr}");
        }
        for addr in [
            "",
            ":",
            "localhost",
            "localhost:65536",
            "localhost:http",
            "[::1]",
        ] {
            assert!(config(addr).check().is_err(), "{addr}");
        }
    }

    fn waits(pong: u64, write: u64) -> Config {
        Config {
            pong_wait: Duration::from_secs(pong),
            write_wait: Duration::from_secs(write),
            ..Config::default()
        }
    }

    #[test]
    fn four_of_the_largest_messages_must_fit_into_the_queues() {
        let config = |max_queued| Config {
            max_message: 1_000,
            max_queued,
            ..Config::default()
        };
        assert_eq!(config(4_000).check(), Ok(()));
        let line = config(3_999).check().expect_err("it is too little");
        assert!(line.contains("--max-queued (3999B)"), "{line}");
        assert!(line.contains("--max-message (1000B)"), "{line}");
    }

    #[test]
    fn the_kernel_gives_nobody_up_before_the_server_does() {
        for (pong, write, timeout) in [(60, 10, 70), (3_600, 10, 3_610), (10, 10, 30), (20, 11, 31)]
        {
            let config = waits(pong, write);
            assert_eq!(config.user_timeout(), Duration::from_secs(timeout));
        }
    }

    #[test]
    fn the_kernel_is_told_no_longer_time_than_it_can_count() {
        let millis = waits(u64::MAX, u64::MAX).user_timeout().as_millis();
        assert_eq!(i32::try_from(millis), Ok(i32::MAX));
    }
}
