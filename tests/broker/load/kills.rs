//! A node is killed, and the broker is killed and started again.

use std::thread;

use super::{Nodes, QUIET, alone, duration, under_load};
use crate::broker::{Broker, Kind};
use crate::node::start_node;

const READERS: usize = 999;

#[test]
fn nothing_acknowledged_is_lost_or_doubled_while_a_node_and_the_broker_are_killed() {
    let _alone = alone();
    let Some(mut broker) = Broker::start(Kind::AppendOnly) else {
        return;
    };
    let mut servers: Vec<_> = (0..3).map(|_| start_node(broker.addr(), QUIET)).collect();
    let nodes = Nodes::of(&servers);
    let resumed = under_load(&nodes, READERS, || {
        thread::sleep(duration().mul_f64(0.3));
        broker.kill();
        broker.start_again();
        thread::sleep(duration().mul_f64(0.3));
        nodes.kill(servers.pop().expect("there are three"));
        thread::sleep(duration().mul_f64(0.4));
    });
    // Those of the node that was killed.
    assert!(resumed >= READERS / 4, "{resumed} resumed");
}
