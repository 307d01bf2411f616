//! A connected peer: its stream, how far its connection has come, what is queued for it, and when it is due.

pub mod peer;
mod phase;
pub mod rate;
pub mod socket;
pub mod timers;
mod write;

use crate::config::{CLOSE_WAIT, Config, HTTP_READ_LEN, PRIVATE_LEN_MAX, Timeouts};
use crate::id::ClientId;
use crate::observe::{CloseReason, Metrics, Transport};
use crate::outbox::Outbox;
use crate::room::{Hub, Membership};
use crate::session::Session;
use crate::time::Tick;

use peer::PeerAddr;
use phase::{Ending, Phase};
use rate::{MessageRate, Verdict};
pub use socket::{Fill, Stream};
use socket::{Input, Output};
use timers::{Due, Timers};

/// Our record of a connected peer.
#[derive(Debug)]
pub struct Client<S> {
    stream: S,
    phase: Phase,
    outbox: Outbox,
    timers: Timers,
    rate: MessageRate,
    /// Where the peer is, or the client that it speaks for.
    pub peer: PeerAddr,
    input: Input,
    output: Output,
}

impl<S: Stream> Client<S> {
    /// Reads once into `buffer`.
    #[inline]
    pub fn fill(&mut self, buffer: &mut [u8]) -> Fill {
        let buffer = match &self.phase {
            // It bounds the answers to pipelined requests. A body may be long, and is read up to its end.
            Phase::Open(session) if session.is_http() => {
                let len = session.body_left().max(HTTP_READ_LEN).min(buffer.len());
                buffer.split_at_mut(len).0
            }
            _ => buffer,
        };
        self.input.fill(&mut self.stream, buffer)
    }

    /// Ends our side of the stream, once all that was queued is written.
    pub fn begin_linger(&mut self, now: Tick) {
        if let Phase::Flushing { ending } = self.phase {
            let due = now.after(CLOSE_WAIT);
            self.phase = Phase::Lingering { ending, due };
            // If the socket has failed already, reading it will tell.
            let _ = self.stream.shutdown_write();
        }
    }
}

impl<S> Client<S> {
    /// A client that was just accepted; its first request is due within the request timeout.
    pub fn new(stream: S, peer: PeerAddr, now: Tick, config: &Config) -> Self {
        Self {
            stream,
            phase: Phase::Open(Session::default()),
            outbox: Outbox::default(),
            timers: Timers::new(now, &config.timeouts),
            rate: MessageRate::new(config.chat.message_rate, now),
            peer,
            input: Input::Ready,
            output: Output::New,
        }
    }

    /// Its socket, for the poll.
    pub fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The connection must begin with a PROXY header. To be called before anything is read.
    pub fn expect_proxy_header(&mut self) {
        if let Phase::Open(session) = &mut self.phase {
            session.expect_proxy_header();
        }
    }

    /// The peer's protocol, while the peer is served, and where its replies go.
    #[inline]
    pub fn session(&mut self) -> Option<(&mut Session, &mut Outbox)> {
        match &mut self.phase {
            Phase::Open(session) => Some((session, &mut self.outbox)),
            _ => None,
        }
    }

    /// Whether the head of its first request has not come in whole yet.
    pub fn awaits_first_request(&self) -> bool {
        matches!(&self.phase, Phase::Open(session) if session.awaits_first_request())
    }

    /// The client's seat in its room, if it has one.
    #[inline]
    pub fn membership(&self) -> Option<Membership> {
        match &self.phase {
            Phase::Open(session) => session.membership(),
            _ => None,
        }
    }

    /// The member got another seat.
    pub fn move_to_seat_of(&mut self, left: Membership) {
        if let Phase::Open(session) = &mut self.phase {
            session.move_to_seat_of(left);
        }
    }

