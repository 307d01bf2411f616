//! Who waits for the stream that rooms are shared by: to be let into a room, or for the answer to a publication.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::time::Duration;

use super::Engine;
use super::answer::{self, Entrance};
use super::read::Readable;
use super::shared::Shared;
use crate::client::Stream;
use crate::config::JOINS_PER_TURN;
use crate::http::manner::Manner;
use crate::http::status::Refusal;
use crate::id::ClientId;
use crate::observe::CloseReason;
use crate::room::id::Id;
use crate::session::Closing;
use crate::ws::close::CloseCode;

/// Who waits for the stream.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    /// Who is to be let into a room once it is known where that stands, by the room's name.
    listeners: HashMap<Box<str>, Vec<ClientId>>,
    /// Who may be let in now.
    admitted: VecDeque<ClientId>,
    /// Who is to be answered.
    posts: HashMap<ClientId, Posted>,
    /// Until when those may wait who have said something before they were let in, the first first.
    talkers: VecDeque<(Duration, ClientId)>,
}

/// A publication whose answer is awaited.
#[derive(Debug)]
pub(super) struct Posted {
    manner: Manner,
    /// How many messages it has.
    count: u32,
    /// What was read behind it.
    behind: Vec<u8>,
}

impl Waiters {
    /// A client is to be let into a room.
    pub(super) fn add_listener(&mut self, room: &str, id: ClientId) {
        match self.listeners.get_mut(room) {
            Some(ids) => ids.push(id),
            None => _ = self.listeners.insert(room.into(), vec![id]),
        }
    }

    fn remove_listener(&mut self, room: &str, id: ClientId) {
        if let Some(ids) = self.listeners.get_mut(room) {
            ids.retain(|listener| *listener != id);
            if ids.is_empty() {
                self.listeners.remove(room);
            }
        }
    }

    /// The names of the rooms that somebody waits for.
    pub(super) fn rooms(&self) -> impl ExactSizeIterator<Item = &str> {
        self.listeners.keys().map(|name| &**name)
    }

    /// Whether somebody waits for a room.
    pub(super) fn has_room(&self, name: &str) -> bool {
        self.listeners.contains_key(name)
    }

    /// It is known where a room stands: those who wait for it may be let in.
    pub(super) fn admit(&mut self, room: &str) {
        let ids = self.listeners.remove(room).unwrap_or_default();
        self.admitted.extend(ids);
    }

    /// A client has said something before it was let in, which may wait until `due`.
    pub(super) fn add_talker(&mut self, due: Duration, id: ClientId) {
        self.talkers.push_back((due, id));
    }

    fn pop_late_talker(&mut self, now: Duration) -> Option<ClientId> {
        self.talkers.front().filter(|(due, _)| *due <= now)?;
        self.talkers.pop_front().map(|(_, id)| id)
    }

    /// A client is to be answered when what it has published is in the stream.
    pub(super) fn add_post(&mut self, id: ClientId, manner: Manner, count: u32) {
        let behind = Vec::new();
        let posted = Posted {
            manner,
            count,
            behind,
        };
        self.posts.insert(id, posted);
    }

    /// These bytes were read behind what the client has published.
    pub(super) fn keep_behind(&mut self, id: ClientId, rest: &[u8]) {
        if let Some(posted) = self.posts.get_mut(&id) {
            posted.behind = rest.to_vec();
        }
    }

    /// Takes a publication that can be answered now.
    pub(super) fn take_post(&mut self, id: ClientId) -> Option<Posted> {
        self.posts.remove(&id)
    }

    /// When there is something to do, counted from the start.
    pub(super) fn next_due(&self) -> Duration {
        match self.talkers.front() {
            _ if !self.admitted.is_empty() => Duration::ZERO,
            Some((due, _)) => *due,
            None => Duration::MAX,
        }
    }
}

impl<S: Stream> Engine<S> {
    /// A client that waits to be let into a room waits no more.
    pub(super) fn stop_waiting(&mut self, id: ClientId) {
        if let Some(shared) = &mut self.shared
            && let Some(slot) = self.clients.get_mut(id)
            && let Some((session, _)) = slot.client.session()
            && let Some(waiting) = session.waiting()
        {
            let room = &waiting.listen.room;
            shared.waiters.remove_listener(room, id);
        }
    }

    /// Those who wait are told at least that they do: it may take long.
    pub(super) fn send_openings(&mut self, waiters: &Waiters) {
        for id in waiters.listeners.values().flatten() {
            self.send_opening(*id);
        }
    }

