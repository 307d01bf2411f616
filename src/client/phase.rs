//! How far a connection has come, from its first request to its last byte.

use crate::observe::{CloseReason, Transport};
use crate::session::Session;
use crate::time::Tick;

/// How far a connection has come. There is no way back, and the first reason stands.
#[derive(Debug)]
pub(super) enum Phase {
    /// The peer is served.
    Open(Session),
    /// The peer gets what is still queued for it. Nothing is read; whenever it takes something, it gets more time.
    Flushing {
        /// Why the connection ends.
        ending: Ending,
    },
    /// Our side of the stream is ended, and the peer's end is awaited. What it still sends is discarded.
    Lingering {
        /// Why the connection ends.
        ending: Ending,
        /// When the peer must have ended its side.
        due: Tick,
    },
    /// The socket is closed when the turn is over.
    Closed {
        /// Why the connection ended.
        ending: Ending,
    },
}

/// What stays of a client that is no longer served.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ending {
    /// Why the connection ends.
    pub(super) reason: CloseReason,
    /// How the peer spoke.
    pub(super) transport: Transport,
}

impl Phase {
    /// What stays of a client that is no longer served.
    pub(super) fn ending(&self) -> Option<Ending> {
        match *self {
            Self::Open(_) => None,
            Self::Flushing { ending }
            | Self::Lingering { ending, .. }
            | Self::Closed { ending } => Some(ending),
        }
    }

    /// How the peer speaks, or spoke while it was served.
    pub(super) fn transport(&self) -> Transport {
        match self {
            Self::Open(session) => session.transport(),
            Self::Flushing { ending }
            | Self::Lingering { ending, .. }
            | Self::Closed { ending } => ending.transport,
        }
    }
}
