//! The backplane: one stream at a broker (Valkey or Redis) that orders what all nodes publish.
//!
//! What is published here is appended to the stream, and only what is read from the stream is delivered. This is the
//! protocol of both, without input and output: bytes and time come in as arguments, bytes and events go out. Two
//! connections, one that appends and one that reads, go up and down together.
//!
//! A turn is: [`Backplane::receive`], [`Backplane::begin_turn`], [`Backplane::next_event`] until there is none or enough,
//! [`Backplane::say`] and its like, [`Backplane::flush`], then what is [`Backplane::unsent`] is sent.

mod appender;
mod backoff;
mod bytes;
mod command;
mod connections;
mod entry;
mod event;
mod facts;
mod heads;
mod link;
mod login;
mod lost;
mod presence;
mod probes;
mod queue;
mod random;
mod reader;
mod reply;
mod said;
mod scanner;
mod script;
mod send;
mod settings;
mod stats;
mod stream_id;
mod turn;

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use self::appender::Appender;
use self::backoff::Backoff;
use self::entry::{Messages, NODE_LEN, Node};
use self::heads::Heads;
use self::presence::Presence;
use self::probes::Probes;
use self::queue::Queue;
use self::random::Random;
use self::reader::Reader;
use self::said::Told;
use self::stats::AppendTimes;
use self::stream_id::StreamId;
use crate::id::ClientId;
use crate::observe::log_limiter::LogLimiter;
use crate::room::id::{Epoch, Id};

pub use self::appender::{NODES_MAX, REFUSALS_MAX};
pub use self::backoff::{WAIT_MAX, WAIT_MIN};
pub use self::event::{Event, Line};
pub use self::heads::{SUPERSEDED_MAX, TOUCHES_MAX};
pub use self::link::ANSWER_WAIT;
pub use self::presence::{HEARTBEAT_PERIOD, NODE_TTL};
pub use self::probes::{PROBE_FRESH, PROBE_PERIOD};
pub use self::queue::{IN_FLIGHT_LEN_MAX, IN_FLIGHT_MAX};
pub use self::reader::{READ_BLOCK, READ_ENTRIES_MAX};
pub use self::reply::REPLY_LEN_MAX;
pub use self::said::ENTRY_TEXT_MAX;
pub use self::scanner::{REPLY_DEPTH_MAX, REPLY_ITEMS_MAX, REPLY_LINE_MAX};
pub use self::script::scripts;
pub use self::settings::Settings;
pub use self::stats::{APPEND_TIMES_MAX, Stats};

/// What an entry's reply may have beside the text of its longest message, in bytes.
const ENTRY_OVERHEAD_MAX: usize = 64 * 1024;

/// How far the connections are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Neither is there. Both are tried again then.
    Away { retry_at: Duration },
    /// The one that appends is being made.
    Greeting,
    /// It is there, and the one that reads is being made, or has not reached the end of the stream.
    Filling,
    /// Both are there.
    Up,
}

/// What an event will say, before it borrows from the state.
enum Next {
    Connected,
    Lost,
    Entry(Messages),
    Head(Id),
    Told(Told),
    Elsewhere(usize),
}

/// What the log was told last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Logged {
    Nothing,
    Away,
    There,
}

/// The state of the backplane.
#[derive(Debug)]
pub struct Backplane {
    settings: Settings,
    node: Node,
    random: Random,
    backoff: Backoff,
    appender: Appender,
    reader: Reader,
    queue: Queue,
    heads: Heads,
    presence: Presence,
    probes: Probes,
    phase: Phase,
    /// The generation of the stream that this node knows.
    generation: Option<Epoch>,
    /// The run of the broker that was connected to last.
    run: Option<String>,
    /// The last entry that this node has.
    taken: StreamId,
    /// How many entries and probes this node has sent.
    counter: u64,
    now: Duration,
    unix_ms: u64,
    notices: VecDeque<bool>,
    /// The room that the last event was about.
    room: Rc<str>,
    was_up: bool,
    logged: Logged,
    malformed: LogLimiter,
    stats: Stats,
    append_times: AppendTimes,
}

