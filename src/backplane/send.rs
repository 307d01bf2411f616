//! What is sent: scripts and their arguments.

use super::Backplane;
use super::appender::Asked;
use super::command::Encoder;
use super::script::Script;
use crate::room::id::{EPOCH_LEN, Epoch};

impl Backplane {
    /// The end of a turn: what was published becomes commands, and what has to be asked is asked.
    pub fn flush(&mut self) {
        self.queue.settle();
        if self.is_synced() {
            self.send_appends();
        }
        if self.is_up() {
            self.send_touches();
        }
        self.reader.end_page();
        self.reader
            .read_on(&self.settings, !self.heads.is_waiting());
    }

    pub(super) fn send_appends(&mut self) {
        while let Some(place) = self.queue.next_to_send(&mut self.counter, self.now) {
            self.send_append(place);
        }
    }

    pub(super) fn send_append(&mut self, place: u64) {
        let Some((said, previous)) = self.queue.to_send(place) else {
            return;
        };
        let candidate = self.random.letters::<EPOCH_LEN>();
        let (node, entries) = (&self.node, self.settings.entries);
        let keys = if said.key.is_some() { 5 } else { 4 };
        let encode = |encoder: &mut Encoder<'_>| {
            let room = said.room.as_bytes();
            encoder.key(&[b"stream"]).key(&[b"state"]);
            encoder.key(&[b"room", room]).key(&[b"node", node]);
            if let Some(key) = &said.key {
                encoder.key(&[b"key", room, key]);
            }
            encoder.text(room).text(node);
            encoder.number(said.counter).number(previous);
            encoder.number(said.count.into()).text(said.text());
            encoder.text(&candidate).number(entries);
        };
        let parts = keys + 8;
        let settings = &self.settings;
        self.appender.call(
            Asked::Append(place),
            Script::Append,
            settings,
            encode,
            keys,
            parts,
        );
    }

    /// A probe goes the way of messages, with no room and no text.
    pub(super) fn send_probe(&mut self) {
        if !self.is_up() || self.now < self.probes.due() {
            return;
        }
        self.send_appends();
        let candidate = self.random.letters::<EPOCH_LEN>();
        let previous = self.queue.last_counter();
        self.counter += 1;
        let (node, counter, entries) = (&self.node, self.counter, self.settings.entries);
        let encode = |encoder: &mut Encoder<'_>| {
            encoder.key(&[b"stream"]).key(&[b"state"]);
            encoder.key(&[b"room", b""]).key(&[b"node", node]);
            encoder
                .text(b"")
                .text(node)
                .number(counter)
                .number(previous);
            encoder.number(0).text(b"").text(&candidate).number(entries);
        };
        let settings = &self.settings;
        self.appender
            .call(Asked::Probe, Script::Append, settings, encode, 4, 12);
        self.probes.note_sent(counter, self.now);
    }

    fn send_touches(&mut self) {
        while let Some(room) = self.heads.next_to_send() {
            let candidate = self.random.letters::<EPOCH_LEN>();
            let asked = Asked::Touch(room.clone());
            let encode = |encoder: &mut Encoder<'_>| {
                encoder.key(&[b"stream"]).key(&[b"state"]);
                encoder.key(&[b"room", room.as_bytes()]).text(&candidate);
            };
            let settings = &self.settings;
            self.appender
                .call(asked, Script::Touch, settings, encode, 3, 4);
        }
    }

    pub(super) fn send_sync(&mut self) {
        let candidate = self.random.letters::<EPOCH_LEN>();
        let facts = &self.appender.facts;
        let (run, keeps) = (facts.run.clone().unwrap_or_default(), facts.keeps());
        let known = self.generation;
        let position = self.taken;
        let encode = |encoder: &mut Encoder<'_>| {
            encoder.key(&[b"stream"]).key(&[b"state"]);
            encoder.text(run.as_bytes()).number(keeps.into());
            encoder.stream_id(position);
            encoder.text(known.as_ref().map_or(b"", Epoch::as_bytes));
            encoder.text(&candidate);
        };
        let settings = &self.settings;
        self.appender
            .call(Asked::Sync, Script::Sync, settings, encode, 2, 7);
    }
}
