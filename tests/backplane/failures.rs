//! Replies that end the connections, and those after which something is sent again.

use fanfare::backplane::{Line, REPLY_DEPTH_MAX, REPLY_ITEMS_MAX, REPLY_LEN_MAX, Settings};

use crate::node::{Told, client, settings};
use crate::stream::bulk;
use crate::wire::{
    NOTHING, OTHER_SERVER, SERVER, Wire, entries, entry, first_answers, greeting, synced, texts,
};

const ORIGIN: &str = "abcdefghijklmnop 1";

/// Errors that nothing can be done about but to try again later.
const ERRORS: [&[u8]; 9] = [
    b"-LOADING Redis is loading the dataset in memory\r\n",
    b"-NOAUTH Authentication required.\r\n",
    b"-NOPERM this user has no permissions\r\n",
    b"-READONLY You can't write against a read only replica.\r\n",
    b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    b"-MOVED 3999 127.0.0.1:6381\r\n",
    b"-MISCONF Errors writing to the AOF file\r\n",
    b"-UNSYNCED\r\n",
    b"-ERR unknown command\r\n",
];

#[test]
fn an_error_reply_ends_both_connections_at_every_stage() {
    for error in ERRORS {
        let mut wire = Wire::new(settings());
        wire.backplane.wants_connection(Line::Append);
        wire.backplane.note_connected(Line::Append);
        wire.reply(Line::Append, error);
        assert!(wire.is_lost() && wire.backplane.is_given_up(Line::Append));

        let mut wire = Wire::new(settings());
        wire.backplane.wants_connection(Line::Append);
        wire.backplane.note_connected(Line::Append);
        wire.reply(Line::Append, &bulk(SERVER.as_bytes()));
        // Not everybody may know how often the broker writes to its disk.
        wire.reply(Line::Append, b"-NOPERM this user has no permissions\r\n");
        assert!(!wire.is_lost());
        wire.reply(Line::Append, error);
        assert!(wire.is_lost() && wire.backplane.is_given_up(Line::Append));
        assert!(!wire.backplane.is_given_up(Line::Read));

        let mut wire = Wire::new(settings());
        wire.backplane.wants_connection(Line::Append);
        wire.backplane.note_connected(Line::Append);
        wire.reply(Line::Append, &greeting());
        wire.reply(Line::Append, &synced("0-0", "0-0"));
        wire.backplane.wants_connection(Line::Read);
        wire.backplane.note_connected(Line::Read);
        wire.reply(Line::Read, error);
        assert!(wire.is_lost() && wire.backplane.is_given_up(Line::Append));

        for line in [Line::Append, Line::Read] {
            let mut wire = Wire::up();
            wire.turn();
            assert_eq!(wire.reply(line, error), [Told::Lost]);
            assert!(wire.is_lost());
            assert!(
                wire.backplane.is_given_up(Line::Append) && wire.backplane.is_given_up(Line::Read)
            );
            assert!(!wire.backplane.wants_bytes(line));
        }
    }
}

#[test]
fn bytes_that_are_no_reply_end_the_connections_and_take_no_memory() {
    let nested = "*1\r\n".repeat(REPLY_DEPTH_MAX + 1);
    let items = format!("*{}\r\n", REPLY_ITEMS_MAX + 1);
    let bulk_len = format!("${}\r\n", REPLY_LEN_MAX);
    for bytes in [
        "HTTP/1.1 400 Bad Request\r\n",
        "$-2\r\n",
        "*-7\r\n",
        ":1x\r\n",
        "$99999999999999999999\r\n",
        "$18446744073709551615\r\n",
        "*18446744073709551615\r\n",
        &nested,
        &items,
        &bulk_len,
    ] {
        for line in [Line::Append, Line::Read] {
            let mut wire = Wire::up();
            wire.sent(Line::Append);
            wire.sent(Line::Read);
            wire.backplane.receive(line, bytes.as_bytes());
            assert!(wire.is_lost(), "{bytes:?}");
            assert_eq!(wire.backplane.queued_len(), 0);
        }
    }
}

#[test]
fn a_reply_of_another_kind_than_was_asked_for_ends_the_connections() {
    let entry = entry("", "1", "1", ORIGIN, "a");
    let twice = entries(&[("7-1", &entry), ("7-1", &entry)]);
    for (line, reply) in [
        (Line::Append, b"+OK\r\n".to_vec()),
        (Line::Append, b":1\r\n".to_vec()),
        (Line::Append, b"*-1\r\n".to_vec()),
        (Line::Append, texts(&["eeeeeeee", "1"])),
        (Line::Append, texts(&["eeeeeee", "1", "7-1"])),
        (Line::Append, texts(&["eeeeeeee", "-1", "7-1"])),
        (Line::Read, b"+OK\r\n".to_vec()),
        (Line::Read, b"*0\r\n".to_vec()),
        (Line::Read, entries(&[])),
        (Line::Read, entries(&[("7", &entry)])),
        (Line::Read, entries(&[("0-0", &entry)])),
        (Line::Read, twice),
        (Line::Read, [NOTHING, NOTHING].concat()),
    ] {
        let mut wire = answered();
        wire.publish(|backplane| backplane.say("a", client(1), "1"));
        wire.backplane.receive(line, &reply);
        wire.turn();
        wire.turn();
        let reply = String::from_utf8_lossy(&reply);
        assert!(wire.is_lost(), "{reply}");
    }
}

