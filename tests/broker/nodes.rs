//! Several nodes at one broker, while nothing fails: one order, one id for each message, everywhere.

use std::thread;
use std::time::{Duration, Instant};

use crate::broker::{Broker, Kind};
use crate::common::rooms::{Id, Listener, follow, post, post_with, upgrade_v1};
use crate::common::{Peer, Server, eventually};
use crate::node::{start_node, status};
use crate::openmetrics::parse;
use crate::record::{LAST, Record, message, messages, read_on, read_to_the_last};

/// How many messages each publisher publishes.
const EACH: usize = 100;
/// Within this time a node that died is no longer counted.
const DEAD_AFTER: Duration = Duration::from_secs(15);

fn three(broker: &Broker) -> [Server; 3] {
    [(); 3].map(|()| start_node(broker.addr(), &[]))
}

/// The readers that know ids, on each node.
fn listen_everywhere(nodes: &[Server]) -> Vec<Listener> {
    let mut readers: Vec<_> = nodes.iter().flat_map(|it| it.listen_both("/a")).collect();
    for reader in &mut readers {
        assert_eq!(reader.expect_fresh().seq, 0);
    }
    readers
}

#[test]
fn what_is_said_on_any_node_is_told_on_all_in_one_order_under_one_id() {
    let Some(broker) = Broker::start(Kind::Memory) else {
        return;
    };
    let nodes = three(&broker);
    let readers = listen_everywhere(&nodes);
    let plain: Vec<Peer> = nodes
        .iter()
        .map(|it| it.connect().upgraded("/ws/a"))
        .collect();
    // A plain reader is let in when its node knows the room, and this node does.
    let readers: Vec<_> = readers.into_iter().map(read_to_the_last).collect();
    let plain: Vec<_> = plain.into_iter().map(read_plain).collect();
    let acknowledged = publish_from_all(&nodes);
    let lines: Vec<Vec<String>> = readers.into_iter().map(joined).collect();
    let plain: Vec<Vec<String>> = plain.into_iter().map(joined).collect();
    let first = &lines[0];
    assert_eq!(first.len(), 3 * 3 * EACH + 1);
    let zero = Id::parse(message(&first[0]).expect("a message").0).at(0);
    assert_eq!(follow(zero, first).1, 0);
    for other in &lines {
        assert_eq!(other, first);
    }
    let texts: Vec<&str> = messages(first).map(|(_, text)| text).collect();
    for other in &plain {
        assert_eq!(*other, texts);
    }
    let mut record = Record::default();
    record.add(first);
    record.has(&acknowledged);
    check_own_order(&texts);
}

fn joined<T>(thread: thread::JoinHandle<T>) -> T {
    thread.join().expect("it does not fail")
}

fn read_plain(mut peer: Peer) -> thread::JoinHandle<Vec<String>> {
    thread::spawn(move || {
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line| line != LAST) {
            lines.extend(peer.hear_lines(1));
        }
        lines
    })
}

/// Three publishers on each node, of three kinds, all at once; then [`LAST`]. What was acknowledged with an id.
fn publish_from_all(nodes: &[Server]) -> Vec<(Id, String)> {
    let mut acknowledged: Vec<_> = thread::scope(|scope| {
        {
            let mut posts = Vec::new();
            for (place, node) in nodes.iter().enumerate() {
                posts.push(scope.spawn(move || publish_by_post(node, place)));
                scope.spawn(move || {
                    let mut talker = node.connect().upgraded("/ws/a");
                    (0..EACH).for_each(|number| talker.say(&format!("plain {place} {number}")));
                    // Its own messages come back, or it would be gone before they are read.
                    hear(&mut talker, &format!("plain {place} {}", EACH - 1));
                });
                scope.spawn(move || {
                    let mut talker = node.listen_v1("/ws/a");
                    talker.line();
                    for number in 0..EACH {
                        talker.peer.say(&format!("v1 {place} {number}"));
                    }
                    read_on(&mut talker, &format!("v1 {place} {}", EACH - 1));
                });
            }
            let posts = posts.into_iter();
            posts.flat_map(|it| it.join().expect("all are answered"))
        }
        .collect()
    });
    let id = nodes[0].publish("/room/a", LAST);
    acknowledged.push((id, LAST.to_owned()));
    acknowledged
}

fn hear(peer: &mut Peer, last: &str) {
    while !peer.hear_lines(1).iter().any(|line| line == last) {}
}

fn publish_by_post(node: &Server, place: usize) -> Vec<(Id, String)> {
    let publish = |number| {
        let text = format!("post {place} {number}");
        (node.publish("/room/a", &text), text)
    };
    (0..EACH).map(publish).collect()
}

/// What one publisher has published is told in its order.
fn check_own_order(texts: &[&str]) {
    for kind in ["post", "plain", "v1"] {
        for place in 0..3 {
            let prefix = format!("{kind} {place} ");
            let numbers = texts.iter().filter_map(|text| text.strip_prefix(&prefix));
            let expected = (0..EACH).map(|number| number.to_string());
            assert!(numbers.eq(expected), "{prefix}: {texts:?}");
        }
    }
}

#[test]
fn a_key_is_known_on_all_nodes() {
    let Some(broker) = Broker::start(Kind::Memory) else {
        return;
    };
    let nodes = three(&broker);
    let mut readers = listen_everywhere(&nodes);
    let request = post_with("/room/a", &["Idempotency-Key: k1"], "once");
    let ids = nodes.each_ref().map(|node| node.ask(&request).body);
    let next = nodes[2].publish("/room/a", "next");
    assert_eq!(next.seq, 2);
    for id in ids {
        assert_eq!(id, format!("{}\n", next.at(1)).into_bytes());
    }
    for reader in &mut readers {
        reader.expect(&[format!("{} once", next.at(1)), format!("{next} next")]);
    }
}

