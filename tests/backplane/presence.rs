//! How many listen on other nodes.

use std::time::Duration;

use fanfare::backplane::NODE_TTL;

use crate::node::{Node, Told, broker, settings};
use crate::stream::Broker;

const SECOND: Duration = Duration::from_secs(1);

fn nodes(broker: &mut Broker, count: u64) -> Vec<Node> {
    (0..count)
        .map(|seed| Node::connected(settings(), seed, broker))
        .collect()
}

/// Time goes on for all nodes.
fn pass(nodes: &mut [Node], broker: &mut Broker, time: Duration) {
    let end = nodes[0].now + time;
    while nodes[0].now < end {
        for node in &mut *nodes {
            node.pass(broker, Duration::from_millis(100));
        }
    }
}

fn elsewhere(room: &str, count: usize) -> Told {
    let room = room.to_owned();
    Told::Elsewhere { room, count }
}

fn take_elsewhere(node: &mut Node) -> Vec<Told> {
    let told = node.take_told();
    told.into_iter()
        .filter(|told| matches!(told, Told::Elsewhere { .. }))
        .collect()
}

#[test]
fn listeners_are_summed_over_the_other_nodes() {
    let mut broker = broker(1);
    let mut nodes = nodes(&mut broker, 3);
    nodes[0].backplane.note_count("a", 1);
    nodes[0].backplane.watch_counts("a", true);
    nodes[0].backplane.watch_counts("quiet", true);
    nodes[1].backplane.note_count("a", 20);
    nodes[2].backplane.note_count("a", 300);
    nodes[2].backplane.note_count("b", 4000);
    pass(&mut nodes, &mut broker, 7 * SECOND);
    assert_eq!(
        take_elsewhere(&mut nodes[0]).last(),
        Some(&elsewhere("a", 320))
    );
    assert_eq!(take_elsewhere(&mut nodes[1]), []);
    nodes[2].backplane.note_count("a", 0);
    pass(&mut nodes, &mut broker, 3 * SECOND);
    assert_eq!(take_elsewhere(&mut nodes[0]), [elsewhere("a", 20)]);
    pass(&mut nodes, &mut broker, 60 * SECOND);
    assert_eq!(take_elsewhere(&mut nodes[0]), []);
    nodes[0].backplane.watch_counts("a", false);
    nodes[1].backplane.note_count("a", 7);
    pass(&mut nodes, &mut broker, 3 * SECOND);
    assert_eq!(take_elsewhere(&mut nodes[0]), []);
    nodes[0].backplane.watch_counts("a", true);
    pass(&mut nodes, &mut broker, 3 * SECOND);
    assert_eq!(take_elsewhere(&mut nodes[0]), [elsewhere("a", 7)]);
}

#[test]
fn a_node_that_died_is_out_of_the_sum_in_time() {
    let mut broker = broker(1);
    let mut nodes = nodes(&mut broker, 2);
    nodes[0].backplane.watch_counts("a", true);
    nodes[1].backplane.note_count("a", 5);
    pass(&mut nodes, &mut broker, 7 * SECOND);
    assert_eq!(take_elsewhere(&mut nodes[0]), [elsewhere("a", 5)]);
    nodes.truncate(1);
    pass(&mut nodes, &mut broker, NODE_TTL + SECOND);
    assert_eq!(take_elsewhere(&mut nodes[0]), [elsewhere("a", 0)]);
}

#[test]
fn many_rooms_are_told_and_asked_for_in_portions() {
    let mut broker = broker(1);
    let mut nodes = nodes(&mut broker, 2);
    let rooms: Vec<_> = (0..600).map(|room| format!("room{room}")).collect();
    for room in &rooms {
        nodes[0].backplane.watch_counts(room, true);
        nodes[1].backplane.note_count(room, 2);
    }
    pass(&mut nodes, &mut broker, 7 * SECOND);
    let told = take_elsewhere(&mut nodes[0]);
    assert_eq!(told.len(), rooms.len());
    assert!(rooms.iter().all(|room| told.contains(&elsewhere(room, 2))));
    assert_eq!(broker.counts["HSET"], 3);
}

#[test]
fn counts_stay_as_they_are_while_the_broker_is_away_and_are_told_anew_then() {
    let mut broker = broker(1);
    let mut nodes = nodes(&mut broker, 2);
    nodes[0].backplane.watch_counts("a", true);
    nodes[1].backplane.note_count("a", 5);
    pass(&mut nodes, &mut broker, 7 * SECOND);
    take_elsewhere(&mut nodes[0]);
    broker.cut_all();
    broker.flush_all();
    nodes.iter_mut().for_each(|node| node.is_reachable = false);
    nodes[1].backplane.note_count("a", 6);
    pass(&mut nodes, &mut broker, 30 * SECOND);
    assert_eq!(take_elsewhere(&mut nodes[0]), []);
    nodes.iter_mut().for_each(|node| node.is_reachable = true);
    pass(&mut nodes, &mut broker, 15 * SECOND);
    assert_eq!(
        take_elsewhere(&mut nodes[0]).last(),
        Some(&elsewhere("a", 6))
    );
}
