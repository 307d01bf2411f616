//! Answers of the broker that are lost or late: what was appended is not appended again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::outages;
use crate::broker::{Broker, Kind};
use crate::common::rooms::{Id, Listener, follow, post};
use crate::common::{Peer, Server};
use crate::node::{start_node, wait_until_ready};
use crate::proxy::{Fate, Proxy, Towards};
use crate::record::{LAST, Record, messages, read_on, read_to_the_last};

fn begun(node: &Server) -> Listener {
    let mut reader = node.listen_v1("/ws/a");
    assert_eq!(reader.expect_fresh().seq, 0);
    reader
}

#[test]
fn what_was_appended_is_not_appended_again_when_the_answer_was_lost() {
    let Some(broker) = Broker::start(Kind::Memory) else {
        return;
    };
    let way = Proxy::to(broker.addr());
    let [near, far] = [broker.addr(), way.addr()].map(|addr| start_node(addr, &[]));
    let mut readers = [begun(&near), begun(&far)];
    let mut talker = far.listen_v1("/ws/a");
    let begin = talker.expect_fresh();
    way.set(Towards::Node, Fate::Dropped);
    let mut posts: Vec<_> = (0..3).map(|_| far.connect()).collect();
    for (number, peer) in posts.iter_mut().enumerate() {
        peer.send(post("/room/a", format!("post {number}")));
    }
    talker.peer.say("said");
    // They are in the stream, as the other node tells, and this one does not know.
    let mut lines: Vec<_> = (0..4).map(|_| readers[0].line()).collect();
    way.cut();
    way.mend();
    let ids: Vec<Id> = posts.iter_mut().map(Peer::expect_id).collect();
    let last = far.publish("/room/a", LAST);
    assert_eq!(last, begin.at(5));
    lines.extend(read_on(&mut readers[0], LAST));
    assert_eq!(read_on(&mut readers[1], LAST), lines);
    assert_eq!(read_on(&mut talker, LAST), lines);
    assert_eq!(follow(begin, &lines), (last, 0));
    let mut record = Record::default();
    record.add(&lines);
    let acknowledged = ids.into_iter().enumerate();
    let acknowledged: Vec<_> = acknowledged
        .map(|(number, id)| (id, format!("post {number}")))
        .collect();
    record.has(&acknowledged);
    outages(far, 1);
}

#[test]
fn what_did_not_reach_the_broker_is_sent_again() {
    let Some(broker) = Broker::start(Kind::Memory) else {
        return;
    };
    let way = Proxy::to(broker.addr());
    let node = start_node(way.addr(), &[]);
    let mut reader = begun(&node);
    way.set(Towards::Broker, Fate::Dropped);
    let mut peer = node.connect();
    peer.send(post("/room/a", "hello"));
    // Nothing tells that it was sent, and nothing depends on it.
    thread::sleep(Duration::from_millis(300));
    way.cut();
    way.mend();
    let id = peer.expect_id();
    assert_eq!(id.seq, 1);
    reader.expect(&[format!("{id} hello")]);
    let last = node.publish("/room/a", LAST);
    assert_eq!(read_on(&mut reader, LAST), [format!("{last} {LAST}")]);
    assert_eq!(last.seq, 2);
}

#[test]
fn over_a_slow_way_all_arrives_in_order() {
    let Some(broker) = Broker::start(Kind::Memory) else {
        return;
    };
    let way = Proxy::to(broker.addr());
    let [near, far] = [broker.addr(), way.addr()].map(|addr| start_node(addr, &[]));
    let readers = [begun(&near), begun(&far)].map(read_to_the_last);
    for towards in [Towards::Broker, Towards::Node] {
        way.set(towards, Fate::Delayed(Duration::from_millis(200)));
    }
    let mut talker = far.listen_v1("/ws/a");
    talker.line();
    for number in 0..200 {
        talker.peer.say(&format!("message {number}"));
    }
    read_on(&mut talker, "message 199");
    let last = far.publish("/room/a", LAST);
    for reader in readers {
        let lines = reader.join().expect("it is not closed");
        let texts = (0..200).map(|number| format!("message {number}"));
        let texts = texts.chain([LAST.to_owned()]);
        let expected = (1..).zip(texts);
        let expected = expected.map(|(seq, text)| format!("{} {text}", last.at(seq)));
        assert!(lines.iter().cloned().eq(expected), "{lines:?}");
    }
    outages(far, 0);
}

#[test]
fn scripts_that_the_broker_forgot_are_loaded_again_and_nobody_notices() {
    let Some(broker) = Broker::start(Kind::Memory) else {
        return;
    };
    let node = start_node(broker.addr(), &[]);
    let mut reader = begun(&node);
    let is_over = AtomicBool::new(false);
    let last = thread::scope(|scope| {
        let publisher = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                node.publish("/room/a", "hello");
            }
            node.publish("/room/a", LAST)
        });
        let mut resp = broker.connect();
        for _ in 0..20 {
            thread::sleep(Duration::from_millis(50));
            resp.ask(&["SCRIPT", "FLUSH"]);
        }
        is_over.store(true, Ordering::Relaxed);
        publisher.join().expect("all is published")
    });
    let lines = read_on(&mut reader, LAST);
    assert_eq!(follow(last.at(0), &lines), (last, 0));
    outages(node, 0);
}

/// Each message of a talker comes once, and in its order, however often the way is cut.
#[test]
fn a_way_that_is_cut_again_and_again_loses_doubles_and_turns_round_nothing() {
    let Some(broker) = Broker::start(Kind::Memory) else {
        return;
    };
    let way = Proxy::to(broker.addr());
    let wait = ["--backplane-wait", "30s", "--send-queue", "4096"];
    let [near, far] = [broker.addr(), way.addr()].map(|addr| start_node(addr, &wait));
    let readers = [begun(&near), begun(&far)].map(read_to_the_last);
    let mut talker = far.listen_v1("/ws/a");
    talker.line();
    let mut said = 0;
    for round in 0..12 {
        let (towards, fate) = match round % 3 {
            0 => (Towards::Node, Fate::Dropped),
            1 => (Towards::Broker, Fate::Dropped),
            _ => (Towards::Node, Fate::Stalled),
        };
        for number in 0..100 {
            if number == 30 {
                way.set(towards, fate);
            }
            talker.peer.say(&format!("message {said}"));
            said += 1;
            thread::sleep(Duration::from_millis(1));
        }
        way.cut();
        way.mend();
        if round % 2 == 0 {
            wait_until_ready(&far);
        }
    }
    let lines = read_on(&mut talker, &format!("message {}", said - 1));
    let texts: Vec<_> = messages(&lines).map(|(_, text)| text).collect();
    let expected: Vec<_> = (0..said)
        .map(|number| format!("message {number}"))
        .collect();
    assert_eq!(texts, expected);
    let last = far.publish("/room/a", LAST);
    for reader in readers {
        let lines = reader.join().expect("it is not closed");
        assert_eq!(follow(last.at(0), &lines), (last.clone(), 0));
    }
}
