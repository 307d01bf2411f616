//! Nodes: servers that share a broker, and what is published on them until it is known to be in the stream.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::rooms::{Id, post_with};
use crate::common::wire::get;
use crate::common::{Peer, Server, eventually, fanfare};

/// What a node logs once for each outage, and once when it is over.
pub(crate) const AWAY: &str = "the backplane is away";
pub(crate) const THERE: &str = "the backplane is there";

/// How long a publication is repeated until it is accepted.
const REPEAT_PATIENCE: Duration = Duration::from_secs(60);
/// How long a publisher waits before it repeats a publication.
const REPEAT_WAIT: Duration = Duration::from_millis(50);

/// A node that is ready.
pub(crate) fn start_node(broker: SocketAddr, flags: &[&str]) -> Server {
    let node = start_unready(&format!("redis://{broker}"), flags);
    wait_until_ready(&node);
    node
}

/// A node, whatever becomes of the broker at this address.
pub(crate) fn start_unready(url: &str, flags: &[&str]) -> Server {
    let mut command = fanfare();
    command
        .args(["--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"])
        .args(["--backplane", url])
        .args(flags);
    Server::spawn(command)
}

pub(crate) fn wait_until_ready(node: &Server) {
    eventually("the node is ready", || is_ready(node).then_some(()));
}

pub(crate) fn wait_until_unready(node: &Server) {
    eventually("the node is not ready", || (!is_ready(node)).then_some(()));
}

pub(crate) fn is_ready(node: &Server) -> bool {
    match status(node.connect(), "/readyz") {
        200 => true,
        503 => false,
        other => unreachable!("/readyz is {other}"),
    }
}

/// The status of the answer to a request for this path.
pub(crate) fn status(mut peer: Peer, path: &str) -> u16 {
    peer.send(get(path));
    peer.response().status
}

/// Publishes until it is accepted, under one key, so that it is published once.
pub(crate) fn publish_surely(addrs: &[SocketAddr], path: &str, key: &str, text: &str) -> Id {
    let field = format!("Idempotency-Key: {key}");
    let request = post_with(path, &[&field], text);
    let deadline = Instant::now() + REPEAT_PATIENCE;
    for addr in addrs.iter().cycle() {
        if let Some(id) = try_publish(*addr, &request) {
            return id;
        }
        assert!(Instant::now() < deadline, "{text} is never accepted");
        thread::sleep(REPEAT_WAIT);
    }
    unreachable!("there is an address")
}

/// `None` if the broker is away, or the node has ended by now.
fn try_publish(addr: SocketAddr, request: &[u8]) -> Option<Id> {
    let mut peer = Peer::connect(addr);
    if !peer.is_answered(request) {
        return None;
    }
    let response = peer.response();
    if response.status == 503 {
        assert!(response.field("retry-after").is_some(), "{response:?}");
        return None;
    }
    assert_eq!(response.status, 200, "{response:?}");
    let body = String::from_utf8(response.body).expect("an id is ASCII");
    Some(Id::parse(body.trim_end()))
}
