//! What is sent, command by command.

use std::time::Duration;

use fanfare::backplane::{Line, Settings};

use crate::node::{client, settings};
use crate::stream::bulk;
use crate::wire::{GENERATION, SERVER, Wire, entries, entry, greeting, synced};

#[test]
fn a_connection_logs_in_asks_loads_and_syncs() {
    let mut wire = Wire::new(Settings {
        user: Some("u".to_owned()),
        password: Some("p w".into()),
        db: 3,
        ..settings()
    });
    assert!(wire.backplane.wants_connection(Line::Append));
    assert!(!wire.backplane.wants_connection(Line::Append));
    assert!(!wire.backplane.wants_connection(Line::Read));
    wire.backplane.note_connected(Line::Append);
    let login = "*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$3\r\np w\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n";
    assert!(
        wire.backplane
            .unsent(Line::Append)
            .starts_with(login.as_bytes())
    );
    let sent = wire.sent(Line::Append);
    let first = [
        "AUTH u p w",
        "SELECT 3",
        "INFO server",
        "CONFIG GET appendfsync",
        "INFO persistence",
        "INFO replication",
    ];
    let loads = ["append", "touch", "sync", "heartbeat"].map(|name| format!("SCRIPT LOAD {name}"));
    assert_eq!(sent[..6], first);
    assert_eq!(sent[6..], loads);
    wire.reply(Line::Append, b"+OK\r\n+OK\r\n");
    wire.reply(Line::Append, &greeting());
    let keys = "{fanfare}:stream {fanfare}:state";
    assert_eq!(
        wire.sent(Line::Append),
        [format!("EVALSHA sync 2 {keys} 4ad1 1 0-0  EPOCH")]
    );
    assert!(!wire.backplane.wants_connection(Line::Read));
    wire.reply(Line::Append, &synced("0-0", "1699999500000-2"));
    assert!(wire.backplane.wants_connection(Line::Read));
    wire.backplane.note_connected(Line::Read);
    assert_eq!(
        wire.sent(Line::Read),
        ["AUTH u p w", "SELECT 3", "INFO server"]
    );
    wire.reply(
        Line::Read,
        &[b"+OK\r\n+OK\r\n", &bulk(SERVER.as_bytes())[..]].concat(),
    );
    // Ten minutes of history before the start.
    let read = "XREAD COUNT 100 STREAMS {fanfare}:stream 1699999400000-0";
    assert_eq!(wire.sent(Line::Read), [read]);
    let origin = "abcdefghijklmnop 1";
    wire.reply(
        Line::Read,
        &entries(&[("1699999500000-2", &entry("", "1", "1", origin, "a"))]),
    );
    assert!(wire.backplane.is_up());
    let read = "XREAD COUNT 100 BLOCK 1000 STREAMS {fanfare}:stream 1699999500000-2";
    assert_eq!(wire.sent(Line::Read), [read]);
}

#[test]
fn a_password_without_a_user_is_sent_alone() {
    let mut wire = Wire::new(Settings {
        password: Some("p".into()),
        ..settings()
    });
    wire.backplane.wants_connection(Line::Append);
    wire.backplane.note_connected(Line::Append);
    assert_eq!(wire.sent(Line::Append)[..2], ["AUTH p", "INFO server"]);
}

#[test]
fn a_broker_without_a_log_keeps_nothing_over_a_restart() {
    let mut wire = Wire::new(settings());
    wire.backplane.wants_connection(Line::Append);
    wire.backplane.note_connected(Line::Append);
    wire.sent(Line::Append);
    let text = String::from_utf8(greeting()).unwrap();
    let text = text.replace("aof_enabled:1", "aof_enabled:0");
    wire.reply(Line::Append, text.as_bytes());
    let [sync] = &wire.sent(Line::Append)[..] else {
        panic!("one command is sent")
    };
    assert!(sync.ends_with(" 4ad1 0 0-0  EPOCH"), "{sync}");
}

