//! What was published in a room and is still needed: batches in order, the newest of them still open.
//!
//! Batches are numbered from the room's beginning. A batch goes when it has been offered to everybody and no
//! cursor stands at it or before it; its buffer serves a later batch, so that in the steady state nothing is
//! allocated.

use std::collections::VecDeque;
use std::mem;

use super::batch::{BATCH_TEXT_MAX, Batch, trimmed};

/// How many bytes of free buffers are kept for all rooms together.
const POOL_LEN_MAX: usize = 1024 * 1024;

/// A room's log.
#[derive(Debug, Default)]
pub struct Log {
    /// Sealed batches, the oldest first.
    sealed: VecDeque<Batch>,
    /// The number of the oldest sealed batch.
    first: u64,
    /// The number of the oldest batch that has not been offered to everybody.
    offered: u64,
    /// What was published since the last batch was sealed.
    open: Batch,
    /// The length of the text sealed last: the next one will not be much longer.
    expected_len: usize,
}

/// What all logs share: free buffers, and the account of what the logs hold.
#[derive(Debug, Default)]
pub struct Pool {
    free: Vec<Batch>,
    free_len: usize,
    held_len: usize,
}

impl Pool {
    /// The bytes of all sealed batches, each counted once however many readers need it.
    pub fn held_len(&self) -> usize {
        self.held_len
    }

    fn take(&mut self) -> Batch {
        let Some(batch) = self.free.pop() else {
            return Batch::default();
        };
        self.free_len -= batch.held_len();
        batch
    }

    fn put(&mut self, mut batch: Batch) {
        self.held_len -= batch.held_len();
        batch.clear();
        if self.free_len + batch.held_len() <= POOL_LEN_MAX {
            self.free_len += batch.held_len();
            self.free.push(batch);
        }
    }
}

impl Log {
    /// Appends a message: trimmed of white space, its newlines turned into spaces. Returns how many batches
    /// were full with it and are sealed. A batch has at most `messages_max` messages.
    #[inline]
    pub fn publish(&mut self, message: &str, messages_max: usize, pool: &mut Pool) -> usize {
        let message = trimmed(message);
        let mut sealed = 0;
        // A long message gets a batch of its own rather than make a joined frame too long.
        if !self.open.is_empty() && self.open.text_len() + message.len() >= BATCH_TEXT_MAX {
            self.seal(pool);
            sealed += 1;
        }
        self.open.push(message, self.expected_len);
        if self.open.message_count() >= messages_max || self.open.text_len() >= BATCH_TEXT_MAX {
            self.seal(pool);
            sealed += 1;
        }
        sealed
    }

    /// Seals the open batch, unless it is empty: what is published from now on stands behind it.
    pub fn seal(&mut self, pool: &mut Pool) {
        if self.open.is_empty() {
            return;
        }
        self.open.seal();
        self.expected_len = self.open.text_len();
        pool.held_len += self.open.held_len();
        let mut next = pool.take();
        let messages = self.open.messages_before() + self.open.message_count() as u64;
        next.place(
            messages,
            self.open.text_before() + self.open.text_len() as u64,
        );
        self.sealed.push_back(mem::replace(&mut self.open, next));
    }

    /// The number of the batch that is open: all before it are sealed.
    #[inline]
    pub fn end(&self) -> u64 {
        self.first + self.sealed.len() as u64
    }

    /// The numbers of the sealed batches that have not been offered to everybody.
    #[inline]
    pub fn news(&self) -> std::ops::Range<u64> {
        self.offered..self.end()
    }

    /// Whether something was published that has not been offered to everybody.
    pub fn has_news(&self) -> bool {
        !self.open.is_empty() || !self.news().is_empty()
    }

    /// All that is sealed was offered to everybody. Batches that no cursor needs go.
    pub fn note_offered(&mut self, pool: &mut Pool) {
        self.offered = self.end();
        self.trim(pool);
    }

