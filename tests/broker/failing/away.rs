//! The broker is not there: at the start, for a while, and it comes back with all that it had.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::outages;
use crate::broker::{Broker, Kind};
use crate::common::rooms::{Id, Listener, OFFER, follow, post, post_with};
use crate::common::wire::{PING, PONG, frame};
use crate::common::{Peer, Server};
use crate::node::{
    AWAY, THERE, publish_surely, start_node, start_unready, status, wait_until_ready,
    wait_until_unready,
};
use crate::record::{LAST, Record, read_to_the_last};

const SECRET: &str = "never-to-be-seen";
/// How long a publication waits for the broker, where it is to wait shortly.
const WAIT: &[&str] = &["--backplane-wait", "500ms"];

/// Expects that nobody can publish, and that this is told in time.
fn expect_nothing_published(node: &Server) {
    let begun = Instant::now();
    let refused = node.expect_error(post("/room/a", "hello"), 503);
    assert!(refused.field("retry-after").is_some(), "{refused:?}");
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(500), "{took:?}");
    for mut talker in [
        node.connect().upgraded("/ws/a"),
        node.connect().upgraded_with("/ws/a", &[OFFER]),
    ] {
        talker.say("hello");
        assert!(!talker.expect_close(1013).is_empty());
    }
    assert_eq!(status(node.connect(), "/readyz"), 503);
    assert_eq!(status(node.connect_admin(), "/readyz"), 503);
    assert_eq!(status(node.connect(), "/healthz"), 200);
}

#[test]
fn a_broker_that_is_not_there_at_the_start_is_waited_for() {
    let settings = ["--requirepass", SECRET];
    let Some(mut broker) = Broker::start_with(Kind::Memory, &settings) else {
        return;
    };
    broker.kill();
    let url = format!("redis://:{SECRET}@{}", broker.addr());
    let flags = [WAIT, &["--ping-period", "1s", "--pong-wait", "30s"]].concat();
    let node = start_unready(&url, &flags);
    let addr = broker.addr().to_string();
    node.wait_for_log(&["WARN", AWAY, &addr, "connection refused"]);
    let mut waiting = node.listen_v1("/ws/a");
    for _ in 0..2 {
        let ping = waiting.peer.frame();
        assert_eq!(ping.first, PING, "{ping:?}");
        waiting.peer.send(frame(PONG, &ping.payload));
    }
    expect_nothing_published(&node);
    broker.start_again();
    let begin = waiting.expect_fresh();
    assert_eq!(begin.seq, 0);
    wait_until_ready(&node);
    node.wait_for_log(&["INFO", THERE, &addr]);
    let id = node.publish("/room/a", "at last");
    waiting.expect(&[format!("{id} at last")]);
    assert_eq!(id, begin.at(1));
    let away = outages(node, 1).concat();
    assert!(!away.contains(SECRET), "{away}");
}

#[test]
fn a_broker_that_hangs_is_noticed_and_what_was_asked_of_it_is_published_once() {
    let Some(broker) = Broker::start(Kind::Memory) else {
        return;
    };
    let nodes = [(); 2].map(|()| start_node(broker.addr(), &["--backplane-wait", "1s"]));
    let mut readers = nodes.each_ref().map(|node| node.listen_v1("/ws/a"));
    let begin = readers.each_mut().map(Listener::expect_fresh);
    broker.signal("STOP");
    let key = ["Idempotency-Key: k1"];
    let request = post_with("/room/a", &key, "once");
    nodes[0].expect_error(&request, 503);
    nodes.iter().for_each(wait_until_unready);
    broker.signal("CONT");
    nodes.iter().for_each(wait_until_ready);
    let id = publish_surely(&[nodes[1].addr], "/room/a", "k1", "once");
    let next = nodes[0].publish("/room/a", "next");
    assert_eq!([&id, &next], [&begin[0].at(1), &begin[1].at(2)]);
    for reader in &mut readers {
        reader.expect(&[format!("{id} once"), format!("{next} next")]);
    }
    for node in nodes {
        let away = outages(node, 1).concat();
        assert!(away.contains("no answer comes in time"), "{away}");
    }
}

