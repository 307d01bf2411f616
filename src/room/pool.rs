//! What all logs share: the bounds on history, free buffers, and the accounts of what the logs hold.

use std::mem;
use std::time::Duration;

use super::batch::{Forms, KEPT_CAPACITY_MAX};
use super::compression::Compression;
use super::framing::DERIVED;
use crate::time::Tick;

/// How many bytes of free buffers are kept for all rooms together: for batches, for their framings and for compressed
/// ones each.
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
    /// Buffers for the texts of batches.
    pub(super) texts: Buffers,
    /// Buffers for their other framings.
    pub(super) framed: Buffers,
    /// Buffers for the compressed ones, which are much shorter.
    pub(super) deflated: Buffers,
    #[expect(clippy::vec_box, reason = "the boxes are what is kept for use")]
    pub(super) free_forms: Vec<Box<Forms>>,
    pub(super) compression: Compression,
    pub(super) needed_len: usize,
    pub(super) history_len: usize,
}

impl Pool {
    /// No buffers yet, for logs within `bounds`.
    pub fn new(bounds: HistoryBounds, compression: Compression) -> Self {
        Self {
            bounds,
            now: Tick::START,
            texts: Buffers::default(),
            framed: Buffers::default(),
            deflated: Buffers::default(),
            free_forms: Vec::new(),
            compression,
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

    /// Takes the buffers of framings back.
    pub(super) fn put_forms(&mut self, mut forms: Box<Forms>) {
        for (form, framing) in forms.iter_mut().zip(DERIVED) {
            let buffers = match framing.window() {
                Some(_) => &mut self.deflated,
                None => &mut self.framed,
            };
            buffers.put(mem::take(form).into_buffer());
        }
        if self.free_forms.len() < FREE_FORMS_MAX {
            self.free_forms.push(forms);
        }
    }
}

/// Free buffers, empty ones, within a bound.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    pub(super) free: Vec<Vec<u8>>,
    /// The memory of them all, in bytes.
    pub(super) len: usize,
}

impl Buffers {
    pub(super) fn take(&mut self) -> Vec<u8> {
        let buffer = self.free.pop().unwrap_or_default();
        self.len -= buffer.capacity();
        buffer
    }

    pub(super) fn put(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        let capacity = buffer.capacity();
        let len = self.len + capacity;
        if (1..=KEPT_CAPACITY_MAX).contains(&capacity) && len <= POOL_LEN_MAX {
            self.len = len;
            self.free.push(buffer);
        }
    }
}
