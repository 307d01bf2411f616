//! What is measured: every scenario with its sizes, in the order in which it runs.

use std::fmt;
use std::time::Duration;

use crate::support::text::grouped;

/// What the clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// They stay, and some of them send.
    Chat(Schedule),
    /// Nobody sends a message: `at_once` clients connect, upgrade and close, again and again.
    Visits { at_once: usize },
}

/// Who sends when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schedule {
    /// One sender; the next `messages` leave together when everyone has received the last.
    Rounds { messages: usize },
    /// Each sender keeps `in_flight` messages under way; the next leaves when one of its own came back.
    Windows { senders: usize, in_flight: usize },
    /// One sender sends by the clock, whatever has arrived: a stall makes every message late that is due meanwhile.
    Paced { per_s: u32 },
}

/// One load on one room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) scenario: &'static str,
    pub(crate) load: Load,
    pub(crate) clients: usize,
    pub(crate) message_len: usize,
}

/// One client in so many reads only now and then where laggards are present: 5 %.
pub(crate) const LAGGARD_EVERY: usize = 20;

pub(crate) const SCENARIOS: [&str; 7] = [
    "turn", "steady", "flood", "burst", LAGGARDS, "inbound", "visits",
];

/// All cases, in the order in which they run.
pub(crate) const ALL: [Case; 25] = [
    case("turn", rounds(1), 10, 64),
    case("turn", rounds(1), 100, 64),
    case("turn", rounds(1), 1_000, 64),
    case("turn", rounds(1), 5_000, 64),
    case("turn", rounds(1), 1_000, 16),
    case("turn", rounds(1), 1_000, 512),
    case("steady", paced(1_000), 100, 64),
    case("steady", paced(100), 1_000, 64),
    case("flood", windows(1, 1), 100, 64),
    case("flood", windows(16, 1), 100, 64),
    case("flood", windows(16, 4), 100, 64),
    case("flood", windows(16, 16), 100, 64),
    case("flood", windows(1, 1), 1_000, 64),
    case("flood", windows(16, 1), 1_000, 64),
    case("flood", windows(16, 4), 1_000, 64),
    case("flood", windows(16, 16), 1_000, 64),
    case("flood", windows(16, 16), 1_000, 16),
    case("flood", windows(16, 16), 1_000, 512),
    case("burst", rounds(200), 100, 64),
    case("burst", rounds(200), 1_000, 64),
    case(LAGGARDS, windows(16, 16), 1_000, 64),
    // Fills what the kernel holds for a laggard, up to 4 MiB, several times over even on a slow machine.
    case(LAGGARDS, windows(16, 16), 1_000, 512),
    case("inbound", windows(1, 128), 1, 64),
    case("inbound", windows(1, 1_024), 1, 64),
    case("visits", Load::Visits { at_once: 64 }, 0, 0),
];

const LAGGARDS: &str = "laggards";

const fn case(scenario: &'static str, load: Load, clients: usize, message_len: usize) -> Case {
    Case {
        scenario,
        load,
        clients,
        message_len,
    }
}

const fn rounds(messages: usize) -> Load {
    Load::Chat(Schedule::Rounds { messages })
}

const fn windows(senders: usize, in_flight: usize) -> Load {
    Load::Chat(Schedule::Windows { senders, in_flight })
}

const fn paced(per_s: u32) -> Load {
    Load::Chat(Schedule::Paced { per_s })
}

impl Case {
    /// Whether it is measured twice, the second time with every twentieth client reading only now and then.
    pub(crate) fn has_laggards(&self) -> bool {
        self.scenario == LAGGARDS
    }

    /// Whether it needs a room full of clients, so that `--clients` applies.
    pub(crate) fn has_crowd(&self) -> bool {
        self.clients > 1
    }

    /// Whether its rate is given, so that only latency and cost are found out.
    pub(crate) fn is_paced(&self) -> bool {
        matches!(self.load, Load::Chat(Schedule::Paced { .. }))
    }

    /// The time to measure where others take `duration`: laggards need some to get stuck, and a given pace to
    /// have a tail of latencies.
    pub(crate) fn longer(&self, duration: Duration) -> Duration {
        if self.has_laggards() || self.is_paced() {
            3 * duration
        } else {
            duration
        }
    }

    /// Messages under way at most; 0 where nothing limits them.
    pub(crate) fn in_flight(&self) -> usize {
        match self.load {
            Load::Chat(Schedule::Rounds { messages }) => messages,
            Load::Chat(Schedule::Windows { senders, in_flight }) => senders * in_flight,
            Load::Chat(Schedule::Paced { .. }) | Load::Visits { .. } => 0,
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            scenario,
            message_len,
            ..
        } = *self;
        let clients = grouped(self.clients as u64);
        write!(f, "{scenario}: ")?;
        match self.load {
            Load::Chat(Schedule::Rounds { messages }) => {
                write!(
                    f,
                    "{clients} clients, {message_len} B, {messages} at a time"
                )
            }
            Load::Chat(Schedule::Windows { senders, in_flight }) => {
                write!(
                    f,
                    "{clients} clients, {message_len} B, {senders} x {in_flight} in flight"
                )
            }
            Load::Chat(Schedule::Paced { per_s }) => {
                write!(
                    f,
                    "{clients} clients, {message_len} B, {} messages/s",
                    grouped(per_s.into())
                )
            }
            Load::Visits { at_once } => write!(f, "{at_once} clients at once come and go"),
        }
    }
}
