//! What a reader with ids is told besides messages: where it starts, what it missed, how many listen.

use std::fmt::Display;

use super::framing::{Framing, header};
use super::id::Id;

/// How long an event source is to wait before it connects again, in milliseconds.
const RETRY_MS: u32 = 3_000;

/// How a connection goes on from what its reader already has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It asked for nothing before.
    Fresh,
    /// Nothing is missing.
    Resumed,
    /// So many messages are missing; `None` if that cannot be known.
    Gap(Option<u64>),
}

/// The first line of a connection: `position` is the one just before its next message. Readers without ids are told
/// nothing.
pub fn start(framing: Framing, answer: Answer, position: Id) -> Vec<u8> {
    if !framing.has_ids() {
        return Vec::new();
    }
    let line = match answer {
        Answer::Fresh => format!(":fresh {position}"),
        Answer::Resumed => format!(":resumed {position}"),
        Answer::Gap(count) => format!(":gap {position} {}", shown(count)),
    };
    if framing.is_websocket() {
        return text_message(&line);
    }
    let mut events = format!("{line}\nretry: {RETRY_MS}\nid: {position}\n\n").into_bytes();
    if let Answer::Gap(count) = answer {
        events.extend(gap(framing, position, count));
    }
    events
}

/// Messages before `position` are missing: so many, or an unknown number.
pub fn gap(framing: Framing, position: Id, count: Option<u64>) -> Vec<u8> {
    if !framing.has_ids() {
        return Vec::new();
    }
    match framing.is_websocket() {
        true => text_message(&format!(":gap {position} {}", shown(count))),
        false => format!("event: gap\nid: {position}\ndata: {}\n\n", shown(count)).into_bytes(),
    }
}

/// How many listen.
pub fn here(framing: Framing, count: usize) -> Vec<u8> {
    if !framing.has_ids() {
        return Vec::new();
    }
    match framing.is_websocket() {
        true => text_message(&format!(":here {count}")),
        false => format!("event: here\ndata: {count}\n\n").into_bytes(),
    }
}

/// An event source is to come back after a time of its own, spread over some seconds by `jitter`.
pub fn retry(jitter: u32) -> Vec<u8> {
    const STEPS: u32 = 128;
    let delay = RETRY_MS / 2 + RETRY_MS * (jitter % STEPS) / STEPS;
    format!("retry: {delay}\n\n").into_bytes()
}

fn shown(count: Option<u64>) -> Box<dyn Display> {
    match count {
        Some(count) => Box::new(count),
        None => Box::new('?'),
    }
}

fn text_message(line: &str) -> Vec<u8> {
    let mut bytes = header(line.len()).as_bytes().to_vec();
    bytes.extend_from_slice(line.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_sources_come_back_at_different_times() {
        assert_eq!(retry(0), b"retry: 1500\n\n");
        assert_eq!(retry(127), b"retry: 4476\n\n");
        assert_eq!(retry(128), retry(0));
    }

    #[test]
    fn each_framing_has_its_notices() {
        let id = Id::parse(b"k3v9q2c1-40").expect("an id");
        let shown = |bytes: Vec<u8>| {
            String::from_utf8_lossy(bytes.get(2..).unwrap_or_default()).into_owned()
        };
        let lines = Framing::NumberedLines;
        assert_eq!(shown(start(lines, Answer::Fresh, id)), ":fresh k3v9q2c1-40");
        assert_eq!(
            shown(start(lines, Answer::Resumed, id)),
            ":resumed k3v9q2c1-40"
        );
        assert_eq!(
            shown(start(lines, Answer::Gap(Some(12)), id)),
            ":gap k3v9q2c1-40 12"
        );
        assert_eq!(
            shown(start(lines, Answer::Gap(None), id)),
            ":gap k3v9q2c1-40 ?"
        );
        assert_eq!(shown(gap(lines, id, Some(25))), ":gap k3v9q2c1-40 25");
        assert_eq!(here(lines, 42), b"\x81\x08:here 42");
        assert_eq!(here(Framing::Events, 42), b"event: here\ndata: 42\n\n");
        assert_eq!(
            start(Framing::Events, Answer::Gap(Some(2)), id),
            b":gap k3v9q2c1-40 2\nretry: 3000\nid: k3v9q2c1-40\n\nevent: gap\nid: k3v9q2c1-40\ndata: 2\n\n"
        );
        assert_eq!(
            start(Framing::Events, Answer::Resumed, id),
            b":resumed k3v9q2c1-40\nretry: 3000\nid: k3v9q2c1-40\n\n"
        );
        for plain in [Framing::Lines, Framing::Single] {
            assert!(start(plain, Answer::Fresh, id).is_empty());
            assert!(gap(plain, id, None).is_empty());
            assert!(here(plain, 1).is_empty());
        }
    }
}
