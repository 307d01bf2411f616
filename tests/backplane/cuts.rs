//! However replies are cut, they mean the same.

use fanfare::backplane::{Line, Settings};

use crate::node::{Told, client, settings};
use crate::stream::bulk;
use crate::wire::{SERVER, Wire, entries, entry, first_answers, greeting, synced, texts};

const ORIGIN: &str = "abcdefghijklmnop 1";

/// Replies of all kinds, in the order in which they come. A turn passes between two of them.
fn replies(node: &str) -> Vec<(Line, Vec<u8>)> {
    let own = format!("{node} 2");
    let probe = format!("{node} 1");
    let read = [
        (
            "1700000000007-1",
            &entry("a", "1", "2", ORIGIN, "x\n\u{e9}")[..],
        ),
        ("1700000000007-2", &["q", "?"]),
        ("1700000000007-3", &entry("", "1", "1", &own, "own")),
        ("1700000000007-4", &["p", &probe]),
    ];
    vec![
        (Line::Append, [b"+OK\r\n", &greeting()[..]].concat()),
        (Line::Append, synced("0-0", "1700000000007-0")),
        (
            Line::Read,
            [b"+OK\r\n", &bulk(SERVER.as_bytes())[..]].concat(),
        ),
        (
            Line::Read,
            entries(&[("1700000000007-0", &entry("a", "0", "1", ORIGIN, "x"))]),
        ),
        (Line::Append, first_answers()),
        (Line::Read, entries(&read)),
        (Line::Append, texts(&["eeeeeeee", "4", "1700000000007-9"])),
        (Line::Append, texts(&["eeeeeeee", "3", "1700000000007-2"])),
        (Line::Append, b":1\r\n".to_vec()),
    ]
}

/// What is told and sent when the replies come in pieces.
fn run(pieces: impl Fn(&[u8]) -> Vec<Vec<u8>>) -> (Vec<Told>, Vec<String>) {
    let mut wire = Wire::new(Settings {
        password: Some("p".into()),
        ..settings()
    });
    let (mut told, mut sent) = (Vec::new(), Vec::new());
    wire.backplane.wants_connection(Line::Append);
    wire.backplane.note_connected(Line::Append);
    let mut place = 0;
    let mut node = String::new();
    while let Some((line, bytes)) = replies(&node).get(place) {
        for piece in pieces(bytes) {
            assert!(wire.backplane.wants_bytes(*line), "{place} {told:?}");
            told.extend(wire.reply(*line, &piece));
        }
        if *line == Line::Read || place == 1 {
            told.extend(wire.turn());
        }
        if wire.backplane.wants_connection(Line::Read) {
            wire.backplane.note_connected(Line::Read);
        }
        if place == 3 {
            node = wire.node();
            told.extend(wire.publish(|backplane| {
                backplane.post("", client(1), ["own"].into_iter(), None);
                backplane.ask_head("a");
            }));
        }
        sent.extend(wire.sent(Line::Append));
        sent.extend(wire.sent(Line::Read));
        place += 1;
    }
    assert!(wire.backplane.is_ready(), "{told:?}");
    assert!(!wire.backplane.has_unanswered());
    (told, sent)
}

#[test]
fn every_cut_of_every_reply_means_the_same() {
    let whole = run(|bytes| vec![bytes.to_vec()]);
    let expected = ["Connected", "Entry", "Appended", "Entry", "Head"];
    let told: Vec<_> = whole.0.iter().map(|told| format!("{told:?}")).collect();
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for word in expected {
        assert!(told.iter().any(|told| told.starts_with(word)), "{told:?}");
    }
    assert_eq!(
        run(|bytes| bytes.iter().map(|byte| vec![*byte]).collect()),
        whole
    );
    let longest = replies("")
        .iter()
        .map(|(_, bytes)| bytes.len())
        .max()
        .unwrap();
    for cut in 1..longest {
        let pieces = |bytes: &[u8]| {
            let (one, other) = bytes.split_at(cut.min(bytes.len()));
            [one, other]
                .into_iter()
                .filter(|piece| !piece.is_empty())
                .map(<[u8]>::to_vec)
                .collect()
        };
        assert_eq!(run(pieces), whole, "cut at {cut}");
    }
}
