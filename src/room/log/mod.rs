//! What was published in a room and is still kept: batches in order, the newest of them still open.
//!
//! Batches are numbered from the log's beginning. A batch is needed until it has been offered to everybody and no
//! cursor stands at it or before it; then it is history, and goes when it is the oldest and the bounds on
//! history say so. Its buffer serves a later batch, so that in the steady state nothing is allocated.

mod retire;

use std::collections::VecDeque;
use std::mem;

use super::batch::{BATCH_TEXT_MAX, Batch, trimmed};
use super::form::Form;
use super::framing::{DERIVED, Framing};
use super::id::{Epoch, Id};
use super::pool::Pool;

/// A list is too long for what is in it when it has room for so many times as much,
const SPARSE: usize = 4;
/// and for so many batches more.
const SEALED_MIN: usize = 16;

/// A room's log.
#[derive(Debug)]
pub struct Log {
    /// The room's life.
    epoch: Epoch,
    /// Sealed batches, the oldest first.
    sealed: VecDeque<Batch>,
    /// The number of the oldest sealed batch.
    first: u64,
    /// The number of the oldest batch that a reader may need: the ones before it are history.
    needed: u64,
    /// The number of the oldest batch that has not been offered to everybody.
    offered: u64,
    /// The number of the oldest batch whose offer has not begun. Members that are behind do not get it before: one
    /// that catches up would be offered it again.
    shown: u64,
    /// What was published since the last batch was sealed.
    open: Batch,
    /// The memory of all sealed batches, in bytes.
    held_len: usize,
    /// The length of the text sealed last: the next one will not be much longer.
    expected_len: usize,
}

impl Log {
    /// An empty log of a room that has given `head` ids.
    pub fn new(epoch: Epoch, head: u64) -> Self {
        let mut open = Batch::default();
        open.place(head, 0);
        Self {
            epoch,
            sealed: VecDeque::new(),
            first: 0,
            needed: 0,
            offered: 0,
            shown: 0,
            open,
            held_len: 0,
            expected_len: 0,
        }
    }

    /// Appends a message: trimmed of white space, its line ends turned into spaces. Returns how many batches
    /// were full with it and are sealed. A batch has at most `messages_max` messages.
    #[inline]
    pub fn publish(&mut self, message: &str, messages_max: u64, pool: &mut Pool) -> usize {
        let message = trimmed(message);
        let mut sealed = 0;
        if self.open.is_empty() {
            self.begin(message.len(), pool);
        } else if self.open.is_full_for(message.len()) {
            self.seal(pool);
            self.begin(message.len(), pool);
            sealed += 1;
        }
        self.open.push(message);
        if self.open.message_count() >= messages_max || self.open.text_len() >= BATCH_TEXT_MAX {
            self.seal(pool);
            sealed += 1;
        }
        sealed
    }

    /// Gives the open batch a buffer. Not before its first message: a room that is quiet holds none.
    fn begin(&mut self, text_len: usize, pool: &mut Pool) {
        let buffer = pool.texts.take();
        self.open.begin(buffer, self.expected_len.max(text_len));
    }

    /// Says how many bytes of text are about to be published, so that their batch is allocated in one go.
    pub(super) fn expect(&mut self, text_len: usize) {
        self.expected_len = text_len.min(BATCH_TEXT_MAX);
    }

