//! `packaging/haproxy.cfg` as it stands there, in front of two servers. They share no broker here:
//! all that HAProxy knows of a node is whether it lives, and whether it is ready.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use crate::common::rooms::{Id, post};
use crate::common::wire::get;
use crate::common::{Server, eventually};
use crate::proxies::{Proxy, Recipe};

const CONFIG: &str = include_str!("../../packaging/haproxy.cfg");
const CLIENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

/// HAProxy in front of two nodes; `None` where there is none.
fn start(flags: &[&str]) -> Option<(Server, Server, Proxy)> {
    let mut recipe = Recipe::parse(CONFIG).expect("it is one of HAProxy");
    let [a, b] = [(); 2].map(|()| recipe.start_server_with(flags));
    let port = format!(":{}", b.addr.port());
    recipe.text = recipe.text.replace(":8081", &port);
    assert_eq!(recipe.text.matches(&port).count(), 2, "{}", recipe.text);
    let proxy = Proxy::start(&recipe, &a)?;
    Some((a, b, proxy))
}

/// The epoch of the node that publishes. Without a broker each has its own.
fn publish(proxy: &Proxy) -> String {
    let mut peer = proxy.connect_from(CLIENT);
    peer.send(post("/room/a", "hello"));
    let response = peer.response();
    assert_eq!(response.status, 200, "{response:?}");
    let id = String::from_utf8(response.body).expect("text");
    Id::parse(id.trim_end()).epoch
}

#[test]
fn requests_go_to_both_nodes_and_then_to_the_one_that_is_left() {
    let Some((a, b, proxy)) = start(&[]) else {
        return;
    };
    let mut epochs = BTreeSet::new();
    eventually("both nodes publish", || {
        epochs.insert(publish(&proxy));
        (epochs.len() == 2).then_some(())
    });
    let left = a.publish("/room/a", "hello").epoch;
    drop(b);
    for _ in 0..4 {
        assert_eq!(publish(&proxy), left);
    }
}

#[test]
fn while_no_node_is_ready_one_that_lives_is_reached() {
    let Some((a, b, proxy)) = start(&["--drain-delay", "1h"]) else {
        return;
    };
    for node in [&a, &b] {
        node.signal("TERM");
    }
    proxy.wait_for_log("backend 'ready' has no server available");
    publish(&proxy);
    let mut reader = proxy.connect_from(CLIENT);
    reader.send(get("/room/a"));
    assert_eq!(reader.response_without_body().status, 200);
}
