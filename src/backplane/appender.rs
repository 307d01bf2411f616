//! The connection that appends: what is asked on it, in which order the answers come, and what they are.

use std::collections::VecDeque;
use std::rc::Rc;

use super::command::Encoder;
use super::entry::{NODE_LEN, Node};
use super::facts::Facts;
use super::link::Link;
use super::login;
use super::lost::Lost;
use super::reply::Reply;
use super::script::{Script, Scripts};
use super::settings::Settings;
use super::stream_id::StreamId;
use crate::room::id::{EPOCH_LEN, Epoch, Id};

/// How often scripts may be refused in succession. They are loaded again each time.
pub const REFUSALS_MAX: u32 = 1024;
/// The most other nodes whose listeners are counted.
pub const NODES_MAX: usize = 256;

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// Any answer but an error is right.
    Done,
    Login,
    Facts {
        is_last: bool,
    },
    /// Whether its log is on the disk before it answers. Not everybody may know.
    Syncs,
    Load {
        is_last: bool,
    },
    Sync,
    /// The place of an entry in the queue.
    Append(u64),
    Probe,
    Touch(Rc<str>),
    Heartbeat,
    Generation,
    Counts,
}

/// What was answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Nothing,
    Facts,
    Synced {
        generation: Epoch,
        start: StreamId,
        tail: StreamId,
    },
    Appended {
        place: u64,
        last: Id,
    },
    Head {
        room: Rc<str>,
        head: Id,
        at: StreamId,
    },
    Others(Vec<Node>),
    Generation(Option<Epoch>),
    Counts(Vec<usize>),
    /// The script was not there, or something before this was not applied.
    Refused(Asked),
}

#[derive(Debug)]
pub(super) struct Appender {
    pub(super) link: Link,
    pub(super) facts: Facts,
    asked: VecDeque<Asked>,
    scripts: Scripts,
    is_loading: bool,
    refusals: u32,
}

impl Appender {
    pub(super) fn new(reply_max: usize) -> Self {
        Self {
            link: Link::new(reply_max),
            facts: Facts::default(),
            asked: VecDeque::new(),
            scripts: Scripts::new(),
            is_loading: false,
            refusals: 0,
        }
    }

    pub(super) fn close(&mut self, has_socket: bool) {
        self.link.close(has_socket);
        self.facts = Facts::default();
        self.asked.clear();
        self.is_loading = false;
        self.refusals = 0;
    }

    /// Whether nothing is asked.
    pub(super) fn is_answered(&self) -> bool {
        self.asked.is_empty()
    }

    /// Asks what has to be known before anything else.
    pub(super) fn greet(&mut self, settings: &Settings) {
        let logins = login::encode(settings, self.link.out());
        self.asked.extend((0..logins).map(|_| Asked::Login));
        // Not CONFIG first, whose refusal is excused: a server that takes no more clients refuses the first question.
        self.ask_facts("server", false, settings);
        self.ask(Asked::Syncs, settings)
            .command("CONFIG", 3)
            .text(b"GET")
            .text(b"appendfsync");
        self.ask_facts("persistence", false, settings);
        self.ask_facts("replication", true, settings);
        self.load(settings);
    }

    fn ask_facts(&mut self, section: &str, is_last: bool, settings: &Settings) {
        self.ask(Asked::Facts { is_last }, settings)
            .command("INFO", 2)
            .text(section.as_bytes());
    }

    fn load(&mut self, settings: &Settings) {
        self.is_loading = true;
        for script in Script::ALL {
            let is_last = script == Script::Heartbeat;
            let mut encoder = self.ask(Asked::Load { is_last }, settings);
            encoder
                .command("SCRIPT", 3)
                .text(b"LOAD")
                .text(script.text().as_bytes());
        }
    }

    /// Begins a command.
    pub(super) fn ask<'a>(&'a mut self, asked: Asked, settings: &'a Settings) -> Encoder<'a> {
        self.asked.push_back(asked);
        Encoder::new(self.link.out(), &settings.prefix)
    }

