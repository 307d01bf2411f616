//! What one client is still owed: shared batches, its own bytes, a cursor, and the bound.
//!
//! An outbox does no I/O: [`Outbox::next_bytes`] shows what is to be written next, [`Outbox::advance`]
//! takes off what was. A client that owes nothing has no memory here. Batches that wait are held by
//! reference, and those that wait together leave as one frame, put together in a buffer that all
//! clients share.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::room::batch::Batch;
use crate::ws::frame::{self, Opcode, ServerHeader};

/// The most bytes of pongs kept for one client. Beyond it only the newest is kept (RFC 6455 §5.5.3).
pub const PONGS_MAX: usize = 2 * 1024;
/// Own bytes are queued in pieces up to this length where they come in shorter ones, so that many small
/// answers cost hardly more memory than their bytes.
const OWN_PIECE_LEN: usize = 4 * 1024;
/// The length of the shared buffer in which waiting bytes are put together, and so of one write.
pub const GATHER_LEN: usize = 64 * 1024;

/// What one client is still owed. Empty, it is one null pointer.
#[derive(Debug, Default)]
pub struct Outbox(Option<Box<Backlog>>);

#[derive(Debug, Default)]
struct Backlog {
    items: VecDeque<Item>,
    /// How many batches at the front make up the frame that is next, as it was last shown. It may still
    /// grow while none of its bytes are written.
    run: usize,
    /// The header of that frame, where it joins several batches.
    run_header: Option<ServerHeader>,
    /// Bytes written of that frame, or of the front item where it is no batch.
    written: usize,
    /// Messages in batches that no begun frame holds: the length of the send queue.
    waiting_messages: usize,
    /// Bytes of the items that are this client's own.
    own_len: usize,
    /// Encoded pings and pongs: they leave between two frames, before the batches that wait.
    controls: Vec<u8>,
}

#[derive(Debug)]
enum Item {
    Batch(Rc<Batch>),
    Own(Vec<u8>),
    Static(&'static [u8]),
}

impl Item {
    /// The item's bytes, as they travel on their own.
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Batch(batch) => batch.frame(),
            Self::Own(bytes) => bytes,
            Self::Static(bytes) => bytes,
        }
    }
}

impl Outbox {
    /// Whether nothing is owed.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// How many messages wait, not counting those of a frame that has been begun.
    pub fn waiting_messages(&self) -> usize {
        self.0
            .as_ref()
            .map_or(0, |backlog| backlog.waiting_messages)
    }

    /// The bytes owed to this client alone: answers, echoes, control frames.
    pub fn own_len(&self) -> usize {
        self.0
            .as_ref()
            .map_or(0, |backlog| backlog.own_len + backlog.controls.len())
    }

    /// All bytes owed to this client, those it shares with others included.
    pub fn owed_len(&self) -> usize {
        self.0.as_ref().map_or(0, |backlog| {
            let items: usize = backlog.items.iter().map(|item| item.bytes().len()).sum();
            items + backlog.controls.len()
        })
    }

    /// Queues a batch behind what is owed already.
    pub fn push_batch(&mut self, batch: Rc<Batch>) {
        let backlog = self.0.get_or_insert_default();
        backlog.waiting_messages += batch.message_count();
        backlog.items.push_back(Item::Batch(batch));
    }

    /// Queues the rest of a batch of which `written` bytes were taken by the socket directly.
    ///
    /// Only a client that owes nothing is offered a batch directly.
    pub fn push_rest(&mut self, batch: Rc<Batch>, written: usize) {
        assert!(self.is_empty(), "a batch was written past what was owed");
        self.push_batch(batch);
        if written > 0 {
            let backlog = self.0.get_or_insert_default();
            backlog.form_run();
            backlog.begin(written);
        }
    }