#[test]
fn a_reply_that_nobody_asked_for_ends_the_connections() {
    let mut wire = Wire::new(settings());
    wire.backplane.wants_connection(Line::Append);
    wire.backplane.note_connected(Line::Append);
    wire.reply(Line::Append, &greeting());
    wire.reply(
        Line::Append,
        &[synced("0-0", "0-0"), b"+OK\r\n".to_vec()].concat(),
    );
    assert!(wire.is_lost());
}

#[test]
fn a_replica_is_refused() {
    let mut wire = Wire::new(settings());
    wire.backplane.wants_connection(Line::Append);
    wire.backplane.note_connected(Line::Append);
    let replica = String::from_utf8(greeting()).unwrap();
    // A section of the same length.
    let replica = replica.replace("role:master", "role:slave\n");
    wire.reply(Line::Append, replica.as_bytes());
    assert!(wire.is_lost());
}

#[test]
fn both_connections_must_reach_the_same_server() {
    for (server, is_same) in [
        (SERVER, true),
        (OTHER_SERVER, false),
        ("# Server\r\n", false),
    ] {
        let mut wire = Wire::new(settings());
        wire.backplane.wants_connection(Line::Append);
        wire.backplane.note_connected(Line::Append);
        wire.reply(Line::Append, &greeting());
        wire.reply(Line::Append, &synced("0-0", "0-0"));
        wire.backplane.wants_connection(Line::Read);
        wire.backplane.note_connected(Line::Read);
        wire.reply(Line::Read, &bulk(server.as_bytes()));
        assert_eq!(wire.backplane.is_up(), is_same, "{server}");
        assert_eq!(wire.is_lost(), !is_same);
    }
}

/// A wire on which all that was asked so far is answered.
fn answered() -> Wire {
    let mut wire = Wire::up();
    wire.sent(Line::Append);
    wire.reply(Line::Append, &first_answers());
    assert!(!wire.is_lost());
    wire
}

#[test]
fn scripts_that_are_gone_are_loaded_again_and_all_is_sent_again_in_order() {
    let mut wire = answered();
    wire.publish(|backplane| {
        backplane.say("a", client(1), "1");
        backplane.say("b", client(1), "2");
        backplane.ask_head("c");
    });
    let first = wire.sent(Line::Append);
    assert_eq!(first.len(), 3);
    let refusal = b"-NOSCRIPT No matching script. Please use EVAL.\r\n";
    wire.reply(Line::Append, refusal);
    let loads = ["append", "touch", "sync", "heartbeat"].map(|name| format!("SCRIPT LOAD {name}"));
    let again = wire.sent(Line::Append);
    assert_eq!(again[..4], loads);
    assert_eq!(again[4..], first[..1]);
    // Somebody else loaded the scripts meanwhile: what came too early waits for what was before it.
    wire.reply(Line::Append, b"-EARLY\r\n");
    assert_eq!(wire.sent(Line::Append), first[1..2]);
    wire.reply(Line::Append, refusal);
    assert_eq!(wire.sent(Line::Append), first[2..]);
    let loaded = ["+a\r\n"; 4].concat().into_bytes();
    wire.reply(Line::Append, &loaded);
    assert!(wire.backplane.has_unanswered());
    wire.reply(Line::Append, &texts(&["eeeeeeee", "1", "7-1"]));
    wire.reply(Line::Append, &texts(&["ffffffff", "1", "7-2"]));
    assert!(!wire.backplane.has_unanswered());
    assert_eq!(wire.backplane.stats().appends, 2);
    wire.reply(Line::Append, refusal);
    assert_eq!(wire.sent(Line::Append)[..4], loads);
}

#[test]
fn a_broker_that_keeps_no_scripts_is_given_up() {
    let mut wire = answered();
    wire.publish(|backplane| backplane.say("a", client(1), "1"));
    let mut refusals = 0;
    while !wire.is_lost() {
        wire.reply(Line::Append, b"-NOSCRIPT\r\n+a\r\n+a\r\n+a\r\n+a\r\n");
        refusals += 1;
        assert!(refusals < 5000);
    }
    assert!(refusals > 100);
}

#[test]
fn after_a_reply_that_is_too_large_fewer_entries_are_asked_for() {
    let mut wire = Wire::up_with(Settings {
        history_age: None,
        ..settings()
    });
    let counts = [100, 50, 25, 12, 6, 3, 1, 1];
    for count in counts {
        let sent = wire.sent(Line::Read);
        let read = sent.last().unwrap();
        assert!(read.starts_with(&format!("XREAD COUNT {count} ")), "{read}");
        wire.reply(Line::Read, b"*1\r\n*2\r\n$1\r\nk\r\n*1\r\n$99999999\r\n");
        assert!(wire.is_lost());
        wire.now += std::time::Duration::from_secs(5);
        wire.turn();
        wire.connect();
    }
    wire.sent(Line::Read);
    wire.reply(
        Line::Read,
        &entries(&[("7-1", &entry("", "1", "1", ORIGIN, "a"))]),
    );
    let sent = wire.sent(Line::Read);
    assert!(sent[0].starts_with("XREAD COUNT 2 "), "{sent:?}");
}
