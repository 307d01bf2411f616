//! The end of the server: its clients are closed one after the other over the drain time, so that they do not all
//! come back somewhere else in the same second. Until its time has come a client is served as ever, but for new
//! requests.

use std::time::Duration;

use super::Engine;
use crate::client::Stream;
use crate::id::ClientId;
use crate::observe::CloseReason;
use crate::time::Tick;

/// A shutdown that goes on.
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
    /// When there is something to do.
    pub(super) fn next_due(&self, now: Tick) -> Tick {
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
    /// Takes no more connections and serves no more requests, and closes all clients, evenly over three quarters of
    /// the drain time, each after what is still queued for it. Those that have not taken it when the drain time is
    /// over, which begins at `now`, are cut off. A second call cuts off at once.
    pub fn begin_shutdown(&mut self, now: Tick) {
        self.now = now;
        if let Some(drain) = &mut self.drain {
            drain.due = now;
            return;
        }
        let time = self.config.timeouts.drain;
        let waiting = self.drained_ids();
        self.drain = Some(Drain {
            began: now,
            due: now.after(time),
            spread: time / 4 * 3,
            total: waiting.len(),
            waiting,
        });
        self.close_for_drain();
    }

    /// Whether a shutdown is over: nobody is left but those who operate the server, and watch it to its end.
    pub fn is_shut_down(&self) -> bool {
        self.drain.is_some() && self.clients.len() == self.admin_count
    }

    /// The clients that a shutdown has to close.
    fn drained_ids(&self) -> Vec<ClientId> {
        let mut ids = self.clients.ids();
        ids.retain(|&id| !self.is_admin(id));
        ids
    }

    /// Closes those whose time has come, and everybody when the drain is over.
    pub(super) fn close_for_drain(&mut self) {
        while let Some(id) = self.drain.as_mut().and_then(|drain| drain.pop(self.now)) {
            self.shut_down(id);
        }
        if self
            .drain
            .as_ref()
            .is_some_and(|drain| drain.due <= self.now)
        {
            for id in self.drained_ids() {
                self.disconnect(id, CloseReason::Shutdown);
            }
        }
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