    /// Queues bytes that are this client's own. Empty ones are not queued.
    pub fn push_own(&mut self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.0.get_or_insert_default().push_own(Item::Own(bytes));
        }
    }

    /// Queues bytes that are part of the program. Empty ones are not queued.
    pub fn push_static(&mut self, bytes: &'static [u8]) {
        if !bytes.is_empty() {
            self.0.get_or_insert_default().push_own(Item::Static(bytes));
        }
    }

    /// Queues a control frame of which the socket took `written` bytes, where nothing else was owed.
    pub fn push_control_rest(&mut self, frame: &'static [u8], written: usize) {
        assert!(self.is_empty(), "a frame was written past what was owed");
        self.push_static(frame);
        if let Some(backlog) = &mut self.0 {
            backlog.written = written;
        }
    }

    /// Queues a ping without payload, to leave before the next frame.
    pub fn push_ping(&mut self) {
        let controls = &mut self.0.get_or_insert_default().controls;
        frame::encode_frame(Opcode::Ping, b"", controls);
    }

    /// Queues a pong, to leave before the next frame.
    ///
    /// A peer that sends pings and reads no pongs is owed the newest only (RFC 6455 §5.5.3).
    pub fn push_pong(&mut self, payload: &[u8]) {
        let controls = &mut self.0.get_or_insert_default().controls;
        if controls.len() + payload.len() > PONGS_MAX {
            controls.clear();
        }
        frame::encode_frame(Opcode::Pong, payload, controls);
    }

    /// What is to be written next; empty if nothing is owed. `gather` holds what has to be put together.
    ///
    /// A frame of which bytes were written is begun: what is queued later goes into the next one.
    pub fn next_bytes<'a>(&'a mut self, gather: &'a mut Vec<u8>) -> &'a [u8] {
        let Some(backlog) = self.0.as_deref_mut() else {
            return &[];
        };
        if backlog.controls_are_next() {
            return &backlog.controls;
        }
        if backlog.written == 0 {
            backlog.form_run();
        }
        let backlog = &*backlog;
        match backlog.items.front() {
            Some(front) if backlog.stands_alone() => {
                front.bytes().get(backlog.written..).unwrap_or_default()
            }
            _ => {
                gather.clear();
                backlog.gather(gather);
                gather
            }
        }
    }

    /// Takes off the `len` bytes that were written of what [`Outbox::next_bytes`] showed.
    pub fn advance(&mut self, len: usize) {
        let Some(backlog) = self.0.as_deref_mut() else {
            return;
        };
        if len == 0 {
            return;
        }
        if backlog.controls_are_next() {
            backlog.advance_controls(len);
        } else {
            backlog.begin(len);
        }
        while let Some(front_len) = backlog.front_len()
            && front_len <= backlog.written
        {
            backlog.written -= front_len;
            backlog.pop_front();
        }
        if backlog.items.is_empty() && backlog.controls.is_empty() {
            self.0 = None;
        }
    }
}

impl Backlog {
    /// Queues an item of this client's own. What comes later must not pass the pongs before it: the
    /// last item may be a close frame.
    fn push_own(&mut self, item: Item) {
        if !self.controls.is_empty() {
            let controls = std::mem::take(&mut self.controls);
            self.append_own(Item::Own(controls));
        }
        self.append_own(item);
    }

    fn append_own(&mut self, item: Item) {
        self.own_len += item.bytes().len();
        match (self.items.back_mut(), &item) {
            (Some(Item::Own(last)), Item::Own(bytes))
                if last.len() + bytes.len() <= OWN_PIECE_LEN =>
            {
                last.extend_from_slice(bytes);
            }
            _ => self.items.push_back(item),
        }
    }

    /// Whether pings and pongs leave now: nothing is half written, and only batches wait.
    fn controls_are_next(&self) -> bool {
        self.written == 0
            && !self.controls.is_empty()
            && self
                .items
                .front()
                .is_none_or(|item| as_batch(item).is_some())
    }

