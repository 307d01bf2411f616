//! When one client is due, per kind of timeout.

use crate::config::{CLOSE_WAIT, Config};
use crate::time::deadlines::Tick;
use crate::ws::message::Progress;

/// What is due for a client.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing yet.
    Nothing,
    /// The socket took nothing for too long.
    Write,
    /// The request, message or close handshake took too long.
    Stage,
    /// No pong came.
    Pong,
    /// It is time for a ping.
    Ping,
}

/// The deadlines of one client.
#[derive(Debug)]
pub struct Timers {
    /// When the request, the message or the close handshake must be over.
    stage: Tick,
    pong: Tick,
    ping: Tick,
    write: Tick,
    /// The earliest tick under which the loop's deadlines list this client.
    listed_at: Tick,
}

impl Timers {
    /// Those of a client that was just accepted: its first request.
    pub fn new(now: Tick, config: &Config) -> Self {
        Self {
            stage: now.after(config.request_timeout),
            pong: Tick::NEVER,
            ping: Tick::NEVER,
            write: Tick::NEVER,
            listed_at: Tick::NEVER,
        }
    }

    /// A request was answered; the next one has its time.
    pub fn renew_request(&mut self, now: Tick, config: &Config) {
        self.stage = now.after(config.request_timeout);
    }

    /// The client has become a WebSocket. Its first ping comes somewhere in the second half of the
    /// period, by `spread`, so that clients which came together are not pinged together.
    pub fn open(&mut self, spread: u32, now: Tick, config: &Config) {
        let half = config.ping_period() / 2;
        self.ping = now.after(half + half / 64 * (spread % 64));
        self.pong = now.after(config.pong_wait);
        self.stage = Tick::NEVER;
    }

    /// A ping was sent; the next one has its time.
    pub fn renew_ping(&mut self, now: Tick, config: &Config) {
        self.ping = now.after(config.ping_period());
    }

    /// The socket took something. Where it had been full, the peer is alive; and a ping cannot pass the
    /// frame that it is taking, so that it cannot be asked for a pong.
    pub fn note_taken(&mut self, now: Tick, config: &Config) {
        if self.write != Tick::NEVER && self.pong != Tick::NEVER {
            self.renew_pong(now, config);
        }
    }

    /// The peer is alive.
    pub fn renew_pong(&mut self, now: Tick, config: &Config) {
        self.pong = now.after(config.pong_wait);
    }

    /// Starts, keeps or stops the clock of an unfinished message.
    #[inline]
    pub fn watch_message(&mut self, progress: Progress, now: Tick, config: &Config) {
        match progress {
            Progress::Between => self.stage = Tick::NEVER,
            Progress::Begun => self.stage = now.after(config.pong_wait),
            Progress::Unfinished => {}
        }
    }

    /// The socket took something of what is owed, or something has come to be owed.
    pub fn renew_write(&mut self, now: Tick, config: &Config) {
        self.write = now.after(config.write_wait);
    }

    /// Something is owed, which the socket did not take now.
    pub fn watch_write(&mut self, now: Tick, config: &Config) {
        if self.write == Tick::NEVER {
            self.renew_write(now, config);
        }
    }

    /// Nothing is owed.
    pub fn stop_write(&mut self) {
        self.write = Tick::NEVER;
    }

    /// The end has begun: the last bytes, then the close handshake, and no word about liveness.
    pub fn begin_end(&mut self, now: Tick, config: &Config) {
        self.pong = Tick::NEVER;
        self.ping = Tick::NEVER;
        self.stage = now.after(config.write_wait.saturating_add(CLOSE_WAIT));
    }

    /// The last bytes are written; the peer has a while to end its side.
    pub fn begin_close_wait(&mut self, now: Tick) {
        self.stage = now.after(CLOSE_WAIT);
    }

    /// Under which tick the loop's deadlines have to list this client now, if they do not list it under
    /// an earlier one already.
    #[inline]
    pub fn list(&mut self) -> Option<Tick> {
        let next = self.stage.min(self.pong).min(self.ping).min(self.write);
        (next < self.listed_at).then(|| {
            self.listed_at = next;
            next
        })
    }

    /// The deadlines have come to this client at `now`: whether under its earliest tick. It is no longer
    /// listed there.
    pub fn unlist(&mut self, now: Tick) -> bool {
        let is_earliest = self.listed_at <= now;
        if is_earliest {
            self.listed_at = Tick::NEVER;
        }
        is_earliest
    }

    /// What is due by `now`, the gravest first.
    pub fn due(&self, now: Tick) -> Due {
        if self.write <= now {
            Due::Write
        } else if self.stage <= now {
            Due::Stage
        } else if self.pong <= now {
            Due::Pong
        } else if self.ping <= now {
            Due::Ping
        } else {
            Due::Nothing
        }
    }
}
