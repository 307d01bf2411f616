//! What of a log is written to one reader next, and how much of it has been.

use super::framing::Framing;
use crate::ws::frame::ServerHeader;

/// What is written next, as it was last shown: one frame of a joined framing, or any number of others. It may still
/// grow while none of its bytes are written.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) content: Content,
    /// The reader's framing, or the plain one for what is not compressed.
    pub(super) framing: Framing,
    pub(super) len: usize,
    pub(super) written: usize,
}

#[derive(Debug)]
pub(super) enum Content {
    /// One batch from its beginning.
    Whole,
    /// Batches, the first of them from a place in its body on.
    Bodies {
        batches: u64,
        first_offset: usize,
        header: Option<ServerHeader>,
    },
    /// That messages were skipped.
    Notice(Vec<u8>),
}

impl Content {
    /// How many batches it is made of.
    pub(super) fn batches(&self) -> u64 {
        match self {
            Self::Whole => 1,
            Self::Bodies { batches, .. } => *batches,
            Self::Notice(_) => 0,
        }
    }
}
