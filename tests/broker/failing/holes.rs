//! What the stream has lost is told, and no id is given twice.

use crate::broker::{Broker, Kind};
use crate::common::rooms::{Id, Listener, follow};
use crate::common::{Peer, Server};
use crate::node::{publish_surely, start_node, wait_until_ready, wait_until_unready};
use crate::proxy::Proxy;
use crate::record::{LAST, Record, read_on};

/// More than a broker keeps of the fewest entries that can be asked for.
const FILLERS: usize = 1_300;

fn begun(node: &Server, path: &str) -> [Listener; 2] {
    let mut readers = node.listen_both(path);
    for reader in &mut readers {
        reader.expect_fresh();
    }
    readers
}

fn publish(node: &Server, path: &str, count: usize) -> Vec<Id> {
    let publish = |number| node.publish(path, &format!("message {number}"));
    (1..=count).map(publish).collect()
}

/// Expects the numbers up to the end of a hole that everybody is told of in the same way.
fn expect_gap(reader: &mut Listener, position: &Id, count: &str) {
    assert_eq!(reader.line(), format!(":gap {position} {count}"));
}

#[test]
fn after_a_flush_every_room_begins_anew_and_readers_are_told() {
    let Some(broker) = Broker::start(Kind::Memory) else {
        return;
    };
    let nodes = [(); 2].map(|()| start_node(broker.addr(), &[]));
    let mut readers: Vec<_> = nodes.iter().flat_map(|it| begun(it, "/a")).collect();
    let mut quiet: Vec<_> = nodes.iter().flat_map(|it| begun(it, "/quiet")).collect();
    let before = publish(&nodes[0], "/room/a", 5);
    // The other node may not have all of them yet.
    let mut plain: Peer = nodes[1].connect().upgraded("/ws/a?last=1");
    while plain
        .hear_lines(1)
        .last()
        .is_none_or(|line| line != "message 5")
    {}
    let mut lines: Vec<Vec<String>> = readers
        .iter_mut()
        .map(|it| read_on(it, "message 5"))
        .collect();
    broker.connect().ask(&["FLUSHALL"]);
    let addrs = nodes.each_ref().map(|node| node.addr);
    let first = publish_surely(&addrs, "/room/a", "k1", "after the flush");
    let last = publish_surely(&addrs, "/room/a", "k2", LAST);
    assert_ne!(first.epoch, before[0].epoch);
    assert_eq!([first.seq, last.seq], [1, 2]);
    for (reader, lines) in readers.iter_mut().zip(&mut lines) {
        expect_gap(reader, &last.at(0), "?");
        lines.extend(read_on(reader, LAST));
    }
    plain.expect_close(1013);
    // A node that did not ask the broker since learns it from the next message.
    let next = nodes[0].publish("/room/quiet", "at last");
    for reader in &mut quiet {
        expect_gap(reader, &next.at(0), "?");
        reader.expect(&[format!("{next} at last")]);
    }
    let mut record = Record::default();
    lines.iter().for_each(|lines| record.add(lines));
    assert_eq!(record.len(), 7);
    for node in &nodes {
        for mut reader in node.listen_both(&format!("/a?since={}", before[2])) {
            expect_gap(&mut reader, &last.at(0), "?");
            read_on(&mut reader, LAST);
        }
    }
}

#[test]
fn a_node_that_was_cut_off_reads_what_it_missed() {
    let Some(broker) = Broker::start(Kind::Memory) else {
        return;
    };
    let way = Proxy::to(broker.addr());
    let [near, far] = [broker.addr(), way.addr()].map(|addr| start_node(addr, &[]));
    let mut readers = begun(&far, "/a");
    let mut plain = far.connect().upgraded("/ws/a");
    way.close();
    wait_until_unready(&far);
    let missed = publish(&near, "/room/a", 20);
    way.mend();
    for reader in &mut readers {
        let lines = read_on(reader, "message 20");
        let zero = missed[0].at(0);
        assert_eq!(follow(zero, &lines), (missed[19].clone(), 0));
    }
    let expected: Vec<_> = (1..=20).map(|number| format!("message {number}")).collect();
    assert_eq!(plain.hear_lines(20), expected);
}

