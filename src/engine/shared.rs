//! Rooms that several nodes share: what clients say goes to the stream, and what is read from the stream is published
//! here, from this node or another.
//!
//! Until it is known where a room stands, those who want to listen to it wait. Where that may take long they have their
//! opening, and are pinged.
//! Who publishes by HTTP is answered when the stream has it.

use std::time::Duration;

use super::Engine;
use super::waiting::Waiters;
use crate::backplane::{Backplane, Event};
use crate::client::Stream;
use crate::config::OFFERS_PER_TURN;
use crate::id::ClientId;
use crate::observe::{BackplaneFigures, CloseReason};
use crate::room::id::Id;
use crate::room::{Hub, RoomId, notice};
use crate::session::{Closing, Listen, Session};
use crate::time::Now;
use crate::ws::close::CloseCode;

/// How long what was read is held back for what this node has on its way to the stream. Otherwise the publishers of a
/// busy room fall into two halves that alternate, and each message costs twice as many writes.
const HOLD_MAX: Duration = Duration::from_millis(1);

/// The stream, and who waits for it.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) backplane: Backplane,
    pub(super) waiters: Waiters,
    pub(super) now: Duration,
    /// Until when the broadcast waits, if it does.
    held_until: Option<Duration>,
}

impl Shared {
    fn new(backplane: Backplane) -> Self {
        Self {
            backplane,
            waiters: Waiters::default(),
            now: Duration::ZERO,
            held_until: None,
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
        let is_known = hub.find(name).is_some() || self.waiters.has_room(name);
        !is_known && hub.is_full(self.waiters.rooms().len())
    }

    /// A client waits to be let into a room.
    pub(super) fn wait(&mut self, name: &str, id: ClientId) {
        if self.backplane.is_up() {
            self.backplane.ask_head(name);
        }
        self.waiters.add_listener(name, id);
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
                self.waiters.add_talker(due, id);
            }
        } else if let Some(membership) = session.membership() {
            self.backplane.say(hub.name(membership.room), id, text);
        }
        Ok(())
    }

    /// Whether the broadcast waits for what is on its way. `may_wait`: nobody has joined in this turn, who must not get
    /// what was published before.
    fn holds(&mut self, may_wait: bool) -> bool {
        let until = self.held_until.unwrap_or(self.now + HOLD_MAX);
        let holds = may_wait && self.now < until && self.backplane.has_unanswered();
        self.held_until = holds.then_some(until);
        holds
    }

    /// The same as it was decided last: until when.
    pub(super) fn held_until(&self) -> Option<Duration> {
        self.held_until
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
        self.backplane.next_due().min(self.waiters.next_due())
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
        while self.let_in_admitted(&mut shared)
            && self.offers < OFFERS_PER_TURN / 2
            && let Some(event) = shared.backplane.next_event()
        {
            match event {
                Event::Connected => self.ask_heads(&mut shared),
                Event::GaveUp { by } => self.give_up(by, &mut shared),
                event => self.take_event(event, &mut shared.waiters),
            }
        }
        self.shared = Some(shared);
        self.close_late_talkers();
    }

    fn take_event(&mut self, event: Event<'_>, waiters: &mut Waiters) {
        match event {
            Event::Lost => {
                self.hub.forget_heads();
                self.send_openings(waiters);
            }
            Event::Entry {
                room,
                first,
                count,
                text,
            } => {
                let is_wanted = self.hub.keeps_history() || waiters.has_room(room);
                self.publish_entry(room, is_wanted, first, count, text);
            }
            Event::Head { room, id } => {
                waiters.admit(room);
                if let Ok(room) = self.hub.enter(room) {
                    self.settle(room, id);
                }
            }
            Event::Appended { by, id } => {
                if let Some(posted) = waiters.take_post(by) {
                    self.answer_appended(by, posted, id);
                }
            }
            Event::Elsewhere { room, count } => {
                if let Some(room) = self.hub.find(room) {
                    self.hub.set_elsewhere(room, count);
                }
            }
            Event::Connected | Event::GaveUp { .. } => {}
        }
    }

    /// What a client has published was not appended in time.
    fn give_up(&mut self, by: ClientId, shared: &mut Shared) {
        match shared.waiters.take_post(by) {
            Some(posted) => self.refuse_post(by, posted),
            None => {
                shared.backplane.withdraw(by);
                self.close(by, CloseCode::TryAgainLater, CloseReason::BackplaneAway);
            }
        }
    }

    /// Whether what is new is offered in a later turn, together with what is on its way.
    pub(super) fn holds_broadcast(&mut self) -> bool {
        let may_wait = self.hub.news_due().is_some() && self.joins == 0;
        let shared = self.shared.as_mut();
        shared.is_some_and(|shared| shared.holds(may_wait))
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
            if !changed.is_wanted
                && let Some(id) = self.hub.find(room)
            {
                // It is told anew to the next one who wants to know.
                self.hub.set_elsewhere(id, 0);
            }
        }
        shared.backplane.flush();
        self.metrics
            .count_appends(shared.backplane.take_append_times());
    }

    /// What is known of rooms may be old: all are asked for anew.
    fn ask_heads(&mut self, shared: &mut Shared) {
        self.hub.forget_heads();
        let mut names: Vec<&str> = self.hub.names().chain(shared.waiters.rooms()).collect();
        // In one order, so that a simulation repeats.
        names.sort_unstable();
        for name in names {
            shared.backplane.ask_head(name);
        }
    }

    /// Publishes messages that were read from the stream. A room that nobody has asked for here is kept where there is
    /// history to keep.
    fn publish_entry(&mut self, name: &str, is_wanted: bool, first: Id, count: u32, text: &str) {
        let room = match self.hub.find(name) {
            Some(room) => room,
            None if is_wanted => match self.hub.enter(name) {
                Ok(room) => room,
                // A client that asks for it is refused as well.
                Err(_) => return,
            },
            None => return,
        };
        let seq = first.seq.saturating_sub(1);
        self.settle(room, Id { seq, ..first });
        // What was read before is read again where the generation changed and this node had gone on reading. An epoch
        // belongs to one generation, so that it is the same.
        let known = self.hub.head(room).seq - seq;
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        let members = self.hub.members(room).len();
        for message in text.split('\n').skip(known) {
            self.offers += self.hub.publish(room, message) * members;
        }
        let news = u64::from(count).saturating_sub(known as u64);
        self.metrics.deliveries += news * members as u64;
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
}