    /// Takes off written pings and pongs. Those half written can no longer be replaced by newer ones.
    fn advance_controls(&mut self, len: usize) {
        let controls = std::mem::take(&mut self.controls);
        if len < controls.len() {
            self.own_len += controls.len();
            self.items.push_front(Item::Own(controls));
            self.run = 0;
            self.run_header = None;
            self.written = len;
        }
    }

    /// Makes one frame of all batches at the front.
    fn form_run(&mut self) {
        self.run = self.items.iter().map_while(as_batch).count();
        self.run_header = (self.run > 1).then(|| {
            let text_len: usize = self.run_batches().map(|batch| batch.text_len() + 1).sum();
            ServerHeader::encode(Opcode::Text, text_len - 1)
        });
    }

    /// Counts written bytes. With its first byte a frame is begun, and its messages wait no longer.
    fn begin(&mut self, len: usize) {
        if self.written == 0 {
            let begun: usize = self.run_batches().map(|batch| batch.message_count()).sum();
            self.waiting_messages -= begun;
        }
        self.written += len;
    }

    /// Whether the front unit can be written from where it lies, without joining or gathering.
    fn stands_alone(&self) -> bool {
        match self.items.front() {
            Some(Item::Batch(_)) => self.run == 1,
            _ => self
                .items
                .get(1)
                .is_none_or(|item| as_batch(item).is_some()),
        }
    }

    /// The length of the begun frame, or of the front item where it is no batch.
    fn front_len(&self) -> Option<usize> {
        match (&self.run_header, self.items.front()?) {
            (Some(header), Item::Batch(_)) => {
                let text_len: usize = self.run_batches().map(|batch| batch.text_len() + 1).sum();
                Some(header.as_bytes().len() + text_len - 1)
            }
            // A frame that was not shown yet.
            (None, Item::Batch(_)) if self.run == 0 => None,
            (_, item) => Some(item.bytes().len()),
        }
    }

    fn pop_front(&mut self) {
        for item in self.items.drain(..self.run.max(1)) {
            if as_batch(&item).is_none() {
                self.own_len -= item.bytes().len();
            }
        }
        self.run = 0;
        self.run_header = None;
    }

    fn run_batches(&self) -> impl Iterator<Item = &Rc<Batch>> {
        self.items.iter().take(self.run).map_while(as_batch)
    }

    /// Fills `out` with the rest of the begun frame, or with own bytes up to the next batch.
    fn gather(&self, out: &mut Vec<u8>) {
        let mut skip = self.written;
        let mut put = |bytes: &[u8]| {
            let skipped = skip.min(bytes.len());
            skip -= skipped;
            let room = GATHER_LEN - out.len();
            let bytes = bytes.get(skipped..).unwrap_or_default();
            out.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
            out.len() < GATHER_LEN
        };
        if let Some(header) = &self.run_header {
            put(header.as_bytes());
            for (i, batch) in self.run_batches().enumerate() {
                if (i > 0 && !put(b"\n")) || !put(batch.text()) {
                    return;
                }
            }
        } else {
            for item in self
                .items
                .iter()
                .take_while(|item| as_batch(item).is_none())
            {
                if !put(item.bytes()) {
                    return;
                }
            }
        }
    }
}

