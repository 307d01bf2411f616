//! What all logs share: the bounds on history, free buffers, and the accounts of what the logs hold.

use std::mem;
use std::time::Duration;

use super::batch::{Batch, Forms, KEPT_CAPACITY_MAX};
use crate::time::Tick;

/// How many bytes of free buffers are kept for all rooms together, for batches and for their framings each.
pub(super) const POOL_LEN_MAX: usize = 1024 * 1024;
/// The most sets of framings that are kept for use.
const FREE_FORMS_MAX: usize = 64;

/// How much of a room is kept when no reader needs it.
#[derive(Debug, Clone, Copy)]
pub struct HistoryBounds {
    /// So many messages.
    pub messages: u64,
    /// So many bytes of memory.
    pub len: usize,
    /// For so long.
    pub age: Duration,
}

/// What all logs share: bounds, free buffers, and the accounts of what the logs hold.
#[derive(Debug)]
pub struct Pool {
    pub(super) bounds: HistoryBounds,
    /// When the turn began.
    pub(super) now: Tick,
    pub(super) free: Vec<Batch>,
    pub(super) free_len: usize,
    #[expect(clippy::vec_box, reason = "the boxes are what is kept for use")]
    pub(super) free_forms: Vec<Box<Forms>>,
    free_buffers: Vec<Vec<u8>>,
    free_buffers_len: usize,
    pub(super) needed_len: usize,
    pub(super) history_len: usize,
}

impl Pool {
    /// No buffers yet, for logs within `bounds`.
    pub fn new(bounds: HistoryBounds) -> Self {
        Self {
            bounds,
            now: Tick::START,
            free: Vec::new(),
            free_len: 0,
            free_forms: Vec::new(),
            free_buffers: Vec::new(),
            free_buffers_len: 0,
            needed_len: 0,
            history_len: 0,
        }
    }

    /// The bytes of all sealed batches that readers need, each counted once however many they are.
    pub fn needed_len(&self) -> usize {
        self.needed_len
    }

    /// The bytes of all batches that only history keeps.
    pub fn history_len(&self) -> usize {
        self.history_len
    }

    pub(super) fn take(&mut self) -> Batch {
        let Some(batch) = self.free.pop() else {
            return Batch::default();
        };
        self.free_len -= batch.held_len();
        batch
    }

    pub(super) fn put(&mut self, mut batch: Batch) {
        batch.clear();
        if self.free_len + batch.held_len() <= POOL_LEN_MAX {
            self.free_len += batch.held_len();
            self.free.push(batch);
        }
    }

    pub(super) fn take_buffer(&mut self) -> Vec<u8> {
        let buffer = self.free_buffers.pop().unwrap_or_default();
        self.free_buffers_len -= buffer.capacity();
        buffer
    }

    /// Takes the buffers of framings back.
    pub(super) fn put_forms(&mut self, mut forms: Box<Forms>) {
        for form in forms.iter_mut() {
            let buffer = mem::take(form).into_buffer();
            let len = self.free_buffers_len + buffer.capacity();
            if buffer.capacity() > 0
                && buffer.capacity() <= KEPT_CAPACITY_MAX
                && len <= POOL_LEN_MAX
            {
                self.free_buffers_len = len;
                self.free_buffers.push(buffer);
            }
        }
        if self.free_forms.len() < FREE_FORMS_MAX {
            self.free_forms.push(forms);
        }
    }
}