    /// Seals the open batch, unless it is empty: what is published from now on stands behind it.
    pub fn seal(&mut self, pool: &mut Pool) {
        if self.open.is_empty() {
            return;
        }
        self.open.seal(pool.now);
        if let Some(large) = self.open.fit() {
            pool.texts.put(large);
        }
        self.expected_len = self.open.text_len();
        let len = self.open.held_len();
        pool.needed_len += len;
        self.held_len += len;
        let mut next = Batch::default();
        next.place(
            self.open.messages_with(),
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

    /// All that is sealed is being offered from now on, and is for members that are behind as well.
    pub(super) fn begin_offer(&mut self) {
        self.shown = self.end();
    }

    /// The number of the batch before which members stop that are behind.
    #[inline]
    pub(super) fn shown(&self) -> u64 {
        self.shown
    }

    /// All that is sealed was offered to everybody. Batches that no cursor needs are history from now on.
    pub fn note_offered(&mut self, pool: &mut Pool) {
        self.offered = self.shown;
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

    /// The number of the room's last message.
    pub fn head(&self) -> u64 {
        self.open.messages_with()
    }

    /// The room's life.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The number of the oldest message that is kept; one more than the head's if there is none.
    pub fn oldest(&self, pool: &Pool) -> u64 {
        let first = self.sealed.front().unwrap_or(&self.open);
        let kept = self.head().saturating_sub(pool.bounds.messages);
        first.messages_before().max(kept) + 1
    }

    /// Where the message behind `position` stands: the number of its batch, and how many messages of that are before
    /// it. The end, if there is no such message in a sealed batch.
    pub fn seek(&self, position: u64) -> (u64, u32) {
        let index = self
            .sealed
            .partition_point(|batch| batch.messages_with() <= position);
        let number = self.first + index as u64;
        let before = self.messages_before(number);
        let skip = position.saturating_sub(before);
        (number, u32::try_from(skip).unwrap_or(u32::MAX))
    }

    /// Builds a framing of a sealed batch, unless it has it. A compressed one is made of the plain one.
    #[inline]
    pub fn build(&mut self, number: u64, framing: Framing, pool: &mut Pool) {
        if !self.batch(number).is_some_and(|batch| batch.lacks(framing)) {
            return;
        }
        let is_deflated = framing.window().is_some();
        if is_deflated {
            self.build(number, framing.plain(), pool);
        }
        let epoch = self.epoch;
        let Some(batch) = self.batch_mut(number) else {
            return;
        };
        let form = match is_deflated {
            false => batch.form_in(framing, epoch, pool.framed.take()),
            true => match pool.compression.deflate(batch.body(framing.plain())) {
                Some(body) => Form::deflated(framing, body, pool.deflated.take()),
                None => Form::none(),
            },
        };
        let len = batch.held_len();
        let free_forms = &mut pool.free_forms;
        batch.keep(framing, form, || free_forms.pop().unwrap_or_default());
        let added = batch.held_len() - len;
        self.held_len += added;
        pool.needed_len += added;
    }

    /// Builds the framings that the readers of what is new want.
    pub fn build_news(&mut self, readers: &[u32], pool: &mut Pool) {
        for (framing, _) in DERIVED.iter().zip(readers).filter(|(_, count)| **count > 0) {
            for number in self.news() {
                self.build(number, *framing, pool);
            }
        }
    }

    /// A cursor stands at a batch from now on, which is kept together with all behind it.
    pub(super) fn pin(&mut self, number: u64, pool: &mut Pool) {
        if let Some(batch) = self.batch_mut(number) {
            batch.cursors += 1;
        }
        // What was history is needed again.
        while self.needed > number {
            self.needed -= 1;
            let len = self.batch(self.needed).map_or(0, Batch::held_len);
            pool.history_len -= len;
            pool.needed_len += len;
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

    /// Goes on behind `position`; all that is kept is let go. It must have been offered to everybody, and no cursor may
    /// stand at it.
    pub(super) fn restart(&mut self, position: Id, pool: &mut Pool) {
        self.seal(pool);
        self.begin_offer();
        self.note_offered(pool);
        while self.drop_oldest(pool) {}
        debug_assert!(self.sealed.is_empty(), "a reader stands in the log");
        self.epoch = position.epoch;
        self.open.place(position.seq, self.open.text_before());
    }

    /// How many cursors stand in it.
    pub(super) fn cursor_count(&self) -> usize {
        let sealed = self.sealed.iter();
        sealed
            .chain([&self.open])
            .map(|batch| batch.cursors as usize)
            .sum()
    }

    /// Whether something that was published is kept.
    pub(super) fn has_batches(&self) -> bool {
        !self.sealed.is_empty()
    }

    /// Whether there is neither a message nor a cursor.
    pub(super) fn is_unused(&self) -> bool {
        self.sealed.is_empty() && self.open.is_empty() && self.open.cursors == 0
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
    use std::iter;
    use std::time::Duration;

    use super::super::batch::Forms;
    use super::super::compression::Compression;
    use super::super::pool::{Buffers, HistoryBounds, POOL_LEN_MAX};
    use super::*;

    const NONE: HistoryBounds = HistoryBounds {
        messages: 0,
        len: 1 << 20,
        age: Duration::from_secs(60),
    };

    fn new() -> (Log, Pool) {
        (
            Log::new(Epoch::random(), 0),
            Pool::new(NONE, Compression::new(6, 20)),
        )
    }

    fn offer(log: &mut Log, pool: &mut Pool) {
        log.seal(pool);
        log.begin_offer();
        log.note_offered(pool);
    }

    /// A log of one batch for each text, all of them offered.
    fn with_history(bounds: HistoryBounds, texts: &[&str]) -> (Log, Pool) {
        let (mut log, mut pool) = (
            Log::new(Epoch::random(), 0),
            Pool::new(bounds, Compression::new(6, 20)),
        );
        for text in texts {
            log.publish(text, 1, &mut pool);
            offer(&mut log, &mut pool);
        }
        (log, pool)
    }

    fn text(log: &Log, number: u64) -> &[u8] {
        log.batch(number).expect("it is kept").text()
    }

    #[test]
    fn a_batch_is_full_at_its_messages_or_its_text() {
        let (mut log, mut pool) = new();
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
        let (mut log, mut pool) = new();
        let mut publish = |log: &mut Log, message: &str, is_needed: bool| {
            log.publish(message, 9, &mut pool);
            let number = log.end();
            if is_needed {
                log.pin(number, &mut pool);
            }
            log.seal(&mut pool);
            let bytes = log.batch(number).expect("it is kept").text().as_ptr();
            offer(log, &mut pool);
            (bytes, pool.needed_len())
        };
        let (first, held_len) = publish(&mut log, "first", false);
        assert_eq!(held_len, 0);
        let (second, held_len) = publish(&mut log, "second", true);
        assert_eq!(second, first);
        assert!(held_len > 0);
        assert_ne!(publish(&mut log, "third", false).0, first);
        assert_eq!(text(&log, 1), b"second");
        assert_eq!(log.messages_before(2), 2);
        log.unpin(1, &mut pool);
        assert_eq!(pool.needed_len(), 0);
        assert_eq!((log.batch(2).is_none(), log.end()), (true, 3));
    }

    #[test]
    fn a_batch_that_was_not_offered_yet_is_kept() {
        let (mut log, mut pool) = new();
        log.publish("news", 9, &mut pool);
        log.pin(0, &mut pool);
        log.seal(&mut pool);
        log.unpin(0, &mut pool);
        assert_eq!(text(&log, 0), b"news");
        offer(&mut log, &mut pool);
        assert!(log.batch(0).is_none());
        assert!(!log.has_news());
    }

    #[test]
    fn a_batch_beside_a_laggard_is_allocated_in_one_go() {
        let (mut log, mut pool) = new();
        log.pin(0, &mut pool);
        for _ in 0..10 {
            (0..100).for_each(|_| _ = log.publish("0123456789", 1_000, &mut pool));
            log.seal(&mut pool);
            offer(&mut log, &mut pool);
        }
        for number in 1..10 {
            let batch = log.batch(number).expect("it is kept");
            let spare = batch.held_len() - size_of::<Batch>() - batch.text_len();
            assert!(spare <= 64 + 10, "{spare}");
        }
    }

    #[test]
    fn free_buffers_are_bounded() {
        let (mut log, mut pool) = new();
        log.pin(0, &mut pool);
        for _ in 0..100 {
            log.publish(&"x".repeat(BATCH_TEXT_MAX / 4), 1, &mut pool);
        }
        offer(&mut log, &mut pool);
        log.unpin(0, &mut pool);
        let Buffers { free, len } = &pool.texts;
        assert!(*len <= POOL_LEN_MAX && free.len() > 10);
        assert_eq!(free.iter().map(Vec::capacity).sum::<usize>(), *len);
    }

    #[test]
    fn a_small_message_does_not_keep_a_large_buffer_and_a_quiet_room_keeps_none() {
        let (mut flooded, mut pool) = new();
        let mut quiet = Log::new(Epoch::random(), 0);
        for framing in [Framing::Lines, Framing::Events] {
            for text in [&"x".repeat(100_000), "small"] {
                flooded.publish(text, 1, &mut pool);
                let number = flooded.end() - 1;
                flooded.build(number, framing, &mut pool);
                let held_len = flooded.batch(number).map_or(0, Batch::held_len);
                let small = size_of::<Batch>() + size_of::<Forms>() + 2 * 64;
                assert!(text.len() > 100 || held_len <= small, "{held_len}");
                offer(&mut flooded, &mut pool);
            }
            assert!(pool.texts.len > 100_000);
            quiet.publish("small", 1, &mut pool);
            offer(&mut quiet, &mut pool);
            assert_eq!(quiet.open.held_len(), size_of::<Batch>());
        }
    }

    #[test]
    fn a_history_that_was_long_leaves_no_long_list() {
        let bounds = HistoryBounds {
            messages: 1_000,
            ..NONE
        };
        let (mut log, mut pool) = with_history(bounds, &["x"; 1_000]);
        assert!(log.sealed.capacity() >= 1_000);
        while log.drop_oldest(&mut pool) {}
        assert!(log.sealed.capacity() <= SEALED_MIN);
    }

    #[test]
    fn history_keeps_the_last_messages_and_no_more_memory_or_time_than_it_may() {
        let texts = ["1", "2", "3", "4", "5"];
        let bounds = HistoryBounds {
            messages: 3,
            ..NONE
        };
        let (log, pool) = with_history(bounds, &texts);
        assert_eq!((log.oldest(&pool), log.head()), (3, 5));
        assert_eq!((pool.needed_len(), pool.history_len()), (0, log.held_len));

        let one = size_of::<Batch>() + 64;
        let bounds = HistoryBounds {
            messages: 100,
            len: 2 * one,
            ..NONE
        };
        let (log, pool) = with_history(bounds, &texts);
        assert_eq!((log.oldest(&pool), pool.history_len()), (4, 2 * one));

        let bounds = HistoryBounds {
            messages: 100,
            ..NONE
        };
        let (mut log, mut pool) = with_history(bounds, &texts);
        assert_eq!(log.oldest(&pool), 1);
        pool.now = log.expires(&pool);
        log.trim(&mut pool);
        assert_eq!(
            (log.oldest(&pool), log.is_unused(), pool.history_len()),
            (6, true, 0)
        );
    }

    #[test]
    fn history_that_a_cursor_needs_is_kept_and_counted_as_needed() {
        let bounds = HistoryBounds {
            messages: 2,
            ..NONE
        };
        let (mut log, mut pool) = with_history(bounds, &["1", "2", "3"]);
        let held_len = pool.history_len();
        log.pin(1, &mut pool);
        assert_eq!((pool.needed_len(), pool.history_len()), (held_len, 0));
        for _ in 0..3 {
            log.publish("more", 1, &mut pool);
            offer(&mut log, &mut pool);
        }
        assert_eq!(text(&log, 1), b"2");
        assert_eq!(
            log.oldest(&pool),
            5,
            "what is kept by chance is not history"
        );
        log.unpin(1, &mut pool);
        assert!(log.batch(1).is_none() && log.batch(3).is_none());
        assert_eq!((pool.needed_len(), pool.history_len()), (0, log.held_len));
    }

    #[test]
    fn framings_are_built_once_and_go_when_only_history_keeps_the_batch() {
        let bounds = HistoryBounds {
            messages: 9,
            ..NONE
        };
        let (mut log, mut pool) = with_history(bounds, &["1"]);
        let plain_len = pool.history_len();
        log.publish("2", 1, &mut pool);
        log.build_news(&[0, 1, 0, 0, 0, 0], &mut pool);
        let batch = log.batch(1).expect("it is kept");
        assert!(!batch.lacks(Framing::NumberedLines) && batch.lacks(Framing::Events));
        let bytes = batch.whole(Framing::NumberedLines).as_ptr();
        log.build(1, Framing::NumberedLines, &mut pool);
        let batch = log.batch(1).expect("it is kept");
        assert_eq!(
            batch.whole(Framing::NumberedLines).as_ptr(),
            bytes,
            "built once"
        );
        assert!(pool.needed_len() > plain_len);
        offer(&mut log, &mut pool);
        assert_eq!((pool.needed_len(), pool.history_len()), (0, 2 * plain_len));
        log.publish("3", 1, &mut pool);
        log.build_news(&[0, 1, 0, 0, 0, 0], &mut pool);
        let batch = log.batch(2).expect("it is kept");
        assert_eq!(
            batch.whole(Framing::NumberedLines).as_ptr(),
            bytes,
            "its buffer is used again"
        );
    }

    #[test]
    fn a_position_is_found_inside_a_batch() {
        let bounds = HistoryBounds {
            messages: 9,
            ..NONE
        };
        let (mut log, mut pool) = with_history(bounds, &["1", "2"]);
        for text in ["3", "4", "5"] {
            log.publish(text, 9, &mut pool);
        }
        log.seal(&mut pool);
        let places: Vec<_> = (0..6).map(|position| log.seek(position)).collect();
        assert_eq!(places, [(0, 0), (1, 0), (2, 0), (2, 1), (2, 2), (3, 0)]);
    }

    #[test]
    fn a_batch_is_full_before_its_ids_make_it_too_long() {
        let (mut log, mut pool) = new();
        let sealed: usize = iter::repeat_with(|| log.publish("x", u64::MAX, &mut pool))
            .take(100_000)
            .sum();
        assert!((4..=8).contains(&sealed), "{sealed}");
    }
}
