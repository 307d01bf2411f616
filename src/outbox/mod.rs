//! What is queued for one client: private bytes, a cursor into its room's log, and the last bytes.
//!
//! An outbox does no I/O: [`Outbox::next_bytes`] shows what is to be written next, [`Outbox::advance`] takes
//! off what was. An empty outbox takes no memory. The order is: the frame that was begun,
//! then answers and echoes, then pings and pongs, then what waits in the log, then the number of listeners, then the
//! last bytes.

mod backlog;

use std::mem;

use crate::room::{Cursor, Hub};
use crate::time::Tick;
use crate::ws::frame::{self, Opcode};
use backlog::{Backlog, Part, Piece};

/// The most bytes of pongs kept for one client. Beyond it only the newest is kept (RFC 6455 §5.5.3).
pub const PONGS_MAX: usize = 2 * 1024;
/// What is queued for one client. Empty, it is one null pointer.
#[derive(Debug, Default)]
pub struct Outbox(Option<Box<Backlog>>);

impl Outbox {
    /// Whether nothing is queued.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The bytes queued for this client alone: answers, echoes, control frames.
    #[inline]
    pub fn private_len(&self) -> usize {
        self.0.as_ref().map_or(0, |backlog| {
            backlog.private_len + backlog.controls.len() + backlog.here.len() + backlog.last.len()
        })
    }

    /// All bytes queued for this client, those it shares with others included, give or take frame headers.
    pub fn queued_len(&self, hub: &Hub) -> usize {
        let shared_len = self.cursor().map_or(0, |cursor| {
            let log = hub.log(cursor.room());
            log.map_or(0, |log| cursor.queued_len(log))
        });
        self.private_len() + shared_len
    }

    /// Where the client stands in its room's log, if it is behind.
    #[inline]
    pub fn cursor(&self) -> Option<&Cursor> {
        self.0.as_ref()?.cursor.as_ref()
    }

    /// When the socket must have taken something; [`Tick::NEVER`] if nothing is queued.
    #[inline]
    pub fn due(&self) -> Tick {
        let due = self.0.as_ref().and_then(|backlog| backlog.due);
        due.unwrap_or(Tick::NEVER)
    }

    /// Gives the socket time until `due`, unless it has less already.
    pub fn note_queued(&mut self, due: Tick) {
        if let Some(backlog) = &mut self.0 {
            backlog.due.get_or_insert(due);
        }
    }

    /// Gives the socket time until `due`: it took something.
    pub fn renew_due(&mut self, due: Tick) {
        if let Some(backlog) = &mut self.0 {
            backlog.due = Some(due);
        }
    }

    /// Puts a client behind that was caught up.
    pub fn begin_behind(&mut self, cursor: Cursor) {
        let backlog = self.0.get_or_insert_default();
        debug_assert!(backlog.cursor.is_none(), "one cursor a client");
        backlog.cursor = Some(cursor);
    }

    /// The client gets nothing from the batch `end` on.
    pub fn stop_before(&mut self, end: u64) {
        if let Some(cursor) = self.0.as_mut().and_then(|backlog| backlog.cursor.as_mut()) {
            cursor.stop_before(end);
        }
    }

    /// Leaves out what waits in the log and has not been begun. Returns how many messages that were.
    pub fn skip_waiting(&mut self, hub: &mut Hub) -> u64 {
        let Some(backlog) = self.0.as_deref_mut() else {
            return 0;
        };
        let is_mid_frame = backlog.next_part() == Part::Log;
        let Some(cursor) = &mut backlog.cursor else {
            return 0;
        };
        let (skipped, rest) = cursor.skip_waiting(hub);
        debug_assert!(rest.is_empty() || is_mid_frame, "one frame at a time");
        if !rest.is_empty() {
            backlog.private_len += rest.len();
            backlog.private.insert(0, Piece::Owned(rest));
        }
        skipped
    }

    /// Leaves the room's log for good: what waits there is not sent, but for the frame that was begun. Returns how many
    /// messages that are.
    pub fn leave_log(&mut self, hub: &mut Hub) -> u64 {
        let Some(backlog) = self.0.as_deref_mut() else {
            return 0;
        };
        let Some(cursor) = backlog.cursor.take() else {
            return 0;
        };
        let (missed, rest) = cursor.abandon(hub);
        if !rest.is_empty() {
            backlog.private_len += rest.len();
            backlog.private.insert(0, Piece::Owned(rest));
        }
        if !backlog.last.is_empty() {
            let last = mem::take(&mut backlog.last);
            backlog.push_private(Piece::Owned(last));
        }
        self.settle(hub);
        missed
    }

