//! What the bytes of one read amount to: events, and what those reach.

use super::Engine;
use super::answer::{self, Publisher};
use super::clients::{Admission, Slot};
use super::expiry::Expiries;
use super::forwarded::{known_peer, move_seat};
use super::shared::Shared;
use crate::access::Grant;
use crate::client::{Client, Stream};
use crate::config::Config;
use crate::http::Date;
use crate::http::manner::Manner;
use crate::http::status::Refusal;
use crate::id::ClientId;
use crate::limits::PerIpLimit;
use crate::observe::Metrics;
use crate::room::{Hub, Membership};
use crate::session::{Closing, Codec, Context, Event, Listen, Publication, Session};
use crate::time::Tick;
use crate::ws::deflate::Inflater;

/// What came of the bytes of one read.
#[derive(Default)]
struct Received {
    /// Messages and control frames, as the message rate counts them.
    count: u32,
    /// How the request is answered that asks for the counters.
    scrape: Option<Manner>,
    /// How many clients have joined a room: this one, or none.
    joined: u8,
    /// How many offers of a batch to a member they cause. A client that has filled a batch, or was told the counters,
    /// is read on in the next turn.
    offers: usize,
    /// The answer to what the client has published has to wait, and so has what is behind it.
    awaits_answer: bool,
    /// The connection is to be closed.
    closing: Option<Closing>,
    /// The connection is to be closed without an answer.
    is_turned_away: bool,
    /// So many bytes of the input are left.
    deferred_len: usize,
}

impl Received {
    /// A request was answered: that was the connection's last unless it is kept.
    fn note_answered(&mut self, is_kept: bool) {
        if !is_kept {
            self.closing = Some(Closing::answered(Vec::new()));
        }
    }

    /// Whether the rest of the input, of so many bytes, is not for this turn.
    fn is_done(&mut self, rest_len: usize) -> bool {
        let has_to_wait = self.offers > 0 || self.scrape.is_some() || self.awaits_answer;
        if self.closing.is_none() && has_to_wait {
            self.deferred_len = rest_len;
        }
        self.closing.is_some() || self.is_turned_away || has_to_wait
    }
}

/// What the events of a client reach beside its own session.
struct Reach<'a> {
    id: ClientId,
    now: Tick,
    config: &'a Config,
    date: &'a Date,
    inflater: &'a mut Inflater,
    hub: &'a mut Hub,
    metrics: &'a mut Metrics,
    expiries: &'a mut Expiries,
    per_ip: &'a mut PerIpLimit,
    refused_count: &'a mut usize,
    shared: &'a mut Option<Box<Shared>>,
    /// How many bytes may wait for the stream that rooms are shared by.
    waiting_max: usize,
}

impl Reach<'_> {
    /// Publishes the short messages at the front of the input, which need no events. Whether there were any.
    #[inline]
    fn publish_short(
        &mut self,
        session: &mut Session,
        input: &mut &mut [u8],
        received: &mut Received,
    ) -> bool {
        let message_max = self.config.chat.max_message;
        let (None, Some((reader, room))) = (&self.shared, session.talker()) else {
            return false;
        };
        let members = self.hub.members(room).len();
        let mut count = 0;
        while received.offers == 0 {
            match reader.next_short(input, message_max) {
                Ok(Some(text)) => received.offers = self.hub.publish(room, text) * members,
                Ok(None) => break,
                Err(error) => {
                    received.closing = Some(Closing::failed(error));
                    break;
                }
            }
            count += 1;
        }
        self.count_published(count, members, received);
        count > 0 || received.closing.is_some()
    }

    /// A message of a WebSocket.
    #[inline]
    fn publish(&mut self, text: &str, session: &mut Session, received: &mut Received) {
        if let Some(shared) = self.shared {
            received.count += 1;
            self.metrics.websocket_messages += 1;
            let passed = shared.say(text, self.id, session, self.hub, self.waiting_max);
            received.closing = passed.err();
        } else if let Some(Membership { room, .. }) = session.membership() {
            let sealed = self.hub.publish(room, text);
            let members = self.hub.members(room).len();
            received.offers += sealed * members;
            self.count_published(1, members, received);
        }
    }

    /// Counts messages of a WebSocket that were published in a room of so many.
    #[inline]
    fn count_published(&mut self, count: u32, members: usize, received: &mut Received) {
        received.count += count;
        self.metrics.websocket_messages += u64::from(count);
        self.metrics.deliveries += u64::from(count) * members as u64;
    }

    /// The client stays, with what it was granted.
    fn open<S: Stream>(&mut self, grant: Grant, client: &mut Client<S>) {
        client.open(self.id, self.now, &self.config.timeouts, self.metrics);
        self.expiries.insert(grant, self.id);
    }

    fn listen<S: Stream>(
        &mut self,
        listen: Listen,
        client: &mut Client<S>,
        received: &mut Received,
    ) {
        let Some((session, outbox)) = client.session() else {
            return;
        };
        let Self {
            id,
            date,
            hub,
            metrics,
            shared,
            ..
        } = self;
        let grant = listen.grant;
        let refused = answer::listen(listen, *id, session, outbox, hub, metrics, shared);
        received.closing =
            refused.map(|(refusal, manner)| Closing::refused(refusal, &manner, date));
        received.joined = u8::from(session.is_member());
        self.open(grant, client);
    }

    /// A publication by a request.
    fn post<S: Stream>(
        &mut self,
        publication: Publication,
        client: &mut Client<S>,
        received: &mut Received,
    ) {
        let mut publisher = Publisher {
            id: self.id,
            client,
            config: self.config,
            date: self.date,
            now: self.now,
            metrics: self.metrics,
        };
        let is_kept = publication.manner.is_kept;
        match self.shared {
            None => received.offers += publisher.publish(&publication, self.hub),
            Some(shared) => {
                let passed = publisher.pass_on(publication, shared, self.waiting_max);
                received.awaits_answer = passed;
            }
        }
        if !received.awaits_answer {
            received.note_answered(is_kept);
        }
    }
}