fn as_batch(item: &Item) -> Option<&Rc<Batch>> {
    match item {
        Item::Batch(batch) => Some(batch),
        Item::Own(_) | Item::Static(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(messages: &[&str]) -> Rc<Batch> {
        let mut batch = Batch::default();
        for message in messages {
            batch.push(message);
        }
        batch.seal();
        Rc::new(batch)
    }

    /// Writes all that is owed, at most `step` bytes at a time.
    fn drain(outbox: &mut Outbox, step: usize) -> Vec<u8> {
        let mut gather = Vec::new();
        let mut out = Vec::new();
        while !outbox.is_empty() {
            let bytes = outbox.next_bytes(&mut gather);
            assert!(
                !bytes.is_empty(),
                "something is owed, so something is shown"
            );
            let len = bytes.len().min(step);
            out.extend_from_slice(&bytes[..len]);
            outbox.advance(len);
        }
        assert!(outbox.next_bytes(&mut gather).is_empty());
        out
    }

    /// Text longer than the shared buffer, so that a joined frame takes several writes.
    fn long_text(letter: &str) -> String {
        letter.repeat(GATHER_LEN - 7)
    }

    #[test]
    fn batches_that_wait_together_leave_as_one_frame() {
        for step in [1, 2, 3, 1000] {
            let mut outbox = Outbox::default();
            outbox.push_batch(batch(&["a", "b"]));
            outbox.push_batch(batch(&["", "c"]));
            outbox.push_batch(batch(&["d"]));
            assert_eq!(outbox.waiting_messages(), 5);
            assert_eq!(drain(&mut outbox, step), b"\x81\x08a\nb\n\nc\nd");
        }
    }

    #[test]
    fn a_joined_frame_larger_than_the_shared_buffer_is_whole() {
        let (a, b) = (long_text("a"), long_text("b"));
        let expected = batch(&[&a, &b, "c"]).frame().to_vec();
        for step in [1, 4096, GATHER_LEN, usize::MAX] {
            let mut outbox = Outbox::default();
            outbox.push_batch(batch(&[&a]));
            outbox.push_batch(batch(&[&b]));
            outbox.push_batch(batch(&["c"]));
            assert!(drain(&mut outbox, step) == expected, "step {step}");
        }
    }

    #[test]
    fn what_comes_after_a_frame_was_begun_goes_into_the_next() {
        let mut outbox = Outbox::default();
        let mut gather = Vec::new();
        outbox.push_batch(batch(&["a"]));
        outbox.push_batch(batch(&["b"]));
        assert_eq!(outbox.next_bytes(&mut gather), b"\x81\x03a\nb");
        assert_eq!(outbox.waiting_messages(), 2);
        outbox.advance(2);
        assert_eq!(outbox.waiting_messages(), 0);
        outbox.push_batch(batch(&["c"]));
        outbox.push_batch(batch(&["d"]));
        assert_eq!(outbox.waiting_messages(), 2);
        assert_eq!(drain(&mut outbox, 100), b"a\nb\x81\x03c\nd");
    }

    #[test]
    fn a_frame_that_was_shown_and_not_begun_still_grows() {
        let mut outbox = Outbox::default();
        let mut gather = Vec::new();
        outbox.push_rest(batch(&["a"]), 0);
        assert_eq!(outbox.next_bytes(&mut gather), b"\x81\x01a");
        outbox.push_batch(batch(&["b"]));
        outbox.push_pong(b"");
        assert_eq!(drain(&mut outbox, 3), b"\x8a\x00\x81\x03a\nb");
    }

    #[test]
    fn pongs_pass_no_bytes_that_are_the_clients_own() {
        let mut outbox = Outbox::default();
        outbox.push_own(b"answer ".to_vec());
        outbox.push_pong(b"1");
        outbox.push_batch(batch(&["x"]));
        outbox.push_pong(b"2");
        outbox.push_own(b"close".to_vec());
        assert_eq!(
            drain(&mut outbox, 100),
            b"answer \x81\x01x\x8a\x011\x8a\x012close"
        );
    }

    #[test]
    fn the_rest_of_a_batch_that_was_offered_directly_follows() {
        let mut outbox = Outbox::default();
        outbox.push_rest(batch(&["hello"]), 3);
        assert_eq!(outbox.waiting_messages(), 0);
        outbox.push_batch(batch(&["next"]));
        assert_eq!(drain(&mut outbox, 100), b"ello\x81\x04next");

        outbox.push_rest(batch(&["hello"]), 0);
        assert_eq!(outbox.waiting_messages(), 1);
        assert_eq!(drain(&mut outbox, 100), b"\x81\x05hello");
    }

    #[test]
    fn pongs_pass_what_waits_but_never_cut_a_frame() {
        let mut outbox = Outbox::default();
        outbox.push_rest(batch(&["hello"]), 3);
        outbox.push_batch(batch(&["next"]));
        outbox.push_pong(b"1");
        outbox.push_ping();
        assert_eq!(drain(&mut outbox, 1), b"ello\x8a\x011\x89\x00\x81\x04next");
    }

    #[test]
    fn pongs_nobody_reads_are_bounded_and_the_newest_is_kept() {
        let mut outbox = Outbox::default();
        let mut gather = Vec::new();
        for i in 0..100_000_u32 {
            outbox.push_pong(&i.to_be_bytes());
            assert!(outbox.own_len() <= PONGS_MAX + 6, "{}", outbox.own_len());
            assert!(!outbox.next_bytes(&mut gather).is_empty());
        }
        let out = drain(&mut outbox, 100);
        assert!(out.ends_with(&99_999_u32.to_be_bytes()));
    }

    #[test]
    fn a_half_written_pong_is_finished_before_a_newer_one() {
        let mut outbox = Outbox::default();
        let mut gather = Vec::new();
        outbox.push_pong(b"old");
        assert_eq!(outbox.next_bytes(&mut gather), b"\x8a\x03old");
        outbox.advance(1);
        for _ in 0..PONGS_MAX {
            outbox.push_pong(b"new");
        }
        let out = drain(&mut outbox, 7);
        assert!(out.starts_with(b"\x03old\x8a\x03new"));
        assert!(out.len() < 2 * PONGS_MAX);
    }

    #[test]
    fn the_rest_of_a_control_frame_comes_before_any_other() {
        let mut outbox = Outbox::default();
        outbox.push_control_rest(b"\x89\x00", 1);
        outbox.push_pong(b"x");
        assert_eq!(drain(&mut outbox, 100), b"\x00\x8a\x01x");
    }

    #[test]
    fn own_bytes_keep_their_order_and_are_gathered() {
        let mut outbox = Outbox::default();
        let mut gather = Vec::new();
        outbox.push_own(b"head ".to_vec());
        outbox.push_static(b"body ");
        outbox.push_own(Vec::new());
        outbox.push_own(b"head2".to_vec());
        outbox.push_batch(batch(&["x"]));
        outbox.push_own(b"close".to_vec());
        assert_eq!(outbox.own_len(), 20);
        assert_eq!(outbox.owed_len(), 23);
        assert_eq!(outbox.next_bytes(&mut gather), b"head body head2");
        for step in [1, 4, 7] {
            outbox.advance(step);
        }
        assert_eq!(drain(&mut outbox, 2), b"ad2\x81\x01xclose");
        assert_eq!(outbox.own_len(), 0);
    }

    #[test]
    fn many_small_answers_cost_hardly_more_memory_than_their_bytes() {
        for piece_len in [1, 91, 3000] {
            let mut outbox = Outbox::default();
            let mut expected = Vec::new();
            for i in 0..100_000 / piece_len {
                let mut piece = Vec::with_capacity(512);
                piece.resize(piece_len, i as u8);
                expected.extend_from_slice(&piece);
                outbox.push_own(piece);
            }
            let backlog = outbox.0.as_ref().expect("something is owed");
            let held: usize = backlog
                .items
                .iter()
                .map(|item| match item {
                    Item::Own(bytes) => bytes.capacity() + size_of::<Item>(),
                    Item::Batch(_) | Item::Static(_) => 0,
                })
                .sum();
            assert!(held < 2 * expected.len() + 4 * OWN_PIECE_LEN, "{held}");
            assert_eq!(outbox.own_len(), expected.len());
            assert!(drain(&mut outbox, 1000) == expected);
        }
    }

    #[test]
    fn an_empty_outbox_is_one_pointer() {
        assert_eq!(size_of::<Outbox>(), size_of::<usize>());
    }
}
