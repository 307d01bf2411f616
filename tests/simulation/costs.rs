//! How long a turn takes.

use std::time::Duration;

use crate::random::Random;

/// No turn takes longer: about what the most offers of one turn cost.
const TURN_MAX: Duration = Duration::from_millis(200);

/// What a turn costs in time, which grows with its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TurnCost {
    /// For every read and every write.
    per_call: Duration,
    /// For a turn in which there is any.
    per_turn: Duration,
}

impl TurnCost {
    pub(crate) const NONE: Self = Self {
        per_call: Duration::ZERO,
        per_turn: Duration::ZERO,
    };

    /// Nothing, a little for each call, or much for each turn.
    pub(crate) fn new(random: &mut Random) -> Self {
        let millis = |count: usize| Duration::from_millis(count as u64);
        match random.below(10) {
            ..5 => Self::NONE,
            5..7 => Self {
                per_call: millis(random.between(1, 5)),
                ..Self::NONE
            },
            _ => Self {
                per_turn: millis(random.between(50, 200)),
                ..Self::NONE
            },
        }
    }

    pub(crate) fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// The longest that a turn takes.
    pub(crate) fn max(self) -> Duration {
        if self.is_none() {
            Duration::ZERO
        } else {
            TURN_MAX
        }
    }

    /// How long a turn with so many calls takes.
    pub(crate) fn of(self, calls: usize) -> Duration {
        if calls == 0 {
            return Duration::ZERO;
        }
        let calls = u32::try_from(calls).unwrap_or(u32::MAX);
        let cost = self.per_turn + self.per_call.saturating_mul(calls);
        cost.min(TURN_MAX)
    }
}
