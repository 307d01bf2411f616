//! What is published: how it becomes entries, and what becomes of it when nobody answers.

use std::time::Duration;

use fanfare::backplane::{ENTRY_TEXT_MAX, IN_FLIGHT_LEN_MAX, IN_FLIGHT_MAX, Line, Settings};

use crate::node::{Node, Told, broker, client, settings};
use crate::stream::Broker;
use crate::wire::{Wire, entries, entry, first_answers, texts};

const WAIT: Duration = Duration::from_secs(5);

fn wire() -> Wire {
    let mut wire = Wire::up();
    wire.sent(Line::Append);
    wire.reply(Line::Append, &first_answers());
    wire
}

fn pair() -> (Broker, Node) {
    let mut broker = broker(1);
    let node = Node::connected(settings(), 1, &mut broker);
    (broker, node)
}

/// What was sent of these rooms' entries: room, count and text.
fn appends(wire: &mut Wire) -> Vec<String> {
    let sent = wire.sent(Line::Append);
    let appends = sent
        .iter()
        .filter_map(|command| command.split_once("node:NODE "));
    appends.map(|(_, arguments)| arguments.to_owned()).collect()
}

#[test]
fn a_room_says_one_entry_in_a_turn() {
    let mut wire = wire();
    wire.publish(|backplane| {
        backplane.say("a", client(1), "1");
        backplane.say("b", client(1), "2");
        backplane.say("a", client(2), "\t3\r\n4 ");
        backplane.post("a", client(3), ["5", "", "6"].into_iter(), None);
        assert!(backplane.has_unanswered());
    });
    assert_eq!(
        appends(&mut wire),
        [
            "a NODE 2 0 5 1\n3  4\n5\n\n6 EPOCH 100000",
            "b NODE 3 2 1 2 EPOCH 100000"
        ]
    );
    let told = wire.reply(Line::Append, &texts(&["eeeeeeee", "45", "7-1"]));
    let id = |seq: u64| fanfare::room::id::Id::parse(format!("eeeeeeee-{seq}").as_bytes()).unwrap();
    let by = client(3);
    assert_eq!(told, [Told::Appended { by, id: id(45) }]);
}

