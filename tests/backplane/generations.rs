//! What a node does when the broker lost what it had, and where rooms end.

use std::time::Duration;

use fanfare::backplane::{Line, Settings, TOUCHES_MAX};

use crate::node::{Node, Told, broker, client, settings};
use crate::stream::Broker;
use crate::wire::{GENERATION, Wire, entries, entry, first_answers, greeting, texts};

const ORIGIN: &str = "abcdefghijklmnop 1";

/// From where a node reads on that has read up to `7-5` and finds another generation that began at `start`.
fn reads_on_from(start: &str, is_same_run: bool) -> String {
    let mut wire = Wire::up();
    wire.reply(
        Line::Read,
        &entries(&[("7-5", &entry("", "1", "1", ORIGIN, "a"))]),
    );
    wire.backplane.note_lost(Line::Read, "reset");
    wire.now += Duration::from_secs(1);
    wire.turn();
    wire.backplane.wants_connection(Line::Append);
    wire.backplane.note_connected(Line::Append);
    let facts = String::from_utf8(greeting()).unwrap();
    let run = if is_same_run { "4ad1" } else { "9999" };
    let facts = facts.replace("4ad1", run);
    wire.reply(Line::Append, facts.as_bytes());
    wire.reply(Line::Append, &texts(&["hhhhhhhh", start, "9-9"]));
    wire.backplane.wants_connection(Line::Read);
    wire.backplane.note_connected(Line::Read);
    wire.sent(Line::Read);
    let server = format!("run_id:{run}\r\n");
    wire.reply(Line::Read, &crate::stream::bulk(server.as_bytes()));
    let sent = wire.sent(Line::Read);
    sent[0].rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn after_a_failover_a_node_reads_on_from_what_the_new_broker_had() {
    assert_eq!(reads_on_from("7-2", false), "7-2");
    assert_eq!(reads_on_from("7-7", false), "7-5");
    assert_eq!(reads_on_from("0-0", false), "0-0");
}

#[test]
fn after_a_flush_a_node_does_not_read_again_what_it_has() {
    assert_eq!(reads_on_from("0-0", true), "7-5");
    assert_eq!(reads_on_from("7-2", true), "7-5");
}

#[test]
fn a_node_that_appends_nothing_notices_a_flush() {
    let mut broker = broker(1);
    let mut one = Node::connected(settings(), 1, &mut broker);
    let mut other = Node::connected(settings(), 2, &mut broker);
    publish(&mut one, &mut broker, "1");
    other.settle(&mut broker);
    broker.flush_all();
    // The append finds that nothing is there, and is sent again once that is put right.
    publish(&mut one, &mut broker, "2");
    one.pass(&mut broker, Duration::from_secs(1));
    other.now = one.now;
    other.pass(&mut broker, Duration::from_secs(6));
    for node in [&one, &other] {
        let messages = node.messages();
        let texts: Vec<_> = messages.iter().map(|(_, _, text)| &text[..]).collect();
        assert_eq!(texts, ["1", "2"]);
        assert_ne!(messages[0].1.epoch, messages[1].1.epoch);
        assert_eq!(messages[1].1.seq, 1);
        assert_eq!(
            node.told.iter().filter(|told| **told == Told::Lost).count(),
            1
        );
        assert!(node.backplane.is_ready());
    }
}

fn publish(node: &mut Node, broker: &mut Broker, text: &str) {
    node.turn(broker, |backplane| backplane.say("a", client(1), text));
    node.settle(broker);
}

#[test]
fn a_failover_to_older_data_gives_rooms_new_epochs() {
    let mut broker = broker(1);
    let mut node = Node::connected(settings(), 1, &mut broker);
    publish(&mut node, &mut broker, "1");
    let snapshot = broker.snapshot();
    publish(&mut node, &mut broker, "2");
    broker.fail_over_to(snapshot);
    node.pass(&mut broker, Duration::from_secs(1));
    publish(&mut node, &mut broker, "3");
    let messages = node.messages();
    assert_eq!(messages.len(), 3, "{messages:?}");
    assert_eq!(messages[0].1.epoch, messages[1].1.epoch);
    assert_ne!(messages[1].1.epoch, messages[2].1.epoch);
    assert_eq!(broker.texts(), ["1", "3"]);
}

#[test]
fn a_restart_with_a_log_goes_on_with_the_epochs() {
    for has_log in [true, false] {
        let mut broker = broker(1);
        broker.has_log = has_log;
        let mut node = Node::connected(settings(), 1, &mut broker);
        publish(&mut node, &mut broker, "1");
        broker.restart();
        node.pass(&mut broker, Duration::from_secs(1));
        publish(&mut node, &mut broker, "2");
        let messages = node.messages();
        assert_eq!(messages.len(), 2);
        assert_eq!(messages[0].1.epoch == messages[1].1.epoch, has_log);
    }
}

#[test]
fn a_node_that_starts_fills_itself_with_history_that_is_young_enough() {
    let mut broker = broker(1);
    let mut one = Node::connected(settings(), 1, &mut broker);
    publish(&mut one, &mut broker, "1");
    one.pass(&mut broker, Duration::from_secs(400));
    for text in 2..=250 {
        publish(&mut one, &mut broker, &text.to_string());
    }
    one.pass(&mut broker, Duration::from_secs(300));
    // All nodes have names of their own, and each of them says something.
    for (seed, history_age, count) in [(3, Some(600), 249), (4, Some(800), 251), (5, None, 0)] {
        let mut node = Node::new(
            Settings {
                history_age: history_age.map(Duration::from_secs),
                ..settings()
            },
            seed,
        );
        node.now = one.now;
        node.settle(&mut broker);
        assert_eq!(node.messages().len(), count);
        // It is up when it has all of it.
        assert_eq!(node.told.last(), Some(&Told::Connected));
        publish(&mut node, &mut broker, "more");
        assert_eq!(node.messages().len(), count + 1);
    }
}

#[test]
fn where_a_room_ends_is_told_behind_all_that_was_there() {
    let mut broker = broker(1);
    let mut one = Node::connected(settings(), 1, &mut broker);
    let mut other = Node::connected(settings(), 2, &mut broker);
    other.take_told();
    one.turn(&mut broker, |backplane| {
        backplane.post("a", client(1), ["1", "2"].into_iter(), None);
    });
    // The answers are there before the entry is taken.
    other.events_max = 0;
    other.turn(&mut broker, |backplane| {
        backplane.ask_head("a");
        backplane.ask_head("a");
        backplane.ask_head("new");
    });
    other.settle(&mut broker);
    assert_eq!(other.take_told(), []);
    other.events_max = usize::MAX;
    other.settle(&mut broker);
    let told = other.take_told();
    let [
        Told::Entry { first, .. },
        Told::Head { room, id },
        Told::Head {
            room: new,
            id: none,
        },
    ] = &told[..]
    else {
        panic!("{told:?}")
    };
    assert_eq!((&room[..], id.epoch, id.seq), ("a", first.epoch, 2));
    assert_eq!((&new[..], none.seq), ("new", 0));
    // The epoch of a room without messages stays.
    other.turn(&mut broker, |backplane| {
        backplane.say("new", client(1), "1")
    });
    other.settle(&mut broker);
    let messages = other.messages();
    assert_eq!(messages[0].1.epoch, none.epoch);
}

#[test]
fn where_many_rooms_end_is_asked_in_portions() {
    let mut broker = broker(1);
    let mut node = Node::connected(settings(), 1, &mut broker);
    node.take_told();
    let rooms = 3 * TOUCHES_MAX;
    node.turn(&mut broker, |backplane| {
        (0..rooms).for_each(|room| backplane.ask_head(&room.to_string()));
    });
    node.settle(&mut broker);
    assert_eq!(node.take_told().len(), rooms);
}

#[test]
fn a_question_is_forgotten_while_the_broker_is_away() {
    let mut broker = broker(1);
    let mut node = Node::new(settings(), 1);
    node.turn(&mut broker, |backplane| backplane.ask_head("a"));
    node.settle(&mut broker);
    assert_eq!(node.take_told(), [Told::Connected]);
    node.turn(&mut broker, |backplane| backplane.ask_head("a"));
    broker.cut_all();
    node.pass(&mut broker, Duration::from_secs(1));
    assert_eq!(node.take_told(), [Told::Lost, Told::Connected]);
}

#[test]
fn a_room_that_ends_at_an_entry_that_is_gone_is_told_by_the_next_read_that_finds_nothing() {
    let mut wire = Wire::up();
    wire.sent(Line::Append);
    wire.reply(Line::Append, &first_answers());
    wire.publish(|backplane| backplane.ask_head("a"));
    wire.sent(Line::Read);
    assert_eq!(
        wire.reply(Line::Append, &texts(&["eeeeeeee", "4", "7-9"])),
        []
    );
    // This read was under way when the room's end was asked for.
    assert_eq!(wire.reply(Line::Read, b"*-1\r\n"), []);
    // The next one does not wait for entries.
    assert_eq!(
        wire.sent(Line::Read),
        ["XREAD COUNT 100 STREAMS {fanfare}:stream 0-0"]
    );
    let told = wire.reply(Line::Read, b"*-1\r\n");
    assert!(matches!(&told[..], [Told::Head { id, .. }] if id.seq == 4));
    assert!(wire.sent(Line::Read)[0].contains(" BLOCK 1000 "));
}

#[test]
fn a_flush_that_nobody_has_put_right_is_noticed() {
    let mut wire = Wire::up();
    wire.sent(Line::Append);
    let answers = String::from_utf8(first_answers()).unwrap();
    let answers = answers.replace(&format!("$8\r\n{GENERATION}"), "$-1");
    wire.reply(Line::Append, answers.as_bytes());
    assert!(wire.is_lost());
}

#[test]
fn a_malformed_entry_is_skipped() {
    let mut broker = broker(1);
    let mut node = Node::connected(settings(), 1, &mut broker);
    node.take_told();
    broker.add("{fanfare}:stream", &[b"q", b"\xff\xfe"]);
    let bad = entry("a", "1", "1", ORIGIN, "two\nlines");
    broker.add("{fanfare}:stream", &bad.map(str::as_bytes));
    let good = entry("a", "1", "2", ORIGIN, "two\nlines");
    broker.add("{fanfare}:stream", &good.map(str::as_bytes));
    node.settle(&mut broker);
    assert_eq!(node.messages().len(), 2);
    assert_eq!(node.take_told().len(), 1);
}

#[test]
fn entries_that_are_taken_one_by_one_keep_the_node_busy() {
    let mut broker = broker(1);
    let mut node = Node::connected(settings(), 1, &mut broker);
    node.events_max = 1;
    node.take_told();
    let fields = entry("a", "1", "1", ORIGIN, "x");
    (0..10).for_each(|_| broker.add("{fanfare}:stream", &fields.map(str::as_bytes)));
    let reads = broker.counts["XREAD"];
    // The first entry came alone, as the read waited for it.
    (0..2).for_each(|_| node.turn(&mut broker, |_| {}));
    for taken in 2..10 {
        assert_eq!(node.messages().len(), taken);
        assert!(node.backplane.has_events());
        assert!(!node.backplane.wants_bytes(Line::Read));
        assert!(node.backplane.next_due().is_zero());
        node.turn(&mut broker, |_| {});
    }
    assert_eq!(node.messages().len(), 10);
    assert!(!node.backplane.has_events());
    assert!(!node.backplane.next_due().is_zero());
    assert_eq!(broker.counts["XREAD"] - reads, 2);
}