/// A hang that is shorter than the wait is no outage.
#[test]
fn a_broker_that_hangs_shortly_makes_publications_late_and_nothing_else() {
    let Some(broker) = Broker::start(Kind::Memory) else {
        return;
    };
    let node = start_node(broker.addr(), &[]);
    let mut reader = node.listen_v1("/ws/a");
    let begin = reader.expect_fresh();
    broker.signal("STOP");
    let mut peer = node.connect();
    peer.send(post("/room/a", "late"));
    thread::sleep(Duration::from_secs(1));
    broker.signal("CONT");
    assert_eq!(peer.expect_id(), begin.at(1));
    reader.expect(&[format!("{} late", begin.at(1))]);
    outages(node, 0);
}

#[test]
fn a_broker_with_an_append_only_file_is_killed_and_nothing_is_lost_or_doubled() {
    let Some(mut broker) = Broker::start(Kind::AppendOnly) else {
        return;
    };
    let nodes = [(); 2].map(|()| start_node(broker.addr(), &["--backplane-wait", "1s"]));
    let listeners = nodes.iter().flat_map(|node| node.listen_both("/a"));
    let readers: Vec<_> = listeners.map(read_all).collect();
    let addrs = nodes.each_ref().map(|node| node.addr);
    let is_over = AtomicBool::new(false);
    let mut acknowledged: Vec<_> = thread::scope(|scope| {
        let publishers = [0, 1, 2, 3].map(|publisher| {
            let (addrs, is_over) = (&addrs, &is_over);
            scope.spawn(move || publish_until(is_over, publisher, addrs))
        });
        for _ in 0..3 {
            thread::sleep(Duration::from_millis(700));
            broker.kill();
            thread::sleep(Duration::from_millis(300));
            broker.start_again();
        }
        thread::sleep(Duration::from_millis(700));
        is_over.store(true, Ordering::Relaxed);
        let publishers = publishers.into_iter();
        publishers
            .flat_map(|it| it.join().expect("all is accepted at last"))
            .collect()
    });
    let last = publish_surely(&addrs, "/room/a", "last", LAST);
    acknowledged.push((last.clone(), LAST.to_owned()));
    let mut record = Record::default();
    for reader in readers {
        let lines = reader.join().expect("no reader is closed");
        let (end, skipped) = follow(last.at(0), &lines);
        assert_eq!((&end, skipped), (&last, 0));
        record.add(&lines);
    }
    record.has(&acknowledged);
    assert_eq!(record.len() as u64, last.seq);
    // Each publication had a key, so that nothing else is there.
    assert_eq!(record.len(), acknowledged.len());
    for node in nodes {
        outages(node, 3);
    }
}

fn read_all(mut listener: Listener) -> thread::JoinHandle<Vec<String>> {
    assert_eq!(listener.expect_fresh().seq, 0);
    read_to_the_last(listener)
}

fn publish_until(
    is_over: &AtomicBool,
    publisher: usize,
    addrs: &[SocketAddr],
) -> Vec<(Id, String)> {
    let mut acknowledged = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let number = acknowledged.len();
        let text = format!("message {publisher} {number}");
        let key = format!("{publisher}-{number}");
        // A repetition may come to another node.
        let place = number % addrs.len();
        let turned = [&addrs[place..], &addrs[..place]].concat();
        let id = publish_surely(&turned, "/room/a", &key, &text);
        acknowledged.push((id, text));
    }
    acknowledged
}

/// What readers have when the broker ends is all that was acknowledged, and they go on where they are.
#[test]
fn plain_readers_are_not_closed_by_an_outage_that_loses_nothing() {
    let Some(mut broker) = Broker::start(Kind::AppendOnly) else {
        return;
    };
    let node = start_node(broker.addr(), &[]);
    // From here on the node knows the room, and whoever is let in is in it.
    node.listen_v1("/ws/a").expect_fresh();
    let mut plain: Peer = node.connect().upgraded("/ws/a");
    let id = node.publish("/room/a", "before");
    assert_eq!(plain.hear(), "before");
    broker.kill();
    wait_until_unready(&node);
    let mut newcomer = node.listen_v1(&format!("/ws/a?since={id}"));
    broker.start_again();
    wait_until_ready(&node);
    assert_eq!(newcomer.line(), format!(":resumed {id}"));
    let next = node.publish("/room/a", "after");
    assert_eq!(next, id.at(2));
    assert_eq!(plain.hear(), "after");
    newcomer.expect(&[format!("{next} after")]);
    outages(node, 1);
}
