//! What the server waits for with a player, and when it must be done with it.

use std::time::Duration;

use fanfare::client::timers::SLOWEST_READER;
use fanfare::config::{CLOSE_WAIT, Config};

use crate::player::{Player, Stage};

/// What the server waits for with a player that does nothing about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// That it takes more than so many bytes, for it is owed more.
    Write(usize),
    /// The end of the request after so many answers.
    Request(usize),
    /// A pong, or the end of a message; later, if it takes more than so many bytes bit by bit.
    Peer(usize),
    /// The end of a message, while pongs come.
    Message,
    /// The end of the stream, after the end of its own.
    End,
}

impl Player {
    /// Notes what the server waits for, and since when.
    pub(crate) fn watch_time(&mut self, now: Duration, config: &Config) {
        let wait = if self.peer.socket().server_has_shut {
            Some((Wait::End, CLOSE_WAIT))
        } else if !self.peer.is_registered() || matches!(self.stage, Stage::Told(_)) {
            None
        } else if self.peer.is_blocked() {
            Some((Wait::Write(self.taken_len), config.timeouts.write_wait))
        } else if self.stage == Stage::Http {
            let timeouts = &config.timeouts;
            let wait = match self.answers {
                0 => timeouts.request_timeout,
                _ => timeouts.keep_alive.max(timeouts.request_timeout),
            };
            Some((Wait::Request(self.answers), wait))
        } else if (self.is_mute || self.is_silent) && self.outgoing.is_empty() {
            let is_smooth = self.peer.socket().write_max == usize::MAX;
            let taken_len = if is_smooth { 0 } else { self.taken_len };
            Some((Wait::Peer(taken_len), config.timeouts.pong_wait))
        } else if self.is_mid_message && self.has_begun_message() {
            Some((Wait::Message, config.timeouts.pong_wait))
        } else {
            None
        };
        match (wait, self.due) {
            (Some((wait, _)), Some((same, _))) if wait == same => {}
            _ => self.due = wait.map(|(wait, time)| (wait, now + time)),
        }
        let is_limited = self.peer.is_blocked() || self.peer.socket().room < usize::MAX / 2;
        if is_limited {
            self.limited_since.get_or_insert(now);
        }
    }

    /// How much later than `due` the server may be done with it: a slow reader may come late to a ping.
    pub(crate) fn patience(&self) -> Duration {
        match self.due {
            Some((Wait::Peer(_), _)) => {
                let len = self.taken_len + self.peer.socket().outbound.len();
                Duration::from_secs((len / SLOWEST_READER as usize) as u64)
            }
            _ => Duration::ZERO,
        }
    }

    /// Whether the begin of its last message was sent; pongs may wait behind it.
    fn has_begun_message(&self) -> bool {
        self.outgoing.is_empty() || matches!(self.due, Some((Wait::Message, _)))
    }
}