    /// Whether the peer is served: it is not being closed.
    #[inline]
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_))
    }

    /// Whether the peer sends requests.
    pub fn is_http(&self) -> bool {
        matches!(&self.phase, Phase::Open(session) if session.is_http())
    }

    /// Whether the socket is to be closed at the end of the turn.
    #[inline]
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed { .. })
    }

    /// What is queued for the peer.
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// What is queued for the peer, to be changed.
    pub fn outbox_mut(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// The bytes that are held for this client alone: what is queued for it, and a body that has come in part.
    #[inline]
    pub fn private_len(&self) -> usize {
        self.outbox.private_len() + self.body_len()
    }

    /// All bytes that are held for this client, those it shares with others included, give or take frame headers.
    pub fn held_len(&self, hub: &Hub) -> usize {
        self.outbox.queued_len(hub) + self.body_len()
    }

    #[inline]
    fn body_len(&self) -> usize {
        match &self.phase {
            Phase::Open(session) => session.body_len(),
            _ => 0,
        }
    }

    /// When this client is due.
    pub fn timers_mut(&mut self) -> &mut Timers {
        &mut self.timers
    }

    /// Remembers what the kernel announced.
    #[inline]
    pub fn note_ready(&mut self, readable: bool, writable: bool, hung_up: bool) {
        self.input.note_ready(readable, hung_up);
        if writable || hung_up {
            self.output.expect_room();
        }
    }

    /// Whether nothing is read from the peer because it does not take its own answers or echoes.
    #[inline]
    pub fn is_paused(&self) -> bool {
        match &self.phase {
            Phase::Open(session) => {
                !session.is_member() && self.outbox.private_len() > PRIVATE_LEN_MAX
            }
            _ => false,
        }
    }

    /// Whether a read may bring something, and this client may be read from.
    #[inline]
    pub fn wants_read(&self) -> bool {
        self.input.may_bring_something()
            && match &self.phase {
                Phase::Open(session) => !self.is_paused() && !session.awaits_answer(),
                Phase::Lingering { .. } => true,
                Phase::Flushing { .. } | Phase::Closed { .. } => false,
            }
    }

    /// Whether room in the socket is to be announced from now on, and was not before.
    #[inline]
    pub fn begin_watch_output(&mut self) -> bool {
        self.output.begin_watch()
    }

    /// Whether something is queued, or the stream is to be shut, and the socket may take it.
    #[inline]
    pub fn wants_flush(&self) -> bool {
        if self.outbox.is_empty() {
            matches!(self.phase, Phase::Flushing { .. })
        } else {
            self.output.may_take_something()
        }
    }

    /// Whether the peer takes what was queued and nothing more is to come, so that the socket may be closed
    /// at once: the peer has ended its side, or the close handshake is complete and the socket is known to be
    /// empty (closing a socket with unread bytes resets the connection).
    pub fn is_over(&self) -> bool {
        match self.phase {
            Phase::Flushing { ending } => {
                self.input == Input::Ended
                    || (ending.reason == CloseReason::PeerClosed && self.input == Input::Drained)
            }
            _ => self.input == Input::Ended,
        }
    }

    /// The client stays from now on, as a WebSocket or an event source.
    pub fn open(&mut self, id: ClientId, now: Tick, timeouts: &Timeouts, metrics: &mut Metrics) {
        metrics.change_transport(Transport::Http, self.transport());
        let is_websocket = self.transport() == Transport::WebSocket;
        // Consecutive slots differ in their low bits, which is all that the jitter looks at.
        self.timers.open(is_websocket, id.slot(), now, timeouts);
    }

    /// Whether this client has not yet sent more than it may.
    pub fn may_send(&self, now: Tick, config: &Config) -> bool {
        self.rate.has_left(config.chat.message_rate, now)
    }

    /// Counts messages that this client sent.
    #[inline]
    pub fn spend(&mut self, count: u32, now: Tick, config: &Config) -> Verdict {
        self.rate.spend(count, config.chat.message_rate, now)
    }

    /// Starts, keeps or stops the clock of what the peer has begun to send.
    #[inline]
    pub fn note_progress(&mut self, now: Tick, timeouts: &Timeouts) {
        let Phase::Open(session) = &mut self.phase else {
            return;
        };
        let progress = session.note_progress();
        if !session.is_http() {
            self.timers.note_message(progress, now, timeouts);
        } else if self.outbox.is_empty() && !session.awaits_answer() {
            self.timers.note_request(progress, now, timeouts);
        } else {
            self.timers.pause_input();
        }
    }

    /// Nothing more is read; what is queued and the last bytes are given to the peer. Only a client that is still
    /// open begins to close.
    pub fn begin_close(
        &mut self,
        reason: CloseReason,
        last_bytes: Vec<u8>,
        now: Tick,
        timeouts: &Timeouts,
    ) {
        if self.is_open() {
            self.outbox.push_last(last_bytes);
            // A socket that takes nothing already does not get more time.
            self.outbox.note_queued(now.after(timeouts.write_wait));
            let transport = self.transport();
            let ending = Ending { reason, transport };
            self.phase = Phase::Flushing { ending };
        }
    }

    /// The socket is to be closed. An earlier reason stands.
    pub fn close(&mut self, reason: CloseReason) {
        let transport = self.transport();
        let reason = self.close_reason().unwrap_or(reason);
        let ending = Ending { reason, transport };
        self.phase = Phase::Closed { ending };
    }

    /// Why the connection ends, if it does.
    pub fn close_reason(&self) -> Option<CloseReason> {
        Some(self.phase.ending()?.reason)
    }

    /// How the peer speaks, or spoke while it was served.
    pub fn transport(&self) -> Transport {
        self.phase.transport()
    }

    /// The earliest tick at which something may be due.
    #[inline]
    pub fn next_due(&self) -> Tick {
        match self.phase {
            Phase::Open(_) => self.timers.next().min(self.outbox.due()),
            Phase::Flushing { .. } => self.outbox.due(),
            Phase::Lingering { due, .. } => due,
            Phase::Closed { .. } => Tick::NEVER,
        }
    }

    /// What is due by `now`.
    pub fn due(&self, now: Tick) -> Due {
        match self.phase {
            Phase::Open(_) | Phase::Flushing { .. } if self.outbox.due() <= now => Due::Write,
            Phase::Open(_) => self.timers.due(now),
            Phase::Lingering { due, .. } if due <= now => Due::Close,
            _ => Due::Nothing,
        }
    }

    /// Whether what is due is late for so long that it does not matter what lies unread.
    pub fn is_long_due(&self, due: Due, now: Tick, timeouts: &Timeouts) -> bool {
        self.timers.is_long_due(due, now, timeouts)
    }

    /// Has the socket read once more, whatever was announced.
    pub fn expect_input(&mut self) {
        self.input.expect();
    }
}
