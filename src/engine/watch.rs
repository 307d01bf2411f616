//! What the poll is asked to announce, near the end of a turn: by then most clients that came in it were read and answered,
//! and nothing of that is announced any more. Room for output is only asked for where a socket has been full.

use std::{io, mem};

use tracing::warn;

use super::{Engine, Network};
use crate::client::Stream;
use crate::id::ClientId;
use crate::observe::CloseReason;

impl<S: Stream> Engine<S> {
    pub(super) fn watch(&mut self, network: &mut impl Network<Stream = S>) {
        let mut newcomers = mem::take(&mut self.newcomers);
        for id in newcomers.drain(..) {
            let registered = self.watch_one(id, |stream| network.register(stream, id));
            self.metrics.accept_failures += u64::from(!registered);
        }
        self.newcomers = newcomers;
        let mut filled = mem::take(&mut self.filled);
        for id in filled.drain(..) {
            self.watch_one(id, |stream| network.watch_output(stream, id));
        }
        self.filled = filled;
    }

    /// Whether the poll did what it was asked to for a client; without it the client cannot be served.
    fn watch_one(&mut self, id: ClientId, ask: impl FnOnce(&mut S) -> io::Result<()>) -> bool {
        let Some(slot) = self.clients.get_mut(id) else {
            return true;
        };
        if slot.client.is_closed() {
            return true;
        }
        let Err(error) = ask(slot.client.stream_mut()) else {
            return true;
        };
        let peer = slot.client.peer;
        if self.log_limiter.allow(self.now) {
            warn!(%error, %peer, "cannot watch a connection, closing it");
        }
        self.disconnect(id, CloseReason::Broken(error.kind()));
        false
    }
}
