//! A reader that comes back, on whichever node: all that it receives over all its connections is checked against what
//! the stream was told.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use super::Happened;
use super::truth::Truth;
use crate::guarantee::steps::limit;
use crate::random::Random;
use crate::world::ledger::{self, Rules};
use crate::world::listener::{Item, Kind, Listener, Position, Start};

/// What a connection asked for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) since: Option<Position>,
    /// No room has given that id.
    pub(super) is_bogus: bool,
    pub(super) last: Option<u64>,
}

/// What is known when something is received.
pub(super) struct Facts<'a> {
    pub(super) truth: &'a Truth,
    pub(super) rules: &'a Rules,
    /// History is never too short nor too old.
    pub(super) keeps_all: bool,
    pub(super) wait: Duration,
    pub(super) now: Duration,
    pub(super) room: &'a str,
}

/// A reader and its connection, if it has one.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) name: String,
    pub(super) room: usize,
    pub(super) kind: Kind,
    /// Where it listens, or did.
    pub(super) node: usize,
    pub(super) listener: Option<Listener>,
    /// Behind the last message that it received, or was told to be missing.
    pub(super) position: Option<Position>,
    /// Nothing befell this connection: it has to last.
    pub(super) is_steady: bool,
    /// It reads nothing for now.
    pub(super) is_dozing: bool,
    pub(super) wants_here: bool,
    /// How many listen, as it was told.
    pub(super) here: Option<usize>,
    asked: Asked,
    start: Option<Start>,
    /// A gap that an event source was told in its first line, and is told again.
    repeated_gap: Option<(Position, Option<u64>)>,
    /// The lives of the room that it has seen the end of.
    past: HashSet<String>,
    /// Without ids: where the last message may stand.
    run: Vec<Position>,
    /// Which of its connections it is.
    connection: usize,
    said: usize,
    /// What it has said and not received, and when.
    unheard: VecDeque<(Duration, String)>,
    /// It was told on this connection that something is missing.
    has_gap: bool,
    /// It was told that what it said may not have been appended.
    pub(super) was_given_up: bool,
}

impl Follower {
    pub(super) fn new(name: String, room: usize, kind: Kind) -> Self {
        Self {
            name,
            room,
            kind,
            node: 0,
            listener: None,
            position: None,
            is_steady: true,
            is_dozing: false,
            wants_here: false,
            here: None,
            asked: Asked::default(),
            start: None,
            repeated_gap: None,
            past: HashSet::new(),
            run: Vec::new(),
            connection: 0,
            said: 0,
            unheard: VecDeque::new(),
            has_gap: false,
            was_given_up: false,
        }
    }

    /// Begins a connection.
    pub(super) fn begin(&mut self, listener: Listener, node: usize, asked: Asked) {
        assert!(self.listener.is_none());
        if asked.since.is_none() {
            self.position = None;
            self.past.clear();
        }
        self.listener = Some(listener);
        self.node = node;
        self.asked = asked;
        self.is_steady = true;
        self.is_dozing = false;
        self.here = None;
        self.start = None;
        self.repeated_gap = None;
        self.run.clear();
        self.connection += 1;
        self.said = 0;
        self.unheard.clear();
        self.has_gap = false;
        self.was_given_up = false;
    }

    /// The name that its messages bear. Each connection has its own: what two of them said may come in any order.
    pub(super) fn publisher(&self) -> String {
        format!("{}c{}", self.name, self.connection)
    }

    /// Which number its next message has.
    pub(super) fn next_number(&mut self) -> usize {
        self.said += 1;
        self.said - 1
    }

    pub(super) fn note_said(&mut self, text: String, now: Duration) {
        self.unheard.push_back((now, text));
    }

    /// What it has said and not received. It says nothing more on this connection.
    pub(super) fn take_unheard(&mut self) -> Vec<String> {
        self.was_given_up = false;
        self.unheard.drain(..).map(|(_, text)| text).collect()
    }

    /// Takes what came, and checks it.
    pub(super) fn hear(&mut self, facts: &Facts<'_>, happened: &mut Happened) {
        let Some(listener) = &mut self.listener else {
            return;
        };
        let has_ended = listener.peer.is_closed() || listener.peer.socket().server_has_shut;
        for item in listener.take() {
            self.hear_item(item, facts, happened);
        }
        if has_ended && let Some(listener) = self.listener.take() {
            assert!(!self.is_steady, "{} was cut off", self.name);
            listener.peer.shut();
        }
    }

