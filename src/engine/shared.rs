//! Rooms that several nodes share: what clients say goes to the stream, and what is read from the stream is published
//! here, whoever said it.
//!
//! Until it is known where a room stands, those who want to listen to it wait; they have their opening, and are pinged.
//! Who publishes by HTTP is answered when the stream has it.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::time::Duration;

use tracing::warn;

use super::Engine;
use super::answer::{self, Entrance};
use super::read::Readable;
use crate::backplane::{Backplane, Event};
use crate::client::Stream;
use crate::config::{JOINS_PER_TURN, OFFERS_PER_TURN};
use crate::http::manner::Manner;
use crate::http::status::Refusal;
use crate::id::ClientId;
use crate::observe::{BackplaneFigures, CloseReason};
use crate::room::id::Id;
use crate::room::{Hub, RoomId, notice};
use crate::session::{Closing, Listen, Session};
use crate::time::Now;
use crate::ws::close::CloseCode;

/// The stream, and who waits for it.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) backplane: Backplane,
    /// Who waits to be let into a room, by the room's name.
    waiting: HashMap<Box<str>, Vec<ClientId>>,
    /// Who may be let in now.
    admitted: VecDeque<ClientId>,
    /// Who waits for the answer to a publication.
    posts: HashMap<ClientId, Posted>,
    /// Until when those may wait who have said something before they were let in, the first first.
    talkers: VecDeque<(Duration, ClientId)>,
    now: Duration,
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

impl Shared {
    fn new(backplane: Backplane) -> Self {
        Self {
            backplane,
            waiting: HashMap::new(),
            admitted: VecDeque::new(),
            posts: HashMap::new(),
            talkers: VecDeque::new(),
            now: Duration::ZERO,
        }
    }

    /// Whether so many bytes more may wait to be passed on, where `max` may.
    pub(super) fn has_place(&self, len: usize, max: usize) -> bool {
        self.backplane.queued_len() + len <= max
    }

    /// Whether it is known where a reader starts.
    pub(super) fn can_let_in(&self, listen: &Listen, hub: &Hub) -> bool {
        let room = hub.find(&listen.room);
        self.backplane.is_up()
            && room.is_some_and(|room| hub.can_answer(room, listen.listening.start))
    }

    /// Whether no more rooms may be waited for.
    pub(super) fn is_full(&self, name: &str, hub: &Hub) -> bool {
        let is_known = hub.find(name).is_some() || self.waiting.contains_key(name);
        !is_known && hub.is_full(self.waiting.len())
    }

    /// A client waits to be let into a room.
    pub(super) fn wait(&mut self, name: &str, id: ClientId) {
        if self.backplane.is_up() {
            self.backplane.ask_head(name);
        }
        match self.waiting.get_mut(name) {
            Some(ids) => ids.push(id),
            None => _ = self.waiting.insert(name.into(), vec![id]),
        }
    }

    /// A client that waits to be let into a room goes.
    fn stop_waiting(&mut self, name: &str, id: ClientId) {
        if let Some(ids) = self.waiting.get_mut(name) {
            ids.retain(|waiting| *waiting != id);
            if ids.is_empty() {
                self.waiting.remove(name);
            }
        }
    }

    /// Passes a message of a client on, where `waiting_max` bytes may wait. What one says that is not in its room yet is
    /// kept with it.
    pub(super) fn say(
        &mut self,
        text: &str,
        id: ClientId,
        session: &mut Session,
        hub: &Hub,
        waiting_max: usize,
    ) -> Result<(), Closing> {
        if !self.has_place(text.len(), waiting_max) {
            self.backplane.withdraw(id);
            return Err(session.close(CloseCode::TryAgainLater, CloseReason::BackplaneAway));
        }
        if let Some(waiting) = session.waiting() {
            if waiting.keep(text) {
                let due = self.now + self.backplane.wait();
                self.talkers.push_back((due, id));
            }
        } else if let Some(membership) = session.membership() {
            self.backplane.say(hub.name(membership.room), id, text);
        }
        Ok(())
    }

