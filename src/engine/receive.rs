//! What the bytes of one read amount to: events, and what those reach.

use super::Engine;
use super::answer::{self, Publisher};
use super::clients::Admission;
use super::forwarded::{known_peer, move_seat};
use crate::client::Stream;
use crate::http::manner::Manner;
use crate::http::status::Refusal;
use crate::id::ClientId;
use crate::observe::Metrics;
use crate::room::{Hub, Membership};
use crate::session::{Closing, Codec, Context, Event};

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
    /// Publishes a message of a member.
    #[inline]
    fn publish(
        &mut self,
        text: &str,
        membership: Option<Membership>,
        hub: &mut Hub,
        metrics: &mut Metrics,
    ) {
        self.count += 1;
        let Some(Membership { room, .. }) = membership else {
            return;
        };
        let sealed = hub.publish(room, text);
        let members = hub.members(room).len();
        metrics.websocket_messages += 1;
        metrics.deliveries += members as u64;
        self.offers += sealed * members;
    }

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
    fn receive_events(&mut self, id: ClientId, mut input: &mut [u8]) -> Option<Received> {
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
        let mut received = Received::default();
        let private_len = slot.client.private_len();
        // A client that is being closed has no session: its bytes are discarded.
        while let Some((session, outbox)) = slot.client.session()
            && !received.is_done(input.len())
        {
            let codec = Codec {
                inflater,
                deflater: hub.deflater(),
            };
            match session.receive(&mut input, outbox, &context, codec) {
                Some(Event::Message(text)) => match shared {
                    None => received.publish(&text, session.membership(), hub, metrics),
                    Some(shared) => {
                        received.count += 1;
                        metrics.websocket_messages += 1;
                        let passed = shared.say(&text, id, session, hub, waiting_max);
                        received.closing = passed.err();
                    }
                },
                Some(Event::Served) => received.count += 1,
                Some(Event::Pong) => {
                    received.count += 1;
                    slot.client.timers_mut().note_pong(*now, &config.timeouts);
                }
                Some(Event::Answered) => {}
                Some(Event::Forwarded(client)) => {
                    let has_place = move_seat(slot, client, per_ip, refused_count, &mut context);
                    received.is_turned_away = !has_place;
                }
                Some(Event::OpenedEcho { grant, window }) => {
                    session.enter_echo(window);
                    slot.client.open(id, *now, &config.timeouts, metrics);
                    expiries.insert(grant, id);
                }
                Some(Event::Listens(listen)) => {
                    let grant = listen.grant;
                    received.closing =
                        answer::listen(listen, id, session, outbox, hub, metrics, shared)
                            .map(|(refusal, manner)| Closing::refused(refusal, &manner, date));
                    received.joined = u8::from(session.is_member());
                    slot.client.open(id, *now, &config.timeouts, metrics);
                    expiries.insert(grant, id);
                }
                Some(Event::Publishes(publication)) => {
                    let mut publisher = Publisher {
                        id,
                        client: &mut slot.client,
                        config,
                        date,
                        now: *now,
                        metrics,
                    };
                    let is_kept = publication.manner.is_kept;
                    match shared {
                        None => received.offers += publisher.publish(&publication, hub),
                        Some(shared) => {
                            let passed = publisher.pass_on(publication, shared, waiting_max);
                            received.awaits_answer = passed;
                        }
                    }
                    if !received.awaits_answer {
                        received.note_answered(is_kept);
                    }
                }
                Some(Event::Scrapes(manner)) => received.scrape = Some(manner),
                Some(Event::Closing(closing)) => received.closing = Some(closing),
                None => break,
            }
        }
        self.private_len = self.private_len + slot.client.private_len() - private_len;
        slot.client.note_progress(*now, &config.timeouts);
        Some(received)
    }
}