    fn hear_item(&mut self, item: Item, facts: &Facts<'_>, happened: &mut Happened) {
        let name = &self.name;
        let repeated_gap = self.repeated_gap.take();
        match item {
            Item::Status(status) => assert!(matches!(status, 101 | 200), "{name}: {status}"),
            Item::Start(start, position) => {
                happened.note_start(start);
                self.hear_start(start, position, facts);
            }
            Item::Message(Some(id), text) => {
                facts.truth.check_message(&id, &text);
                let position = self.position.as_ref().expect("the first line came first");
                assert_eq!(id, position.at(position.seq + 1), "what {name} gets next");
                self.position = Some(id);
                self.hear_own(&text);
            }
            Item::Message(None, text) => {
                self.hear_plain(&text, facts.truth);
                self.hear_own(&text);
            }
            Item::Gap(position, count) if repeated_gap.is_some() => {
                assert_eq!(Some((position, count)), repeated_gap, "{name}");
            }
            Item::Gap(position, count) => {
                match count {
                    Some(_) if facts.rules.skips && !self.is_steady => happened.skips += 1,
                    Some(_) => {
                        assert!(facts.truth.was_trimmed, "{name} was told of a gap");
                        happened.holes += 1;
                    }
                    None => {
                        // The first message of the new life is in the stream.
                        let is_whole = facts.truth.was_trimmed || position.seq == 0;
                        assert!(is_whole, "{name} goes on from {position}");
                        happened.unknown_holes += 1;
                    }
                }
                let from = self.position.clone().expect("the first line came first");
                self.pass_gap(&from, &position, count, facts);
                self.position = Some(position);
                self.has_gap = true;
            }
            Item::Here(count) => {
                assert!(self.wants_here && self.start.is_some(), "{name}");
                self.here = Some(count);
            }
            Item::Ping => {}
            Item::Close(code) => self.hear_close(code, facts, happened),
        }
    }

    fn hear_start(&mut self, start: Start, position: Position, facts: &Facts<'_>) {
        let (name, asked) = (&self.name, &self.asked);
        assert!(self.start.is_none(), "{name} starts once");
        facts.truth.check_position(facts.room, &position);
        match (start, asked.since.clone()) {
            (Start::Fresh, None) => {}
            (Start::Resumed, Some(since)) => {
                assert!(!asked.is_bogus, "{name}: {asked:?}");
                assert_eq!(position, since, "where {name} goes on");
            }
            (Start::Gap(None), Some(_)) if asked.is_bogus => {}
            (Start::Gap(count), Some(since)) => {
                assert!(!asked.is_bogus, "{name}: {asked:?}");
                self.pass_gap(&since, &position, count, facts);
                self.check_history(count, &position, facts);
            }
            _ => panic!("{name}: {asked:?} was answered with {start:?} {position}"),
        }
        if let (Start::Gap(count), Kind::Events) = (start, self.kind) {
            self.repeated_gap = Some((position.clone(), count));
        }
        self.start = Some(start);
        self.position = Some(position);
    }

    /// A hole must have the size that is told. It is unknown only where the broker has forgotten something.
    fn pass_gap(&mut self, from: &Position, to: &Position, count: Option<u64>, facts: &Facts<'_>) {
        let name = &self.name;
        facts.truth.check_position(facts.room, to);
        match count {
            Some(count) => {
                let missing = to.seq.checked_sub(from.seq);
                assert_eq!(from.epoch, to.epoch, "{name}");
                assert_eq!(missing, Some(count), "{name}: from {from} to {to}");
                assert!(count > 0, "{name}: from {from} to {to}");
            }
            None => {
                assert!(
                    facts.truth.loss_count() > 0,
                    "{name}: ? from {from} to {to}, and nothing was lost"
                );
                assert_ne!(from.epoch, to.epoch, "{name}: ? from {from} to {to}");
                let is_back = self.past.contains(&to.epoch);
                assert!(!is_back, "{name} goes back from {from} to {to}");
                self.past.insert(from.epoch.clone());
            }
        }
    }