#[test]
fn the_id_of_a_post_is_that_of_its_last_message_though_others_follow_in_its_entry() {
    let mut wire = wire();
    wire.publish(|backplane| {
        backplane.post("a", client(1), ["1", "2"].into_iter(), None);
        backplane.say("a", client(1), "3");
        backplane.post("a", client(2), ["4"].into_iter(), None);
        backplane.say("a", client(3), "5");
    });
    let told = wire.reply(Line::Append, &texts(&["eeeeeeee", "45", "7-1"]));
    let ids: Vec<_> = told
        .iter()
        .map(|told| match told {
            Told::Appended { by, id } => (by.slot(), id.seq),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids, [(1, 42), (2, 44)]);
}

#[test]
fn a_publication_with_a_key_is_an_entry_of_its_own() {
    let mut wire = wire();
    wire.publish(|backplane| {
        backplane.say("a", client(1), "1");
        backplane.post("a", client(2), ["2", "3"].into_iter(), Some(b"k"));
        backplane.say("a", client(1), "4");
    });
    assert_eq!(
        appends(&mut wire),
        [
            "a NODE 2 0 1 1 EPOCH 100000",
            "{fanfare}:key:a:k a NODE 3 2 2 2\n3 EPOCH 100000",
            "a NODE 4 3 1 4 EPOCH 100000",
        ]
    );
    wire.reply(Line::Append, &texts(&["eeeeeeee", "1", "7-1"]));
    // The key was used before, for a publication of one message.
    let told = wire.reply(Line::Append, &texts(&["ffffffff", "1", ""]));
    assert!(matches!(&told[..], [Told::Appended { id, .. }] if id.to_string() == "ffffffff-1"));
}

#[test]
fn an_entry_is_full_at_its_bound_and_a_longer_message_has_its_own() {
    let mut wire = wire();
    let half = "x".repeat(ENTRY_TEXT_MAX / 2 - 1);
    let long = "y".repeat(ENTRY_TEXT_MAX + 1);
    wire.publish(|backplane| {
        backplane.say("a", client(1), &half);
        backplane.say("a", client(1), &half);
        backplane.say("a", client(1), "");
        backplane.say("a", client(1), &long);
        backplane.say("a", client(1), "z");
    });
    let counts: Vec<_> = appends(&mut wire)
        .iter()
        .map(|append| append.split(' ').nth(4).unwrap().to_owned())
        .collect();
    assert_eq!(counts, ["2", "1", "1", "1"]);
}

#[test]
fn so_many_entries_are_in_flight_and_the_rest_follows() {
    let mut wire = wire();
    wire.publish(|backplane| {
        for room in 0..=IN_FLIGHT_MAX {
            backplane.say(&room.to_string(), client(1), "1");
        }
    });
    assert_eq!(appends(&mut wire).len(), IN_FLIGHT_MAX);
    // What waits takes more messages of its room.
    wire.publish(|backplane| backplane.say(&IN_FLIGHT_MAX.to_string(), client(1), "2"));
    assert_eq!(appends(&mut wire), [""; 0]);
    wire.reply(Line::Append, &texts(&["eeeeeeee", "1", "7-1"]));
    assert_eq!(
        appends(&mut wire),
        [format!(
            "{IN_FLIGHT_MAX} NODE {} {} 2 1\n2 EPOCH 100000",
            IN_FLIGHT_MAX + 2,
            IN_FLIGHT_MAX + 1
        )]
    );
}

#[test]
fn so_much_text_is_in_flight_unless_it_is_one_entry() {
    let mut wire = wire();
    let text = "x".repeat(IN_FLIGHT_LEN_MAX + 1);
    let before = wire.backplane.queued_len();
    wire.publish(|backplane| {
        backplane.say("a", client(1), &text);
        backplane.say("b", client(1), "1");
    });
    assert!(wire.backplane.queued_len() > IN_FLIGHT_LEN_MAX);
    assert_eq!(appends(&mut wire).len(), 1);
    wire.reply(Line::Append, &texts(&["eeeeeeee", "1", "7-1"]));
    assert_eq!(appends(&mut wire).len(), 1);
    wire.reply(Line::Append, &texts(&["eeeeeeee", "1", "7-1"]));
    assert_eq!(wire.backplane.queued_len(), before);
}

#[test]
fn what_was_not_sent_is_given_up_and_never_sent() {
    let (mut broker, mut node) = pair();
    node.is_reachable = false;
    broker.cut_all();
    node.turn(&mut broker, |_| {});
    node.take_told();
    node.turn(&mut broker, |backplane| {
        backplane.say("a", client(1), "1");
        backplane.post("a", client(2), ["2", "3"].into_iter(), None);
    });
    node.pass(&mut broker, Duration::from_secs(1));
    node.turn(&mut broker, |backplane| {
        backplane.say("a", client(1), "4");
        backplane.say("a", client(3), "5");
    });
    node.pass(&mut broker, WAIT - Duration::from_millis(1001));
    assert_eq!(node.take_told(), []);
    node.pass(&mut broker, Duration::from_millis(2));
    let gave_up = |slot| Told::GaveUp { by: client(slot) };
    assert_eq!(node.take_told(), [gave_up(1), gave_up(2)]);
    node.is_reachable = true;
    node.pass(&mut broker, Duration::from_millis(990));
    // It is tried again within five seconds; what is left by then is little.
    node.pass(&mut broker, Duration::from_secs(6));
    let told = node.take_told();
    assert!(!told.contains(&gave_up(1)));
    assert!(broker.texts().is_empty() || broker.texts() == ["5"]);
    assert_eq!(broker.texts().is_empty(), told.contains(&gave_up(3)));
    assert!(!node.backplane.has_unanswered());
    assert!(node.backplane.is_ready());
}

#[test]
fn what_was_sent_is_given_up_and_not_sent_again() {
    let mut wire = wire();
    wire.publish(|backplane| {
        backplane.post("a", client(1), ["1"].into_iter(), None);
        backplane.say("a", client(2), "2");
    });
    wire.sent(Line::Append);
    wire.now += WAIT - Duration::from_millis(1);
    assert_eq!(wire.reply(Line::Append, b"*3\r\n"), []);
    wire.now += Duration::from_millis(1);
    let gave_up = |slot| Told::GaveUp { by: client(slot) };
    assert_eq!(wire.turn(), [gave_up(1), gave_up(2)]);
    assert!(!wire.backplane.has_unanswered());
    // The answer comes too late to be told.
    let late = texts(&["eeeeeeee", "2", "7-1"]);
    assert_eq!(wire.reply(Line::Append, &late[4..]), []);
    assert!(wire.backplane.is_up());
}

#[test]
fn an_entry_that_was_sent_is_given_up_with_its_last_message() {
    let mut wire = wire();
    wire.backplane.note_lost(Line::Append, "reset");
    wire.publish(|backplane| backplane.say("a", client(1), "1"));
    wire.now += Duration::from_secs(2);
    wire.publish(|backplane| backplane.post("a", client(2), ["2"].into_iter(), None));
    wire.connect();
    assert_eq!(appends(&mut wire)[0], "a NODE 2 0 2 1\n2 EPOCH 100000");
    wire.now += Duration::from_secs(3);
    assert_eq!(wire.turn(), [Told::GaveUp { by: client(1) }]);
    assert!(wire.backplane.has_unanswered());
    wire.now += Duration::from_secs(1);
    let answers = [&texts(&["eeeeeeee", "2", "7-1"]), &first_answers()[..]].concat();
    let told = wire.reply(Line::Append, &answers);
    assert!(matches!(told[..], [Told::Appended { .. }]), "{told:?}");
}

#[test]
fn what_a_client_takes_back_is_not_sent() {
    let mut wire = wire();
    let before = wire.backplane.queued_len();
    wire.publish(|backplane| {
        backplane.say("a", client(1), "1");
        backplane.say("a", client(2), "2");
        backplane.say("a", client(1), "3");
        backplane.say("b", client(1), "4");
        backplane.post("b", client(1), ["5"].into_iter(), Some(b"k"));
        backplane.withdraw(client(1));
    });
    assert_eq!(appends(&mut wire), ["a NODE 2 0 1 2 EPOCH 100000"]);
    // What was sent stays.
    wire.publish(|backplane| backplane.withdraw(client(2)));
    assert!(wire.backplane.has_unanswered());
    wire.reply(Line::Append, &texts(&["eeeeeeee", "1", "7-1"]));
    assert_eq!(wire.backplane.queued_len(), before);
    wire.publish(|backplane| {
        backplane.say("a", client(1), "6");
        backplane.withdraw(client(1));
    });
    assert!(!wire.backplane.has_unanswered());
    // Somebody else who says something in the same room is not affected.
    wire.publish(|backplane| backplane.say("a", client(3), "7"));
    assert_eq!(appends(&mut wire), ["a NODE 3 0 1 7 EPOCH 100000"]);
}

#[test]
fn an_append_whose_answer_is_lost_is_found_by_reading() {
    let mut wire = wire();
    let node = wire.node();
    wire.publish(|backplane| backplane.post("a", client(1), ["1"].into_iter(), None));
    let origin = format!("{node} 2");
    let told = wire.reply(
        Line::Read,
        &entries(&[("7-1", &entry("a", "9", "1", &origin, "1"))]),
    );
    assert!(matches!(&told[..], [Told::Entry { .. }, Told::Appended { id, .. }] if id.seq == 9));
    assert!(!wire.backplane.has_unanswered());
    wire.backplane.note_lost(Line::Append, "reset");
    wire.now += Duration::from_secs(1);
    wire.turn();
    wire.connect();
    let sent = appends(&mut wire);
    assert!(
        sent.iter().all(|append| append.starts_with(" NODE 3 0 0 ")),
        "{sent:?}"
    );
}

#[test]
fn an_append_whose_answer_is_lost_is_not_doubled() {
    let (mut broker, mut node) = pair();
    node.turn(&mut broker, |backplane| {
        backplane.post("a", client(1), ["1"].into_iter(), None);
        backplane.say("b", client(1), "2");
    });
    assert_eq!(broker.texts(), ["1", "2"]);
    broker.cut_all();
    node.pass(&mut broker, Duration::from_secs(1));
    assert_eq!(broker.texts(), ["1", "2"]);
    let appended = node
        .told
        .iter()
        .filter(|told| matches!(told, Told::Appended { .. }));
    assert_eq!(appended.count(), 1);
    assert_eq!(node.messages().len(), 2);
    assert_eq!(node.backplane.stats().appends, 2);
    assert_eq!(node.backplane.stats().reconnects, 1);
    assert_eq!(node.backplane.take_append_times().len(), 2);
}

#[test]
fn what_is_published_before_the_first_connection_is_appended_then() {
    let mut broker = broker(1);
    let mut node = Node::new(
        Settings {
            history_age: None,
            ..settings()
        },
        1,
    );
    node.turn(&mut broker, |backplane| backplane.say("a", client(1), "1"));
    node.settle(&mut broker);
    assert_eq!(broker.texts(), ["1"]);
    assert_eq!(node.messages().len(), 1, "{:?}", node.told);
}
