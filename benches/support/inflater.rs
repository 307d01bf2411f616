//! How the swarm inflates: each compressed message once, when the first client receives it. The others receive the same
//! bytes, which only have to be compared. So the swarm stays lighter than the server, and each reader's text is known.

use std::collections::VecDeque;

use flate2::{Decompress, FlushDecompress};

use super::format::DEFLATE;
use super::message::Texts;

/// What a sync flush ends with, which a message leaves out (RFC 7692, 7.2.1).
const FLUSH_END: &[u8] = &[0x00, 0x00, 0xff, 0xff];
/// The messages and texts that are remembered, in bytes: many turns, since some readers get theirs late.
const REMEMBERED_MAX: usize = 16 * 1024 * 1024;
/// Above what any server joins here.
const TEXT_MAX: usize = 64 * 1024 * 1024;

pub(crate) struct SharedInflater {
    /// What may be sent.
    texts: Texts,
    decoder: Decompress,
    /// Whether a message can look back at those before it. Then every reader must get the same ones in the same order.
    has_context: bool,
    recent: VecDeque<Inflated>,
    /// The number of the first of them, counted from the first message of all.
    first: u64,
    /// The bytes of all of them.
    recent_len: usize,
}

struct Inflated {
    payload: Vec<u8>,
    text: Vec<u8>,
}

impl SharedInflater {
    pub(crate) fn new(texts: Texts) -> Self {
        Self {
            texts,
            decoder: Decompress::new(false),
            has_context: false,
            recent: VecDeque::new(),
            first: 0,
            recent_len: 0,
        }
    }

    /// Reads the head of a server's answer; `None` if it does not agree to compress.
    pub(crate) fn agree(&mut self, head: &str) -> Option<()> {
        let (_, parameters) = head.split_once(DEFLATE)?;
        let line = parameters.split("\r\n").next().unwrap_or_default();
        self.has_context = !line.contains("server_no_context_takeover");
        Some(())
    }

    /// The text of a message for the reader that is at `position`; `None` if it cannot be inflated, or is not
    /// what was sent.
    pub(crate) fn inflate(&mut self, payload: &[u8], position: &mut u64) -> Option<&[u8]> {
        let number = match self.find(payload, *position) {
            Some(number) => number,
            // Where another reader had something else here, there is no way to tell what this one can look back at.
            None if self.has_context && *position != self.end() => return None,
            None => self.inflate_next(payload)?,
        };
        *position = number + 1;
        self.get(number).map(|inflated| inflated.text.as_slice())
    }

    /// The number of a message that is known. Where messages stand alone, a reader that was late may have got several as one,
    /// and is then elsewhere.
    fn find(&self, payload: &[u8], position: u64) -> Option<u64> {
        let is_it = |inflated: &Inflated| inflated.payload == payload;
        if self.get(position).is_some_and(is_it) {
            return Some(position);
        }
        if self.has_context || position == self.end() {
            return None;
        }
        let index = self.recent.iter().rposition(is_it)?;
        Some(self.first + index as u64)
    }

    fn get(&self, number: u64) -> Option<&Inflated> {
        let index = number.checked_sub(self.first)?;
        self.recent.get(usize::try_from(index).ok()?)
    }

    fn end(&self) -> u64 {
        self.first + self.recent.len() as u64
    }

    /// Inflates a message and remembers it, under the number that is returned.
    fn inflate_next(&mut self, payload: &[u8]) -> Option<u64> {
        if !self.has_context {
            self.decoder.reset(false);
        }
        let mut text = Vec::with_capacity(8 * payload.len());
        for mut rest in [payload, FLUSH_END] {
            while !rest.is_empty() || text.len() == text.capacity() {
                if text.len() == text.capacity() {
                    text.reserve(text.len().max(64));
                }
                (text.len() < TEXT_MAX).then_some(())?;
                let before = self.decoder.total_in();
                let flush = FlushDecompress::Sync;
                self.decoder.decompress_vec(rest, &mut text, flush).ok()?;
                let taken = usize::try_from(self.decoder.total_in() - before).ok()?;
                (taken > 0 || text.len() == text.capacity()).then_some(())?;
                rest = rest.get(taken..)?;
            }
        }
        let mut lines = text.split(|byte| *byte == b'\n');
        lines.all(|line| self.texts.contain(line)).then_some(())?;
        self.forget();
        self.recent_len += payload.len() + text.len();
        self.recent.push_back(Inflated {
            payload: payload.to_vec(),
            text,
        });
        Some(self.end() - 1)
    }

    /// Forgets what is oldest, down to the bound.
    fn forget(&mut self) {
        while self.recent_len > REMEMBERED_MAX
            && let Some(Inflated { payload, text }) = self.recent.pop_front()
        {
            self.recent_len -= payload.len() + text.len();
            self.first += 1;
        }
    }
}
