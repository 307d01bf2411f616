//! What a case is: who sends when, to how many, in which format.

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use crate::list::LAGGARDS;
use crate::support::client::Seat;
use crate::support::format::Format;
use crate::support::message::Filler;
use crate::support::server::{Kind, Needs};
use crate::support::text::grouped;

/// What the clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// They stay, and some of them send.
    Chat(Schedule),
    /// Nobody sends a message: `at_once` clients connect, upgrade and close, again and again.
    Visits { at_once: usize },
    /// One connection sends requests that publish, `at_once` of them together; the clients listen.
    Posts { at_once: usize },
    /// All clients are cut off and come back, while a pair chats at a given pace.
    Resume(Pair),
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
    /// A sender in every room, one after the other; `in_flight` messages are under way, the next leaves when one came back.
    Rotation { in_flight: usize },
}

/// Two clients that chat while others come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) per_s: u32,
    /// Whether they do so in the room of the others, who get all of it.
    pub(crate) is_among_readers: bool,
}

/// One load on one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) scenario: &'static str,
    pub(crate) load: Load,
    /// In all rooms together; those that send events' messages come on top.
    pub(crate) clients: usize,
    pub(crate) message_len: usize,
    pub(crate) format: Format,
    pub(crate) filler: Filler,
    /// Members of each room, where there is more than one room.
    pub(crate) room_len: Option<usize>,
    pub(crate) linger_ms: Option<u32>,
}

/// How a contestant's readers differ from those of others in the same case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    Usual,
    /// Every twentieth client reads only now and then.
    Laggards,
    /// They do not inflate, where the others do.
    Plain,
}

/// One client in so many reads only now and then where laggards are present: 5 %.
pub(crate) const LAGGARD_EVERY: usize = 20;
/// The longest message that servers take if they are told nothing.
const MESSAGE_MAX: usize = 512;

impl Case {
    /// Whether `kind` can take part: a rival is a plain chat on `/ws`, which compresses only if it is the caller's own.
    pub(crate) fn is_open_to(&self, kind: Kind, has_own_rival: bool) -> bool {
        let is_chat = matches!(self.load, Load::Chat(_) | Load::Visits { .. });
        let is_known = match self.format {
            Format::Plain => true,
            Format::Deflated => has_own_rival,
            Format::V1 | Format::Events => false,
        };
        let is_usual = self.room_len.is_none() && self.linger_ms.is_none();
        kind != Kind::Rival || (is_chat && is_known && is_usual)
    }

    /// In which variants `kind` is measured.
    pub(crate) fn variants(&self, kind: Kind) -> &'static [Variant] {
        let is_fanfare = matches!(kind, Kind::Fanfare | Kind::Baseline);
        if self.has_laggards() {
            &[Variant::Usual, Variant::Laggards]
        } else if self.format == Format::Deflated && is_fanfare {
            &[Variant::Plain, Variant::Usual]
        } else {
            &[Variant::Usual]
        }
    }

    /// The same case as such readers have it.
    pub(crate) fn with(self, variant: Variant) -> Self {
        match variant {
            Variant::Usual | Variant::Laggards => self,
            Variant::Plain => Self {
                format: Format::Plain,
                ..self
            },
        }
    }

    /// Whether some of its contestants have laggards.
    fn has_laggards(&self) -> bool {
        self.scenario == LAGGARDS
    }

    /// What a server must be started with.
    pub(crate) fn needs(&self) -> Needs {
        Needs {
            linger_ms: self.linger_ms,
            message_max: (self.message_len > MESSAGE_MAX).then_some(self.message_len),
            deflates: self.format == Format::Deflated,
        }
    }

    /// Whether bytes are counted.
    pub(crate) fn has_readers(&self) -> bool {
        matches!(self.load, Load::Chat(_))
    }

    /// Whether it needs a room full of clients, so that `--clients` applies.
    pub(crate) fn has_crowd(&self) -> bool {
        self.clients > 1
    }

    /// Makes do with as many clients as there can be, in full rooms, and says so.
    pub(crate) fn limit_clients(&mut self, max: usize, out: &mut impl Write) -> io::Result<()> {
        let room_len = self.room_len.unwrap_or(1);
        if self.clients > max {
            let max = max - max % room_len;
            writeln!(
                out,
                "{self}: only {} clients, more descriptors are not allowed",
                grouped(max as u64)
            )?;
            self.clients = max;
        }
        self.clients -= self.clients % room_len;
        Ok(())
    }

    /// Whether its rate is given, so that only latency and cost are found out.
    pub(crate) fn is_paced(&self) -> bool {
        matches!(self.load, Load::Chat(Schedule::Paced { .. }))
    }

    /// The time to measure where others take `duration`: laggards need some to get stuck, and a given pace to
    /// have a tail of latencies.
    pub(crate) fn longer(&self, duration: Duration) -> Duration {
        if self.has_laggards() || self.is_paced() || matches!(self.load, Load::Resume(_)) {
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
            Load::Chat(Schedule::Rotation { in_flight }) => in_flight,
            Load::Posts { at_once } => at_once,
            Load::Chat(Schedule::Paced { .. }) | Load::Visits { .. } | Load::Resume(_) => 0,
        }
    }

    pub(crate) fn rooms(&self) -> usize {
        self.room_len.map_or(1, |len| (self.clients / len).max(1))
    }

    /// Where the clients sit. Rooms stand one after the other.
    pub(crate) fn seats(&self) -> Vec<Seat> {
        let last = self.rooms() - 1;
        let seat = |client| Seat {
            format: self.format,
            room: self.room_len.map_or(0, |len| last.min(client / len)),
        };
        (0..self.clients).map(seat).collect()
    }

    /// What is counted: a delivery is one message at one client.
    pub(crate) fn unit(&self) -> &'static str {
        match self.load {
            Load::Chat(_) => "delivery",
            Load::Visits { .. } => "visit",
            Load::Posts { .. } => "request",
            Load::Resume(_) => "resume",
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.scenario)?;
        if let Load::Visits { at_once } = self.load {
            return write!(f, "{at_once} clients at once come and go");
        }
        write!(f, "{} clients", grouped(self.clients as u64))?;
        if let Some(members) = self.room_len {
            write!(f, " in rooms of {members}")?;
        }
        write!(f, ", {} B, ", self.message_len)?;
        match self.load {
            Load::Chat(Schedule::Rounds { messages }) => write!(f, "{messages} at a time"),
            Load::Chat(Schedule::Windows { senders, in_flight }) => {
                write!(f, "{senders} x {in_flight} in flight")
            }
            Load::Chat(Schedule::Paced { per_s }) => {
                write!(f, "{} messages/s", grouped(per_s.into()))
            }
            Load::Chat(Schedule::Rotation { in_flight }) => {
                write!(f, "room by room, {in_flight} in flight")
            }
            Load::Posts { at_once } => write!(f, "requests, {at_once} at a time"),
            Load::Resume(pair) => {
                let place = if pair.is_among_readers {
                    "the same room"
                } else {
                    "another room"
                };
                write!(f, "a pair chats in {place}, {} times/s", pair.per_s)
            }
            Load::Visits { .. } => Ok(()),
        }?;
        match self.linger_ms {
            Some(ms) => write!(f, ", linger {ms} ms"),
            None => Ok(()),
        }
    }
}
