//! What is done in a turn: answers are read, deadlines are kept, entries are taken.

use std::time::Duration;

use tracing::{debug, info, warn};

use super::appender::{Answer, Asked};
use super::entry::{Entry, Messages, Origin};
use super::lost::Lost;
use super::stream_id::StreamId;
use super::{Backplane, Line, Logged, Next, Phase};
use crate::room::id::{Epoch, Id};
use crate::time::Tick;

impl Backplane {
    /// A turn begins: what came in is looked at, then what is due by now is done. `now` counts from the start, `unix_ms`
    /// is the wall clock.
    pub fn begin_turn(&mut self, now: Duration, unix_ms: u64) {
        self.now = now;
        self.unix_ms = unix_ms;
        self.appender.link.now = now;
        self.reader.link.now = now;
        self.malformed.report(Tick::at(now));
        if let Err(lost) = self.take_replies() {
            self.lose(&lost, None);
        }
        if let Some(lost) = self.overdue() {
            self.lose(&lost, None);
        }
        self.queue.give_up(now, self.settings.wait);
        if self.is_synced() {
            self.send_probe();
            self.presence
                .run(&mut self.appender, &self.node, &self.settings);
        }
    }

    fn take_replies(&mut self) -> Result<(), Lost> {
        while let Some(answer) = self.appender.next_answer(&self.settings)? {
            self.apply(answer)?;
        }
        self.appender.link.note_answers(self.appender.is_answered());
        self.reader.end_page();
        while self.reader.link.replies.has_whole() && self.reader.page().is_none() {
            if self.reader.next_reply(self.appender.facts.run.as_deref())? {
                self.heads.note_nothing_read(self.reader.reads);
            }
        }
        self.reader.link.note_answers(self.reader.is_answered());
        self.note_filled();
        Ok(())
    }

    /// Whether a connection, or an answer, did not come in time.
    fn overdue(&self) -> Option<Lost> {
        let more = self.reader.extra_wait();
        let dues = [
            (&self.appender.link, self.appender.link.due(Duration::ZERO)),
            (&self.reader.link, self.reader.link.due(more)),
        ];
        let (link, _) = dues.into_iter().find(|(_, due)| *due <= self.now)?;
        Some(Lost::new(match link.is_open() {
            true => "no answer comes in time",
            false => "the connection takes too long",
        }))
    }

    /// Drops both connections. `by`: the one whose socket is gone already.
    pub(super) fn lose(&mut self, lost: &Lost, by: Option<Line>) {
        if matches!(self.phase, Phase::Away { .. }) {
            return;
        }
        if self.is_up() {
            self.notices.push_back(false);
        }
        let wait = self.backoff.next_wait(&mut self.random);
        let retry_at = self.now + wait;
        self.phase = Phase::Away { retry_at };
        self.appender.close(by != Some(Line::Append));
        self.reader.close(by != Some(Line::Read), lost);
        self.queue.restart();
        self.heads.clear();
        self.presence.disconnect();
        self.probes.end();
        let address = &self.settings.address;
        if self.logged != Logged::Away {
            self.logged = Logged::Away;
            warn!(%address, reason = %lost, "the backplane is away and is tried again");
        } else {
            // What keeps it away may be something else than what began it.
            debug!(%address, reason = %lost, "another attempt has failed");
        }
    }

    fn apply(&mut self, answer: Answer) -> Result<(), Lost> {
        match answer {
            Answer::Nothing => {}
            Answer::Facts => self.note_facts()?,
            Answer::Synced {
                generation,
                start,
                tail,
            } => self.note_synced(generation, start, tail),
            Answer::Appended { place, last } => self.note_appended(place, last),
            Answer::Head { room, head, at } => {
                self.heads.note_answer(room, head, at, self.reader.reads);
            }
            Answer::Others(others) => self.presence.note_others(others),
            Answer::Generation(generation) if generation == self.generation => {}
            Answer::Generation(_) => return Err(Lost::new("the stream was begun anew")),
            Answer::Counts(counts) if self.presence.note_counts(&counts) => {}
            Answer::Counts(_) => return Err(Lost::unexpected()),
            Answer::Refused(asked) => self.ask_again(&asked),
        }
        Ok(())
    }

    fn ask_again(&mut self, asked: &Asked) {
        match asked {
            Asked::Append(place) => self.send_append(*place),
            Asked::Probe => self.probes.note_refused(self.now),
            Asked::Touch(room) => self.heads.note_refused(room),
            Asked::Heartbeat => {
                self.presence
                    .send_heartbeat(&mut self.appender, &self.node, &self.settings);
            }
            Asked::Sync => self.send_sync(),
            Asked::Done
            | Asked::Login
            | Asked::Syncs
            | Asked::Facts { .. }
            | Asked::Load { .. }
            | Asked::Generation
            | Asked::Counts => {}
        }
    }

    fn note_facts(&mut self) -> Result<(), Lost> {
        if self.appender.facts.is_replica {
            return Err(Lost::new("it is a replica, which takes no appends"));
        }
        if self.appender.facts.run.is_none() {
            return Err(Lost::new("it does not tell its run_id"));
        }
        self.send_sync();
        Ok(())
    }

