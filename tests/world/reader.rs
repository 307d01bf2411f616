//! A reader that comes back: what it asks for, and that all its connections together give it every message once, in
//! order, with a gap of exactly the right size wherever some are missing.

use std::mem;

use super::ledger::{self, Asked, Ledger, Rules};
use super::listener::{Item, Kind, Listener, Position, Start};
use super::wire;

/// A reader and its connection, if it has one.
#[derive(Debug)]
pub struct Reader {
    pub name: String,
    /// Which room it listens to.
    pub room: usize,
    pub kind: Kind,
    pub listener: Option<Listener>,
    /// Behind the last message that it received, or was told to be missing.
    pub position: Option<Position>,
    pub asked: Asked,
    /// How many listen, as it was told.
    pub here: Option<usize>,
    pub wants_here: bool,
    /// Nothing befell this connection: it has to last.
    pub is_steady: bool,
    /// It reads nothing for now: what its socket takes lies between it and the server.
    pub is_dozing: bool,
    /// How many messages it has sent.
    pub said: usize,
    /// The last of its messages that it has sent on this connection, and that it has received.
    last_sent: Option<usize>,
    last_received: Option<usize>,
    /// It has closed, behind this message of the room and perhaps others.
    leaves_behind: Option<u64>,
    /// How often something was left out for it.
    pub skips: u64,
    /// How many messages it got compressed.
    pub deflated: u64,
    start: Option<(Start, Position)>,
    is_start_checked: bool,
    /// A gap that an event source was told in its first line, and is told again.
    repeated_gap: Option<(Position, Option<u64>)>,
    /// What came without ids.
    run: Vec<String>,
}

impl Reader {
    pub fn new(name: String, room: usize, kind: Kind) -> Self {
        Self {
            name,
            room,
            kind,
            listener: None,
            position: None,
            asked: Asked::default(),
            here: None,
            wants_here: false,
            is_steady: true,
            is_dozing: false,
            said: 0,
            last_sent: None,
            last_received: None,
            leaves_behind: None,
            skips: 0,
            deflated: 0,
            start: None,
            is_start_checked: false,
            repeated_gap: None,
            run: Vec::new(),
        }
    }

    /// Begins a connection.
    pub fn begin(&mut self, listener: Listener, asked: Asked) {
        assert!(self.listener.is_none());
        if asked.since.is_none() {
            self.position = None;
        }
        self.listener = Some(listener);
        self.asked = asked;
        self.is_steady = true;
        self.is_dozing = false;
        self.here = None;
        (self.last_sent, self.last_received) = (None, None);
        self.leaves_behind = None;
        self.start = None;
        self.is_start_checked = false;
        self.repeated_gap = None;
    }

    /// Takes what came, and checks it.
    pub fn hear(&mut self, ledger: &mut Ledger, rules: &Rules) {
        let Some(listener) = &mut self.listener else {
            return;
        };
        let has_ended = listener.peer.is_closed() || listener.peer.socket().server_has_shut;
        let items = listener.take();
        self.deflated += mem::take(&mut listener.deflated);
        for item in items {
            self.hear_item(item, ledger, rules);
        }
        if has_ended && let Some(listener) = self.end(ledger) {
            assert!(!self.is_steady, "{} was cut off", self.name);
            listener.peer.shut();
        }
    }

    /// The connection is over, as far as the reader is concerned. What came is what counts.
    pub fn end(&mut self, ledger: &mut Ledger) -> Option<Listener> {
        self.asked.head_max.get_or_insert(ledger.head());
        let run = mem::take(&mut self.run);
        if !run.is_empty() {
            ledger.note_run(self.asked.clone(), run);
        }
        self.listener.take()
    }

    /// Says something; returns the message's number.
    pub fn say(&mut self) -> usize {
        self.last_sent = Some(self.said);
        self.said += 1;
        self.said - 1
    }

    /// Begins the close handshake. It gets what was published before all the same.
    pub fn close(&mut self, ledger: &Ledger) {
        if let Some(listener) = &self.listener
            && self.leaves_behind.is_none()
        {
            listener.peer.send(&wire::close(1000, b""));
            self.leaves_behind = Some(ledger.settled_head);
        }
    }

    /// The server has closed the connection.
    fn hear_close(&mut self, code: u16) {
        let Some(head) = self.leaves_behind else {
            assert!(!self.is_steady, "{} was closed with {code}", self.name);
            return;
        };
        if self.is_steady {
            assert_eq!(code, 1000, "{}", self.name);
            // What it sent before, and more of its own where it was replayed.
            assert!(self.last_received >= self.last_sent, "{}", self.name);
        }
        if let Some(position) = self.position.as_ref().filter(|_| code == 1000) {
            assert!(
                position.seq >= head,
                "{} ends at {position} {self:?}",
                self.name
            );
        }
        self.is_steady = false;
    }

