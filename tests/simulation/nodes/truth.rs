//! What the stream has been told, whatever became of it: which message stands under which id, for ever.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::world::ledger;
use crate::world::listener::Position;

/// An entry as it was appended.
#[derive(Debug, Clone)]
pub(super) struct Appended {
    pub(super) room: String,
    pub(super) first: Position,
    pub(super) texts: Vec<String>,
}

/// Everything that was ever appended.
#[derive(Debug, Default)]
pub(super) struct Truth {
    /// The text of each id. Nothing is ever taken out.
    texts: HashMap<Position, String>,
    /// Where each text stands: in several places only where the broker has forgotten some of them.
    ids: HashMap<String, Vec<Position>>,
    /// The room of each epoch, and its last message.
    epochs: HashMap<String, (String, u64)>,
    /// What the broker has not forgotten.
    alive: HashSet<String>,
    /// The last message of each room that the broker has not forgotten and that stands in the epoch that goes on.
    heads: HashMap<String, Position>,
    /// The last of each publisher's messages in an epoch.
    order: HashMap<(String, String), usize>,
    /// What was given up before it was sent: it must never be appended.
    withdrawn: HashSet<String>,
    /// When the broker has forgotten something.
    losses: Vec<Duration>,
    /// Whether entries were ever cut off that a node may not have read.
    pub(super) was_trimmed: bool,
}

/// What an older copy of the broker knows.
#[derive(Debug, Clone, Default)]
pub(super) struct Known(HashSet<String>);

impl Truth {
    /// An entry is in the stream.
    pub(super) fn append(&mut self, entry: &Appended) {
        let Appended { room, first, texts } = entry;
        let (of, head) = self
            .epochs
            .entry(first.epoch.clone())
            .or_insert_with(|| (room.clone(), 0));
        assert_eq!(of, room, "the room of {first}");
        assert_eq!(first.seq, *head + 1, "ids are dense: {first}");
        *head += texts.len() as u64;
        self.heads.insert(room.clone(), first.at(*head));
        for (text, seq) in texts.iter().zip(first.seq..) {
            self.append_message(first.at(seq), text);
        }
        let epochs = self.epochs.values().filter(|(of, _)| of == room).count();
        assert!(
            epochs <= 1 + self.losses.len(),
            "{room:?} has {epochs} epochs"
        );
    }

    fn append_message(&mut self, id: Position, text: &str) {
        assert!(
            self.alive.insert(text.to_owned()),
            "{text:?} is appended again as {id}, after {:?}",
            self.ids.get(text)
        );
        assert!(
            !self.withdrawn.contains(text),
            "{text:?} is appended as {id}, and was given up before it was sent"
        );
        let (publisher, number) = ledger::split(text);
        let earlier = self
            .order
            .insert((id.epoch.clone(), publisher.to_owned()), number);
        assert!(
            earlier < Some(number),
            "{publisher}: {number} after {earlier:?}, at {id}"
        );
        self.ids
            .entry(text.to_owned())
            .or_default()
            .push(id.clone());
        let known = self.texts.insert(id, text.to_owned());
        assert_eq!(known, None, "an id is given once");
    }

    /// Its publisher was told that it may not have been appended, and it was not sent.
    pub(super) fn withdraw(&mut self, text: &str) {
        self.withdrawn.insert(text.to_owned());
    }

    /// What the broker knows now.
    pub(super) fn known(&self) -> Known {
        Known(self.alive.clone())
    }

    /// The broker has forgotten everything else.
    pub(super) fn forget(&mut self, but: Known, now: Duration) {
        self.alive = but.0;
        self.heads.clear();
        self.losses.push(now);
    }

    /// How often something was forgotten.
    pub(super) fn loss_count(&self) -> usize {
        self.losses.len()
    }

    /// Whether a reader may miss something through the broker's fault.
    pub(super) fn may_have_holes(&self) -> bool {
        self.was_trimmed || !self.losses.is_empty()
    }

    /// The text of a message that somebody received.
    pub(super) fn check_message(&self, id: &Position, text: &str) {
        let known = self.texts.get(id).map(String::as_str);
        assert_eq!(known, Some(text), "what {id} says");
    }

    /// Where a text stands.
    pub(super) fn ids_of(&self, text: &str) -> &[Position] {
        self.ids.get(text).map_or(&[], Vec::as_slice)
    }

    /// No position may be told that lies behind the end.
    pub(super) fn check_position(&self, room: &str, position: &Position) {
        let (of, head) = match self.epochs.get(&position.epoch) {
            Some((of, head)) => (of.as_str(), *head),
            None => (room, 0),
        };
        assert_eq!(of, room, "the room of {position}");
        assert!(position.seq <= head, "{position} was not given yet");
    }

    /// The last message of an epoch.
    pub(super) fn head_of(&self, epoch: &str) -> u64 {
        self.epochs.get(epoch).map_or(0, |(_, head)| *head)
    }

    /// The last message of a room, if the broker has one that goes on.
    pub(super) fn head(&self, room: &str) -> Option<&Position> {
        self.heads.get(room)
    }
}
