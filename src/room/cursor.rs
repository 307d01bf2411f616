//! Where a reader that is behind stands in a room's log, and the frame of which it has a part.

use super::framing::{self, JOINED_TEXT_MAX};
use super::hub::{Hub, RoomId};
use super::log::Log;
use crate::ws::frame::ServerHeader;

/// A place in a room's log. While it stands at a batch, that batch and all behind it are kept: a cursor is
/// therefore given back by [`Cursor::release`], never just dropped.
#[derive(Debug)]
pub struct Cursor {
    room: RoomId,
    /// The number of the next batch, or of the first one of the frame.
    batch: u64,
    /// The number of the batch before which the reader stops; it has left the room.
    end: Option<u64>,
    frame: Option<Frame>,
}

/// The frame that is next, as it was last shown. It may still grow while none of its bytes are written.
#[derive(Debug)]
struct Frame {
    /// How many batches it is made of.
    batches: u64,
    /// The header, where it joins several batches.
    header: Option<ServerHeader>,
    len: usize,
    written: usize,
}

impl Cursor {
    /// A cursor at a batch of which the socket took `written` bytes directly.
    pub fn new(room: RoomId, batch: u64, written: usize, log: &mut Log) -> Self {
        log.pin(batch);
        let mut cursor = Self {
            room,
            batch,
            end: None,
            frame: None,
        };
        if written > 0 {
            cursor.frame = log.batch(batch).map(|batch| Frame {
                batches: 1,
                header: None,
                len: batch.frame().len(),
                written,
            });
        }
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

    /// Whether nothing is left to be written, for now or for good.
    pub fn is_caught_up(&self, log: &Log) -> bool {
        self.batch >= self.stop(log)
    }

    /// Whether a frame has been begun, which nothing else may interrupt.
    pub fn is_mid_frame(&self) -> bool {
        self.frame.as_ref().is_some_and(|frame| frame.written > 0)
    }

    /// How many messages wait, not counting those of a frame that has been begun: the length of the send queue.
    pub fn waiting_messages(&self, log: &Log) -> u64 {
        let next = match &self.frame {
            Some(frame) if frame.written > 0 => self.batch + frame.batches,
            _ => self.batch,
        };
        let stop = log.messages_before(self.stop(log));
        stop.saturating_sub(log.messages_before(next))
    }

    /// How many bytes are left to be written, give or take the headers.
    pub fn queued_len(&self, log: &Log) -> usize {
        let text_before = |number| {
            log.batch(number)
                .map_or(0, super::batch::Batch::text_before)
        };
        let text_len = text_before(self.stop(log)).saturating_sub(text_before(self.batch));
        let written = self.frame.as_ref().map_or(0, |frame| frame.written);
        usize::try_from(text_len)
            .unwrap_or(usize::MAX)
            .saturating_sub(written)
    }

    /// What is to be written next; empty if the reader is caught up. `gather` holds what has to be joined.
    ///
    /// A frame of which bytes were written is begun: what is published later goes into the next one.
    pub fn next_bytes<'a>(&mut self, log: &'a Log, gather: &'a mut Vec<u8>) -> &'a [u8] {
        if !self.is_mid_frame() {
            self.form_frame(log);
        }
        let Some(frame) = &self.frame else {
            return &[];
        };
        match frame.header {
            None => {
                let bytes = log.batch(self.batch).map_or(&[][..], |batch| batch.frame());
                bytes.get(frame.written..).unwrap_or_default()
            }
            Some(header) => {
                let texts = (self.batch..self.batch + frame.batches)
                    .filter_map(|number| log.batch(number))
                    .map(super::batch::Batch::text);
                framing::gather_lines(header, texts, frame.written, gather);
                gather
            }
        }
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
        let left = self.batch;
        self.batch += frame.batches;
        self.frame = None;
        if let Some((log, pool)) = hub.log_mut(self.room) {
            log.pin(self.batch);
            log.unpin(left, pool);
        }
    }

    /// Lets the log go.
    pub fn release(self, hub: &mut Hub) {
        if let Some((log, pool)) = hub.log_mut(self.room) {
            log.unpin(self.batch, pool);
        }
    }

    /// Makes one frame of the batches that wait, as many as may be joined.
    fn form_frame(&mut self, log: &Log) {
        let stop = self.stop(log);
        let mut batches = 0;
        let mut text_len = 0;
        while self.batch + batches < stop
            && let Some(batch) = log.batch(self.batch + batches)
        {
            let joined_len = match batches {
                0 => batch.text_len(),
                _ => text_len + 1 + batch.text_len(),
            };
            if batches > 0 && joined_len > JOINED_TEXT_MAX {
                break;
            }
            text_len = joined_len;
            batches += 1;
        }
        let header = framing::line_header(text_len);
        self.frame = (batches > 0).then(|| Frame {
            batches,
            header: (batches > 1).then_some(header),
            len: header.as_bytes().len() + text_len,
            written: 0,
        });
    }

    /// The number of the first batch that the reader does not get, or not yet.
    fn stop(&self, log: &Log) -> u64 {
        self.end.map_or(log.end(), |end| end.min(log.end()))
    }
}
