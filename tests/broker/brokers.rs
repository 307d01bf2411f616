//! Brokers of several kinds, and users and names by which nodes reach them.

use crate::broker::{Broker, Kind};
use crate::common::eventually;
use crate::common::rooms::Listener;
use crate::node::{start_node, start_unready, wait_until_ready};
use crate::record::{LAST, read_on};

/// What all of it is for: two nodes by this URL, where one hears and counts what is on the other.
fn expect_two_nodes(url: &str) {
    let nodes = [(); 2].map(|()| start_unready(url, &[]));
    nodes.iter().for_each(wait_until_ready);
    let mut reader = nodes[0].listen_v1("/ws/a?here=1");
    let begin = reader.expect_fresh();
    let _other = nodes[1].listen_sse("/room/a");
    while reader.line() != ":here 2" {}
    let id = nodes[1].publish("/room/a", "hello");
    reader.expect(&[format!("{id} hello")]);
    assert_eq!(id, begin.at(1));
}

#[test]
fn a_user_of_the_access_list_has_all_the_rights_that_nodes_need() {
    let list = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/valkey.acl");
    let Some(broker) = Broker::start_with(Kind::AppendOnly, &["--aclfile", list]) else {
        return;
    };
    expect_two_nodes(&format!("redis://fanfare:change-me@{}", broker.addr()));
}

#[test]
fn a_password_with_any_characters_and_a_database() {
    let password = "a:/@%#?&é";
    let Some(broker) = Broker::start_with(Kind::Memory, &["--requirepass", password]) else {
        return;
    };
    let addr = broker.addr();
    expect_two_nodes(&format!("redis://:a%3A%2F%40%25%23%3F%26%C3%A9@{addr}/3"));
    let mut resp = broker.connect();
    resp.ask(&["AUTH", password]);
    assert_eq!(resp.ask(&["DBSIZE"]).number(), 0);
    resp.ask(&["SELECT", "3"]);
    assert_eq!(resp.ask(&["EXISTS", "{fanfare}:stream"]).number(), 1);
}

#[test]
fn a_broker_by_its_name() {
    let Some(broker) = Broker::start(Kind::Memory) else {
        return;
    };
    expect_two_nodes(&format!("redis://localhost:{}", broker.addr().port()));
}

#[test]
fn a_server_of_a_cluster_that_owns_the_slot() {
    let Some(broker) = Broker::start(Kind::Cluster) else {
        return;
    };
    let mut resp = broker.connect();
    resp.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    eventually("the cluster is up", || {
        let about = resp.ask(&["CLUSTER", "INFO"]);
        about.text().contains("state:ok").then_some(())
    });
    expect_two_nodes(&format!("redis://{}", broker.addr()));
}

#[test]
fn two_services_with_prefixes_of_their_own_share_a_broker_and_nothing_else() {
    let Some(broker) = Broker::start(Kind::Memory) else {
        return;
    };
    let prefixes = ["one", "two"];
    let nodes = prefixes.map(|it| start_node(broker.addr(), &["--backplane-prefix", it]));
    let mut readers = nodes.each_ref().map(|node| node.listen_v1("/ws/a"));
    let begin = readers.each_mut().map(Listener::expect_fresh);
    assert_ne!(begin[0].epoch, begin[1].epoch);
    for (node, prefix) in nodes.iter().zip(prefixes) {
        node.publish("/room/a", prefix);
        node.publish("/room/a", LAST);
    }
    for ((reader, begin), prefix) in readers.iter_mut().zip(begin).zip(prefixes) {
        let expected =
            [(1, prefix), (2, LAST)].map(|(seq, text)| format!("{} {text}", begin.at(seq)));
        assert_eq!(read_on(reader, LAST), expected);
    }
}
