//! Bytes that were damaged on the way: nothing panics, and no more memory is held than bytes came in.

use std::time::Duration;

use fanfare::backplane::Line;

use crate::node::{client, settings};
use crate::random::Random;
use crate::stream::{bulk, parse_command};
use crate::wire::{
    GENERATION, PERSISTENCE, REPLICATION, SERVER, Wire, entries, entry, synced, texts,
};

const ORIGIN: &str = "abcdefghijklmnop 1";
const SEEDS: u64 = 2000;

/// What a broker might answer to the commands that were sent.
fn replies(commands: &[u8], reads: &mut u64) -> Vec<u8> {
    let mut rest = commands;
    let mut replies = Vec::new();
    while let Some((parts, len)) = parse_command(rest) {
        rest = &rest[len..];
        replies.extend(match (&parts[0][..], parts.len()) {
            (b"INFO", _) => bulk([SERVER, PERSISTENCE, REPLICATION].concat().as_bytes()),
            (b"HMGET", _) => texts(&[GENERATION]),
            (b"EVALSHA", 10) => synced("0-0", "7-0"),
            (b"EVALSHA", 7) if parts[2] == b"3" => texts(&["eeeeeeee", "1", "7-1"]),
            (b"EVALSHA", 7) => texts(&[ORIGIN.split(' ').next().unwrap()]),
            (b"EVALSHA", _) => texts(&["eeeeeeee", "1", "7-1"]),
            (b"XREAD", _) => {
                *reads += 1;
                let ids = [1, 2].map(|seq| format!("17000000000{:02}-{seq}", *reads));
                entries(&[
                    (&ids[0], &entry("a", "1", "2", ORIGIN, "x\ny")),
                    (&ids[1], &["p", ORIGIN]),
                ])
            }
            _ => b"+OK\r\n".to_vec(),
        });
    }
    replies
}

fn damage(mut bytes: Vec<u8>, random: &mut Random) -> Vec<u8> {
    for _ in 0..*random.pick(&[0, 0, 0, 0, 0, 0, 0, 0, 1, 5]) {
        let place = random.below(bytes.len().max(1));
        if bytes.is_empty() {
            break;
        }
        match random.below(3) {
            0 => bytes[place] = u8::try_from(random.below(256)).unwrap(),
            1 => bytes[place] = *random.pick(b"0123456789-*$:+\r\n"),
            _ => bytes.truncate(place + 1),
        }
    }
    bytes
}

#[test]
fn whatever_a_broker_sends_nothing_panics_and_little_is_held() {
    let mut times_up = 0;
    for seed in 0..SEEDS {
        let mut random = Random::new(seed);
        let mut wire = Wire::new(settings());
        let (mut received, mut reads) = (0, 9);
        for _ in 0..20 {
            for line in [Line::Append, Line::Read] {
                if wire.backplane.wants_connection(line) {
                    wire.backplane.note_connected(line);
                }
                let commands = wire.backplane.unsent(line).to_vec();
                wire.backplane.note_sent(line, commands.len());
                let bytes = damage(replies(&commands, &mut reads), &mut random);
                received += bytes.len();
                wire.backplane.receive(line, &bytes);
            }
            wire.publish(|backplane| {
                backplane.post("a", client(1), ["1"].into_iter(), Some(b"k"));
                backplane.ask_head("a");
                backplane.watch_counts("a", true);
                backplane.withdraw(client(2));
            });
            times_up += usize::from(wire.backplane.is_up());
            wire.now += Duration::from_millis(*random.pick(&[1, 100, 5000]));
        }
        // The commands of a turn, and what it published, are less than this.
        assert!(wire.backplane.queued_len() <= received + 64 * 1024);
    }
    assert!(times_up > SEEDS as usize, "{times_up}");
}
