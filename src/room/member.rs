//! A client in a room: how it listens, its seat, and what it begins with.

use super::framing::Framing;
use super::hub::RoomId;
use super::id::Id;
use super::notice::Answer;
use super::start::Start;

/// A member's seat in a room. The client holds it, and the hub says whose seat changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    /// The room.
    pub room: RoomId,
    pub(super) seat: u32,
    /// How the member gets its messages.
    pub framing: Framing,
    /// Whether it is told how many listen.
    pub here: Here,
}

/// Whether a member is told how many listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Here {
    /// It does not want to know.
    Off,
    /// It was told when it joined, less than a second before the others are: it is left out once.
    Fresh,
    /// It is told with the others.
    On,
}

/// How a client listens to a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listening {
    /// How it gets its messages.
    pub framing: Framing,
    /// Whether it is told how many listen.
    pub wants_here: bool,
    /// Where it starts.
    pub start: Start,
}

/// What a new member begins with.
#[derive(Debug)]
pub struct Joined {
    /// Its seat.
    pub membership: Membership,
    /// The answer to where it starts.
    pub answer: Answer,
    /// The position just before the next message it gets.
    pub position: Id,
    /// Where it stands in the log, if there is something that it gets or must not get: a batch, and how many of
    /// that batch's messages are left out.
    pub cursor: Option<(u64, u32)>,
}

impl Membership {
    /// The same room, in the seat of a member that left: `left`.
    pub fn moved_to(self, left: Self) -> Self {
        Self {
            seat: left.seat,
            ..self
        }
    }
}
