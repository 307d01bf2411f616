//! Any bytes from a broker: whole answers of a made-up one, damaged, cut, repeated and mixed with others, at any moment.
//! Whatever comes, memory is bounded by what came in and nothing panics; once the broker speaks sense again, so does the
//! node.
#![no_main]

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/backplane/node.rs"]
mod node;
#[path = "../../tests/common/stream.rs"]
mod stream;

use std::time::Duration;

use arbitrary::Arbitrary;
use fanfare::backplane::{Backplane, Line};
use libfuzzer_sys::fuzz_target;
use node::{LINES, Node, client};
use stream::Broker;

/// What a node may hold besides what came in and what it said, in bytes.
const HELD_MAX: usize = 64 * 1024;
/// How long a broken broker is left alone at most.
const RECOVERY_MAX: Duration = Duration::from_secs(60);

#[derive(Arbitrary, Debug)]
enum Step {
    /// A turn, in which something may be said.
    Turn {
        says: bool,
        asks: bool,
    },
    /// Time goes on.
    Pass {
        tenths: u8,
    },
    /// Bytes that the broker never sent.
    Raw {
        reads: bool,
        bytes: Vec<u8>,
    },
    /// The next bytes of the broker come with one of them changed.
    Damaged {
        reads: bool,
        at: u8,
        byte: u8,
    },
    /// The next bytes of the broker get lost.
    Lost {
        reads: bool,
        len: u8,
    },
    /// A connection ends.
    Cut {
        reads: bool,
    },
    /// The stream has an entry that no node has written.
    Entry {
        fields: Vec<Vec<u8>>,
    },
    /// The broker forgets something.
    Trims,
    Flushes,
    Restarts,
}

fn line(reads: bool) -> Line {
    LINES[usize::from(reads)]
}

fn take(step: &Step, node: &mut Node, broker: &mut Broker) -> usize {
    match step {
        Step::Turn { says, asks } => {
            let publish = |backplane: &mut Backplane| {
                if *says {
                    backplane.say("room", client(1), "said");
                    let lines = ["one", "two"].into_iter();
                    backplane.post("room", client(2), lines, Some(b"key"));
                }
                if *asks {
                    backplane.ask_head("room");
                    backplane.note_count("room", 3);
                    backplane.watch_counts("room", true);
                }
            };
            node.turn(broker, publish);
        }
        Step::Pass { tenths } => node.now += Duration::from_millis(100 * u64::from(*tenths)),
        Step::Raw { reads, bytes } => {
            node.backplane.receive(line(*reads), bytes);
            return bytes.len();
        }
        Step::Damaged { reads, at, byte } => {
            if let Some(peer) = node.peer(line(*reads)) {
                let mut bytes = broker.send(peer, usize::from(*at) + 1);
                if let Some(last) = bytes.last_mut() {
                    *last = *byte;
                }
                node.backplane.receive(line(*reads), &bytes);
            }
        }
        Step::Lost { reads, len } => {
            if let Some(peer) = node.peer(line(*reads)) {
                broker.send(peer, usize::from(*len));
            }
        }
        Step::Cut { reads } => {
            if let Some(peer) = node.peer(line(*reads)) {
                broker.cut(peer);
            }
        }
        Step::Entry { fields } => {
            let fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
            broker.add("{fanfare}:stream", &fields);
        }
        Step::Trims => broker.trim(1),
        Step::Flushes => broker.flush_all(),
        Step::Restarts => broker.restart(),
    }
    0
}

fuzz_target!(|steps: Vec<Step>| {
    let mut broker = node::broker(1);
    let mut node = Node::new(node::settings(), 2);
    let mut came_len = 0;
    for step in &steps {
        came_len += take(step, &mut node, &mut broker);
        let sent_len = 256 * steps.len();
        let held_max = HELD_MAX + 2 * came_len + 16 * sent_len;
        assert!(node.backplane.queued_len() <= held_max, "memory is bounded");
    }
    let end = node.now + RECOVERY_MAX;
    while !node.backplane.is_ready() && node.now < end {
        node.now += Duration::from_millis(100);
        node.turn(&mut broker, |_| {});
    }
    assert!(node.backplane.is_ready(), "it recovers");
});
