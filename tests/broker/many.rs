//! Many rooms at once: all of them are asked for anew when the broker is back, and those who wait are let in.

use crate::broker::{Broker, Kind};
use crate::common::rooms::{Listener, post};
use crate::node::{start_node, wait_until_ready, wait_until_unready};
use crate::proxy::Proxy;

const ROOMS: usize = 1_500;
const FLAGS: &[&str] = &["--log", "info"];

#[test]
fn an_outage_with_many_rooms_ends_for_all_of_them() {
    let Some(broker) = Broker::start(Kind::Memory) else {
        return;
    };
    let way = Proxy::to(broker.addr());
    let [near, far] = [broker.addr(), way.addr()].map(|addr| start_node(addr, FLAGS));
    let join = |number| far.listen_v1(&format!("/ws/r{number}?here=1"));
    let mut readers: Vec<_> = (0..ROOMS).map(join).collect();
    let begun: Vec<_> = readers.iter_mut().map(Listener::expect_fresh).collect();
    way.close();
    wait_until_unready(&far);
    // Half of the rooms are known to the node, the other half to nobody.
    let waiting = |number| far.listen_v1(&format!("/ws/r{number}"));
    let mut waiting: Vec<_> = (ROOMS / 2..ROOMS * 3 / 2).map(waiting).collect();
    let mut publisher = near.connect();
    for (number, begin) in begun.iter().enumerate() {
        let path = format!("/room/r{number}");
        publisher.send(post(&path, "missed"));
        assert_eq!(publisher.expect_id(), begin.at(1));
    }
    way.mend();
    wait_until_ready(&far);
    for (reader, begin) in readers.iter_mut().zip(&begun) {
        let line = message_of(reader);
        assert_eq!(line, format!("{} missed", begin.at(1)));
    }
    for (number, reader) in (ROOMS / 2..).zip(&mut waiting) {
        let position = reader.expect_fresh();
        assert_eq!(position.seq, u64::from(number < ROOMS));
        if let Some(begin) = begun.get(number) {
            assert_eq!(position, begin.at(1));
        }
    }
    // All are counted where they are not.
    let mut other = near.listen_v1("/ws/r0?here=1");
    other.expect_fresh();
    while other.line() != ":here 2" {}
}

/// The next line but for counts.
fn message_of(reader: &mut Listener) -> String {
    loop {
        let line = reader.line();
        if !line.starts_with(":here ") {
            return line;
        }
    }
}
