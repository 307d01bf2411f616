//! What a client is sent: batches at once or from the log, answers, pings.

use super::socket;
use super::{Client, Phase, Stream};
use crate::config::{Config, SlowPolicy, Timeouts, WRITES_PER_TURN};
use crate::observe::{CloseReason, Metrics, Transport};
use crate::room::member::Here;
use crate::room::{Cursor, Framing, Hub, Membership, notice};
use crate::time::Tick;

/// A ping without payload, encoded.
const PING: &[u8] = &[0x89, 0x00];
/// The comment that shows an event source that the connection is alive.
const COMMENT: &[u8] = b":\n";

impl<S: Stream> Client<S> {
    /// Offers the room's newest batches, `news`, to a member: to the socket, or behind what is queued.
    ///
    /// # Errors
    /// The client has to go: its queue is full and its socket takes nothing, or the queue is full twice over
    /// and the socket takes too little, or the socket failed.
    #[inline]
    pub fn offer(
        &mut self,
        membership: Membership,
        hub: &mut Hub,
        gather: &mut Vec<u8>,
        metrics: &mut Metrics,
        now: Tick,
        config: &Config,
    ) -> Result<(), CloseReason> {
        let Membership { room, framing, .. } = membership;
        let Some(log) = hub.log(room) else {
            return Ok(());
        };
        for number in log.news() {
            if !self.outbox.is_empty() && self.outbox.cursor().is_none() {
                // What is queued for it alone, such as its opening, does not make it one that is behind.
                self.flush(hub, gather, metrics, now, &config.timeouts)?;
            }
            if !self.outbox.is_empty() {
                if self.outbox.cursor().is_none() {
                    let cursor = Cursor::new(room, framing, number, 0, hub);
                    self.outbox.begin_behind(cursor);
                }
                return self.check_queue(framing, hub, gather, metrics, now, config);
            }
            let Some(batch) = hub.log(room).and_then(|log| log.batch(number)) else {
                return Ok(());
            };
            let bytes = batch.whole(batch.framing_for(framing));
            let len = bytes.len();
            let written = socket::write(
                &mut self.stream,
                bytes,
                &mut self.output,
                &mut metrics.sent_len,
            )?;
            self.timers.note_written(written);
            if written < len {
                let cursor = Cursor::in_batch(room, framing, number, written, hub);
                self.outbox.begin_behind(cursor);
                self.outbox
                    .note_queued(now.after(config.timeouts.write_wait));
            }
        }
        Ok(())
    }

    /// Judges a member that is behind by its send queue. Its socket is offered what is queued before.
    fn check_queue(
        &mut self,
        framing: Framing,
        hub: &mut Hub,
        gather: &mut Vec<u8>,
        metrics: &mut Metrics,
        now: Tick,
        config: &Config,
    ) -> Result<(), CloseReason> {
        let queue_max = config.chat.send_queue as u64;
        if self.send_queue_len(hub, queue_max) <= queue_max {
            return Ok(());
        }
        // The socket may have room that was not announced yet.
        self.output.expect_room();
        let takes_some = self.flush(hub, gather, metrics, now, &config.timeouts)? > 0;
        let bound = queue_max * if takes_some { 2 } else { 1 };
        if self.send_queue_len(hub, queue_max) <= bound {
            return Ok(());
        }
        if config.chat.slow == SlowPolicy::Close || !framing.has_ids() {
            return Err(CloseReason::Stuck);
        }
        metrics.skipped += self.outbox.skip_waiting(hub);
        Ok(())
    }

    fn send_queue_len(&self, hub: &Hub, queue_max: u64) -> u64 {
        let len = self.outbox.cursor().and_then(|cursor| {
            let log = hub.log(cursor.room())?;
            Some(cursor.send_queue_len(log, queue_max))
        });
        len.unwrap_or(0)
    }

