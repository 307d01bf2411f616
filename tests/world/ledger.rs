//! What is known of one room: a model of its ids and of what it keeps, against which all that readers receive is
//! checked.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use super::listener::{Position, Start};

/// Deadlines have a grain of a tenth of a second, and one tick of doubt.
const SLACK: Duration = Duration::from_millis(300);

/// What the settings promise.
#[derive(Debug, Clone)]
pub struct Rules {
    /// How many messages are kept, and for how long.
    pub history: u64,
    pub age: Duration,
    /// Whether bounds on memory may say that fewer are kept.
    pub has_size_bounds: bool,
    pub linger: Duration,
    pub send_queue: u64,
    /// Whether a slow reader is told of a gap rather than closed.
    pub skips: bool,
}

/// What a connection asked for, and when.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    pub since: Option<Position>,
    pub last: Option<u64>,
    pub at: Duration,
    /// The number of the room's last message was between these when the request was read.
    pub head_min: u64,
    pub head_max: Option<u64>,
    /// Others were behind, for whom more may be kept.
    pub has_laggards: bool,
}

/// The messages of a room.
#[derive(Debug, Default)]
pub struct Ledger {
    pub name: String,
    epoch: Option<String>,
    past_epochs: HashSet<String>,
    /// The messages of this epoch of which the number is known.
    texts: BTreeMap<u64, String>,
    /// When each message of this epoch was published.
    times: Vec<Duration>,
    /// All messages ever, and their ids as far as they are known.
    ids: HashMap<String, Option<Position>>,
    /// What connections without ids received.
    runs: Vec<(Asked, Option<String>, Vec<String>)>,
    /// The head when nothing was left to do.
    pub settled_head: u64,
    /// When there was last a listener or a publication.
    pub active_at: Duration,
}

impl Ledger {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// The number of the last message.
    pub fn head(&self) -> u64 {
        self.times.len() as u64
    }

    pub fn epoch(&self) -> Option<&str> {
        self.epoch.as_deref()
    }

    /// Whether the room has ever been there.
    pub fn is_known(&self) -> bool {
        self.epoch.is_some() || self.head() > 0
    }

    /// A message, as readers are to get it, is on its way to the room and will be read.
    pub fn publish(&mut self, text: &str, now: Duration) {
        self.times.push(now);
        self.active_at = now;
        let earlier = self.ids.insert(text.to_owned(), None);
        assert!(earlier.is_none(), "{text:?} is said once");
    }

    /// The room was forgotten: it begins anew.
    pub fn renew(&mut self) {
        assert!(self.runs.iter().all(|(asked, ..)| asked.head_max.is_some()));
        self.past_epochs.extend(self.epoch.take());
        self.texts.clear();
        self.times.clear();
        self.settled_head = 0;
    }

    /// Somebody was told this position.
    pub fn observe(&mut self, position: &Position) {
        let epoch = self.epoch.get_or_insert_with(|| position.epoch.clone());
        assert_eq!(*epoch, position.epoch, "the epoch of {:?}", self.name);
        assert!(!self.past_epochs.contains(epoch), "an epoch came back");
        assert!(position.seq <= self.head(), "{position} was not given yet");
    }

    /// Somebody received a message under this id.
    pub fn observe_message(&mut self, id: &Position, text: &str) {
        self.observe(id);
        assert!(id.seq > 0, "ids are counted from 1");
        let known = self.texts.entry(id.seq).or_insert_with(|| text.to_owned());
        assert_eq!(known, text, "one text under {id}");
        let known = self.ids.get_mut(text);
        let known = known.unwrap_or_else(|| panic!("{text:?} was never published"));
        assert_eq!(
            known.get_or_insert_with(|| id.clone()),
            id,
            "one id for {text:?}"
        );
    }

    pub fn id_of(&self, text: &str) -> Option<&Position> {
        self.ids.get(text)?.as_ref()
    }

    /// The answer to a connection must be one of those that the contract gives.
    pub fn check_start(&self, asked: &Asked, start: Start, position: &Position, rules: &Rules) {
        let is_right = |answer| answer == (start, position.seq);
        assert!(
            self.answers(asked, rules).any(is_right),
            "{:?}: {asked:?} was answered with {start:?} {position}, head {}, {rules:?}",
            self.name,
            self.head()
        );
    }