    fn send_opening(&mut self, id: ClientId) {
        let Some(slot) = self.clients.get_mut(id) else {
            return;
        };
        let private_len = slot.client.private_len();
        if let Some((session, outbox)) = slot.client.session()
            && let Some(waiting) = session.waiting()
        {
            waiting.send_opening(outbox);
            outbox.note_queued(self.now.after(self.config.timeouts.write_wait));
        }
        self.private_len = self.private_len + slot.client.private_len() - private_len;
        self.enqueue(id);
        self.schedule(id);
    }

    /// Lets in those who have waited, as many as may join in a turn. Whether all are in: nothing is delivered before,
    /// because they are to hear it.
    pub(super) fn let_in_admitted(&mut self, shared: &mut Shared) -> bool {
        while self.joins < JOINS_PER_TURN
            && let Some(id) = shared.waiters.admitted.pop_front()
        {
            self.joins += 1;
            self.let_in(id, shared);
        }
        shared.waiters.admitted.is_empty()
    }

    fn let_in(&mut self, id: ClientId, shared: &mut Shared) {
        let Some(slot) = self.clients.get_mut(id) else {
            return;
        };
        let private_len = slot.client.private_len();
        let Some((session, outbox)) = slot.client.session() else {
            return;
        };
        let Some(waiting) = session.waiting() else {
            return;
        };
        let Some(room) = self.hub.find(&waiting.listen.room) else {
            // There is no place for it any more.
            self.close(id, CloseCode::TryAgainLater, CloseReason::BackplaneAway);
            return;
        };
        if !shared.backplane.is_up() || !self.hub.knows(room) {
            shared.wait(&waiting.listen.room, id);
            self.send_opening(id);
            return;
        }
        let said = mem::take(&mut waiting.said);
        let entrance = Entrance {
            room,
            listening: waiting.listen.listening,
            grant: waiting.listen.grant,
            opening: mem::take(&mut waiting.listen.opening),
        };
        answer::enter(
            entrance,
            id,
            session,
            outbox,
            &mut self.hub,
            &mut self.metrics,
        );
        self.metrics.joined += 1;
        let name = self.hub.name(room);
        for message in said {
            shared.backplane.say(name, id, &message);
        }
        outbox.note_queued(self.now.after(self.config.timeouts.write_wait));
        self.private_len = self.private_len + slot.client.private_len() - private_len;
        self.enqueue(id);
        self.schedule(id);
    }

    /// What some have said before they were let in has waited for long enough.
    pub(super) fn close_late_talkers(&mut self) {
        while let Some(id) = self.pop_late_talker() {
            if let Some(slot) = self.clients.get_mut(id)
                && let Some((session, _)) = slot.client.session()
                && session.waiting().is_some()
            {
                self.close(id, CloseCode::TryAgainLater, CloseReason::BackplaneAway);
            }
        }
    }

    fn pop_late_talker(&mut self) -> Option<ClientId> {
        let shared = self.shared.as_mut()?;
        shared.waiters.pop_late_talker(shared.now)
    }

    /// What a client has published is in the stream.
    pub(super) fn answer_appended(&mut self, by: ClientId, posted: Posted, id: Id) {
        self.metrics.http_messages += u64::from(posted.count);
        let answer = answer::accepted(id, &posted.manner, &self.date);
        self.answer_post(by, posted, answer);
    }

    /// What a client has published was not appended in time.
    pub(super) fn refuse_post(&mut self, by: ClientId, posted: Posted) {
        let refusal = Refusal::BackplaneAway;
        self.metrics.count_refused(refusal);
        let answer = posted.manner.refuse(refusal, &self.date);
        self.answer_post(by, posted, answer);
    }

    /// Answers a publication; what was read behind it goes on.
    fn answer_post(&mut self, by: ClientId, posted: Posted, answer: Vec<u8>) {
        let Posted { manner, behind, .. } = posted;
        let is_kept = manner.is_kept && !self.is_draining();
        let Some(slot) = self.clients.get_mut(by) else {
            self.deferred_len -= behind.len();
            return;
        };
        let client = &mut slot.client;
        let private_len = client.private_len();
        let Some((session, outbox)) = client.session() else {
            self.deferred_len -= behind.len();
            return;
        };
        session.end_wait();
        outbox.push_private(answer);
        client.note_progress(self.now, &self.config.timeouts);
        self.private_len = self.private_len + client.private_len() - private_len;
        if !is_kept {
            self.deferred_len -= behind.len();
            self.begin_close(by, Closing::answered(Vec::new()));
            return;
        }
        if !behind.is_empty() {
            slot.is_listed_readable = true;
            self.readable.push_back(Readable::deferred(by, behind));
        }
        self.enqueue(by);
        self.schedule(by);
    }
}
