//! What is queued for one client, while something is.

use std::mem;

use smallvec::SmallVec;

use crate::room::Cursor;
use crate::room::framing::{GATHER_LEN, Gather};
use crate::time::Tick;

/// Private bytes are queued in pieces up to this length where they come in shorter ones, so that many small
/// answers cost hardly more memory than their bytes.
const PIECE_LEN: usize = 4 * 1024;

#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// Bytes for this client alone: answers, echoes, the rest of control frames. Mostly one piece.
    pub(super) private: SmallVec<[Piece; 1]>,
    /// Bytes written of the front piece.
    pub(super) written: usize,
    /// The length of all pieces.
    pub(super) private_len: usize,
    /// Encoded pings and pongs: they leave between two frames, before the batches that wait.
    pub(super) controls: Vec<u8>,
    /// What waits in the room's log.
    pub(super) cursor: Option<Cursor>,
    /// How many listen: told when the client is caught up, and only the latest number.
    pub(super) here: Vec<u8>,
    /// What follows when the cursor has reached its end: a close frame.
    pub(super) last: Vec<u8>,
    /// When the socket must have taken some of it.
    pub(super) due: Option<Tick>,
}

#[derive(Debug)]
pub(super) enum Piece {
    Owned(Vec<u8>),
    Static(&'static [u8]),
}

impl Piece {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Static(bytes) => bytes,
        }
    }
}

/// Which part of a backlog is written next.
#[derive(PartialEq, Eq)]
pub(super) enum Part {
    Log,
    Private,
    Controls,
    Here,
    Last,
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.private.is_empty()
            && self.controls.is_empty()
            && self.cursor.is_none()
            && self.here.is_empty()
            && self.last.is_empty()
    }

    pub(super) fn next_part(&self) -> Part {
        if self.cursor.as_ref().is_some_and(Cursor::is_mid_frame) {
            Part::Log
        } else if !self.private.is_empty() {
            Part::Private
        } else if !self.controls.is_empty() {
            Part::Controls
        } else if self.cursor.is_some() {
            Part::Log
        } else if !self.here.is_empty() {
            Part::Here
        } else {
            Part::Last
        }
    }

    /// Queues a piece behind the pings and pongs that wait.
    pub(super) fn push_private(&mut self, piece: Piece) {
        if !self.controls.is_empty() {
            let controls = mem::take(&mut self.controls);
            self.append(Piece::Owned(controls));
        }
        self.append(piece);
    }

    fn append(&mut self, piece: Piece) {
        self.private_len += piece.bytes().len();
        match (self.private.last_mut(), &piece) {
            (Some(Piece::Owned(last)), Piece::Owned(bytes))
                if last.len() + bytes.len() <= PIECE_LEN =>
            {
                last.extend_from_slice(bytes);
            }
            _ => self.private.push(piece),
        }
    }

    /// The front piece, or as many as fit into one write.
    pub(super) fn next_private<'a>(&'a self, gather: &'a mut Vec<u8>) -> &'a [u8] {
        match self.private.first() {
            Some(front) if self.private.len() == 1 || front.bytes().len() > GATHER_LEN => {
                front.bytes().get(self.written..).unwrap_or_default()
            }
            _ => {
                gather.clear();
                let mut gathered = Gather {
                    skip: self.written,
                    max: GATHER_LEN,
                    out: gather,
                };
                // It stops at the first piece for which there is no room.
                let _ = self
                    .private
                    .iter()
                    .all(|piece| gathered.push(piece.bytes()));
                gather
            }
        }
    }

    pub(super) fn advance_private(&mut self, len: usize) {
        self.written += len;
        while let Some(front_len) = self.private.first().map(|piece| piece.bytes().len())
            && front_len <= self.written
        {
            self.written -= front_len;
            self.private_len -= front_len;
            self.private.remove(0);
        }
    }

    /// Takes off what was written of `bytes`. Those half written can no longer be replaced by newer ones.
    pub(super) fn advance_whole(&mut self, bytes: Vec<u8>, len: usize) {
        if len < bytes.len() {
            self.private_len += bytes.len();
            self.private.insert(0, Piece::Owned(bytes));
            self.written = len;
        }
    }
}
