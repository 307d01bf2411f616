//! A connected peer: its stream, its protocol, what it is owed, and when it is due.

pub mod outbox;
pub mod rate;
pub mod timers;

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;

use crate::client::outbox::Outbox;
use crate::client::rate::{MessageRate, Verdict};
use crate::client::timers::Timers;
use crate::config::{Config, HTTP_READ_LEN, OWN_BYTES_MAX, READ_LEN, WRITES_PER_TURN};
use crate::http::status::Refusal;
use crate::observe::metrics::End;
use crate::room::batch::Batch;
use crate::session::Connection;
use crate::time::deadlines::Tick;

/// What a client needs of its socket, which never blocks.
pub trait Stream: io::Read + io::Write {
    /// Whether a read that fills less than it was offered proves that the socket is empty, and a write
    /// of which less is taken that it is full, so that any change will be announced. Where it does, one
    /// system call in two is saved.
    fn short_means_blocked(&self) -> bool;

    /// Ends our side of the stream; the peer's bytes can still be read.
    ///
    /// # Errors
    /// As the socket says.
    fn shutdown_write(&mut self) -> io::Result<()>;
}

/// A ping without payload, encoded.
const PING: &[u8] = &[0x89, 0x00];

/// Our record of a connected peer.
#[derive(Debug)]
pub struct Client<S> {
    stream: S,
    /// The peer's protocol.
    pub connection: Connection,
    /// What the peer is owed.
    pub outbox: Outbox,
    /// Where the peer is.
    pub peer: SocketAddr,
    /// Why this client ends; set once, when the end begins.
    end: Option<End>,
    /// Edge-triggered readiness is a fact to remember until the kernel says otherwise.
    readable: bool,
    writable: bool,
    /// The kernel announced the end of the stream; it is reached when a read returns nothing.
    is_hung_up: bool,
    /// The end of the stream was reached.
    is_at_end: bool,
    is_write_shut: bool,
    /// On the loop's lists, so as not to be put there twice.
    pub(crate) is_listed_readable: bool,
    pub(crate) is_listed_flushing: bool,
    pub(crate) is_leaving: bool,
    /// What the engine's books say this client's own bytes are.
    pub(crate) counted_own_len: usize,
    /// Bytes that were read and are to be heard in the next turn.
    #[expect(
        clippy::box_collection,
        reason = "one pointer, for every idle client has it"
    )]
    put_off: Option<Box<Vec<u8>>>,
    rate: MessageRate,
    /// When this client is due.
    pub timers: Timers,
}

/// What a read brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Fill {
    /// So many bytes.
    Bytes(usize),
    /// Nothing for now.
    Nothing,
    /// The end of the stream.
    EndOfStream,
    /// The socket failed.
    Broken(ErrorKind),
}

impl<S: Stream> Client<S> {
    /// A client that was just accepted; its first request is due within the request timeout.
    pub fn new(stream: S, peer: SocketAddr, now: Tick, config: &Config) -> Self {
        Self {
            stream,
            connection: Connection::default(),
            outbox: Outbox::default(),
            peer,
            end: None,
            readable: true,
            writable: true,
            is_hung_up: false,
            is_at_end: false,
            is_write_shut: false,
            is_listed_readable: false,
            is_listed_flushing: false,
            is_leaving: false,
            counted_own_len: 0,
            put_off: None,
            rate: MessageRate::new(config.message_rate, now),
            timers: Timers::new(now, config),
        }
    }

    /// Remembers what the kernel announced.
    pub fn note_ready(&mut self, readable: bool, writable: bool, hung_up: bool) {
        self.readable |= readable || hung_up;
        self.writable |= writable || hung_up;
        self.is_hung_up |= hung_up;
    }

    /// Whether a read may bring something, and this client may be read from: a peer that does not take
    /// its own answers or echoes has to wait.
    #[inline]
    pub fn wants_read(&self) -> bool {
        self.put_off.is_some()
            || self.readable
                && (self.connection.is_chat() || self.outbox.own_len() <= OWN_BYTES_MAX)
    }

    /// Whether something is owed, or the stream is to be shut, and the socket may take it.
    #[inline]
    pub fn wants_flush(&self) -> bool {
        if self.outbox.is_empty() {
            self.connection.is_ending() && !self.is_write_shut
        } else {
            self.writable
        }
    }

    /// Puts off bytes that were read to the next turn: [`Client::fill`] brings them again.
    pub fn put_off(&mut self, input: &[u8]) {
        if !input.is_empty() {
            self.put_off = Some(Box::new(input.to_vec()));
        }
    }

    /// Reads once into `buffer`, whose length is [`READ_LEN`].
    #[inline]
    pub fn fill(&mut self, buffer: &mut [u8]) -> Fill {
        debug_assert_eq!(buffer.len(), READ_LEN);
        if let Some(bytes) = self.put_off.take() {
            // They came out of this buffer, so they fit in it.
            buffer.split_at_mut(bytes.len()).0.copy_from_slice(&bytes);
            return Fill::Bytes(bytes.len());
        }
        let buffer = if self.connection.is_http() {
            buffer.split_at_mut(HTTP_READ_LEN).0
        } else {
            buffer
        };
        loop {
            match self.stream.read(buffer) {
                Ok(0) => {
                    self.readable = false;
                    self.is_at_end = true;
                    return Fill::EndOfStream;
                }
                Ok(len) => {
                    // After a hang-up no further edge comes: the end has to be read.
                    let is_empty = len < buffer.len() && self.stream.short_means_blocked();
                    self.readable = !is_empty || self.is_hung_up;
                    return Fill::Bytes(len);
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock => {
                        self.readable = false;
                        return Fill::Nothing;
                    }
                    kind => return Fill::Broken(kind),
                },
            }
        }
    }

