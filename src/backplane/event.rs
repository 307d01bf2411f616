//! What the backplane tells, and on which connection.

use crate::id::ClientId;
use crate::room::id::Id;

/// One of the two connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line {
    /// The one that appends, and asks.
    Append,
    /// The one that reads the stream.
    Read,
}

/// What the engine is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// Connected, and all was read that was there: the heads of all rooms are to be asked for.
    Connected,
    /// The connection is lost.
    Lost,
    /// Messages that were read, in the stream's order. After the broker lost what it kept, some may be told that were told
    /// before, under the same ids.
    Entry {
        /// The room's name.
        room: &'a str,
        /// The id of the first message.
        first: Id,
        /// How many messages there are.
        count: u32,
        /// The messages, joined by line feeds: exactly `count` lines, none of which has a carriage return.
        text: &'a str,
    },
    /// Where a room's messages ended when it was asked. All of them that are still there have been told, and some that
    /// came later may have been.
    Head {
        /// The room's name.
        room: &'a str,
        /// The id of its last message.
        id: Id,
    },
    /// What a client posted is in the stream.
    Appended {
        /// Who posted it.
        by: ClientId,
        /// The id of its last message.
        id: Id,
    },
    /// What a client published was not appended in time. All that it published until then is given up, and what was not
    /// sent is never appended.
    GaveUp {
        /// Who published it.
        by: ClientId,
    },
    /// How many listen to a room on other nodes, where that changed.
    Elsewhere {
        /// The room's name.
        room: &'a str,
        /// How many.
        count: usize,
    },
}
