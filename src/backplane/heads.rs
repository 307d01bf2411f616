//! Where rooms end: asked at the broker, told once all before it was read.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use super::stream_id::StreamId;
use crate::room::id::Id;

/// The most rooms that are asked about at once.
pub const TOUCHES_MAX: usize = 128;
/// How often an answer may be dropped because the same was asked again meanwhile.
pub const SUPERSEDED_MAX: u32 = 16;

#[derive(Debug, Clone, Copy, Default)]
struct Asked {
    is_sent: bool,
    /// Asked once more since it was sent: an answer that is older than the question is none.
    is_asked_again: bool,
    superseded: u32,
}

#[derive(Debug)]
struct Head {
    room: Rc<str>,
    id: Id,
    /// Where the stream ended then.
    at: StreamId,
    /// How many reads had been asked for then.
    reads: u64,
}

#[derive(Debug, Default)]
pub(super) struct Heads {
    asked: HashMap<Rc<str>, Asked>,
    /// Those that are not sent.
    waiting: VecDeque<Rc<str>>,
    in_flight: usize,
    /// What is known and waits until all before it was read.
    known: VecDeque<Head>,
}

impl Heads {
    pub(super) fn ask(&mut self, room: &str) {
        if let Some(asked) = self.asked.get_mut(room) {
            asked.is_asked_again |= asked.is_sent;
            return;
        }
        let room: Rc<str> = room.into();
        self.asked.insert(room.clone(), Asked::default());
        self.waiting.push_back(room);
    }

    /// The next room to ask about.
    pub(super) fn next_to_send(&mut self) -> Option<Rc<str>> {
        if self.in_flight >= TOUCHES_MAX {
            return None;
        }
        let room = self.waiting.pop_front()?;
        self.in_flight += 1;
        if let Some(asked) = self.asked.get_mut(&room) {
            asked.is_sent = true;
            asked.is_asked_again = false;
        }
        Some(room)
    }

    /// The question was refused and is put again.
    pub(super) fn note_refused(&mut self, room: &Rc<str>) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.ask_anew(room);
    }

    fn ask_anew(&mut self, room: &Rc<str>) {
        if let Some(asked) = self.asked.get_mut(room) {
            asked.is_sent = false;
            self.waiting.push_back(room.clone());
        }
    }

    /// `reads`: how many reads were asked for until now.
    pub(super) fn note_answer(&mut self, room: Rc<str>, id: Id, at: StreamId, reads: u64) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let Some(asked) = self.asked.get_mut(&room) else {
            return;
        };
        if asked.is_asked_again && asked.superseded < SUPERSEDED_MAX {
            asked.superseded += 1;
            self.ask_anew(&room);
            return;
        }
        self.asked.remove(&room);
        self.known.push_back(Head {
            room,
            id,
            at,
            reads,
        });
    }

    /// The next room all of which was read up to its end, with `position` the last entry taken.
    pub(super) fn next_told(&mut self, position: StreamId) -> Option<(Rc<str>, Id)> {
        let is_due = self.has_told(position);
        let head = is_due.then(|| self.known.pop_front()).flatten()?;
        Some((head.room, head.id))
    }

    pub(super) fn has_told(&self, position: StreamId) -> bool {
        self.known.front().is_some_and(|head| head.at <= position)
    }

    /// Whether something waits for entries that may have been deleted: nobody should wait for others then.
    pub(super) fn is_waiting(&self) -> bool {
        !self.known.is_empty()
    }

    /// A read found nothing. What was known before it was asked for has nothing more to wait for.
    pub(super) fn note_nothing_read(&mut self, read: u64) {
        for head in &mut self.known {
            if head.reads < read {
                head.at = StreamId::START;
            }
        }
    }

    /// The connections are lost: all is forgotten.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(seq: u64) -> Id {
        let id = Id::parse(b"k3v9q2c1-0").expect("an id");
        Id { seq, ..id }
    }

    fn at(ms: u64) -> StreamId {
        StreamId::before(ms)
    }

    #[test]
    fn a_room_asked_about_twice_before_it_is_sent_is_told_once() {
        let mut heads = Heads::default();
        heads.ask("a");
        heads.ask("a");
        let room = heads.next_to_send().expect("a question");
        assert_eq!(heads.next_to_send(), None);
        heads.note_answer(room, id(4), at(5), 1);
        assert_eq!(heads.next_told(at(4)), None);
        assert_eq!(heads.next_told(at(5)), Some(("a".into(), id(4))));
        assert!(!heads.is_waiting());
    }

    #[test]
    fn an_answer_older_than_the_question_is_dropped_but_not_for_ever() {
        let mut heads = Heads::default();
        heads.ask("a");
        for _ in 0..=SUPERSEDED_MAX {
            assert!(!heads.has_told(at(9)));
            let room = heads.next_to_send().expect("a question");
            heads.ask("a");
            heads.note_answer(room, id(4), at(5), 1);
        }
        assert!(heads.has_told(at(9)));
    }

    #[test]
    fn so_many_questions_are_in_flight() {
        let mut heads = Heads::default();
        (0..=TOUCHES_MAX).for_each(|room| heads.ask(&room.to_string()));
        let sent: Vec<_> = std::iter::from_fn(|| heads.next_to_send()).collect();
        assert_eq!(sent.len(), TOUCHES_MAX);
        heads.note_refused(&sent[0]);
        assert_eq!(heads.next_to_send(), Some(TOUCHES_MAX.to_string().into()));
        assert_eq!(heads.next_to_send(), None);
        heads.note_answer(sent[1].clone(), id(1), at(1), 1);
        assert_eq!(heads.next_to_send(), Some("0".into()));
    }

    #[test]
    fn an_end_that_was_deleted_is_known_by_a_later_read_that_finds_nothing() {
        let mut heads = Heads::default();
        heads.ask("a");
        let room = heads.next_to_send().expect("a question");
        heads.note_answer(room, id(4), at(5), 7);
        heads.note_nothing_read(7);
        assert!(!heads.has_told(at(4)));
        heads.note_nothing_read(8);
        assert!(heads.has_told(at(4)));
    }
}