    /// Offers a batch: to the socket, or behind what is owed.
    ///
    /// # Errors
    /// The client has to leave: its queue is full and its socket takes nothing, or the queue is full
    /// twice over and the socket takes too little, or the socket failed.
    #[inline]
    pub fn offer(
        &mut self,
        batch: &Rc<Batch>,
        gather: &mut Vec<u8>,
        now: Tick,
        config: &Config,
    ) -> Result<(), End> {
        if !self.outbox.is_empty() {
            let is_beyond = |outbox: &Outbox, bound: usize| {
                outbox.waiting_messages() + batch.message_count() > bound
            };
            if is_beyond(&self.outbox, config.send_queue) {
                // Offer before judging: the socket may have room that was not announced yet.
                self.writable = true;
                let takes_some = self.flush(gather, now, config)?;
                let bound = config.send_queue * if takes_some { 2 } else { 1 };
                if is_beyond(&self.outbox, bound) {
                    return Err(End::Stuck);
                }
            }
            if !self.outbox.is_empty() {
                self.outbox.push_batch(Rc::clone(batch));
                return Ok(());
            }
        }
        let frame = batch.frame();
        let written = self.write(frame)?;
        if written < frame.len() {
            self.outbox.push_rest(Rc::clone(batch), written);
            self.timers.watch_write(now, config);
        }
        Ok(())
    }

    /// Writes what is owed until the socket takes no more, or this client's turn is over. Tells whether
    /// the socket took something.
    ///
    /// # Errors
    /// The socket failed.
    pub fn flush(&mut self, gather: &mut Vec<u8>, now: Tick, config: &Config) -> Result<bool, End> {
        let mut takes_some = false;
        for _ in 0..WRITES_PER_TURN {
            if self.outbox.is_empty() || !self.writable {
                break;
            }
            let bytes = self.outbox.next_bytes(gather);
            let written = write(&mut self.stream, bytes, &mut self.writable)?;
            takes_some |= written > 0;
            self.outbox.advance(written);
        }
        if takes_some {
            self.timers.note_taken(now, config);
        }
        if self.outbox.is_empty() {
            self.timers.stop_write();
        } else if takes_some {
            self.timers.renew_write(now, config);
        } else {
            self.timers.watch_write(now, config);
        }
        Ok(takes_some)
    }

    /// Offers what is owed once more to a socket that took nothing for the write wait: the kernel
    /// announces room only when there is much of it.
    ///
    /// # Errors
    /// It still takes nothing, or it failed.
    pub fn flush_late(
        &mut self,
        gather: &mut Vec<u8>,
        now: Tick,
        config: &Config,
    ) -> Result<(), End> {
        self.writable = true;
        if self.flush(gather, now, config)? {
            Ok(())
        } else {
            Err(End::WriteTimeout)
        }
    }

    /// Ends our side of the stream once all is written; the peer has a while to end its own.
    pub fn shut_write(&mut self, now: Tick) {
        if !self.is_write_shut {
            self.is_write_shut = true;
            self.timers.begin_close_wait(now);
            // If the socket has failed already, reading it will tell.
            let _ = self.stream.shutdown_write();
        }
    }

    /// Whether nothing more can be said or heard.
    pub fn is_over(&self) -> bool {
        self.is_at_end && self.outbox.is_empty()
    }

    /// Sends a ping, and says when the next is due.
    ///
    /// # Errors
    /// The socket failed.
    pub fn ping(&mut self, now: Tick, config: &Config) -> Result<(), End> {
        self.timers.renew_ping(now, config);
        if !self.outbox.is_empty() {
            self.outbox.push_ping();
            return Ok(());
        }
        let written = self.write(PING)?;
        if written < PING.len() {
            self.outbox.push_control_rest(PING, written);
            self.timers.renew_write(now, config);
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, End> {
        write(&mut self.stream, bytes, &mut self.writable)
    }
}

impl<S> Client<S> {
    /// Counts messages that this client sent.
    #[inline]
    pub fn spend(&mut self, count: u32, now: Tick, config: &Config) -> Verdict {
        self.rate.spend(count, config.message_rate, now)
    }

    /// Whether this client got a seat, rather than a refusal for want of one.
    pub fn was_let_in(&self) -> bool {
        !matches!(
            self.end,
            Some(End::Refused(
                Refusal::TooManyClients | Refusal::TooManyFromAddress
            ))
        )
    }

    /// Starts, keeps or stops the clock of an unfinished message.
    #[inline]
    pub fn watch_message(&mut self, now: Tick, config: &Config) {
        if self.connection.is_websocket() {
            let progress = self.connection.note_progress();
            self.timers.watch_message(progress, now, config);
        }
    }

    /// The connection ends for this reason, unless it ends for another one already.
    pub fn begin_end(&mut self, end: End, now: Tick, config: &Config) {
        if self.end.is_none() {
            self.end = Some(end);
            self.timers.begin_end(now, config);
        }
    }

    /// Why this client ends, or that its peer is gone if nothing else was known.
    pub fn end(&self) -> End {
        self.end.unwrap_or(End::PeerGone)
    }
}

/// Writes once, and notes whether the socket may take more; 0 if it takes nothing now.
#[inline]
fn write(stream: &mut impl Stream, bytes: &[u8], writable: &mut bool) -> Result<usize, End> {
    loop {
        match stream.write(bytes) {
            Ok(0) => return Err(End::Broken(ErrorKind::WriteZero)),
            Ok(written) => {
                *writable = written == bytes.len() || !stream.short_means_blocked();
                return Ok(written);
            }
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => {}
                ErrorKind::WouldBlock => {
                    *writable = false;
                    return Ok(0);
                }
                kind => return Err(End::Broken(kind)),
            },
        }
    }
}