impl Backplane {
    /// A node that has no connection yet. Its name, and whatever else is drawn, comes from the seed.
    pub fn new(settings: Settings, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let node = random.letters::<NODE_LEN>();
        let reply_max = REPLY_LEN_MAX.max(settings.message_max.saturating_add(ENTRY_OVERHEAD_MAX));
        Self {
            settings,
            node,
            random,
            backoff: Backoff::default(),
            appender: Appender::new(reply_max),
            reader: Reader::new(reply_max),
            queue: Queue::default(),
            heads: Heads::default(),
            presence: Presence::default(),
            probes: Probes::default(),
            phase: Phase::Away {
                retry_at: Duration::ZERO,
            },
            generation: None,
            run: None,
            taken: StreamId::START,
            counter: 0,
            now: Duration::ZERO,
            unix_ms: 0,
            notices: VecDeque::new(),
            room: "".into(),
            was_up: false,
            logged: Logged::Nothing,
            malformed: LogLimiter::default(),
            stats: Stats::default(),
            append_times: AppendTimes::default(),
        }
    }

    /// The next event.
    pub fn next_event(&mut self) -> Option<Event<'_>> {
        let event = match self.next()? {
            Next::Connected => Event::Connected,
            Next::Lost => Event::Lost,
            Next::Head(id) => Event::Head {
                room: &self.room,
                id,
            },
            Next::Elsewhere(count) => Event::Elsewhere {
                room: &self.room,
                count,
            },
            Next::Told(Told::Appended { by, id }) => Event::Appended { by, id },
            Next::Told(Told::GaveUp { by }) => Event::GaveUp { by },
            Next::Entry(messages) => {
                let page = self.reader.page()?;
                Event::Entry {
                    room: page.slice(&messages.room),
                    first: messages.first,
                    count: messages.count,
                    text: page.slice(&messages.text),
                }
            }
        };
        Some(event)
    }

    /// Whether [`Backplane::next_event`] has something to tell, or something to look at first.
    pub fn has_events(&self) -> bool {
        !self.notices.is_empty()
            || self.queue.has_told()
            || self.presence.has_told()
            || self.reader.has_entries()
            || self.phase == Phase::Up && self.heads.has_told(self.reader.position)
    }

    /// Publishes one message of a member.
    pub fn say(&mut self, room: &str, by: ClientId, message: &str) {
        self.queue.say(room, by, message, self.now);
    }

    /// Publishes messages together, of which there is at least one. The publisher is told: [`Event::Appended`] or
    /// [`Event::GaveUp`].
    pub fn post<'a>(
        &mut self,
        room: &str,
        by: ClientId,
        messages: impl Iterator<Item = &'a str> + Clone,
        key: Option<&[u8]>,
    ) {
        self.queue.post(room, by, messages, key, self.now);
    }

    /// Takes back what a client published and what is not sent by the end of the turn.
    pub fn withdraw(&mut self, by: ClientId) {
        self.queue.withdraw(by);
    }

    /// Asks where a room's messages end: [`Event::Head`] follows. Forgotten while the backplane is not up.
    pub fn ask_head(&mut self, room: &str) {
        if self.is_up() {
            self.heads.ask(room);
        }
    }

    /// How many listen to a room here.
    pub fn note_count(&mut self, room: &str, count: usize) {
        self.presence.note_count(room, count);
    }

    /// Whether somebody here wants to know how many listen elsewhere. At first nobody does.
    pub fn watch_counts(&mut self, room: &str, is_watched: bool) {
        self.presence.watch(room, is_watched);
    }

    /// Whether both connections are there and all was read that was there at first.
    pub fn is_up(&self) -> bool {
        self.phase == Phase::Up
    }

    /// Whether it is up, and a probe was read back in time.
    pub fn is_ready(&self) -> bool {
        self.is_up() && self.probes.are_fresh(self.now)
    }

    /// How many bytes wait: to be appended, to be answered, or to be taken.
    pub fn queued_len(&self) -> usize {
        self.queue.held_len() + self.appender.link.held_len() + self.reader.held_len()
    }

    /// Whether something published here is not yet known to be in the stream.
    pub fn has_unanswered(&self) -> bool {
        self.queue.has_unanswered()
    }

    /// How long what is published may wait to be appended.
    pub fn wait(&self) -> Duration {
        self.settings.wait
    }

    /// Counts for the metrics.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// How long appends took since the last call, from being sent to being answered; at most [`APPEND_TIMES_MAX`].
    pub fn take_append_times(&mut self) -> Vec<Duration> {
        self.append_times.take()
    }
}
