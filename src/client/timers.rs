//! When one client is due, per kind of timeout. When its socket must have taken something stands in its outbox.

use crate::config::Timeouts;
use crate::time::Tick;
use crate::ws::message::Progress;

/// A reader this slow, in bytes a second, is still waited for: what was written before a ping is given so
/// much time to be read before the pong.
pub const SLOWEST_READER: u32 = 16 * 1024;
/// The most that lies between a socket and its reader: what Linux' send buffers grow to.
const UNCONFIRMED_MAX: u32 = 4 * 1024 * 1024;

/// No ping is unanswered.
const NO_PING: u32 = u32::MAX;

/// What is due for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing yet.
    Nothing,
    /// The socket took nothing for too long.
    Write,
    /// A request or a message was not finished in time, or no further request came.
    Input,
    /// No pong came.
    Pong,
    /// It is time for a ping.
    Ping,
    /// The connection's end was not reached in time.
    Close,
}

/// The deadlines of one client.
#[derive(Debug)]
pub struct Timers {
    /// When the request or the message must be whole.
    input: Tick,
    pong: Tick,
    ping: Tick,
    /// The bytes that were written since the last ping that was answered. They may lie before the next one.
    unconfirmed_len: u32,
    /// How many of them lie before the oldest ping that was not answered, or [`NO_PING`].
    before_ping_len: u32,
}

impl Timers {
    /// Those of a client that was just accepted: its first request.
    pub fn new(now: Tick, timeouts: &Timeouts) -> Self {
        Self {
            input: now.after(timeouts.request_timeout),
            pong: Tick::NEVER,
            ping: Tick::NEVER,
            unconfirmed_len: 0,
            before_ping_len: NO_PING,
        }
    }

    /// All answers are written: the next request has its time, or the rest of one that was begun.
    pub fn await_request(&mut self, progress: Progress, now: Tick, timeouts: &Timeouts) {
        self.input = now.after(match progress {
            Progress::Between => timeouts.keep_alive,
            Progress::Begun | Progress::Unfinished => timeouts.request_timeout,
        });
    }

    /// Something of a request came while no answer waits.
    pub fn note_request(&mut self, progress: Progress, now: Tick, timeouts: &Timeouts) {
        if progress == Progress::Begun {
            self.input = self.input.min(now.after(timeouts.request_timeout));
        }
    }

    /// Starts, keeps or stops the clock of an unfinished message.
    #[inline]
    pub fn note_message(&mut self, progress: Progress, now: Tick, timeouts: &Timeouts) {
        match progress {
            Progress::Between => self.input = Tick::NEVER,
            Progress::Begun => self.input = now.after(timeouts.pong_wait),
            Progress::Unfinished => {}
        }
    }

    /// The peer was not read from for a while, and is again: a message that was begun has its time anew.
    pub fn resume_message(&mut self, now: Tick, timeouts: &Timeouts) {
        if self.input != Tick::NEVER {
            self.input = now.after(timeouts.pong_wait);
        }
    }

    /// The peer is not waited for to finish anything: it has not yet taken our answers.
    pub fn pause_input(&mut self) {
        self.input = Tick::NEVER;
    }

    /// The client stays from now on. Its first ping comes somewhere in the second half of the period,
    /// by `jitter`, so that clients which came together are not pinged together. A WebSocket has to answer.
    pub fn open(&mut self, is_websocket: bool, jitter: u32, now: Tick, timeouts: &Timeouts) {
        let half = timeouts.ping_period() / 2;
        self.ping = now.after(half + half / 64 * (jitter % 64));
        self.pong = match is_websocket {
            true => now.after(timeouts.pong_wait),
            false => Tick::NEVER,
        };
        self.input = Tick::NEVER;
    }

    /// A ping was sent; the next one has its time.
    pub fn renew_ping(&mut self, now: Tick, timeouts: &Timeouts) {
        if self.before_ping_len == NO_PING {
            self.before_ping_len = self.unconfirmed_len;
        }
        self.ping = now.after(timeouts.ping_period());
    }

    /// The peer has answered a ping: it has read what was written before that, and perhaps nothing that came
    /// after it.
    pub fn note_pong(&mut self, now: Tick, timeouts: &Timeouts) {
        if self.before_ping_len != NO_PING {
            self.unconfirmed_len = self.unconfirmed_len.saturating_sub(self.before_ping_len);
            self.before_ping_len = NO_PING;
        }
        self.pong = now.after(timeouts.pong_wait);
    }

    /// The socket took bytes, which the peer has to read before the next ping.
    #[inline]
    pub fn note_written(&mut self, len: usize) {
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        self.unconfirmed_len = self
            .unconfirmed_len
            .saturating_add(len)
            .min(UNCONFIRMED_MAX);
    }

    /// The socket took something again where it had been full, which is a sign of life.
    pub fn note_progress(&mut self, now: Tick, timeouts: &Timeouts) {
        if self.pong != Tick::NEVER {
            self.pong = now.after(timeouts.pong_wait);
        }
    }

    /// When the pong is due: a slow reader comes to the ping later than to what was written before it.
    fn pong_due(&self) -> Tick {
        if self.pong == Tick::NEVER || self.unconfirmed_len < SLOWEST_READER {
            return self.pong;
        }
        self.pong
            .plus_seconds(self.unconfirmed_len / SLOWEST_READER)
    }

    /// The earliest tick at which something may be due.
    #[inline]
    pub fn next(&self) -> Tick {
        self.input.min(self.pong_due()).min(self.ping)
    }

    /// What is due by `now`, the gravest first.
    pub fn due(&self, now: Tick) -> Due {
        if self.input <= now {
            Due::Input
        } else if self.pong_due() <= now {
            Due::Pong
        } else if self.ping <= now {
            Due::Ping
        } else {
            Due::Nothing
        }
    }

    /// Whether what is due is late for so long that it does not matter what lies unread: a peer that always
    /// has more to say must not escape.
    pub fn is_long_due(&self, due: Due, now: Tick, timeouts: &Timeouts) -> bool {
        let since = match due {
            Due::Input => self.input,
            Due::Pong => self.pong_due(),
            Due::Nothing | Due::Write | Due::Ping | Due::Close => Tick::NEVER,
        };
        since.after(timeouts.pong_wait) <= now
    }
}