    /// As much is replayed as is kept.
    fn check_history(&self, gap: Option<u64>, position: &Position, facts: &Facts<'_>) {
        let (name, asked, rules) = (&self.name, &self.asked, facts.rules);
        if facts.truth.was_trimmed {
            return;
        }
        if facts.keeps_all && asked.last.is_none() {
            assert_eq!((gap, position.seq), (None, 0), "{name}: {asked:?}");
        }
        let is_old = facts.truth.loss_count() > 0;
        if !is_old && !rules.has_size_bounds && rules.age >= Duration::from_secs(3_600) {
            let kept = rules.history.min(asked.last.unwrap_or(u64::MAX));
            let head = facts.truth.head_of(&position.epoch);
            let is_enough = position.seq.saturating_add(kept) <= head;
            assert!(is_enough, "{name}: {asked:?} {position}, {head}");
        }
    }

    /// A message without an id follows the one before it.
    fn hear_plain(&mut self, text: &str, truth: &Truth) {
        let ids = truth.ids_of(text);
        assert!(!ids.is_empty(), "{text:?} was never appended");
        let follows = |id: &&Position| {
            let mut before = self.run.iter();
            before.any(|before| before.at(before.seq + 1) == **id)
        };
        let next: Vec<Position> = match self.run.is_empty() {
            true => ids.to_vec(),
            false => ids.iter().filter(follows).cloned().collect(),
        };
        assert!(
            !next.is_empty(),
            "{}: {text:?} at {ids:?} after {:?}",
            self.name,
            self.run
        );
        self.run = next;
    }

    /// What it said comes back in order.
    fn hear_own(&mut self, text: &str) {
        if ledger::number_of(text, &self.publisher()).is_none() {
            return;
        }
        if self.has_gap {
            self.unheard.retain(|(_, said)| said != text);
        } else {
            let first = self.unheard.pop_front().map(|(_, text)| text);
            assert_eq!(first.as_deref(), Some(text), "what {} said", self.name);
        }
    }

    fn hear_close(&mut self, code: u16, facts: &Facts<'_>, happened: &mut Happened) {
        if code == 1013 {
            let is_late = |(said, _): &(Duration, String)| *said + facts.wait <= facts.now;
            let has_waited = self.unheard.front().is_some_and(is_late);
            let has_missed = !self.kind.has_ids() && facts.truth.may_have_holes();
            assert!(
                has_waited || has_missed,
                "{} was closed at {:?}: {:?}",
                self.name,
                facts.now,
                self.unheard.front()
            );
            self.was_given_up = has_waited;
            happened.given_up += u64::from(has_waited);
            happened.missed += u64::from(!has_waited);
        } else {
            assert!(!self.is_steady, "{} was closed with {code}", self.name);
        }
        self.is_steady = false;
    }

    /// Its socket takes less from now on.
    pub(super) fn limit(&mut self, random: &mut Random) {
        self.is_steady = false;
        if let Some(listener) = &self.listener {
            limit(random, &listener.peer);
        }
    }

    /// It takes all there is from now on.
    pub(super) fn wake(&mut self) {
        self.is_dozing = false;
        if let Some(listener) = &self.listener {
            listener.peer.socket().write_max = usize::MAX;
            listener.peer.set_room(usize::MAX);
        }
    }

    /// All is calm, and `last` is the last message of its room: it has received everything.
    pub(super) fn check_caught_up(&self, last: &Position) {
        let name = &self.name;
        if self.kind.has_ids() {
            assert_eq!(self.position.as_ref(), Some(last), "where {name} is");
        } else {
            let run = &self.run;
            assert!(run.contains(last), "{name} is at {run:?}, not {last}");
        }
        let is_complete = !self.is_steady || self.has_gap || self.unheard.is_empty();
        assert!(
            is_complete,
            "{name} never received {:?}",
            self.unheard.front()
        );
    }

    /// Whether the server has closed its connection.
    pub(super) fn is_cut_off(&self) -> bool {
        let listener = self.listener.as_ref();
        listener.is_some_and(|listener| listener.peer.is_closed())
    }

    pub(super) fn is_connected(&self) -> bool {
        self.listener.is_some()
    }

    /// Whether it may say something.
    pub(super) fn may_talk(&self) -> bool {
        self.is_connected() && self.is_steady && self.kind.is_websocket()
    }
}
