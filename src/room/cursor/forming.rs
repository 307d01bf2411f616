//! How the frames of a reader that is behind are made of what waits for it, and copied out.

use super::Cursor;
use crate::room::frame::{Content, Frame};
use crate::room::framing::{Gather, JOINED_TEXT_MAX};
use crate::room::id::Id;
use crate::room::log::Log;
use crate::room::notice;
use crate::room::pool::Pool;
use crate::ws::frame::ServerHeader;

impl Cursor {
    /// Appends what is left of a frame to `out`, as far as `max` bytes go.
    pub(super) fn copy(&self, frame: &Frame, log: &Log, max: usize, out: &mut Vec<u8>) {
        let mut gather = Gather {
            skip: frame.written,
            max,
            out,
        };
        match &frame.content {
            Content::Notice(bytes) => _ = gather.push(bytes),
            Content::Whole => {
                let batch = log.batch(self.batch);
                gather.push(batch.map_or(&[], |batch| batch.whole(frame.framing)));
            }
            Content::Bodies {
                batches,
                first_offset,
                header,
            } => {
                let numbers = self.batch..self.batch + batches;
                let bodies = numbers.filter_map(|number| log.batch(number));
                let mut bodies = bodies.map(|batch| batch.body(frame.framing));
                let first = bodies.next().unwrap_or_default();
                let header = header.as_ref().map_or(&[][..], ServerHeader::as_bytes);
                let _ = gather.push(header)
                    && gather.push(first.get(*first_offset..).unwrap_or_default())
                    && bodies
                        .all(|body| gather.push(frame.framing.separator()) && gather.push(body));
            }
        }
    }

    /// Makes a frame of what waits, as much as may travel together.
    pub(super) fn form_frame(&mut self, log: &mut Log, pool: &mut Pool) {
        self.frame = if self.skipped > 0 {
            Some(self.form_notice(log))
        } else {
            self.form_bodies(log, pool)
        };
    }

    fn form_notice(&self, log: &Log) -> Frame {
        let position = Id {
            epoch: log.epoch(),
            seq: log.messages_before(self.batch),
        };
        let bytes = notice::gap(self.framing, position, Some(self.skipped));
        Frame {
            len: bytes.len(),
            content: Content::Notice(bytes),
            framing: self.framing,
            written: 0,
        }
    }

    fn form_bodies(&self, log: &mut Log, pool: &mut Pool) -> Option<Frame> {
        let stop = self.stop(log);
        let mut framing = self.framing;
        let (mut batches, mut len, mut text_len, mut first_offset) = (0, 0, 0, 0);
        while self.batch + batches < stop {
            let number = self.batch + batches;
            log.build(number, self.framing, pool);
            let batch = log.batch(number)?;
            let carried = match batches {
                // Compressed bodies have no place to begin at but the first.
                0 if self.skip > 0 => self.framing.plain(),
                _ => batch.framing_for(self.framing),
            };
            let separator_len = if batches == 0 {
                0
            } else {
                framing.separator().len()
            };
            let joined_text_len = text_len + separator_len + batch.body(carried.plain()).len();
            if batches == 0 {
                framing = carried;
                if self.skip > 0 {
                    first_offset = batch.offset(self.skip, framing, log.epoch());
                }
            } else if carried != framing || joined_text_len > JOINED_TEXT_MAX {
                break;
            }
            text_len = joined_text_len;
            len += separator_len + batch.body(framing).len();
            batches += 1;
        }
        len -= first_offset.min(len);
        let header = self.framing.is_joined().then(|| framing.header(len));
        let header_len = header.as_ref().map_or(0, |header| header.as_bytes().len());
        let content = match (batches, first_offset) {
            (0, _) => return None,
            (1, 0) => Content::Whole,
            _ => Content::Bodies {
                batches,
                first_offset,
                header,
            },
        };
        Some(Frame {
            content,
            framing,
            len: header_len + len,
            written: 0,
        })
    }
}