    fn hear_item(&mut self, item: Item, ledger: &mut Ledger, rules: &Rules) {
        let name = &self.name;
        let repeated_gap = self.repeated_gap.take();
        if let Item::Message(_, text) = &item
            && let Some(number) = ledger::number_of(text, name)
        {
            self.last_received = Some(number);
        }
        match item {
            Item::Status(status) => assert!(matches!(status, 101 | 200), "{name}: {status}"),
            Item::Start(start, position) => {
                ledger.observe(&position);
                if let (Start::Gap(count), Kind::Events) = (start, self.kind) {
                    self.repeated_gap = Some((position.clone(), count));
                }
                self.start = Some((start, position.clone()));
                self.position = Some(position);
            }
            Item::Message(Some(id), text) => {
                ledger.observe_message(&id, &text);
                let position = self.position.as_ref().expect("the first line came first");
                assert_eq!(id, position.at(position.seq + 1), "what {name} gets next");
                self.position = Some(id);
            }
            Item::Message(None, text) => {
                let last = self.run.last().and_then(|last| ledger.id_of(last));
                if let (Some(last), Some(id)) = (last, ledger.id_of(&text)) {
                    assert_eq!(*id, last.at(last.seq + 1), "what {name} gets next");
                }
                self.run.push(text);
            }
            Item::Gap(position, count) if repeated_gap.is_some() => {
                assert_eq!(Some((position, count)), repeated_gap, "{name}");
            }
            Item::Gap(position, count) => {
                ledger.observe(&position);
                assert!(rules.skips && !self.is_steady, "{name} was told of a gap");
                let from = self.position.as_ref().expect("the first line came first");
                let missing = position.seq.checked_sub(from.seq);
                assert_eq!(count, missing, "{name}: from {from} to {position}");
                // It was not far enough behind for less to be left out.
                assert!(count > Some(rules.send_queue), "{name}: {count:?}");
                self.position = Some(position);
                self.skips += 1;
            }
            Item::Here(count) => {
                assert!(self.wants_here && self.start.is_some(), "{name}");
                self.here = Some(count);
            }
            Item::Ping => {}
            Item::Close(code) => self.hear_close(code),
        }
    }

    /// Nothing is left to do: where its connection began is checked, if it has been told. Returns the answer, once.
    pub fn check_start(&mut self, ledger: &Ledger, rules: &Rules) -> Option<Start> {
        if self.listener.is_none() || self.is_start_checked {
            return None;
        }
        self.asked.head_max.get_or_insert(ledger.head());
        if let Some((start, position)) = &self.start {
            ledger.check_start(&self.asked, *start, position, rules);
            self.is_start_checked = true;
            return Some(*start);
        }
        if let Some(first) = self.run.first() {
            ledger.check_first(&self.asked, first, rules);
            self.is_start_checked = true;
        }
        None
    }

    /// It takes all there is from now on.
    pub fn wake(&mut self) {
        self.is_dozing = false;
        if let Some(listener) = &self.listener {
            listener.peer.socket().write_max = usize::MAX;
            listener.peer.set_room(usize::MAX);
        }
    }

    /// It takes all that comes and nothing is left to do: it has received everything.
    pub fn check_caught_up(&self, ledger: &Ledger, rules: &Rules) {
        let (name, head) = (&self.name, ledger.head());
        if self.kind.has_ids() {
            let seq = self.position.as_ref().map(|position| position.seq);
            assert_eq!(seq, Some(head), "{name} is behind");
        } else if let Some(last) = self.run.last() {
            let id = ledger.id_of(last);
            let is_last = id.is_none_or(|id| id.seq == head);
            assert!(is_last, "{name} ends with {last:?}, {id:?}, not {head}");
        } else {
            ledger.check_empty(&self.asked, rules);
        }
    }

    /// Whether the server has closed its connection.
    pub fn is_cut_off(&self) -> bool {
        let listener = self.listener.as_ref();
        listener.is_some_and(|listener| listener.peer.is_closed())
    }

    /// Whether it takes all that comes.
    pub fn may_talk(&self) -> bool {
        let is_listening = self.start.is_some() || !self.kind.has_ids();
        let is_open = self.listener.is_some() && self.leaves_behind.is_none();
        is_open && self.is_steady && self.kind.is_websocket() && is_listening
    }
}
