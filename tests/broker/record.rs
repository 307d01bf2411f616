//! What readers were told, and what must be true of it.

use std::collections::{HashMap, HashSet};
use std::thread::{self, JoinHandle};

use crate::common::rooms::{Id, Listener};

/// The message after which a reader stops.
pub(crate) const LAST: &str = "the last one";

/// A reader that goes on in a thread of its own until [`LAST`] comes.
pub(crate) fn read_to_the_last(mut listener: Listener) -> JoinHandle<Vec<String>> {
    thread::spawn(move || read_on(&mut listener, LAST))
}

/// The lines of a reader up to the one with this text.
pub(crate) fn read_on(listener: &mut Listener, last: &str) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let line = listener.line();
        let is_last = message(&line).is_some_and(|(_, text)| text == last);
        lines.push(line);
        if is_last {
            return lines;
        }
    }
}

/// The id and the text of a line, unless it is a control line.
pub(crate) fn message(line: &str) -> Option<(&str, &str)> {
    line.split_once(' ').filter(|_| !line.starts_with(':'))
}

/// The messages among lines.
pub(crate) fn messages(lines: &[String]) -> impl Iterator<Item = (&str, &str)> {
    lines.iter().filter_map(|line| message(line))
}

/// All that readers of one room were told, by id.
#[derive(Debug, Default)]
pub(crate) struct Record {
    texts: HashMap<String, String>,
    ids: HashMap<String, String>,
}

impl Record {
    /// Adds what one connection carried: no id has two texts, no text two ids, and none comes twice.
    pub(crate) fn add(&mut self, lines: &[String]) {
        let mut seen = HashSet::new();
        for (id, text) in messages(lines) {
            assert!(seen.insert(id.to_owned()), "{id} comes twice");
            self.add_message(id, text);
        }
    }

    fn add_message(&mut self, id: &str, text: &str) {
        let known = self.texts.entry(id.to_owned()).or_insert(text.to_owned());
        assert_eq!(known, text, "{id} has two texts");
        let known = self.ids.entry(text.to_owned()).or_insert(id.to_owned());
        assert_eq!(known, id, "{text} has two ids");
    }

    /// What was acknowledged was told, and under the id that was answered.
    pub(crate) fn has(&self, acknowledged: &[(Id, String)]) {
        for (id, text) in acknowledged {
            let told = self.ids.get(text).map(String::as_str);
            assert_eq!(told, Some(&*id.to_string()), "{text} is lost");
        }
    }

    /// How many messages were told.
    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }
}
