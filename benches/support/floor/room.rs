//! The floor's rooms: who listens in which way, and what is published in a turn, written once for each way.

use std::os::fd::OwnedFd;

use super::super::wire::{HEADER_MAX, TEXT, apply_mask, server_header};
use super::deflater::Deflater;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// WebSocket: lines.
    Plain,
    /// WebSocket: lines with ids.
    V1,
    /// WebSocket: lines, compressed.
    Deflated,
    /// Server-sent events; what it sends is not looked at.
    Events,
    /// Sends requests to publish, and is sent their answers alone.
    Publisher,
}

/// The seats of one kind in one room.
pub(super) struct Audience {
    /// The array that a broadcast walks.
    pub(super) members: Vec<OwnedFd>,
    /// What was published in this turn, for WebSocket behind room for a header.
    batch: Vec<u8>,
}

impl Audience {
    const EMPTY: Self = Self {
        members: Vec::new(),
        batch: Vec::new(),
    };

    /// The batch to append to; `None` if nobody listens.
    fn open(&mut self, headroom: usize) -> Option<&mut Vec<u8>> {
        if self.members.is_empty() {
            return None;
        }
        if self.batch.is_empty() {
            self.batch.resize(headroom, 0);
        }
        Some(&mut self.batch)
    }
}

/// One room.
pub(super) struct Room {
    /// Of the last message: an epoch, a dash and a number.
    id: Vec<u8>,
    audiences: [Audience; 5],
    /// Whether it is on the list of rooms with something new.
    pub(super) is_listed: bool,
}

impl Room {
    pub(super) fn new() -> Self {
        Self {
            id: b"bench000-0".to_vec(),
            audiences: [Audience::EMPTY; 5],
            is_listed: false,
        }
    }

    pub(super) fn id(&self) -> &[u8] {
        &self.id
    }

    pub(super) fn audience(&self, kind: Kind) -> &Audience {
        &self.audiences[kind as usize]
    }

    pub(super) fn audience_mut(&mut self, kind: Kind) -> &mut Audience {
        &mut self.audiences[kind as usize]
    }

    /// Numbers a message and writes it for all who listen.
    #[inline]
    pub(super) fn publish(&mut self, payload: &[u8], key: [u8; 4]) {
        increment(&mut self.id);
        let [plain, v1, deflated, events, _] = &mut self.audiences;
        for audience in [plain, deflated] {
            if let Some(batch) = audience.open(HEADER_MAX) {
                append_unmasked(batch, payload, key);
                batch.push(b'\n');
            }
        }
        if let Some(batch) = v1.open(HEADER_MAX) {
            batch.extend_from_slice(&self.id);
            batch.push(b' ');
            append_unmasked(batch, payload, key);
            batch.push(b'\n');
        }
        if let Some(batch) = events.open(0) {
            batch.extend_from_slice(b"id: ");
            batch.extend_from_slice(&self.id);
            batch.extend_from_slice(b"\ndata: ");
            append_unmasked(batch, payload, key);
            batch.extend_from_slice(b"\n\n");
        }
    }

    /// Whether anything was published that somebody is to get.
    pub(super) fn has_news(&self) -> bool {
        let mut audiences = self.audiences.iter();
        audiences.any(|audience| !audience.batch.is_empty())
    }

    /// Hands the bytes of this turn to `deliver`, with all who get them, and forgets them.
    pub(super) fn broadcast(
        &mut self,
        deflater: &mut Deflater,
        mut deliver: impl FnMut(&[OwnedFd], &[u8]),
    ) {
        let [plain, v1, deflated, events, _] = &mut self.audiences;
        for audience in [plain, v1] {
            if !audience.batch.is_empty() {
                deliver(&audience.members, as_frame(&mut audience.batch));
                audience.batch.clear();
            }
        }
        if !deflated.batch.is_empty() {
            let end = deflated.batch.len() - 1;
            let frame = deflater.frame(&deflated.batch[HEADER_MAX..end]);
            let frame = frame.unwrap_or_else(|| as_frame(&mut deflated.batch));
            deliver(&deflated.members, frame);
            deflated.batch.clear();
        }
        if !events.batch.is_empty() {
            deliver(&events.members, &events.batch);
            events.batch.clear();
        }
    }
}

/// Makes one frame of the lines in `batch`. Every line has its separator behind it; the frame does without the last.
fn as_frame(batch: &mut [u8]) -> &[u8] {
    let end = batch.len() - 1;
    put_header(TEXT, &mut batch[..end])
}

/// Writes the header of a frame before its payload, behind the room that was left for it.
pub(super) fn put_header(opcode: u8, frame: &mut [u8]) -> &[u8] {
    let header = server_header(opcode, frame.len() - HEADER_MAX);
    let header = header.as_bytes();
    let start = HEADER_MAX - header.len();
    frame[start..HEADER_MAX].copy_from_slice(header);
    &frame[start..]
}

#[inline]
fn append_unmasked(batch: &mut Vec<u8>, payload: &[u8], key: [u8; 4]) {
    let start = batch.len();
    batch.extend_from_slice(payload);
    apply_mask(&mut batch[start..], key);
}

/// Adds one to the number at the end of `id`, digit by digit.
#[inline]
fn increment(id: &mut Vec<u8>) {
    for digit in id.iter_mut().rev() {
        match *digit {
            b'9' => *digit = b'0',
            b'0'..=b'8' => {
                *digit += 1;
                return;
            }
            _ => break,
        }
    }
    // All nines, which are zeros by now.
    let first = id.iter().rposition(|byte| *byte == b'-').unwrap_or(0) + 1;
    id.insert(first, b'1');
}