    /// A client waits for the answer to what it has published.
    pub(super) fn await_answer(&mut self, id: ClientId, manner: Manner, count: u32) {
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

    fn pop_late_talker(&mut self) -> Option<ClientId> {
        let (due, _) = self.talkers.front()?;
        (*due <= self.now)
            .then(|| self.talkers.pop_front())?
            .map(|(_, id)| id)
    }

    pub(super) fn figures(&self) -> BackplaneFigures {
        let stats = self.backplane.stats();
        BackplaneFigures {
            up: self.backplane.is_up(),
            ready: self.backplane.is_ready(),
            lag: stats.lag,
            appends: stats.appends,
            reconnects: stats.reconnects,
        }
    }

    /// When there is something to do, counted from the start.
    pub(super) fn next_due(&self) -> Duration {
        if !self.admitted.is_empty() {
            return Duration::ZERO;
        }
        let talker = self.talkers.front().map_or(Duration::MAX, |(due, _)| *due);
        self.backplane.next_due().min(talker)
    }
}

impl<S: Stream> Engine<S> {
    /// Rooms are shared with other nodes from now on, by this stream. To be called before there are clients.
    pub fn share(&mut self, backplane: Backplane) {
        self.hub.share();
        self.shared = Some(Box::new(Shared::new(backplane)));
    }

    /// The stream that rooms are shared by, if they are.
    pub fn backplane_mut(&mut self) -> Option<&mut Backplane> {
        self.shared.as_mut().map(|shared| &mut shared.backplane)
    }

    /// Publishes what was read from the stream, as far as the budget of a turn goes, and lets in who has waited.
    pub(super) fn deliver(&mut self, now: Now) {
        let Some(mut shared) = self.shared.take() else {
            return;
        };
        shared.now = now.elapsed;
        let unix_ms = now.unix_seconds.saturating_mul(1_000);
        shared.backplane.begin_turn(now.elapsed, unix_ms);
        while self.offers < OFFERS_PER_TURN / 2
            && let Some(event) = shared.backplane.next_event()
        {
            match event {
                Event::Connected => self.ask_heads(&mut shared),
                Event::Lost => self.hub.forget_heads(),
                Event::Entry {
                    room,
                    first,
                    count,
                    text,
                } => self.publish_entry(room, first, count, text),
                Event::Head { room, id } => {
                    let ids = shared.waiting.remove(room).unwrap_or_default();
                    shared.admitted.extend(ids);
                    if let Ok(room) = self.hub.enter(room) {
                        self.settle(room, id);
                    }
                }
                Event::Appended { by, id } => {
                    if let Some(posted) = shared.posts.remove(&by) {
                        self.answer_appended(by, posted, id);
                    }
                }
                Event::GaveUp { by } => match shared.posts.remove(&by) {
                    Some(posted) => self.refuse_post(by, posted),
                    None => {
                        shared.backplane.withdraw(by);
                        self.close(by, CloseCode::TryAgainLater, CloseReason::BackplaneAway);
                    }
                },
                Event::Elsewhere { room, count } => {
                    if let Some(room) = self.hub.find(room) {
                        self.hub.set_elsewhere(room, count);
                    }
                }
            }
        }
        self.let_in_admitted(&mut shared);
        self.shared = Some(shared);
        self.close_late_talkers();
    }

    /// A client that waits to be let into a room waits no more.
    pub(super) fn stop_waiting(&mut self, id: ClientId) {
        if let Some(shared) = &mut self.shared
            && let Some(slot) = self.clients.get_mut(id)
            && let Some((session, _)) = slot.client.session()
            && let Some(waiting) = session.waiting()
        {
            shared.stop_waiting(&waiting.listen.room, id);
        }
    }

    /// What clients have said in this turn goes to the stream, and how many listen here.
    pub(super) fn pass_on(&mut self) {
        let Some(shared) = &mut self.shared else {
            return;
        };
        while let Some(changed) = self.hub.pop_changed_count() {
            let room = &changed.room;
            shared.backplane.note_count(room, changed.members);
            shared.backplane.watch_counts(room, changed.is_wanted);
        }
        shared.backplane.flush();
        self.metrics
            .count_appends(shared.backplane.take_append_times());
    }

    /// What is known of rooms may be old: all are asked for anew.
    fn ask_heads(&mut self, shared: &mut Shared) {
        self.hub.forget_heads();
        let waiting = shared.waiting.keys().map(|name| &**name);
        for name in self.hub.names().chain(waiting) {
            shared.backplane.ask_head(name);
        }
    }