    /// A sealed batch, or the open one.
    #[inline]
    pub fn batch(&self, number: u64) -> Option<&Batch> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        if index == self.sealed.len() {
            return Some(&self.open);
        }
        self.sealed.get(index)
    }

    /// How many messages were published before a batch.
    pub fn messages_before(&self, number: u64) -> u64 {
        self.batch(number).map_or(0, Batch::messages_before)
    }

    /// A cursor stands at a batch from now on, which is kept together with all behind it.
    pub(super) fn pin(&mut self, number: u64) {
        if let Some(batch) = self.batch_mut(number) {
            batch.cursors += 1;
        }
    }

    /// A cursor has left a batch.
    pub(super) fn unpin(&mut self, number: u64, pool: &mut Pool) {
        let batch = self.batch_mut(number);
        debug_assert!(batch.is_some(), "a batch with a cursor is kept");
        if let Some(batch) = batch {
            batch.cursors -= 1;
        }
        self.trim(pool);
    }

    /// Removes the oldest batches as far as nobody needs them.
    fn trim(&mut self, pool: &mut Pool) {
        while self.first < self.offered
            && self.sealed.front().is_some_and(|batch| batch.cursors == 0)
            && let Some(batch) = self.sealed.pop_front()
        {
            self.first += 1;
            pool.put(batch);
        }
    }

    fn batch_mut(&mut self, number: u64) -> Option<&mut Batch> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        if index == self.sealed.len() {
            return Some(&mut self.open);
        }
        self.sealed.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(log: &Log, number: u64) -> &[u8] {
        log.batch(number).expect("it is kept").text()
    }

    #[test]
    fn a_batch_is_full_at_its_messages_or_its_text() {
        let (mut log, mut pool) = (Log::default(), Pool::default());
        assert_eq!(log.publish("a", 2, &mut pool), 0);
        assert_eq!(log.publish("b", 2, &mut pool), 1);
        assert_eq!(text(&log, 0), b"a\nb");
        let long = "x".repeat(BATCH_TEXT_MAX);
        assert_eq!(log.publish("short", 9, &mut pool), 0);
        assert_eq!(log.publish(&long, 9, &mut pool), 2, "it stands alone");
        assert_eq!(text(&log, 1), b"short");
        assert_eq!(text(&log, 2).len(), long.len());
        assert_eq!(log.news(), 0..3);
    }

    #[test]
    fn a_buffer_is_used_again_unless_a_cursor_needs_it() {
        let (mut log, mut pool) = (Log::default(), Pool::default());
        let mut publish = |log: &mut Log, message: &str, is_needed: bool| {
            log.publish(message, 9, &mut pool);
            let number = log.end();
            if is_needed {
                log.pin(number);
            }
            log.seal(&mut pool);
            let bytes = log.batch(number).expect("it is kept").text().as_ptr();
            log.note_offered(&mut pool);
            (bytes, pool.held_len())
        };
        // One buffer is open while the other is being read.
        let (first, held_len) = publish(&mut log, "first", false);
        assert_eq!(held_len, 0);
        publish(&mut log, "second", false);
        let (third, held_len) = publish(&mut log, "third", true);
        assert_eq!(third, first);
        assert!(held_len > 0);
        publish(&mut log, "fourth", false);
        assert_ne!(publish(&mut log, "fifth", false).0, first);
        assert_eq!(text(&log, 2), b"third");
        assert_eq!(log.messages_before(3), 3);
        log.unpin(2, &mut pool);
        assert_eq!(pool.held_len(), 0);
        assert_eq!((log.batch(4).is_none(), log.end()), (true, 5));
    }

    #[test]
    fn a_batch_that_was_not_offered_yet_is_kept() {
        let (mut log, mut pool) = (Log::default(), Pool::default());
        log.publish("news", 9, &mut pool);
        log.pin(0);
        log.seal(&mut pool);
        log.unpin(0, &mut pool);
        assert_eq!(text(&log, 0), b"news");
        log.note_offered(&mut pool);
        assert!(log.batch(0).is_none());
        assert!(!log.has_news());
    }

    #[test]
    fn a_batch_beside_a_laggard_is_allocated_in_one_go() {
        let (mut log, mut pool) = (Log::default(), Pool::default());
        log.pin(0);
        for _ in 0..10 {
            (0..100).for_each(|_| _ = log.publish("0123456789", 1_000, &mut pool));
            log.seal(&mut pool);
            log.note_offered(&mut pool);
        }
        for number in 1..10 {
            let batch = log.batch(number).expect("it is kept");
            let spare = batch.held_len() - size_of::<Batch>() - batch.text_len();
            assert!(spare <= 64 + 10, "{spare}");
        }
    }

    #[test]
    fn free_buffers_are_bounded() {
        let (mut log, mut pool) = (Log::default(), Pool::default());
        log.pin(0);
        for _ in 0..100 {
            log.publish(&"x".repeat(BATCH_TEXT_MAX / 4), 1, &mut pool);
        }
        log.note_offered(&mut pool);
        log.unpin(0, &mut pool);
        assert!(pool.free_len <= POOL_LEN_MAX && pool.free.len() > 10);
        let free: usize = pool.free.iter().map(Batch::held_len).sum();
        assert_eq!(free, pool.free_len);
    }
}
