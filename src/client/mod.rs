//! A connected peer: its stream, how far its connection has come, what it is owed, and when it is due.

pub mod outbox;
pub mod peer;
pub mod rate;
pub mod socket;
pub mod timers;

use std::net::SocketAddr;

use crate::config::{
    CLOSE_WAIT, Config, HTTP_READ_LEN, PRIVATE_LEN_MAX, Timeouts, WRITES_PER_TURN,
};
use crate::observe::CloseReason;
use crate::room::{Cursor, Hub, Membership};
use crate::session::Session;
use crate::time::Tick;

use outbox::Outbox;
use peer::PeerAddr;
use rate::{MessageRate, Verdict};
use socket::Input;
pub use socket::{Fill, Stream};
use timers::{Due, Timers};

/// A ping without payload, encoded.
const PING: &[u8] = &[0x89, 0x00];

/// Our record of a connected peer.
#[derive(Debug)]
pub struct Client<S> {
    stream: S,
    phase: Phase,
    outbox: Outbox,
    timers: Timers,
    rate: MessageRate,
    /// Where the peer is.
    pub peer: PeerAddr,
    input: Input,
    /// Whether the socket may take something, as far as is known.
    is_writable: bool,
}

/// How far a connection has come. There is no way back, and the first reason stands.
#[derive(Debug)]
pub enum Phase {
    /// The peer is served.
    Open(Session),
    /// The peer gets what it is still owed. Nothing is read; whenever it takes something, `due` is renewed.
    Flushing {
        /// Why the connection ends.
        reason: CloseReason,
        /// When the peer must have taken something.
        due: Tick,
    },
    /// Our side of the stream is ended, and the peer's end is awaited. What it still sends is discarded.
    Lingering {
        /// Why the connection ends.
        reason: CloseReason,
        /// When the peer must have ended its side.
        due: Tick,
    },
    /// The socket is closed when the turn is over.
    Closed {
        /// Why the connection ended.
        reason: CloseReason,
    },
}

impl<S: Stream> Client<S> {
    /// Reads once into `buffer`.
    #[inline]
    pub fn fill(&mut self, buffer: &mut [u8]) -> Fill {
        let buffer = match &self.phase {
            // It bounds the answers to pipelined requests.
            Phase::Open(session) if session.is_http() => buffer.split_at_mut(HTTP_READ_LEN).0,
            _ => buffer,
        };
        self.input.fill(&mut self.stream, buffer)
    }

    /// Offers the room's newest batches, `news`, to a member: to the socket, or behind what is owed.
    ///
    /// # Errors
    /// The client has to go: its queue is full and its socket takes nothing, or the queue is full twice over
    /// and the socket takes too little, or the socket failed.
    #[inline]
    pub fn offer(
        &mut self,
        membership: Membership,
        hub: &mut Hub,
        gather: &mut Vec<u8>,
        now: Tick,
        config: &Config,
    ) -> Result<(), CloseReason> {
        let Some((log, _)) = hub.log_mut(membership.room) else {
            return Ok(());
        };
        for number in log.news() {
            if !self.outbox.is_empty() {
                if self.outbox.cursor().is_none() {
                    let cursor = Cursor::new(membership.room, number, 0, log);
                    self.outbox.begin_behind(cursor);
                }
                return self.check_queue(hub, gather, now, config);
            }
            let Some(batch) = log.batch(number) else {
                return Ok(());
            };
            let frame = batch.frame();
            let len = frame.len();
            let written = socket::write(&mut self.stream, frame, &mut self.is_writable)?;
            self.timers.note_written(written, now, &config.timeouts);
            if written < len {
                let cursor = Cursor::new(membership.room, number, written, log);
                self.outbox.begin_behind(cursor);
                self.timers.note_owed(now, &config.timeouts);
            }
        }
        Ok(())
    }

    /// Judges a member that is behind by its send queue. Its socket is offered what is owed before.
    fn check_queue(
        &mut self,
        hub: &mut Hub,
        gather: &mut Vec<u8>,
        now: Tick,
        config: &Config,
    ) -> Result<(), CloseReason> {
        let bound = config.chat.send_queue as u64;
        if self.waiting_messages(hub) <= bound {
            return Ok(());
        }
        // The socket may have room that was not announced yet.
        self.is_writable = true;
        let takes_some = self.flush(hub, gather, now, &config.timeouts)?;
        let bound = bound * if takes_some { 2 } else { 1 };
        if self.waiting_messages(hub) > bound {
            return Err(CloseReason::Stuck);
        }
        Ok(())
    }