    /// Queues how many listen, to be told when the client is caught up. Empty bytes are not queued.
    pub fn push_here(&mut self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.0.get_or_insert_default().here = bytes;
        }
    }

    /// Queues bytes that are this client's alone. Empty ones are not queued.
    pub fn push_private(&mut self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.0
                .get_or_insert_default()
                .push_private(Piece::Owned(bytes));
        }
    }

    /// Queues bytes that are part of the program. Empty ones are not queued.
    pub fn push_static(&mut self, bytes: &'static [u8]) {
        if !bytes.is_empty() {
            self.0
                .get_or_insert_default()
                .push_private(Piece::Static(bytes));
        }
    }

    /// Queues the bytes that end the connection, behind all else, and behind what waits in the log.
    pub fn push_last(&mut self, bytes: Vec<u8>) {
        match self.0.as_deref_mut() {
            Some(backlog) if backlog.cursor.is_some() => backlog.last = bytes,
            _ => self.push_private(bytes),
        }
    }

    /// Queues a control frame of which the socket took `written` bytes, where nothing else was queued.
    pub fn push_control_rest(&mut self, frame: &'static [u8], written: usize) {
        assert!(self.is_empty(), "a frame was written past what was queued");
        self.push_static(frame);
        if let Some(backlog) = &mut self.0 {
            backlog.written = written;
        }
    }

    /// Queues a sign of life, to leave before the next frame.
    pub fn push_ping(&mut self, ping: &[u8]) {
        let controls = &mut self.0.get_or_insert_default().controls;
        controls.extend_from_slice(ping);
    }

    /// Queues a pong, to leave before the next frame.
    ///
    /// A peer that sends pings and reads no pongs gets the newest only (RFC 6455 §5.5.3).
    pub fn push_pong(&mut self, payload: &[u8]) {
        let controls = &mut self.0.get_or_insert_default().controls;
        if controls.len() + payload.len() > PONGS_MAX {
            controls.clear();
        }
        frame::encode_frame(Opcode::Pong, payload, controls);
    }

    /// What is to be written next; empty if nothing is queued. `gather` holds what has to be put together.
    pub fn next_bytes<'a>(&'a mut self, hub: &'a mut Hub, gather: &'a mut Vec<u8>) -> &'a [u8] {
        let Some(backlog) = self.0.as_deref_mut() else {
            return &[];
        };
        match backlog.next_part() {
            Part::Private => backlog.next_private(gather),
            Part::Controls => &backlog.controls,
            Part::Here => &backlog.here,
            Part::Last => &backlog.last,
            Part::Log => match &mut backlog.cursor {
                Some(cursor) => match hub.log_mut(cursor.room()) {
                    Some((log, pool)) => cursor.next_bytes(log, pool, gather),
                    None => &[],
                },
                None => &[],
            },
        }
    }

    /// Takes off the `len` bytes that were written of what [`Outbox::next_bytes`] showed.
    pub fn advance(&mut self, len: usize, hub: &mut Hub) {
        let Some(backlog) = self.0.as_deref_mut() else {
            return;
        };
        match backlog.next_part() {
            Part::Private => backlog.advance_private(len),
            Part::Controls => {
                let controls = mem::take(&mut backlog.controls);
                backlog.advance_whole(controls, len);
            }
            Part::Here => {
                let here = mem::take(&mut backlog.here);
                backlog.advance_whole(here, len);
            }
            Part::Last => _ = backlog.last.drain(..len),
            Part::Log => {
                if let Some(cursor) = &mut backlog.cursor {
                    cursor.advance(len, hub);
                }
            }
        }
        self.settle(hub);
    }

    /// Lets the log go where the client is caught up, and the memory where nothing is queued.
    pub fn settle(&mut self, hub: &mut Hub) {
        let Some(backlog) = self.0.as_deref_mut() else {
            return;
        };
        if let Some(cursor) = backlog.cursor.take_if(|cursor| {
            let log = hub.log(cursor.room());
            log.is_none_or(|log| cursor.is_caught_up(log))
        }) {
            cursor.release(hub);
        }
        if backlog.is_empty() {
            self.0 = None;
        }
    }

    /// Lets go all that is queued.
    pub fn clear(&mut self, hub: &mut Hub) {
        if let Some(cursor) = self.0.take().and_then(|backlog| backlog.cursor) {
            cursor.release(hub);
        }
    }
}
