//! Where a reader that is behind stands in a room's log, and the frame of which it has a part.

mod forming;

use super::batch::Batch;
use super::frame::{Content, Frame};
use super::framing::{Framing, GATHER_LEN};
use super::hub::{Hub, RoomId};
use super::log::Log;
use super::pool::Pool;

/// A place in a room's log. While it stands at a batch, that batch and all behind it are kept: a cursor is
/// therefore given back by [`Cursor::release`], never just dropped.
#[derive(Debug)]
pub struct Cursor {
    room: RoomId,
    framing: Framing,
    /// How many messages of the next batch are left out: the reader starts behind them.
    skip: u32,
    /// The number of the next batch, or of the first one of the frame.
    batch: u64,
    /// The number of the batch before which the reader stops; it has left the room.
    end: Option<u64>,
    /// The number of the batch from which on what waits is its send queue: what was there when it joined is not.
    live_from: u64,
    /// How many messages before the next batch the reader will not get, and has not been told of.
    skipped: u64,
    frame: Option<Frame>,
}

impl Cursor {
    /// A cursor at a batch of which `skip` messages are left out.
    pub fn new(room: RoomId, framing: Framing, batch: u64, skip: u32, hub: &mut Hub) -> Self {
        if let Some((log, pool)) = hub.log_mut(room) {
            log.pin(batch, pool);
        }
        Self {
            room,
            framing,
            skip,
            batch,
            end: None,
            live_from: batch,
            skipped: 0,
            frame: None,
        }
    }

    /// The same for a reader that has just joined: it does not fall behind by what it asked to be replayed.
    pub fn replaying(mut self, hub: &Hub) -> Self {
        self.live_from = hub.log(self.room).map_or(self.batch, Log::end);
        self
    }

    /// A cursor at a batch of which the socket took `written` bytes directly.
    pub fn in_batch(
        room: RoomId,
        framing: Framing,
        batch: u64,
        written: usize,
        hub: &mut Hub,
    ) -> Self {
        let mut cursor = Self::new(room, framing, batch, 0, hub);
        let batch = hub.log(room).and_then(|log| log.batch(batch));
        cursor.frame = batch.map(|batch| {
            let framing = batch.framing_for(framing);
            Frame {
                content: Content::Whole,
                framing,
                len: batch.whole(framing).len(),
                written,
            }
        });
        cursor
    }

    /// The room in whose log it stands.
    pub fn room(&self) -> RoomId {
        self.room
    }

    /// The reader gets nothing from the batch `end` on.
    pub fn stop_before(&mut self, end: u64) {
        self.end.get_or_insert(end);
    }

    /// Whether nothing is left to be written, for now or for good. One that stands behind what is still to be offered
    /// to others is not caught up: it must not be offered that.
    pub fn is_caught_up(&self, log: &Log) -> bool {
        let is_at_stop = match self.end {
            Some(_) => self.batch >= self.stop(log),
            None => self.batch == log.shown(),
        };
        is_at_stop && self.skipped == 0
    }

    /// Whether a frame has been begun, which nothing else may interrupt.
    pub fn is_mid_frame(&self) -> bool {
        self.frame.as_ref().is_some_and(|frame| frame.written > 0)
    }

    /// The number of the first batch of which nothing was written.
    fn next_batch(&self) -> u64 {
        match &self.frame {
            Some(frame) if frame.written > 0 => self.batch + frame.content.batches(),
            _ => self.batch,
        }
    }

    /// How many messages wait, not counting those of a frame that has been begun.
    fn waiting_messages(&self, log: &Log) -> u64 {
        let next = self.next_batch();
        let stop = log.messages_before(self.stop(log));
        stop.saturating_sub(log.messages_before(next) + self.left_out(next))
    }

    /// How many messages of a batch the reader does not get.
    fn left_out(&self, batch: u64) -> u64 {
        if batch == self.batch {
            self.skip.into()
        } else {
            0
        }
    }

    /// The length of the send queue: how many messages wait, without those that were replayed. A batch of more than
    /// `queue_max` counts as one, because its messages were published together: a reader that had taken all before
    /// must not be dropped for them.
    pub fn send_queue_len(&self, log: &Log, queue_max: u64) -> u64 {
        let waiting = self.waiting_messages(log);
        if waiting <= queue_max {
            return waiting;
        }
        let numbers = self.next_batch().max(self.live_from)..self.stop(log);
        let counts = numbers.filter_map(|number| {
            let count = log.batch(number)?.message_count();
            Some(count.saturating_sub(self.left_out(number)))
        });
        counts
            .map(|count| if count > queue_max { 1 } else { count })
            .sum()
    }