    /// Begins the call of a script with so many keys and other arguments, the first two keys of which it is given.
    pub(super) fn call(
        &mut self,
        asked: Asked,
        script: Script,
        settings: &Settings,
        encode: impl FnOnce(&mut Encoder<'_>),
        keys: usize,
        parts: usize,
    ) {
        self.asked.push_back(asked);
        let mut encoder = Encoder::new(self.link.out(), &settings.prefix);
        encoder.call(&self.scripts, script, keys, parts);
        encode(&mut encoder);
    }

    /// Reads the next answer, if it is whole.
    pub(super) fn next_answer(&mut self, settings: &Settings) -> Result<Option<Answer>, Lost> {
        if !self.link.replies.has_whole() {
            return Ok(None);
        }
        let Some(asked) = self.asked.pop_front() else {
            return Err(Lost::unexpected());
        };
        let Self { link, facts, .. } = self;
        let answer = link.replies.next(|reply| read(&asked, reply, facts))?;
        let answer = answer.unwrap_or(Err(Lost::unexpected()))?;
        if let Asked::Load { is_last: true } = asked {
            self.is_loading = false;
        }
        match &answer {
            Answer::Refused(_) => self.note_refusal(settings)?,
            Answer::Nothing | Answer::Facts => {}
            _ => self.refusals = 0,
        }
        Ok(Some(answer))
    }

    fn note_refusal(&mut self, settings: &Settings) -> Result<(), Lost> {
        self.refusals += 1;
        if self.refusals > REFUSALS_MAX {
            return Err(Lost::new("it does not keep scripts"));
        }
        if !self.is_loading {
            self.load(settings);
        }
        Ok(())
    }
}

fn read(asked: &Asked, reply: Reply<'_>, facts: &mut Facts) -> Result<Answer, Lost> {
    if let Some(error) = reply.error() {
        return refused(asked, error);
    }
    let answer = match asked {
        Asked::Done | Asked::Login | Asked::Load { .. } | Asked::Probe => Some(Answer::Nothing),
        Asked::Facts { is_last } => {
            facts.read(reply.text().ok_or_else(Lost::unexpected)?);
            Some(if *is_last {
                Answer::Facts
            } else {
                Answer::Nothing
            })
        }
        Asked::Syncs => {
            let setting = reply.array().and_then(|[_, value]| value.text());
            facts.syncs_always = setting == Some(b"always");
            Some(Answer::Nothing)
        }
        Asked::Sync => synced(reply),
        Asked::Append(place) => appended(*place, reply),
        Asked::Touch(room) => head(room, reply),
        Asked::Heartbeat => others(reply),
        Asked::Generation => generation(reply),
        Asked::Counts => counts(reply),
    };
    answer.ok_or_else(Lost::unexpected)
}

fn refused(asked: &Asked, error: &[u8]) -> Result<Answer, Lost> {
    let is_ordered = matches!(asked, Asked::Append(_) | Asked::Probe);
    let is_script = is_ordered || matches!(asked, Asked::Sync | Asked::Touch(_) | Asked::Heartbeat);
    let is_refusal = match Lost::code(error) {
        b"NOSCRIPT" => is_script,
        b"EARLY" => is_ordered,
        _ => false,
    };
    match asked {
        _ if is_refusal => Ok(Answer::Refused(asked.clone())),
        Asked::Syncs => Ok(Answer::Nothing),
        Asked::Login => Err(Lost::login(error)),
        _ => Err(Lost::error(error)),
    }
}

fn epoch(reply: Reply<'_>) -> Option<Epoch> {
    let text: [u8; EPOCH_LEN] = reply.text()?.try_into().ok()?;
    Epoch::parse(&text)
}

fn synced(reply: Reply<'_>) -> Option<Answer> {
    let [generation, start, tail] = reply.array()?;
    Some(Answer::Synced {
        generation: epoch(generation)?,
        start: StreamId::parse(start.text()?)?,
        tail: StreamId::parse(tail.text()?)?,
    })
}

fn appended(place: u64, reply: Reply<'_>) -> Option<Answer> {
    let [room_epoch, last, _] = reply.array()?;
    let last = Id {
        epoch: epoch(room_epoch)?,
        seq: last.number()?,
    };
    Some(Answer::Appended { place, last })
}

fn head(room: &Rc<str>, reply: Reply<'_>) -> Option<Answer> {
    let [room_epoch, head, at] = reply.array()?;
    Some(Answer::Head {
        room: room.clone(),
        head: Id {
            epoch: epoch(room_epoch)?,
            seq: head.number()?,
        },
        at: StreamId::parse(at.text()?)?,
    })
}

fn others(reply: Reply<'_>) -> Option<Answer> {
    reply.count()?;
    let names = reply.items().take(NODES_MAX).map(|name| {
        let name = name.text()?;
        let is_name = name.len() == NODE_LEN && name.iter().all(u8::is_ascii_alphanumeric);
        name.try_into().ok().filter(|_| is_name)
    });
    names.collect::<Option<_>>().map(Answer::Others)
}

fn generation(reply: Reply<'_>) -> Option<Answer> {
    let [generation] = reply.array()?;
    let known = (!generation.is_null()).then(|| epoch(generation));
    Some(Answer::Generation(known.flatten()))
}

fn counts(reply: Reply<'_>) -> Option<Answer> {
    reply.count()?;
    let counts = reply.items().map(|count| match count.is_null() {
        true => Some(0),
        false => usize::try_from(count.number()?).ok(),
    });
    counts.collect::<Option<_>>().map(Answer::Counts)
}
