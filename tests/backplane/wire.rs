//! A backplane whose broker is the test itself: replies as bytes, and commands as lines of text.

use std::time::Duration;

use fanfare::backplane::{Backplane, Line, Settings, scripts};

use crate::node::{Told, WALL_START, settings};
use crate::stream::{array, bulk, parse_command};

pub(crate) const GENERATION: &str = "gggggggg";
pub(crate) const SERVER: &str = "# Server\r\nrun_id:4ad1\r\n";
pub(crate) const OTHER_SERVER: &str = "# Server\r\nrun_id:0000\r\n";
pub(crate) const PERSISTENCE: &str = "aof_enabled:1\r\n";
pub(crate) const REPLICATION: &str = "role:master\r\nsecond_repl_offset:-1\r\n";
pub(crate) const NOTHING: &[u8] = b"*-1\r\n";

/// A reply that is an array of texts.
pub(crate) fn texts(parts: &[&str]) -> Vec<u8> {
    array(parts.iter().map(|part| bulk(part.as_bytes())))
}

/// The reply to a read that has these entries: an id and fields each.
pub(crate) fn entries(entries: &[(&str, &[&str])]) -> Vec<u8> {
    let entries = entries
        .iter()
        .map(|(id, fields)| array([bulk(id.as_bytes()), texts(fields)].into_iter()));
    let stream = array([bulk(b"{fanfare}:stream"), array(entries)].into_iter());
    array([stream].into_iter())
}

/// What is appended and read in these tests: an entry with the fields that messages have.
pub(crate) fn entry<'a>(
    room: &'a str,
    first: &'a str,
    count: &'a str,
    origin: &'a str,
    text: &'a str,
) -> [&'a str; 12] {
    [
        "r", room, "e", "eeeeeeee", "f", first, "c", count, "o", origin, "t", text,
    ]
}

/// The replies to what is sent once both connections are there: no counts, a heartbeat, the generation, a probe.
pub(crate) fn first_answers() -> Vec<u8> {
    let answers = [texts(&[]), texts(&[GENERATION]), texts(&["", "0", "1-0"])];
    [b":0\r\n", &answers.concat()[..]].concat()
}

/// The replies to all that the connection that appends sends first, but for the last one.
pub(crate) fn greeting() -> Vec<u8> {
    let [server, others @ ..] =
        [SERVER, PERSISTENCE, REPLICATION].map(|facts| bulk(facts.as_bytes()));
    let hashes = scripts().map(|(_, _, hash)| bulk(hash.as_bytes()));
    let syncs = texts(&["appendfsync", "always"]);
    [server, syncs, others.concat(), hashes.concat()].concat()
}

pub(crate) fn synced(start: &str, tail: &str) -> Vec<u8> {
    texts(&[GENERATION, start, tail])
}

pub(crate) struct Wire {
    pub(crate) backplane: Backplane,
    pub(crate) now: Duration,
    taken: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(settings: Settings) -> Self {
        let backplane = Backplane::new(settings, 1);
        let now = Duration::ZERO;
        let taken = Vec::new();
        let mut wire = Self {
            backplane,
            now,
            taken,
        };
        wire.turn();
        wire
    }

    /// Both connections are there, and there was nothing to read. The probe and all else that is sent then is unanswered.
    pub(crate) fn up() -> Self {
        Self::up_with(Settings {
            history_age: None,
            ..settings()
        })
    }

    pub(crate) fn up_with(settings: Settings) -> Self {
        let mut wire = Self::new(settings);
        wire.connect();
        wire
    }

    /// Brings both connections up, which takes four turns.
    pub(crate) fn connect(&mut self) {
        assert!(self.backplane.wants_connection(Line::Append));
        self.backplane.note_connected(Line::Append);
        self.reply(Line::Append, &greeting());
        self.reply(Line::Append, &synced("0-0", "0-0"));
        assert!(self.backplane.wants_connection(Line::Read));
        self.backplane.note_connected(Line::Read);
        self.reply(Line::Read, &bulk(SERVER.as_bytes()));
        if !self.backplane.is_up() {
            self.reply(Line::Read, NOTHING);
        }
        assert!(self.backplane.is_up());
    }

    /// A turn in which nothing is published.
    pub(crate) fn turn(&mut self) -> Vec<Told> {
        self.publish(|_| {})
    }

    pub(crate) fn publish(&mut self, publish: impl FnOnce(&mut Backplane)) -> Vec<Told> {
        let unix_ms = WALL_START + u64::try_from(self.now.as_millis()).unwrap();
        self.backplane.begin_turn(self.now, unix_ms);
        let mut told = Vec::new();
        while let Some(event) = self.backplane.next_event() {
            told.push(event.into());
        }
        publish(&mut self.backplane);
        self.backplane.flush();
        told
    }

    /// A turn in which something came in.
    pub(crate) fn reply(&mut self, line: Line, bytes: &[u8]) -> Vec<Told> {
        self.backplane.receive(line, bytes);
        self.turn()
    }

    /// Takes the commands that are to be sent. The scripts are shown by their names, what was drawn by its length.
    pub(crate) fn sent(&mut self, line: Line) -> Vec<String> {
        let bytes = self.backplane.unsent(line).to_vec();
        self.backplane.note_sent(line, bytes.len());
        self.taken.extend_from_slice(&bytes);
        let mut rest = &bytes[..];
        let mut commands = Vec::new();
        while let Some((parts, len)) = parse_command(rest) {
            commands.push(shown(&parts));
            rest = &rest[len..];
        }
        assert_eq!(rest, b"");
        commands
    }

    /// The node's name.
    pub(crate) fn node(&self) -> String {
        let bytes = [&self.taken, self.backplane.unsent(Line::Append)].concat();
        let text = String::from_utf8(bytes).unwrap();
        let (_, name) = text.split_once("{fanfare}:here:").unwrap();
        name[..16].to_owned()
    }

    pub(crate) fn is_lost(&self) -> bool {
        !self.backplane.is_up()
            && [Line::Append, Line::Read]
                .iter()
                .all(|line| self.backplane.unsent(*line).is_empty())
    }
}

fn shown(parts: &[Vec<u8>]) -> String {
    let mut shown: Vec<String> = Vec::new();
    for (place, part) in parts.iter().enumerate() {
        let part = String::from_utf8_lossy(part).into_owned();
        let mut scripts = scripts().into_iter();
        let script = scripts.find(|(_, text, hash)| *text == part || *hash == part);
        let is_drawn = place > 3
            && part
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        shown.push(match script {
            Some((name, ..)) => name.to_owned(),
            None if is_drawn && part.len() == 8 && part != GENERATION => "EPOCH".to_owned(),
            None if is_drawn && part.len() == 16 => "NODE".to_owned(),
            None => match part.split_once(":node:").or(part.split_once(":here:")) {
                Some((_, node)) => part.replace(node, "NODE"),
                None => part,
            },
        });
    }
    shown.join(" ")
}