    /// How many bytes are left to be written, give or take the framing.
    pub fn queued_len(&self, log: &Log) -> usize {
        let text_before = |number| log.batch(number).map_or(0, Batch::text_before);
        let text_len = text_before(self.stop(log)).saturating_sub(text_before(self.batch));
        let written = self.frame.as_ref().map_or(0, |frame| frame.written);
        usize::try_from(text_len)
            .unwrap_or(usize::MAX)
            .saturating_sub(written)
    }

    /// Leaves out all that waits and has not been begun; the reader is told how much, before it gets what is published
    /// from now on. Returns how many messages that were, and what is left of the frame that was begun, which is to be
    /// written first.
    pub fn skip_waiting(&mut self, hub: &mut Hub) -> (u64, Vec<u8>) {
        let Some((log, pool)) = hub.log_mut(self.room) else {
            return (0, Vec::new());
        };
        let mut rest = Vec::new();
        let waiting = self.waiting_messages(log);
        if let Some(frame) = self.frame.take_if(|frame| frame.written > 0) {
            if matches!(frame.content, Content::Notice(_)) {
                self.skipped = 0;
            }
            self.copy(&frame, log, usize::MAX, &mut rest);
        }
        self.frame = None;
        self.skipped += waiting;
        self.skip = 0;
        let stop = self.stop(log);
        self.move_to(stop, log, pool);
        (waiting, rest)
    }

    /// What is to be written next; empty if the reader is caught up. `gather` holds what has to be put together.
    ///
    /// A frame of which bytes were written is begun: what is published later goes into the next one.
    pub fn next_bytes<'a>(
        &'a mut self,
        log: &'a mut Log,
        pool: &mut Pool,
        gather: &'a mut Vec<u8>,
    ) -> &'a [u8] {
        if !self.is_mid_frame() {
            self.form_frame(log, pool);
        }
        let Some(frame) = &self.frame else {
            return &[];
        };
        let bytes = match &frame.content {
            Content::Notice(bytes) => bytes,
            Content::Whole => log
                .batch(self.batch)
                .map_or(&[][..], |batch| batch.whole(frame.framing)),
            Content::Bodies { .. } => {
                gather.clear();
                self.copy(frame, log, GATHER_LEN, gather);
                return gather;
            }
        };
        bytes.get(frame.written..).unwrap_or_default()
    }

    /// Notes that `len` bytes were written of what [`Cursor::next_bytes`] showed.
    pub fn advance(&mut self, len: usize, hub: &mut Hub) {
        let Some(frame) = &mut self.frame else {
            return;
        };
        frame.written += len;
        if frame.written < frame.len {
            return;
        }
        let batches = frame.content.batches();
        self.frame = None;
        if batches == 0 {
            self.skipped = 0;
        } else if let Some((log, pool)) = hub.log_mut(self.room) {
            self.skip = 0;
            self.move_to(self.batch + batches, log, pool);
        }
    }

    /// Lets the log go for good, whatever waits in it. Returns how many messages the reader has not been told of, and
    /// what is left of the frame that was begun, which is to be written first.
    pub fn abandon(mut self, hub: &mut Hub) -> (u64, Vec<u8>) {
        let (_, rest) = self.skip_waiting(hub);
        let missed = self.skipped;
        self.release(hub);
        (missed, rest)
    }

    /// Lets the log go.
    pub fn release(self, hub: &mut Hub) {
        if let Some((log, pool)) = hub.log_mut(self.room) {
            log.unpin(self.batch, pool);
        }
    }

    fn move_to(&mut self, batch: u64, log: &mut Log, pool: &mut Pool) {
        let left = self.batch;
        self.batch = batch;
        log.pin(batch, pool);
        log.unpin(left, pool);
    }

    /// The number of the first batch that the reader does not get, or not yet.
    fn stop(&self, log: &Log) -> u64 {
        self.end.map_or(log.shown(), |end| end.min(log.end()))
    }
}
