//! The admin address, probes and what SIGHUP reads anew, all together on a server that runs.

mod exempt;
mod health;
mod probes;
mod reload;
mod scrapes;
mod secrets;

use crate::common::Peer;
use crate::common::wire::get;
use crate::openmetrics::{Exposition, parse};

/// What a request for the counters is answered with on this connection.
fn scrape(peer: &mut Peer) -> Exposition {
    let text = scrape_text(peer);
    parse(&text).unwrap_or_else(|error| unreachable!("{error}\n{text}"))
}

fn scrape_text(peer: &mut Peer) -> String {
    peer.send(get("/metrics"));
    let response = peer.response();
    assert_eq!(response.status, 200, "{response:?}");
    String::from_utf8(response.body).expect("it is UTF-8")
}

/// The status of the answer to a request for this path.
fn status(mut peer: Peer, path: &str) -> u16 {
    peer.send(get(path));
    peer.response().status
}