    /// Writes what is queued until the socket takes no more, or this client's turn is over. Returns how many bytes
    /// the socket took.
    ///
    /// # Errors
    /// The socket failed.
    pub fn flush(
        &mut self,
        hub: &mut Hub,
        gather: &mut Vec<u8>,
        metrics: &mut Metrics,
        now: Tick,
        timeouts: &Timeouts,
    ) -> Result<usize, CloseReason> {
        let was_paused = self.is_paused();
        let was_queued = self.outbox.due() != Tick::NEVER;
        let mut taken_len = 0;
        for _ in 0..WRITES_PER_TURN {
            if self.outbox.is_empty() || !self.output.may_take_something() {
                break;
            }
            let bytes = self.outbox.next_bytes(hub, gather);
            if bytes.is_empty() {
                self.outbox.settle(hub);
                break;
            }
            let written = socket::write(
                &mut self.stream,
                bytes,
                &mut self.output,
                &mut metrics.sent_len,
            )?;
            taken_len += written;
            self.outbox.advance(written, hub);
        }
        if taken_len > 0 {
            self.note_taken(taken_len, was_queued, now, timeouts);
        }
        self.outbox.note_queued(now.after(timeouts.write_wait));
        self.resume_input(was_paused, now, timeouts);
        Ok(taken_len)
    }

    /// The socket took some of what is queued: that is progress, and a sign of life.
    fn note_taken(&mut self, len: usize, was_queued: bool, now: Tick, timeouts: &Timeouts) {
        self.timers.note_written(len);
        if was_queued {
            self.timers.note_progress(now, timeouts);
        }
        self.outbox.renew_due(now.after(timeouts.write_wait));
    }

    /// Starts the clocks again that stood still while the peer had not taken its answers.
    fn resume_input(&mut self, was_paused: bool, now: Tick, timeouts: &Timeouts) {
        let Phase::Open(session) = &self.phase else {
            return;
        };
        if session.is_http() {
            if self.outbox.is_empty() && !session.awaits_answer() {
                let progress = session.progress();
                self.timers.await_request(progress, now, timeouts);
            }
        } else if was_paused && !self.is_paused() {
            self.timers.resume_message(now, timeouts);
        }
    }

    /// Offers what is queued once more to a socket that took nothing for the write wait: the kernel announces
    /// room only when there is much of it.
    ///
    /// # Errors
    /// It still takes nothing, or it failed.
    pub fn flush_late(
        &mut self,
        hub: &mut Hub,
        gather: &mut Vec<u8>,
        metrics: &mut Metrics,
        now: Tick,
        timeouts: &Timeouts,
    ) -> Result<(), CloseReason> {
        self.output.expect_room();
        if self.flush(hub, gather, metrics, now, timeouts)? > 0 {
            Ok(())
        } else {
            Err(CloseReason::WriteTimeout)
        }
    }

    /// Sends a ping, or a comment to an event source, and says when the next is due.
    ///
    /// # Errors
    /// The socket failed.
    pub fn ping(
        &mut self,
        hub: &Hub,
        metrics: &mut Metrics,
        now: Tick,
        timeouts: &Timeouts,
    ) -> Result<(), CloseReason> {
        self.timers.renew_ping(now, timeouts);
        if let Some((session, outbox)) = self.session()
            && let Some(waiting) = session.waiting()
        {
            // Nothing may come before it.
            waiting.send_opening(outbox);
        }
        let membership = self.membership();
        let ping = match self.transport() {
            Transport::Sse => COMMENT,
            Transport::Http | Transport::WebSocket => PING,
        };
        let count = membership.and_then(|membership| hub.here_again(membership));
        if self.outbox.is_empty() {
            let written = socket::write(
                &mut self.stream,
                ping,
                &mut self.output,
                &mut metrics.sent_len,
            )?;
            if written < ping.len() {
                self.outbox.push_control_rest(ping, written);
            }
        } else {
            self.outbox.push_ping(ping);
        }
        if let (Some(membership), Some(count)) = (membership, count) {
            self.outbox
                .push_here(notice::here(membership.framing, count));
        }
        self.outbox.note_queued(now.after(timeouts.write_wait));
        Ok(())
    }

    /// Tells a member that wants to know it how many listen. Whether that is still to be done, because it was told
    /// just now.
    pub fn tell_count(&mut self, count: usize, now: Tick, timeouts: &Timeouts) -> bool {
        let Some(membership) = self.membership() else {
            return false;
        };
        match membership.here {
            Here::Off => false,
            Here::Fresh => {
                self.set_here(Here::On);
                true
            }
            Here::On => {
                self.outbox
                    .push_here(notice::here(membership.framing, count));
                self.outbox.note_queued(now.after(timeouts.write_wait));
                false
            }
        }
    }

    fn set_here(&mut self, here: Here) {
        if let Phase::Open(session) = &mut self.phase {
            session.set_here(here);
        }
    }
}
