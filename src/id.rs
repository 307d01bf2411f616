//! Ids of clients.

use std::fmt;
use std::num::NonZeroU32;

/// A client: its slot, and which of the clients that have had this slot it is.
///
/// Slots are used again. An id that outlives its client therefore finds nobody, never somebody else.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientId {
    slot: u32,
    generation: NonZeroU32,
}

impl ClientId {
    /// The client of this generation in this slot.
    pub fn new(slot: u32, generation: NonZeroU32) -> Self {
        Self { slot, generation }
    }

    /// Its place in the slab.
    #[inline]
    pub fn slot(self) -> u32 {
        self.slot
    }

    /// Which of the slot's clients it is.
    #[inline]
    pub fn generation(self) -> NonZeroU32 {
        self.generation
    }

    /// The id as one number, which is at least 2^32.
    pub fn to_bits(self) -> u64 {
        u64::from(self.generation.get()) << 32 | u64::from(self.slot)
    }

    /// The id that [`ClientId::to_bits`] turned into `bits`; `None` for a number below 2^32.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the halves of the number are meant"
    )]
    pub fn from_bits(bits: u64) -> Option<Self> {
        let generation = NonZeroU32::new((bits >> 32) as u32)?;
        Some(Self::new(bits as u32, generation))
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.slot, self.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_the_way_through_a_number() {
        for (slot, generation) in [(0, 1), (u32::MAX, 1), (7, u32::MAX)] {
            let generation = NonZeroU32::new(generation).expect("it is not zero");
            let id = ClientId::new(slot, generation);
            assert_eq!(ClientId::from_bits(id.to_bits()), Some(id));
        }
        assert_eq!(ClientId::from_bits(u64::from(u32::MAX)), None);
    }
}
