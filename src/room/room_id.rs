//! Where a room stands among all rooms.

use std::num::NonZeroU32;

/// A room's place among all rooms. It counts from one, so that no place at all takes no more memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RoomId(NonZeroU32);

impl RoomId {
    pub(super) fn from_index(index: usize) -> Self {
        let index = u32::try_from(index).expect("rooms are fewer than 32 bits count");
        Self::from_entry(index)
    }

    /// As it stands in the deadlines.
    pub(super) fn from_entry(index: u32) -> Self {
        Self(NonZeroU32::MIN.saturating_add(index))
    }

    pub(super) fn entry(self) -> u32 {
        self.0.get() - 1
    }

    pub(super) fn index(self) -> usize {
        self.entry() as usize
    }
}
