//! One connection to the broker: whether it is there, the bytes in both directions, and how long an answer takes.

use std::time::Duration;

use super::reply::{Replies, give_back};
use super::scanner::BadReply;

/// How long a connection may take to be made, and an answer to come.
pub const ANSWER_WAIT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Opening,
    Open,
}

/// A connection, as its transport sees it.
#[derive(Debug)]
pub(super) struct Link {
    state: State,
    /// Whether a socket is to be dropped that may still be there.
    is_given_up: bool,
    unsent: Vec<u8>,
    /// How much of `unsent` was sent.
    sent: usize,
    pub(super) replies: Replies,
    /// Since when an answer is waited for without a byte of one, if one is.
    waits_since: Option<Duration>,
    has_received: bool,
    /// The time of this turn.
    pub(super) now: Duration,
}

impl Link {
    pub(super) fn new(reply_max: usize) -> Self {
        Self {
            state: State::Closed,
            is_given_up: false,
            unsent: Vec::new(),
            sent: 0,
            replies: Replies::new(reply_max),
            waits_since: None,
            has_received: false,
            now: Duration::ZERO,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.is_given_up
    }

    pub(super) fn begin_open(&mut self) {
        self.state = State::Opening;
        self.is_given_up = false;
        self.waits_since = Some(self.now);
    }

    /// Whether this is news.
    pub(super) fn note_connected(&mut self) -> bool {
        let is_news = self.state == State::Opening;
        if is_news {
            self.state = State::Open;
            self.waits_since = None;
            // It may be some time since this turn's time was told: an answer is waited for from the next one on.
            self.has_received = true;
        }
        is_news
    }

    /// Forgets the connection. `has_socket`: the transport still has one to close.
    pub(super) fn close(&mut self, has_socket: bool) {
        self.is_given_up |= has_socket && self.state != State::Closed;
        self.state = State::Closed;
        self.unsent = Vec::new();
        self.sent = 0;
        self.replies.clear();
        self.waits_since = None;
        self.has_received = false;
    }

    pub(super) fn receive(&mut self, bytes: &[u8]) -> Result<(), BadReply> {
        self.has_received = true;
        self.replies.receive(bytes)
    }

    /// Where the next command goes. An answer is waited for from now on.
    pub(super) fn out(&mut self) -> &mut Vec<u8> {
        self.waits_since.get_or_insert(self.now);
        &mut self.unsent
    }

    pub(super) fn unsent(&self) -> &[u8] {
        self.unsent.get(self.sent..).unwrap_or_default()
    }

    pub(super) fn note_sent(&mut self, len: usize) {
        self.sent = self.sent.saturating_add(len).min(self.unsent.len());
        if self.sent == self.unsent.len() {
            self.unsent.clear();
            self.sent = 0;
            give_back(&mut self.unsent);
        } else if self.sent > self.unsent.len() / 2 {
            self.unsent.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Takes note of answers that came. `is_answered`: nothing is asked any more.
    pub(super) fn note_answers(&mut self, is_answered: bool) {
        if self.state != State::Open {
            return;
        }
        if is_answered {
            self.waits_since = None;
        } else if self.has_received {
            // What comes slowly does come.
            self.waits_since = Some(self.now);
        }
        self.has_received = false;
    }

    /// When the connection is lost if nothing comes. `more` is what the broker may take longer.
    pub(super) fn due(&self, more: Duration) -> Duration {
        let since = self.waits_since;
        since.map_or(Duration::MAX, |since| since + ANSWER_WAIT + more)
    }

    pub(super) fn held_len(&self) -> usize {
        self.unsent.len() + self.replies.len()
    }
}
