//! Every setting: its unit, its default, its reason; and the bounds that are not settings.
//!
//! # What one client can cost, in bytes
//!
//! | what | at most | when |
//! |---|---|---|
//! | its slot in the slab | 104 | always |
//! | its seat in the room, its entry in the deadlines | 8 each | always |
//! | a request head that is not whole | twice [`HEAD_MAX`](crate::http::HEAD_MAX), 16 KiB: buffers double as they grow | until it is |
//! | a PROXY header that is not whole | 128 | until it is, `--request-timeout` at most |
//! | a trusted proxy's own address | 72 | while it sends requests of its clients |
//! | a publication whose body is not whole | [`PUBLICATION_LEN_MAX`], 256 KiB, with `lines=1`, else `--max-message`; and 500 | until it is, `--request-timeout` at most |
//! | a message that is not whole | `--max-message` and 4 KiB; where it is compressed an eighth more | until it is, `--pong-wait` at most |
//! | what it sent beyond a full batch | [`READ_LEN`], 64 KiB | until the next turn |
//! | answers and echoes it does not take | twice [`PRIVATE_LEN_MAX`] and those to one more read: 256 KiB, or one message of `--max-message` | `--write-wait` at most |
//! | pings and pongs it does not take | twice [`PONGS_MAX`](crate::outbox::PONGS_MAX), 4 KiB | `--write-wait` at most |
//! | its token's end, if it expires | 16 to 64 | until then, or until half of such entries are of clients that left |
//! | its cursor into the room's log, wherever it starts | 300 | while it is behind |
//!
//! Only some of this can come together: with the defaults the worst client costs about 500 KiB while it speaks HTTP,
//! and 72 KiB in the room; an idle one costs 120 bytes, be it a WebSocket or an event source.
//!
//! # What a room can cost
//!
//! | what | bytes | when |
//! |---|---|---|
//! | itself, its name, its place among the names | 120, 30 and the name, 30 to 55 | while it has listeners or history, and 5 minutes longer |
//! | its log | 150, and 64 for each batch, up to four times over | while there is something in it, and 5 minutes longer |
//! | its history | `--history-size`, with what holds each batch | `--history-age` at most |
//! | what its readers have still to get | four times `--send-queue` messages, or as many publications, and what one turn brings | while one is behind |
//! | the framings of that | with one for each way to read: 50 and the text for each message, in the longest one | while one reads them |
//!
//! History is kept in one framing, and the others are made again for those who read it. Messages of one byte grow most:
//! a publication of 256 KiB takes 10 MB while it is read in all framings.
//!
//! # What the whole can cost
//!
//! | what | bound |
//! |---|---|
//! | the logs of all rooms as far as readers need them, in all framings; answers and echoes; bodies that are not whole; what is left to the next turn | `--max-queued`, and what one turn adds: those for which most is held are dropped |
//! | the history of all rooms | `--max-history` |
//! | the rooms | `--max-rooms`, with the defaults 10 MB |
//! | idempotency keys | 100,000 of all rooms together: 20 MB |
//! | free buffers | 1 MiB for texts, 1 MiB for other framings, 1 MiB for compressed ones |
//! | the compressor and the inflater | 400 KiB, twice the longest text that is compressed, and one message of `--max-message` while it is inflated |
//! | clients | `--max-clients` times what is not in the sums above: heads and messages that are not whole |
//!
//! For a large `--max-message` choose `--max-clients` to fit. The allocator may keep what was freed: what is resident
//! comes close to the highest that was needed, and does not grow beyond it.

mod access;
mod addr;
mod backplane;
mod bounds;
mod broker_url;
mod chat;
mod deflate;
mod environment;
mod file;
mod host;
mod loaded;
mod log;
mod network;
mod one_line;
mod print;
mod regular_file;
mod rooms;
mod secret;
mod setting;
mod startup;
mod template;
mod timeouts;
mod values;

use clap::builder::Resettable;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

