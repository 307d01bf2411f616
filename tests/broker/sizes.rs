//! The largest publications and the longest messages: what is read at once is bounded, and all of it arrives.

use std::thread;

use crate::broker::{Broker, Kind};
use crate::common::Server;
use crate::common::rooms::{Id, follow};
use crate::failing::outages;
use crate::node::{publish_surely, start_node};
use crate::proxy::Proxy;
use crate::record::{LAST, read_on, read_to_the_last};

/// As much as may be published at once, in lines.
const LINES: usize = 512;
const LINE_LEN: usize = 511;
/// More than one reply of the broker may have.
const PUBLICATIONS: usize = 60;

const ROOMY: &[&str] = &[
    "--history",
    "100000",
    "--history-size",
    "64MiB",
    "--max-history",
    "256MiB",
    "--send-queue",
    "100000",
    "--max-queued",
    "1GiB",
    "--backplane-wait",
    "30s",
];

fn publish_much(node: &Server) {
    let line = "x".repeat(LINE_LEN);
    let body = vec![line; LINES].join("\n");
    thread::scope(|scope| {
        for publisher in 0..4 {
            let (body, node) = (&body, [node.addr]);
            scope.spawn(move || {
                for number in 0..PUBLICATIONS / 4 {
                    // With a key all lines are one entry.
                    let key = format!("{publisher}-{number}");
                    publish_surely(&node, "/room/a?lines=1", &key, body);
                }
            });
        }
    });
}

fn expect_all(lines: &[String], last: &Id) {
    let (end, skipped) = follow(last.at(0), lines);
    assert_eq!((&end, skipped), (last, 0));
    assert_eq!(end.seq as usize, PUBLICATIONS * LINES + 1);
}

#[test]
fn more_than_a_reply_may_have_is_read_in_parts() {
    let Some(broker) = Broker::start(Kind::Memory) else {
        return;
    };
    let way = Proxy::to(broker.addr());
    let [near, far] = [broker.addr(), way.addr()].map(|addr| start_node(addr, ROOMY));
    let readers = [&near, &far].map(|node| {
        let mut reader = node.listen_v1("/ws/a");
        assert_eq!(reader.expect_fresh().seq, 0);
        read_to_the_last(reader)
    });
    // All that this node misses is there at once when it comes back.
    way.close();
    publish_much(&near);
    way.mend();
    let last = near.publish("/room/a", LAST);
    for reader in readers {
        expect_all(&reader.join().expect("it is not closed"), &last);
    }
    let late = start_node(broker.addr(), ROOMY);
    let mut reader = late.listen_v1(&format!("/ws/a?since={}", last.at(0)));
    assert_eq!(reader.line(), format!(":resumed {}", last.at(0)));
    expect_all(&read_on(&mut reader, LAST), &last);
    drop(reader);
    outages(near, 0);
    // It asks for fewer entries from then on.
    let reason = outages(late, 1).concat();
    assert!(reason.contains("a reply is too large"), "{reason}");
}