    fn note_synced(&mut self, generation: Epoch, start: StreamId, tail: StreamId) {
        // What this run of the server has was read from it, whichever node began the generation. What another one has was not,
        // and its clock may be behind.
        let is_same = self.run == self.appender.facts.run;
        let position = match (self.generation, self.settings.history_age) {
            (Some(known), _) if known == generation => self.reader.position,
            (Some(_), _) => {
                let begin = if is_same { start.max(tail) } else { start };
                self.taken = self.taken.min(begin);
                self.reader.position.min(begin)
            }
            (None, Some(age)) => {
                let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
                // The broker's clock may be behind this one: what comes next is read in any case.
                StreamId::before(self.unix_ms.saturating_sub(age)).min(tail)
            }
            (None, None) => {
                self.taken = tail;
                tail
            }
        };
        self.generation = Some(generation);
        self.run.clone_from(&self.appender.facts.run);
        self.reader.begin(position, tail);
        self.phase = Phase::Filling;
        self.presence.connect(self.now);
        // What was sent before goes first: nothing may have a greater count than what is to be sent again.
        self.send_appends();
    }

    pub(super) fn is_synced(&self) -> bool {
        matches!(self.phase, Phase::Filling | Phase::Up)
    }

    fn note_filled(&mut self) {
        if self.phase == Phase::Filling && self.reader.note_filled() {
            self.phase = Phase::Up;
            self.stats.reconnects += u64::from(self.was_up);
            self.was_up = true;
            self.notices.push_back(true);
            self.probes.begin(self.now);
        }
    }

    fn note_appended(&mut self, place: u64, last: Id) {
        if let Some(time) = self.queue.note_appended(place, last, self.now) {
            self.stats.appends += 1;
            self.append_times.push(time);
        }
    }

    /// What the next event is about.
    pub(super) fn next(&mut self) -> Option<Next> {
        loop {
            if let Some(is_connected) = self.notices.pop_front() {
                return Some(match is_connected {
                    true => Next::Connected,
                    false => Next::Lost,
                });
            }
            if let Some(told) = self.queue.next_told() {
                return Some(Next::Told(told));
            }
            if let Some((room, count)) = self.presence.next_told() {
                self.room = room;
                return Some(Next::Elsewhere(count));
            }
            if let Some((room, head)) = self.heads.next_told(self.reader.position) {
                self.room = room;
                return Some(Next::Head(head));
            }
            match self.reader.take_entry() {
                Ok(None) => return None,
                Ok(Some(entry)) => {
                    if let Some(messages) = self.take(entry) {
                        return Some(Next::Entry(messages));
                    }
                }
                Err(lost) => self.lose(&lost, None),
            }
        }
    }

    /// Takes an entry: messages are to be told.
    fn take(&mut self, entry: Option<Entry>) -> Option<Messages> {
        self.taken = self.reader.position;
        self.note_filled();
        match entry {
            None => {
                if self.malformed.allow(Tick::at(self.now)) {
                    warn!("an entry of the stream is malformed and is skipped");
                }
                None
            }
            Some(Entry::Probe(origin)) => {
                self.take_probe(origin);
                None
            }
            Some(Entry::Messages(messages)) => {
                self.note_own(&messages);
                Some(messages)
            }
        }
    }

    fn note_own(&mut self, messages: &Messages) {
        if messages.origin.node != self.node {
            return;
        }
        if let Some(place) = self.queue.find(messages.origin.counter) {
            let last = Id {
                seq: messages.first.seq + u64::from(messages.count) - 1,
                ..messages.first
            };
            self.note_appended(place, last);
        }
    }

    fn take_probe(&mut self, origin: Origin) {
        if origin.node != self.node {
            return;
        }
        let mut encoder = self.appender.ask(Asked::Done, &self.settings);
        encoder
            .command("XDEL", 3)
            .key(&[b"stream"])
            .stream_id(self.taken);
        let Some(lag) = self.probes.note_back(origin.counter, self.now) else {
            return;
        };
        self.stats.lag = Some(lag);
        self.backoff.reset();
        if self.logged != Logged::There {
            self.logged = Logged::There;
            let address = &self.settings.address;
            info!(%address, "the backplane is there");
        }
    }

    /// When something is due; [`Duration::MAX`] if nothing is, [`Duration::ZERO`] while something is there to be done.
    pub fn next_due(&self) -> Duration {
        if self.has_events() || self.appender.link.replies.has_whole() || self.reader.has_reply() {
            return Duration::ZERO;
        }
        let connection = match self.phase {
            Phase::Away { retry_at } => retry_at,
            Phase::Filling if self.reader.link.is_closed() => self.now,
            Phase::Up => self.probes.due(),
            Phase::Greeting | Phase::Filling => Duration::MAX,
        };
        let dues = [
            connection,
            self.appender.link.due(Duration::ZERO),
            self.reader.link.due(self.reader.extra_wait()),
            self.presence.due(),
            self.queue.give_up_due(self.settings.wait),
        ];
        dues.into_iter().min().unwrap_or(Duration::MAX)
    }
}