#[test]
fn every_command_has_its_form() {
    let mut wire = Wire::up();
    let append =
        "EVALSHA append 4 {fanfare}:stream {fanfare}:state {fanfare}:room: {fanfare}:node:NODE";
    let probe = format!("{append}  NODE 1 0 0  EPOCH 100000");
    assert!(wire.sent(Line::Append).contains(&probe));

    wire.publish(|backplane| {
        backplane.say("", client(1), "  a\nb ");
        backplane.say("lobby", client(2), "c");
        backplane.say("", client(2), "");
        backplane.post("lobby", client(3), ["d"].into_iter(), Some(b"k:1"));
        backplane.ask_head("lobby");
    });
    let lobby = append.replace("room:", "room:lobby");
    let keyed = lobby.replace("append 4", "append 5") + " {fanfare}:key:lobby:k:1";
    assert_eq!(
        wire.sent(Line::Append),
        [
            format!("{append}  NODE 2 0 2 a b\n EPOCH 100000"),
            format!("{lobby} lobby NODE 3 2 1 c EPOCH 100000"),
            format!("{keyed} lobby NODE 4 3 1 d EPOCH 100000"),
            "EVALSHA touch 3 {fanfare}:stream {fanfare}:state {fanfare}:room:lobby EPOCH"
                .to_owned(),
        ]
    );
}

#[test]
fn presence_is_told_and_asked_for() {
    let mut wire = Wire::new(Settings {
        history_age: None,
        ..settings()
    });
    wire.backplane.note_count("a", 2);
    wire.backplane.note_count("b", 1);
    wire.backplane.watch_counts("a", true);
    wire.connect();
    let sent = wire.sent(Line::Append);
    let state = "HMGET {fanfare}:state generation";
    let heartbeat = "EVALSHA heartbeat 2 {fanfare}:nodes {fanfare}:here:NODE NODE 12000";
    let first = sent
        .iter()
        .position(|command| command == "DEL {fanfare}:here:NODE")
        .unwrap();
    assert_eq!(
        sent[first..first + 5],
        [
            "DEL {fanfare}:here:NODE",
            "HSET {fanfare}:here:NODE a 2 b 1",
            "PEXPIRE {fanfare}:here:NODE 12000",
            heartbeat,
            state
        ]
    );
    wire.turn();
    wire.sent(Line::Append);
    wire.now += Duration::from_secs(1);
    wire.publish(|backplane| {
        backplane.note_count("a", 0);
        backplane.note_count("b", 3);
    });
    assert_eq!(wire.sent(Line::Append), [""; 0]);
    wire.now += Duration::from_secs(1);
    wire.turn();
    assert_eq!(
        wire.sent(Line::Append),
        [
            "HSET {fanfare}:here:NODE b 3",
            "HDEL {fanfare}:here:NODE a",
            "PEXPIRE {fanfare}:here:NODE 12000",
        ]
    );
}

#[test]
fn a_probe_that_was_read_back_is_deleted() {
    let mut wire = Wire::up();
    wire.turn();
    let node = wire.node();
    wire.sent(Line::Append);
    assert!(!wire.backplane.is_ready());
    wire.reply(
        Line::Read,
        &entries(&[("7-1", &["p", &format!("{node} 1")])]),
    );
    assert!(wire.backplane.is_ready());
    assert_eq!(wire.sent(Line::Append), ["XDEL {fanfare}:stream 7-1"]);
    // That of another node is left alone.
    wire.reply(
        Line::Read,
        &entries(&[("7-2", &["p", "abcdefghijklmnop 1"])]),
    );
    assert_eq!(wire.sent(Line::Append), [""; 0]);
}

#[test]
fn the_generation_and_the_position_that_a_node_has_are_told_when_it_syncs_again() {
    let mut wire = Wire::up();
    let origin = "abcdefghijklmnop 1";
    wire.reply(
        Line::Read,
        &entries(&[("7-1", &entry("", "1", "1", origin, "a"))]),
    );
    wire.backplane.note_lost(Line::Read, "reset");
    wire.now += Duration::from_secs(1);
    wire.turn();
    assert!(wire.backplane.wants_connection(Line::Append));
    wire.backplane.note_connected(Line::Append);
    wire.sent(Line::Append);
    wire.reply(Line::Append, &greeting());
    let sync = wire.sent(Line::Append).pop().unwrap();
    assert!(
        sync.ends_with(&format!(" 4ad1 1 7-1 {GENERATION} EPOCH")),
        "{sync}"
    );
}