impl<S: Stream> Engine<S> {
    /// Bytes to events, events to the rooms.
    pub(super) fn receive(&mut self, id: ClientId, input: &mut [u8]) {
        let input_len = input.len();
        let Some(received) = self.receive_events(id, input) else {
            return;
        };
        self.offers += received.offers;
        self.joins += usize::from(received.joined);
        self.metrics.joined += u64::from(received.joined);
        if received.deferred_len > 0 {
            let rest = input.split_at_mut(input_len - received.deferred_len).1;
            match received.awaits_answer {
                true => self.keep_behind(id, rest),
                false => self.defer(id, rest),
            }
        }
        if let Some(manner) = received.scrape {
            self.answer_scrape(id, &manner);
            return;
        }
        match received.closing {
            _ if received.is_turned_away => self.turn_away(id),
            Some(closing) => self.begin_close(id, closing),
            None => self.count_messages(id, received.count),
        }
    }

    /// Why a client is served nothing, if it is not.
    fn unavailable(&self, id: ClientId) -> Option<Refusal> {
        match self.clients.get(id)?.admission {
            Admission::Refused(refusal) => Some(refusal),
            Admission::Public | Admission::Unnamed => {
                self.is_draining().then_some(Refusal::ShuttingDown)
            }
            Admission::Admin => None,
        }
    }

    #[inline]
    fn receive_events(&mut self, id: ClientId, input: &mut [u8]) -> Option<Received> {
        let (unavailable, is_ready) = (self.unavailable(id), self.is_ready());
        let waiting_max = self
            .config
            .chat
            .max_queued
            .saturating_sub(self.queued_len());
        let Self {
            clients,
            hub,
            config,
            access,
            expiries,
            now,
            date,
            inflater,
            metrics,
            per_ip,
            refused_count,
            shared,
            ..
        } = self;
        let slot = clients.get_mut(id)?;
        let mut context = Context {
            config,
            access,
            date,
            role: slot.admission.role(),
            peer: known_peer(slot, config),
            unavailable,
            is_ready,
        };
        let mut reach = Reach {
            id,
            now: *now,
            config,
            date,
            inflater,
            hub,
            metrics,
            expiries,
            per_ip,
            refused_count,
            shared,
            waiting_max,
        };
        let private_len = slot.client.private_len();
        let received = take_events(input, slot, &mut context, &mut reach);
        self.private_len = self.private_len + slot.client.private_len() - private_len;
        slot.client.note_progress(*now, &config.timeouts);
        Some(received)
    }
}

/// Takes all events of the input, or as many as a turn is to bring.
#[inline]
fn take_events<S: Stream>(
    mut input: &mut [u8],
    slot: &mut Slot<S>,
    context: &mut Context<'_>,
    reach: &mut Reach<'_>,
) -> Received {
    let mut received = Received::default();
    // A client that is being closed has no session: its bytes are discarded.
    while let Some((session, outbox)) = slot.client.session()
        && !received.is_done(input.len())
    {
        if reach.publish_short(session, &mut input, &mut received) {
            continue;
        }
        let codec = Codec {
            inflater: reach.inflater,
            deflater: reach.hub.deflater(),
        };
        match session.receive(&mut input, outbox, context, codec) {
            Some(Event::Message(text)) => reach.publish(&text, session, &mut received),
            Some(Event::Served) => received.count += 1,
            Some(Event::Pong) => {
                received.count += 1;
                let timers = slot.client.timers_mut();
                timers.note_pong(reach.now, &reach.config.timeouts);
            }
            Some(Event::Answered) => {}
            Some(Event::Forwarded(peer)) => {
                let has_place = move_seat(slot, peer, reach.per_ip, reach.refused_count, context);
                received.is_turned_away = !has_place;
            }
            Some(Event::OpenedEcho { grant, window }) => {
                session.enter_echo(window);
                reach.open(grant, &mut slot.client);
            }
            Some(Event::Listens(listen)) => {
                reach.listen(listen, &mut slot.client, &mut received);
            }
            Some(Event::Publishes(publication)) => {
                reach.post(publication, &mut slot.client, &mut received);
            }
            Some(Event::Scrapes(manner)) => received.scrape = Some(manner),
            Some(Event::Closing(closing)) => received.closing = Some(closing),
            None => break,
        }
    }
    received
}
