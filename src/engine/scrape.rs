//! What those who watch the server are told: whether it takes part, and all counters.

use std::time::Duration;

use super::Engine;
use crate::client::Stream;
use crate::config::PROCESS_READ_PERIOD;
use crate::http::manner::Manner;
use crate::id::ClientId;
use crate::observe::exposition::{CONTENT_TYPE, Snapshot, State};
use crate::observe::process::Process;
use crate::session::Closing;
use crate::time::Tick;

/// What the kernel counts, as it was when it was last asked.
#[derive(Debug)]
pub(super) struct LastProcess {
    process: Option<Process>,
    due: Tick,
}

impl Default for LastProcess {
    fn default() -> Self {
        Self {
            process: None,
            due: Tick::START,
        }
    }
}

impl LastProcess {
    /// Asks the kernel, unless that was done just now: it may have to count many descriptors.
    fn read(&mut self, now: Tick) -> Option<Process> {
        if self.due <= now {
            self.process = Process::read();
            self.due = now.after(PROCESS_READ_PERIOD);
        }
        self.process
    }
}

impl<S: Stream> Engine<S> {
    /// Answers a request for the counters, as they are before the answer.
    pub(super) fn answer_scrape(&mut self, id: ClientId, manner: &Manner) {
        let text = self.snapshot().into_text();
        let answer = manner.fresh(CONTENT_TYPE, &text, &self.date);
        let Some(slot) = self.clients.get_mut(id) else {
            return;
        };
        let client = &mut slot.client;
        let private_len = client.private_len();
        client.outbox_mut().push_private(answer);
        client.note_progress(self.now, &self.config.timeouts);
        self.private_len = self.private_len + client.private_len() - private_len;
        if !manner.is_kept {
            self.begin_close(id, Closing::answered(Vec::new()));
        }
    }

    fn snapshot(&mut self) -> Snapshot {
        Snapshot {
            metrics: self.metrics.clone(),
            state: State {
                max_clients: self.client_limit,
                rooms: self.hub.room_count(),
                max_rooms: self.config.rooms.max_rooms,
                queued_len: self.queued_len(),
                max_queued: self.config.chat.max_queued,
                history_len: self.history_len(),
                max_history: self.config.rooms.max_history,
            },
            compression: self.hub.compression_counts(),
            backplane: self.shared.as_ref().map(|shared| shared.figures()),
            process: self.process.read(self.now),
        }
    }

    /// Counts a turn that took so long.
    pub fn note_turn(&mut self, time: Duration) {
        self.metrics.turns.add(time);
    }
}
