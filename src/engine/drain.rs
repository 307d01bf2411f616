//! The end of the server. It is announced first, for those who send clients here: for the drain delay everything goes
//! on. Then clients are closed one after the other over the drain time, so that they do not all come back somewhere else
//! in the same second. Until its time has come a client is served as ever, but for new requests.

use std::time::Duration;

use super::Engine;
use crate::client::Stream;
use crate::id::ClientId;
use crate::observe::CloseReason;
use crate::time::Tick;

/// How far the end of the server has come.
#[derive(Debug, Default)]
pub(super) enum Shutdown {
    /// Nobody has asked for it.
    #[default]
    None,
    /// Nobody is to be sent here any more, and the drain begins then.
    Announced { begins: Tick },
    /// Clients are being closed.
    Draining(Drain),
}

impl Shutdown {
    fn drain_mut(&mut self) -> Option<&mut Drain> {
        match self {
            Self::Draining(drain) => Some(drain),
            Self::None | Self::Announced { .. } => None,
        }
    }

    /// When there is something to do.
    pub(super) fn next_due(&self, now: Tick) -> Option<Tick> {
        match self {
            Self::None => None,
            Self::Announced { begins } => Some(*begins),
            Self::Draining(drain) => Some(drain.next_due(now)),
        }
    }
}

/// The clients that are being closed.
#[derive(Debug)]
pub(super) struct Drain {
    began: Tick,
    /// When it must be over.
    due: Tick,
    /// Over how long the closes are spread: the rest is for the last ones to take what is queued for them.
    spread: Duration,
    /// Those whose time has not come; the next is the last.
    waiting: Vec<ClientId>,
    /// How many there were in the beginning.
    total: usize,
}

impl Drain {
    fn next_due(&self, now: Tick) -> Tick {
        match self.waiting.is_empty() {
            true => self.due,
            false => self.due.min(now.next()),
        }
    }

    /// Takes the next client whose time has come. The first one's comes at once.
    fn pop(&mut self, now: Tick) -> Option<ClientId> {
        let passed = now.begins().saturating_sub(self.began.begins());
        let closed = self.total - self.waiting.len();
        let spread = self.spread.as_millis();
        let is_due = closed as u128 * spread <= passed.as_millis() * self.total as u128;
        is_due.then(|| self.waiting.pop()).flatten()
    }
}

impl<S: Stream> Engine<S> {
    /// Ends the server, from `now` on: after the drain delay it takes no more connections, serves no more requests than
    /// have come by then, and closes all clients, evenly over three quarters of the drain time, each after what is still
    /// queued for it. Those that have not taken it when the drain time is over are cut off. A second call cuts off at
    /// once.
    pub fn begin_shutdown(&mut self, now: Tick) {
        self.now = now;
        let delay = self.config.timeouts.drain_delay;
        match &mut self.shutdown {
            // The drain begins in the turn, after what has come by now is read.
            Shutdown::None => {
                let begins = match delay.is_zero() {
                    true => now,
                    false => now.after(delay),
                };
                self.shutdown = Shutdown::Announced { begins };
            }
            Shutdown::Announced { .. } => {
                self.begin_drain();
                self.begin_shutdown(now);
            }
            Shutdown::Draining(drain) => drain.due = now,
        }
    }

    fn begin_drain(&mut self) {
        let time = self.config.timeouts.drain;
        let mut waiting = self.drained_ids();
        // Those last who are only about to ask: they get an answer rather than an end without one.
        waiting.sort_by_key(|&id| !self.awaits_first_request(id));
        self.shutdown = Shutdown::Draining(Drain {
            began: self.now,
            due: self.now.after(time),
            spread: time / 4 * 3,
            total: waiting.len(),
            waiting,
        });
        self.close_next_clients();
    }

    /// Whether clients may be sent here: nobody has asked the server to end, and other nodes are heard, if there are any.
    pub(super) fn is_ready(&self) -> bool {
        let shared = self.shared.as_ref();
        matches!(self.shutdown, Shutdown::None)
            && shared.is_none_or(|shared| shared.backplane.is_ready())
    }

    /// Whether the drain begins in the turn of this time.
    pub fn is_drain_due(&self, now: Tick) -> bool {
        matches!(self.shutdown, Shutdown::Announced { begins } if begins <= now)
    }

    /// Whether clients are being closed.
    pub fn is_draining(&self) -> bool {
        matches!(self.shutdown, Shutdown::Draining(_))
    }

    /// Whether a shutdown is over: nobody is left but those who operate the server, and watch it to its end, and what was
    /// said is in the stream that rooms are shared by.
    pub fn is_shut_down(&self) -> bool {
        let Shutdown::Draining(drain) = &self.shutdown else {
            return false;
        };
        let shared = self.shared.as_ref();
        let is_passed_on = shared.is_none_or(|shared| !shared.backplane.has_unanswered());
        self.clients.len() == self.admin_count && (is_passed_on || drain.due <= self.now)
    }

    /// The clients that a shutdown has to close.
    fn drained_ids(&self) -> Vec<ClientId> {
        let mut ids = self.clients.ids();
        ids.retain(|&id| !self.is_admin(id));
        ids
    }

    fn awaits_first_request(&self, id: ClientId) -> bool {
        let slot = self.clients.get(id);
        slot.is_some_and(|slot| slot.client.awaits_first_request())
    }

    /// Begins the drain when its time has come.
    pub(super) fn begin_due_drain(&mut self) {
        if self.is_drain_due(self.now) {
            self.begin_drain();
        }
    }

    /// Closes the clients whose time has come, and everybody when the drain is over.
    pub(super) fn go_on_with_drain(&mut self) {
        self.close_next_clients();
        let drain = self.shutdown.drain_mut();
        if drain.is_some_and(|drain| drain.due <= self.now) {
            for id in self.drained_ids() {
                self.disconnect(id, CloseReason::Shutdown);
            }
        }
    }

    fn close_next_clients(&mut self) {
        while let Some(id) = self.pop_drained() {
            self.shut_down(id);
        }
    }

    fn pop_drained(&mut self) -> Option<ClientId> {
        self.shutdown.drain_mut()?.pop(self.now)
    }

    fn shut_down(&mut self, id: ClientId) {
        if let Some(slot) = self.clients.get_mut(id)
            && let Some((session, _)) = slot.client.session()
            // The answer to a request that has begun says more than the end.
            && !session.is_mid_request()
        {
            let closing = session.shut_down(id.slot());
            self.begin_close(id, closing);
        }
    }
}