#[test]
fn a_reader_resumes_on_another_node_and_on_one_that_was_started_later() {
    let Some(broker) = Broker::start(Kind::Memory) else {
        return;
    };
    let old = start_node(broker.addr(), &[]);
    let mut before = old.listen_v1("/ws/a");
    before.expect_fresh();
    let third = old.publish_numbers("/room/a", 3);
    before.expect(&[1, 2, 3].map(|number| format!("{} {number}", third.at(number))));
    drop(before);
    old.publish_numbers("/room/a", 4);
    let new = start_node(broker.addr(), &[]);
    drop(old);
    for mut reader in new.listen_both(&format!("/a?since={third}")) {
        assert_eq!(reader.line(), format!(":resumed {third}"));
        reader.expect(&[1, 2, 3, 4].map(|number| format!("{} {number}", third.at(3 + number))));
    }
    for mut reader in new.listen_both("/a?last=2") {
        assert_eq!(reader.line(), format!(":fresh {}", third.at(5)));
        reader.expect(&[3, 4].map(|number| format!("{} {number}", third.at(3 + number))));
    }
    assert_eq!(new.publish("/room/a", "on"), third.at(8));
    let other_epoch = "xxxxxxxx-1";
    for mut reader in new.listen_both(&format!("/a?since={other_epoch}&last=1")) {
        assert_eq!(reader.line(), format!(":gap {} ?", third.at(7)));
        reader.expect(&[format!("{} on", third.at(8))]);
    }
}

#[test]
fn a_node_that_keeps_no_history_goes_on_with_the_ids_of_the_others() {
    let Some(broker) = Broker::start(Kind::Memory) else {
        return;
    };
    let old = start_node(broker.addr(), &[]);
    let last = old.publish_numbers("/room/a", 5);
    let new = start_node(broker.addr(), &["--history", "0"]);
    for mut reader in new.listen_both(&format!("/a?since={}", last.at(2))) {
        assert_eq!(reader.line(), format!(":gap {last} 3"));
    }
    let mut reader = new.listen_v1(&format!("/ws/a?since={last}"));
    assert_eq!(reader.line(), format!(":resumed {last}"));
    let next = old.publish("/room/a", "on");
    reader.expect(&[format!("{next} on")]);
    assert_eq!(next, last.at(6));
}

#[test]
fn requests_behind_a_publication_wait_for_its_answer() {
    let Some(broker) = Broker::start(Kind::Memory) else {
        return;
    };
    let node = start_node(broker.addr(), &[]);
    let mut reader = node.listen_v1("/ws/a");
    let begin = reader.expect_fresh();
    let mut peer = node.connect();
    let posts = (1..=50).flat_map(|number| post("/room/a", format!("message {number}")));
    let requests: Vec<u8> = posts
        // More than there are: what is answered may not have been read back yet.
        .chain(upgrade_v1("/ws/a?last=60").into_bytes())
        .collect();
    peer.send(requests);
    for seq in 1..=50 {
        assert_eq!(peer.expect_id(), begin.at(seq));
        reader.expect(&[format!("{} message {seq}", begin.at(seq))]);
    }
    peer.expect_upgrade_v1();
    let lines = peer.hear_lines(51);
    assert_eq!(lines[0], format!(":fresh {begin}"));
    for (seq, line) in (1..=50).zip(&lines[1..]) {
        assert_eq!(*line, format!("{} message {seq}", begin.at(seq)));
    }
}

/// Reads the next number of listeners.
fn here(reader: &mut Listener) -> String {
    loop {
        let line = reader.line();
        if let Some(count) = line.strip_prefix(":here ") {
            return count.to_owned();
        }
    }
}

#[test]
fn listeners_are_counted_over_all_nodes_and_those_of_a_killed_node_no_more() {
    let Some(broker) = Broker::start(Kind::Memory) else {
        return;
    };
    let [a, b, c] = three(&broker);
    let mut readers = a.listen_both("/a?here=1");
    let mut here_is = |count: &str| {
        for reader in &mut readers {
            while here(reader) != count {}
        }
    };
    here_is("2");
    let on_b = b.listen_v1("/ws/a");
    here_is("3");
    let on_c: Vec<_> = (0..3).map(|_| c.connect().upgraded("/ws/a")).collect();
    here_is("6");
    drop(on_b);
    here_is("5");
    let killed_at = Instant::now();
    drop(c);
    here_is("2");
    let took = killed_at.elapsed();
    assert!(took <= DEAD_AFTER, "{took:?}");
    drop(on_c);
}

#[test]
fn a_node_is_ready_and_tells_of_its_backplane() {
    let Some(broker) = Broker::start(Kind::Memory) else {
        return;
    };
    let node = start_node(broker.addr(), &[]);
    for peer in [node.connect(), node.connect_admin()] {
        assert_eq!(status(peer, "/readyz"), 200);
    }
    node.publish("/room/a", "hello");
    let told = eventually("the append is counted", || {
        let mut admin = node.connect_admin();
        admin.send(crate::common::wire::get("/metrics"));
        let text = String::from_utf8(admin.response().body).expect("it is UTF-8");
        let told = parse(&text).expect("it is OpenMetrics");
        (told.value("fanfare_backplane_appends_total") >= 1.0).then_some(told)
    });
    assert_eq!(told.value("fanfare_backplane_up"), 1.0);
    assert_eq!(told.value("fanfare_backplane_ready"), 1.0);
    assert_eq!(told.value("fanfare_backplane_reconnects_total"), 0.0);
    let lag = told.value("fanfare_backplane_lag_seconds");
    assert!((0.0..5.0).contains(&lag), "{lag}");
    assert!(told.value("fanfare_backplane_append_seconds_count") >= 1.0);
}