    /// Publishes messages that were read from the stream. A room that nobody has asked for here is kept where there is
    /// history to keep.
    fn publish_entry(&mut self, name: &str, first: Id, count: u32, text: &str) {
        let room = match self.hub.find(name) {
            Some(room) => room,
            None if self.hub.keeps_history() => match self.hub.enter(name) {
                Ok(room) => room,
                // Whoever asks for it is refused as well.
                Err(_) => return,
            },
            None => return,
        };
        let seq = first.seq.saturating_sub(1);
        self.settle(room, Id { seq, ..first });
        if self.hub.head(room).seq > seq {
            // The broker has lost what was read of it. No id is given twice, so these messages are missing here.
            warn!(room = name, %first, "the stream has gone back");
            let last = Id {
                seq: seq
                    .saturating_add(count.into())
                    .max(self.hub.head(room).seq),
                ..first
            };
            self.restart(room, last, None);
            return;
        }
        let members = self.hub.members(room).len();
        for message in text.split('\n') {
            self.offers += self.hub.publish(room, message) * members;
        }
        self.metrics.deliveries += u64::from(count) * members as u64;
    }

    /// The next message of a room is the one behind `position`. What is missing before it is told.
    fn settle(&mut self, room: RoomId, position: Id) {
        let head = self.hub.head(room);
        let is_same = head.epoch == position.epoch;
        if self.hub.is_unheard_of(room) {
            self.hub.restart(room, position);
        } else if is_same && position.seq <= head.seq {
            self.hub.note_head_known(room);
        } else {
            let missed = is_same.then(|| position.seq - head.seq);
            self.restart(room, position, missed);
        }
    }

    /// Tells the members of a room that messages before `position` are missing, so many if that is known, and goes on
    /// behind it.
    fn restart(&mut self, room: RoomId, position: Id, missed: Option<u64>) {
        // What came before is for everybody first.
        self.hub.begin_offer(room);
        self.broadcast_room(room);
        self.hub.note_offered(room);
        for id in self.hub.members(room).to_vec() {
            self.tell_missed(id, position, missed);
        }
        if self.hub.cursor_count(room) > 0 {
            // Of those who have left the room and take their last bytes.
            for id in self.clients.ids() {
                self.leave_log_of(room, id);
            }
        }
        self.hub.restart(room, position);
    }

    /// A member without ids cannot be told, and has to come back.
    fn tell_missed(&mut self, id: ClientId, position: Id, missed: Option<u64>) {
        let Some(slot) = self.clients.get_mut(id) else {
            return;
        };
        let client = &mut slot.client;
        let Some(membership) = client.membership() else {
            return;
        };
        let private_len = client.private_len();
        let outbox = client.outbox_mut();
        let left_out = outbox.leave_log(&mut self.hub);
        let missed = missed.map(|missed| missed + left_out);
        outbox.push_private(notice::gap(membership.framing, position, missed));
        outbox.note_queued(self.now.after(self.config.timeouts.write_wait));
        self.private_len = self.private_len + client.private_len() - private_len;
        if !membership.framing.has_ids() {
            self.close(id, CloseCode::TryAgainLater, CloseReason::MissedMessages);
        }
        self.enqueue(id);
        self.schedule(id);
    }

    fn leave_log_of(&mut self, room: RoomId, id: ClientId) {
        if let Some(slot) = self.clients.get_mut(id)
            && let client = &mut slot.client
            && client
                .outbox()
                .cursor()
                .is_some_and(|cursor| cursor.room() == room)
        {
            let private_len = client.private_len();
            client.outbox_mut().leave_log(&mut self.hub);
            self.private_len = self.private_len + client.private_len() - private_len;
            self.enqueue(id);
        }
    }

    /// Lets in those who have waited, as many as may join in a turn.
    fn let_in_admitted(&mut self, shared: &mut Shared) {
        for _ in 0..shared.admitted.len().min(JOINS_PER_TURN) {
            if let Some(id) = shared.admitted.pop_front() {
                self.let_in(id, shared);
            }
        }
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
            return;
        }
        let said = mem::take(&mut waiting.said);
        let entrance = Entrance {
            room,
            listening: waiting.listen.listening,
            grant: waiting.listen.grant,
            opening: Vec::new(),
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
    fn close_late_talkers(&mut self) {
        while let Some(id) = self
            .shared
            .as_mut()
            .and_then(|shared| shared.pop_late_talker())
        {
            if let Some(slot) = self.clients.get_mut(id)
                && let Some((session, _)) = slot.client.session()
                && session.waiting().is_some()
            {
                self.close(id, CloseCode::TryAgainLater, CloseReason::BackplaneAway);
            }
        }
    }

    fn answer_appended(&mut self, by: ClientId, posted: Posted, id: Id) {
        self.metrics.http_messages += u64::from(posted.count);
        let answer = answer::accepted(id, &posted.manner, &self.date);
        self.answer_post(by, posted, answer);
    }

    fn refuse_post(&mut self, by: ClientId, posted: Posted) {
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