pub use access::{AccessSettings, JWT_KEY_LEN_MIN, TOKEN_LEN_MAX};
pub use addr::Addr;
pub use backplane::{
    BACKPLANE_ENTRIES_MAX, BACKPLANE_ENTRIES_MIN, BACKPLANE_WAIT_MAX, BackplaneSettings,
    PREFIX_LEN_MAX,
};
pub use bounds::*;
pub use broker_url::BrokerUrl;
pub use chat::{ChatSettings, SlowPolicy};
pub use deflate::DeflateSettings;
pub use environment::{UnknownVariable, unknown_variables};
pub use file::CONFIG_FILE_LEN_MAX;
pub use host::{AllowedHost, Hosts};
pub use loaded::{LoadError, Loaded};
pub use log::{LogFormat, LogSettings};
pub use network::NetworkSettings;
pub use rooms::RoomSettings;
pub use secret::{SECRET_FILE_MAX, Secret, SecretFile};
pub use startup::StartSettings;
pub use template::settings_template;
pub use timeouts::Timeouts;

/// A WebSocket chat and broadcast server with rooms that remember.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "fanfare",
    version,
    about = "A WebSocket chat and broadcast server with rooms that remember",
    long_about = None,
    after_help = "Each setting can also come from the environment: FANFARE_ and the flag's name, such as \
                  FANFARE_MAX_CLIENTS; or from a file (--config). Flags win, then the environment."
)]
pub struct Config {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Where to listen, and for whom.
    #[command(flatten)]
    pub network: NetworkSettings,
    /// Who may listen and publish, and by what name the server is asked.
    #[command(flatten)]
    pub access: AccessSettings,
    /// What a message may be, and how much may wait.
    #[command(flatten)]
    pub chat: ChatSettings,
    /// How many rooms there are, and what they keep.
    #[command(flatten)]
    pub rooms: RoomSettings,
    /// Whether messages are compressed, and how.
    #[command(flatten)]
    pub compression: DeflateSettings,
    /// Where several nodes meet.
    #[command(flatten)]
    pub backplane: BackplaneSettings,
    /// How long each wait may last.
    #[command(flatten)]
    pub timeouts: Timeouts,
    /// What is logged, and how.
    #[command(flatten)]
    pub log: LogSettings,
    /// Where the settings come from, and what to do with them.
    #[command(flatten)]
    pub start: StartSettings,
}

/// What the program does besides serving.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Ask a running server whether it lives: exit code 0 if it does, 1 otherwise
    Health {
        /// What to ask: http://HOST:PORT/PATH or unix:/PATH [default: /healthz at --admin-addr, or else at the
        /// first --addr, as they stand before this word, in the environment or in the settings file]
        url: Option<String>,
    },
}

impl Default for Config {
    /// The settings of a server started without flags, whatever the environment says.
    fn default() -> Self {
        let command = Self::command().mut_args(|argument| argument.env(Resettable::Reset));
        let matches = command.get_matches_from(["fanfare"]);
        Self::from_arg_matches(&matches).expect("the tests parse the defaults")
    }
}

impl Config {
    /// Checks what no single setting can know.
    ///
    /// # Errors
    /// A line that says which settings contradict each other.
    pub fn check(&self) -> Result<(), String> {
        if self.timeouts.ping_period() >= self.timeouts.pong_wait {
            return Err(format!(
                "--ping-period ({}) must be below --pong-wait ({}), or every client is lost",
                humantime::format_duration(self.timeouts.ping_period()),
                humantime::format_duration(self.timeouts.pong_wait)
            ));
        }
        if self.chat.max_queued < self.chat.max_message.saturating_mul(QUEUED_MESSAGES_MIN) {
            return Err(format!(
                "--max-queued ({}B) must be at least {QUEUED_MESSAGES_MIN} times --max-message ({}B), or \
                 one message would drop everybody it waits for",
                self.chat.max_queued, self.chat.max_message
            ));
        }
        self.access.check()
    }