    fn waiting_messages(&self, hub: &Hub) -> u64 {
        let waiting = self.outbox.cursor().and_then(|cursor| {
            let log = hub.log(cursor.room())?;
            Some(cursor.waiting_messages(log))
        });
        waiting.unwrap_or(0)
    }

    /// Writes what is owed until the socket takes no more, or this client's turn is over. Tells whether the
    /// socket took something.
    ///
    /// # Errors
    /// The socket failed.
    pub fn flush(
        &mut self,
        hub: &mut Hub,
        gather: &mut Vec<u8>,
        now: Tick,
        timeouts: &Timeouts,
    ) -> Result<bool, CloseReason> {
        let was_paused = self.is_paused();
        let mut taken_len = 0;
        for _ in 0..WRITES_PER_TURN {
            if self.outbox.is_empty() || !self.is_writable {
                break;
            }
            let bytes = self.outbox.next_bytes(hub, gather);
            if bytes.is_empty() {
                self.outbox.settle(hub);
                break;
            }
            let written = socket::write(&mut self.stream, bytes, &mut self.is_writable)?;
            taken_len += written;
            self.outbox.advance(written, hub);
        }
        if taken_len > 0 {
            self.note_taken(taken_len, now, timeouts);
        }
        if self.outbox.is_empty() {
            self.timers.stop_write();
        } else {
            self.timers.note_owed(now, timeouts);
        }
        self.resume_input(was_paused, now, timeouts);
        Ok(taken_len > 0)
    }

    /// The socket took some of what is owed: that is progress, and a sign of life.
    fn note_taken(&mut self, len: usize, now: Tick, timeouts: &Timeouts) {
        self.timers.note_written(len, now, timeouts);
        if self.outbox.is_empty() {
            return;
        }
        self.timers.renew_write(now, timeouts);
        if let Phase::Flushing { due, .. } = &mut self.phase {
            *due = now.after(timeouts.write_wait);
        }
    }

    /// Starts the clocks again that stood still while the peer had not taken its answers.
    fn resume_input(&mut self, was_paused: bool, now: Tick, timeouts: &Timeouts) {
        let Phase::Open(session) = &self.phase else {
            return;
        };
        if session.is_http() {
            if self.outbox.is_empty() {
                let progress = session.progress();
                self.timers.await_request(progress, now, timeouts);
            }
        } else if was_paused && !self.is_paused() {
            self.timers.resume_message(now, timeouts);
        }
    }

    /// Offers what is owed once more to a socket that took nothing for the write wait: the kernel announces
    /// room only when there is much of it.
    ///
    /// # Errors
    /// It still takes nothing, or it failed.
    pub fn flush_late(
        &mut self,
        hub: &mut Hub,
        gather: &mut Vec<u8>,
        now: Tick,
        timeouts: &Timeouts,
    ) -> Result<(), CloseReason> {
        self.is_writable = true;
        if self.flush(hub, gather, now, timeouts)? {
            Ok(())
        } else {
            Err(CloseReason::WriteTimeout)
        }
    }

    /// Sends a ping, and says when the next is due.
    ///
    /// # Errors
    /// The socket failed.
    pub fn ping(&mut self, now: Tick, timeouts: &Timeouts) -> Result<(), CloseReason> {
        self.timers.renew_ping(now, timeouts);
        if !self.outbox.is_empty() {
            self.outbox.push_ping();
            return Ok(());
        }
        let written = socket::write(&mut self.stream, PING, &mut self.is_writable)?;
        if written < PING.len() {
            self.outbox.push_control_rest(PING, written);
            self.timers.note_owed(now, timeouts);
        }
        Ok(())
    }

    /// Ends our side of the stream, once all that was owed is written.
    pub fn begin_linger(&mut self, now: Tick) {
        if let Phase::Flushing { reason, .. } = self.phase {
            let due = now.after(CLOSE_WAIT);
            self.phase = Phase::Lingering { reason, due };
            // If the socket has failed already, reading it will tell.
            let _ = self.stream.shutdown_write();
        }
    }
}

