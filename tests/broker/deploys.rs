//! Nodes that are shut down and started anew one by one, and what is under way meanwhile.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use crate::broker::{Broker, Kind};
use crate::common::rooms::{Id, Listener, follow, post, upgrade_v1};
use crate::common::wire::{self, CLOSE, PING, PONG};
use crate::common::{PATIENCE, Peer, Server};
use crate::node::{publish_surely, start_node};
use crate::proxy::{Fate, Proxy, Towards};
use crate::record::{LAST, messages};

const DRAIN: &[&str] = &["--drain", "1s"];
const PACE: Duration = Duration::from_millis(20);

#[test]
fn a_shutdown_waits_for_what_was_published_and_is_on_its_way() {
    let Some(broker) = Broker::start(Kind::Memory) else {
        return;
    };
    let way = Proxy::to(broker.addr());
    let near = start_node(broker.addr(), &[]);
    let mut far = start_node(way.addr(), &["--drain", "20s"]);
    let mut reader = near.listen_v1("/ws/a");
    let begin = reader.expect_fresh();
    way.set(Towards::Broker, Fate::Stalled);
    let mut peer = far.connect();
    peer.send(post("/room/a", "hello"));
    // It was read when something behind it is answered: on one thread all is done in turn.
    let mut other = far.connect();
    other.send(wire::get("/healthz"));
    assert_eq!(other.response().status, 200);
    far.signal("TERM");
    far.wait_for_log(&["shutting down"]);
    way.mend();
    assert_eq!(peer.expect_id(), begin.at(1));
    reader.expect(&[format!("{} hello", begin.at(1))]);
    assert_eq!(far.wait_for_exit().code(), Some(0));
}

/// A reader that comes back to the other node whenever its own goes, and never lacks anything. It tells when it is in.
fn follow_deploys(nodes: [SocketAddr; 2], is_in: &Sender<()>) -> (Vec<String>, usize) {
    let mut lines: Vec<String> = Vec::new();
    let mut position: Option<String> = None;
    for visit in 0.. {
        let since = position.as_ref().map(|id| format!("?since={id}"));
        let path = format!("/ws/a{}", since.unwrap_or_default());
        let mut peer = Peer::connect(nodes[visit % 2]);
        if !peer.is_answered(upgrade_v1(&path)) {
            // It was on its way to a node that has ended by now.
            continue;
        }
        let mut reader = Listener::v1_answered(peer);
        let first = reader.line();
        match &position {
            None => {
                assert!(first.starts_with(":fresh "), "{first}");
                is_in.send(()).expect("the test waits for it");
            }
            Some(id) => assert_eq!(first, format!(":resumed {id}")),
        }
        if read_visit(&mut reader, &mut lines) {
            return (lines, visit);
        }
        let last = messages(&lines).last().map(|(id, _)| id.to_owned());
        position = last.or_else(|| first.split(' ').nth(1).map(str::to_owned));
    }
    unreachable!("it returns at the last message")
}

/// Reads until the node closes; whether the last message came before.
fn read_visit(reader: &mut Listener, lines: &mut Vec<String>) -> bool {
    loop {
        let frame = reader.peer.frame();
        match frame.first {
            PING => reader.peer.send(wire::frame(PONG, &frame.payload)),
            CLOSE => {
                assert_eq!(frame.payload.get(..2), Some(&1001_u16.to_be_bytes()[..]));
                reader.peer.try_send(&wire::frame(CLOSE, &frame.payload));
                return false;
            }
            _ => {
                let text = reader.peer.text_of(frame);
                lines.extend(text.split('\n').map(str::to_owned));
                if text.ends_with(LAST) {
                    return true;
                }
            }
        }
    }
}

#[test]
fn one_node_after_the_other_is_replaced_and_nobody_misses_anything() {
    let Some(broker) = Broker::start(Kind::Memory) else {
        return;
    };
    let ways = [(); 2].map(|()| start_node(broker.addr(), DRAIN));
    // A node has the same address before and after, by way of a proxy.
    let fronts = ways.each_ref().map(|node| Proxy::to(node.addr));
    let addrs = fronts.each_ref().map(Proxy::addr);
    let is_over = AtomicBool::new(false);
    let (acknowledged, told) = thread::scope(|scope| {
        let (is_in, ins) = mpsc::channel();
        let follow = |addrs| {
            let is_in = is_in.clone();
            scope.spawn(move || follow_deploys(addrs, &is_in))
        };
        let orders = [addrs, [addrs[1], addrs[0]]];
        let readers = orders.map(|addrs| [(); 4].map(|()| follow(addrs)));
        for _ in readers.as_flattened() {
            ins.recv_timeout(PATIENCE).expect("each reader is in");
        }
        let publisher = scope.spawn(|| publish_until(&is_over, &fronts));
        let nodes = ways.into_iter().zip(&fronts);
        let _nodes: Vec<_> = nodes
            .map(|(node, front)| replace(node, front, &broker))
            .collect();
        is_over.store(true, Ordering::Relaxed);
        let acknowledged = publisher.join().expect("all is accepted");
        let readers = readers.into_iter().flatten();
        let told: Vec<_> = readers
            .map(|it| it.join().expect("no reader fails"))
            .collect();
        (acknowledged, told)
    });
    let last = acknowledged.last().expect("the last one").clone();
    for (lines, visits) in told {
        assert!(visits >= 1, "nobody closed it");
        let first = messages(&lines).next().expect("a message").0;
        let first = Id::parse(first);
        let (end, skipped) = follow(first.at(first.seq - 1), &lines);
        assert_eq!((end, skipped), (last.clone(), 0));
    }
}

/// The new node takes over before the old one is asked to end; both are one address.
fn replace(mut old: Server, front: &Proxy, broker: &Broker) -> Server {
    let new = start_node(broker.addr(), DRAIN);
    front.lead_to(new.addr);
    old.signal("TERM");
    assert_eq!(old.wait_for_exit().code(), Some(0));
    new
}

fn publish_until(is_over: &AtomicBool, fronts: &[Proxy]) -> Vec<Id> {
    let addrs: Vec<_> = fronts.iter().map(Proxy::addr).collect();
    let mut ids = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let key = format!("k{}", ids.len());
        ids.push(publish_surely(&addrs, "/room/a", &key, &key));
        thread::sleep(PACE);
    }
    ids.push(publish_surely(&addrs, "/room/a", "last", LAST));
    ids
}