    /// Every answer that may be given: the table of the contract, for each head and oldest message that there may
    /// have been.
    fn answers(&self, asked: &Asked, rules: &Rules) -> impl Iterator<Item = (Start, u64)> {
        let heads = asked.head_min..=asked.head_max.unwrap_or(self.head());
        heads.flat_map(move |head| {
            let (low, high) = self.oldest(head, asked, rules);
            (low..=high).map(move |oldest| self.answer(asked, head, oldest))
        })
    }

    fn answer(&self, asked: &Asked, head: u64, oldest: u64) -> (Start, u64) {
        let last = |default| asked.last.unwrap_or(default);
        let from_end = |count: u64| head.saturating_sub(count).max(oldest - 1);
        let Some(since) = &asked.since else {
            return (Start::Fresh, from_end(last(0)));
        };
        let behind = from_end(last(u64::MAX));
        if self.epoch() != Some(&since.epoch) || since.seq > head {
            (Start::Gap(None), behind)
        } else if since.seq + 1 >= oldest {
            (Start::Resumed, since.seq)
        } else {
            (Start::Gap(Some(behind - since.seq)), behind)
        }
    }

    /// The lowest and the highest number that the oldest kept message may have.
    fn oldest(&self, head: u64, asked: &Asked, rules: &Rules) -> (u64, u64) {
        let by_count = head.saturating_sub(rules.history);
        let gone_by = |wait: Duration| {
            let times = self.times.iter().take(head as usize);
            times.take_while(|time| **time + wait <= asked.at).count() as u64
        };
        let gone = match asked.has_laggards {
            true => 0,
            false => gone_by(rules.age + rules.linger + SLACK),
        };
        let may_be_gone = match rules.has_size_bounds {
            true => head,
            false => gone_by(rules.age),
        };
        (by_count.max(gone) + 1, by_count.max(may_be_gone) + 1)
    }

    /// Notes what a connection without ids received, to be checked when all ids are known.
    pub fn note_run(&mut self, asked: Asked, texts: Vec<String>) {
        self.runs.push((asked, self.epoch.clone(), texts));
    }

    /// What connections without ids received is dense and in order, as far as ids are known. That they began where
    /// they should is checked by `check_first`.
    pub fn check_runs(&self) {
        for (asked, _, texts) in &self.runs {
            for (text, next) in texts.iter().zip(texts.iter().skip(1)) {
                if let (Some(id), Some(next)) = (self.id_of(text), self.id_of(next)) {
                    assert_eq!(*next, id.at(id.seq + 1), "after {text:?}, {asked:?}");
                }
            }
            for text in texts {
                assert!(self.ids.contains_key(text), "{text:?} was never published");
            }
        }
    }

    /// A connection without ids begins with this message.
    pub fn check_first(&self, asked: &Asked, text: &str, rules: &Rules) {
        let Some(id) = self.id_of(text) else {
            return;
        };
        let is_right = |(_, position)| position + 1 == id.seq;
        assert!(
            self.answers(asked, rules).any(is_right),
            "{:?}: {asked:?} begins with {id}",
            self.name
        );
    }

    /// A connection without ids, to which nothing was sent, may have begun at the room's last message.
    pub fn check_empty(&self, asked: &Asked, rules: &Rules) {
        let is_right = |(_, position)| position == self.head();
        assert!(
            self.answers(asked, rules).any(is_right),
            "{:?}: {asked:?} receives nothing, head {}",
            self.name,
            self.head()
        );
    }

    /// What each publisher said stands in its order.
    pub fn check_order(&self) {
        let mut last = HashMap::new();
        for text in self.texts.values() {
            let (publisher, number) = split(text);
            let earlier = last.insert(publisher, number);
            assert!(
                earlier < Some(number),
                "the order of {publisher}'s messages"
            );
        }
    }
}

/// A message that is unlike all others: its publisher, and its number among that publisher's messages.
pub fn message(publisher: &str, number: usize) -> String {
    format!("{publisher}.{number}:")
}

/// Which of the publisher's messages it is, if it is one.
pub fn number_of(text: &str, publisher: &str) -> Option<usize> {
    let (name, number) = split(text);
    (name == publisher).then_some(number)
}

pub fn split(text: &str) -> (&str, usize) {
    let (start, _) = text.split_once(':').expect("made by `message`");
    let (publisher, number) = start.split_once('.').expect("made by `message`");
    (publisher, number.parse().expect("a number"))
}
