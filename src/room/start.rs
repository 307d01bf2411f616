//! Where a new reader starts, and what it is told of that: the table that decides a resume.

use super::id::{Epoch, Id};
use super::notice::Answer;

/// What a reader asks for when it connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At most so many of the last messages, then what is new.
    Fresh {
        /// How many.
        last: u64,
    },
    /// What comes after a message.
    After {
        /// Its id; `None` for one that no room has given.
        id: Option<Id>,
        /// After a gap, at most so many of the last messages.
        last: u64,
    },
}

impl Start {
    /// What is new, and nothing before.
    pub const NEW: Self = Self::Fresh { last: 0 };
}

/// The messages that a room has given and kept.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// The room's life.
    pub epoch: Epoch,
    /// The number of its last message.
    pub head: u64,
    /// The number of the oldest message that is kept; one more than `head` if there is none.
    pub oldest: u64,
}

impl Extent {
    /// The answer to a reader, and the number of the message behind which it starts.
    pub fn answer(self, start: Start) -> (Answer, u64) {
        let Self {
            epoch,
            head,
            oldest,
        } = self;
        // The position from which at most `last` of the kept messages follow.
        let before_last = |last: u64| head.saturating_sub(last).max(oldest - 1);
        match start {
            Start::Fresh { last } => (Answer::Fresh, before_last(last)),
            Start::After { id, last } => {
                match id.filter(|id| id.epoch == epoch && id.seq <= head) {
                    Some(id) if id.seq + 1 >= oldest => (Answer::Resumed, id.seq),
                    Some(id) => {
                        let position = before_last(last);
                        (Answer::Gap(Some(position - id.seq)), position)
                    }
                    None => (Answer::Gap(None), before_last(last)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: u64 = u64::MAX;

    fn id(text: &str) -> Option<Id> {
        Some(Id::parse(text.as_bytes()).expect("an id"))
    }

    fn extent(oldest: u64, head: u64) -> Extent {
        let epoch = id("k3v9q2c1-0").expect("an id").epoch;
        Extent {
            epoch,
            head,
            oldest,
        }
    }

    #[test]
    fn a_fresh_reader_gets_at_most_the_last_kept_messages() {
        let kept = extent(50, 87);
        for (last, position) in [(0, 87), (1, 86), (38, 49), (39, 49), (ALL, 49)] {
            let start = Start::Fresh { last };
            assert_eq!(kept.answer(start), (Answer::Fresh, position), "{last}");
        }
        assert_eq!(
            extent(1, 0).answer(Start::Fresh { last: ALL }),
            (Answer::Fresh, 0)
        );
        assert_eq!(
            extent(88, 87).answer(Start::Fresh { last: 9 }),
            (Answer::Fresh, 87)
        );
    }

    #[test]
    fn a_reader_goes_on_where_nothing_is_missing_and_hears_of_a_gap_otherwise() {
        let golden = [
            ("k3v9q2c1-87", Answer::Resumed, 87),
            ("k3v9q2c1-50", Answer::Resumed, 50),
            ("k3v9q2c1-49", Answer::Resumed, 49),
            ("k3v9q2c1-48", Answer::Gap(Some(1)), 49),
            ("k3v9q2c1-0", Answer::Gap(Some(49)), 49),
            ("k3v9q2c1-88", Answer::Gap(None), 49),
            ("k3v9q2c1-99999999999999999999", Answer::Gap(None), 49),
            ("m2xw7d0a-87", Answer::Gap(None), 49),
            ("m2xw7d0a-0", Answer::Gap(None), 49),
        ];
        for (asked, answer, position) in golden {
            let start = Start::After {
                id: id(asked),
                last: ALL,
            };
            assert_eq!(extent(50, 87).answer(start), (answer, position), "{asked}");
        }
        let unknown = Start::After {
            id: None,
            last: ALL,
        };
        assert_eq!(extent(50, 87).answer(unknown), (Answer::Gap(None), 49));
    }

    #[test]
    fn after_a_gap_the_last_messages_may_be_enough() {
        let after = |seq: &str, last| {
            let start = Start::After { id: id(seq), last };
            extent(50, 87).answer(start)
        };
        assert_eq!(after("k3v9q2c1-40", 3), (Answer::Gap(Some(44)), 84));
        assert_eq!(after("k3v9q2c1-40", 0), (Answer::Gap(Some(47)), 87));
        assert_eq!(after("k3v9q2c1-40", 1_000), (Answer::Gap(Some(9)), 49));
        assert_eq!(after("m2xw7d0a-40", 3), (Answer::Gap(None), 84));
        assert_eq!(
            after("k3v9q2c1-60", 3),
            (Answer::Resumed, 60),
            "no gap, no limit"
        );
    }

    #[test]
    fn a_room_that_keeps_nothing_knows_its_positions() {
        let start = |seq| Start::After {
            id: id(seq),
            last: ALL,
        };
        let kept = extent(88, 87);
        assert_eq!(kept.answer(start("k3v9q2c1-87")), (Answer::Resumed, 87));
        assert_eq!(
            kept.answer(start("k3v9q2c1-80")),
            (Answer::Gap(Some(7)), 87)
        );
        assert_eq!(
            extent(1, 0).answer(start("k3v9q2c1-0")),
            (Answer::Resumed, 0)
        );
        assert_eq!(
            extent(1, 0).answer(start("k3v9q2c1-1")),
            (Answer::Gap(None), 0)
        );
    }
}