impl<S> Client<S> {
    /// A client that was just accepted; its first request is due within the request timeout.
    pub fn new(stream: S, peer: SocketAddr, now: Tick, config: &Config) -> Self {
        Self {
            stream,
            phase: Phase::Open(Session::default()),
            outbox: Outbox::default(),
            timers: Timers::new(now, &config.timeouts),
            rate: MessageRate::new(config.chat.message_rate, now),
            peer: peer.into(),
            input: Input::Ready,
            is_writable: true,
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

    /// How far the connection has come.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// Whether the peer is served: it is not being closed.
    #[inline]
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_))
    }

    /// Whether the socket is to be closed at the end of the turn.
    #[inline]
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed { .. })
    }

    /// What the peer is owed.
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// What the peer is owed, to be changed.
    pub fn outbox_mut(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// When this client is due.
    pub fn timers_mut(&mut self) -> &mut Timers {
        &mut self.timers
    }

    /// Remembers what the kernel announced.
    #[inline]
    pub fn note_ready(&mut self, readable: bool, writable: bool, hung_up: bool) {
        self.input.note_ready(readable, hung_up);
        self.is_writable |= writable || hung_up;
    }

    /// Whether nothing is read from the peer because it does not take its own answers or echoes.
    #[inline]
    fn is_paused(&self) -> bool {
        match &self.phase {
            Phase::Open(session) => {
                !session.is_chat() && self.outbox.private_len() > PRIVATE_LEN_MAX
            }
            _ => false,
        }
    }

    /// Whether a read may bring something, and this client may be read from.
    #[inline]
    pub fn wants_read(&self) -> bool {
        self.input.may_bring_something()
            && match &self.phase {
                Phase::Open(_) => !self.is_paused(),
                Phase::Lingering { .. } => true,
                Phase::Flushing { .. } | Phase::Closed { .. } => false,
            }
    }

    /// Whether something is owed, or the stream is to be shut, and the socket may take it.
    #[inline]
    pub fn wants_flush(&self) -> bool {
        if self.outbox.is_empty() {
            matches!(self.phase, Phase::Flushing { .. })
        } else {
            self.is_writable
        }
    }

    /// Whether the peer takes what was owed and nothing more is to come, so that the socket may be closed
    /// at once: the peer has ended its side, or the close handshake is complete and the socket is known to be
    /// empty (closing a socket with unread bytes resets the connection).
    pub fn is_over(&self) -> bool {
        match self.phase {
            Phase::Flushing { reason, .. } => {
                self.input == Input::Ended
                    || (reason == CloseReason::PeerClosed && self.input == Input::Drained)
            }
            _ => self.input == Input::Ended,
        }
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
        } else if self.outbox.is_empty() {
            self.timers.note_request(progress, now, timeouts);
        } else {
            self.timers.pause_input();
        }
    }

    /// Nothing more is read; what is owed and the last bytes are given to the peer. `due` is renewed by
    /// progress. Only a client that is still open begins to close.
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
            self.timers.note_owed(now, timeouts);
            let due = self.timers.write_due();
            self.phase = Phase::Flushing { reason, due };
        }
    }

    /// The socket is to be closed. An earlier reason stands.
    pub fn close(&mut self, reason: CloseReason) {
        let reason = self.close_reason().unwrap_or(reason);
        self.phase = Phase::Closed { reason };
    }

    /// Why the connection ends, if it does.
    pub fn close_reason(&self) -> Option<CloseReason> {
        match self.phase {
            Phase::Open(_) => None,
            Phase::Flushing { reason, .. }
            | Phase::Lingering { reason, .. }
            | Phase::Closed { reason } => Some(reason),
        }
    }

    /// The earliest tick at which something may be due.
    #[inline]
    pub fn next_due(&self) -> Tick {
        match self.phase {
            Phase::Open(_) => self.timers.next(),
            Phase::Flushing { due, .. } | Phase::Lingering { due, .. } => due,
            Phase::Closed { .. } => Tick::NEVER,
        }
    }

    /// What is due by `now`.
    pub fn due(&self, now: Tick) -> Due {
        match self.phase {
            Phase::Open(_) => self.timers.due(now),
            Phase::Flushing { due, .. } if due <= now => Due::Write,
            Phase::Lingering { due, .. } if due <= now => Due::Close,
            _ => Due::Nothing,
        }
    }

    /// Whether bytes that the peer has sent may not have been read, because it does not take what it is owed.
    pub fn is_unread_on_purpose(&self) -> bool {
        self.is_paused()
    }

    /// Whether what is due is late for so long that it does not matter what lies unread.
    pub fn is_long_due(&self, due: Due, now: Tick, timeouts: &Timeouts) -> bool {
        self.timers.is_long_due(due, now, timeouts)
    }

    /// Whether nothing is left unread, as far as the kernel has told.
    pub fn is_drained(&self) -> bool {
        !self.input.may_bring_something()
    }

    /// Has the socket read once more, whatever was announced.
    pub fn expect_input(&mut self) {
        self.input.expect();
    }
}