    /// How many clients to take, where `descriptors` may be open.
    ///
    /// # Errors
    /// A line that says how many descriptors the wanted number of clients needs.
    pub fn client_limit(&self, descriptors: usize) -> Result<usize, String> {
        let overhead = RESERVED_DESCRIPTORS + REFUSED_CLIENTS_MAX + ADMIN_CLIENTS_MAX;
        let possible = descriptors.saturating_sub(overhead);
        let wanted = self.network.max_clients.unwrap_or(possible.max(1));
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
    use std::time::Duration;

    use super::*;

    fn with(change: impl FnOnce(&mut Config)) -> Config {
        let mut config = Config::default();
        change(&mut config);
        config
    }

    /// What the program makes of its arguments, whatever the environment of the tests says.
    fn parsed(arguments: &[&str]) -> Result<Config, clap::Error> {
        let command = Config::command().mut_args(|argument| argument.env(Resettable::Reset));
        let matches = command.try_get_matches_from([&["fanfare"], arguments].concat())?;
        Config::from_arg_matches(&matches)
    }

    #[test]
    fn the_defaults_make_sense() {
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
        assert_eq!(config.client_limit(1_024), Ok(1_024 - 112));
        assert_eq!(config.client_limit(113), Ok(1));
        assert!(config.client_limit(112).is_err());
        let line = "1 client needs 113 open files and the limit is 50; raise it with ulimit -n";
        assert_eq!(config.client_limit(50), Err(line.to_owned()));
    }

    #[test]
    fn more_clients_than_descriptors_allow_are_refused() {
        let config = |max_clients| with(|config| config.network.max_clients = Some(max_clients));
        assert_eq!(config(10).client_limit(1_024), Ok(10));
        assert_eq!(config(912).client_limit(1_024), Ok(912));
        let line = config(913).client_limit(1_024).expect_err("one too many");
        assert!(
            line.starts_with("913 clients need 1025 open files"),
            "{line}"
        );
        assert!(config(usize::MAX).client_limit(1_024).is_err());
        assert!(line.ends_with("or lower --max-clients"), "{line}");
        let line = config(2).client_limit(112).expect_err("not even one");
        assert!(line.ends_with("raise it with ulimit -n"), "{line}");
    }

    #[test]
    fn one_address_may_have_a_quarter_and_a_hundred_at_least() {
        let config = Config::default();
        assert_eq!(config.network.clients_per_ip(1_000), (250, false));
        assert_eq!(config.network.clients_per_ip(399), (100, false));
        let config = with(|config| config.network.max_clients_per_ip = Some(3));
        assert_eq!(config.network.clients_per_ip(1_000), (3, true));
    }

    #[test]
    fn pings_come_before_the_pong_is_late() {
        let config = |ping_period| {
            let mut config = waits(10, 10);
            config.timeouts.ping_period = Some(Duration::from_millis(ping_period));
            config
        };
        let default = |pong_wait| waits(pong_wait, 10).timeouts.ping_period();
        assert_eq!(default(10), Duration::from_secs(9));
        assert_eq!(default(60), Duration::from_secs(25));
        assert_eq!(config(9_999).check(), Ok(()));
        let line = config(10_000).check().expect_err("it is too late");
        assert!(line.contains("--ping-period (10s)"), "{line}");
        assert!(line.contains("--pong-wait (10s)"), "{line}");
    }

    fn waits(pong: u64, write: u64) -> Config {
        with(|config| {
            config.timeouts.pong_wait = Duration::from_secs(pong);
            config.timeouts.write_wait = Duration::from_secs(write);
        })
    }

    #[test]
    fn four_of_the_largest_messages_must_fit_into_the_queues() {
        let config = |max_queued| {
            with(|config| {
                config.chat.max_message = 1_000;
                config.chat.max_queued = max_queued;
            })
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
            assert_eq!(config.timeouts.user_timeout(), Duration::from_secs(timeout));
        }
    }

    #[test]
    fn the_kernel_is_told_no_longer_time_than_it_can_count() {
        let millis = waits(u64::MAX, u64::MAX)
            .timeouts
            .user_timeout()
            .as_millis();
        assert_eq!(i32::try_from(millis), Ok(i32::MAX));
    }
}