#[test]
fn what_was_trimmed_while_a_node_was_cut_off_is_told_as_a_gap() {
    let Some(broker) = Broker::start(Kind::Memory) else {
        return;
    };
    let way = Proxy::to(broker.addr());
    let flags = ["--backplane-entries", "1000"];
    let [near, far] = [broker.addr(), way.addr()].map(|addr| start_node(addr, &flags));
    let mut readers = begun(&far, "/a");
    let mut untouched = begun(&far, "/b");
    let mut plain = far.connect().upgraded("/ws/a");
    let had = near.publish("/room/a", "before");
    for reader in &mut readers {
        reader.expect(&[format!("{had} before")]);
    }
    assert_eq!(plain.hear(), "before");
    way.close();
    wait_until_unready(&far);
    let missed = publish(&near, "/room/a", 10);
    publish(&near, "/room/filler", FILLERS);
    way.mend();
    wait_until_ready(&far);
    for reader in &mut readers {
        expect_gap(reader, &missed[9], "10");
    }
    plain.expect_close(1013);
    let next = far.publish("/room/a", "after");
    assert_eq!(next, had.at(12));
    for reader in &mut readers {
        reader.expect(&[format!("{next} after")]);
    }
    let there = far.publish("/room/b", "nothing is missing here");
    for reader in &mut untouched {
        reader.expect(&[format!("{there} nothing is missing here")]);
    }
    // Who was told nothing yet is told the same.
    for mut reader in far.listen_both(&format!("/a?since={had}")) {
        expect_gap(&mut reader, &missed[9], "10");
        reader.expect(&[format!("{next} after")]);
    }
    for mut reader in near.listen_both(&format!("/a?since={had}")) {
        assert_eq!(reader.line(), format!(":resumed {had}"));
        read_on(&mut reader, "after");
    }
}

/// A broker that keeps nothing, and is killed, has lost everything: nobody may be given an id again.
#[test]
fn a_broker_that_keeps_nothing_begins_anew_with_other_epochs() {
    let Some(mut broker) = Broker::start(Kind::Memory) else {
        return;
    };
    let nodes = [(); 2].map(|()| start_node(broker.addr(), &[]));
    let mut readers: Vec<_> = nodes.iter().flat_map(|it| begun(it, "/a")).collect();
    let before = publish(&nodes[0], "/room/a", 3);
    let mut record = Record::default();
    for reader in &mut readers {
        record.add(&read_on(reader, "message 3"));
    }
    broker.kill();
    broker.start_again();
    let addrs = nodes.each_ref().map(|node| node.addr);
    let last = publish_surely(&addrs, "/room/a", "k", LAST);
    assert_ne!(last.epoch, before[0].epoch);
    for reader in &mut readers {
        expect_gap(reader, &last.at(0), "?");
        record.add(&read_on(reader, LAST));
    }
    assert_eq!(record.len(), 4);
}

/// A node that did not ask the broker for anything since learns of the new generation later, and what it has read of it
/// by then is not told again. Kept or not: a broker that goes on with what it had is the same one.
#[test]
fn what_was_read_of_a_new_generation_is_not_taken_for_lost_when_the_connection_is_made_anew() {
    for kind in [Kind::Memory, Kind::AppendOnly] {
        for command in [&["FLUSHALL"][..], &["DEL", "{fanfare}:state"]] {
            let Some(broker) = Broker::start(kind) else {
                return;
            };
            expect_read_once(broker, command);
        }
    }
}

fn expect_read_once(mut broker: Broker, command: &[&str]) {
    let way = Proxy::to(broker.addr());
    let [near, far] = [broker.addr(), way.addr()].map(|addr| start_node(addr, &[]));
    let mut readers = begun(&far, "/a");
    near.publish("/room/a", "before");
    for reader in &mut readers {
        read_on(reader, "before");
    }
    broker.connect().ask(command);
    let first = publish_surely(&[near.addr], "/room/a", "k1", "after");
    publish_surely(&[near.addr], "/room/a", "k2", "and on");
    for reader in &mut readers {
        expect_gap(reader, &first.at(0), "?");
        read_on(reader, "and on");
    }
    let mut plain = far.connect().upgraded("/ws/a");
    if broker.kind() == Kind::AppendOnly {
        broker.kill();
        broker.start_again();
    } else {
        way.cut();
    }
    let last = publish_surely(&[far.addr], "/room/a", "k3", LAST);
    assert_eq!(last, first.at(3));
    assert_eq!(plain.hear(), LAST);
    for reader in &mut readers {
        reader.expect(&[format!("{last} {LAST}")]);
    }
}
