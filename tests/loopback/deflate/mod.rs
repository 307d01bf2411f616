//! Compression (permessage-deflate, RFC 7692) over raw sockets, with `flate2` as the other implementation.

mod agreement;
mod clients;
mod inbound;
mod laggards;
mod mixed;
mod outbound;

use crate::common::deflate::DEFLATE_OFFER;
use crate::common::rooms::Listener;
use crate::common::{Peer, Server};
use crate::random::Random;

/// A server that compresses.
fn server(flags: &[&str]) -> Server {
    Server::start(&[&["--deflate"], flags].concat())
}

/// A server on which a reader may be far behind, or is given up soon.
fn slow_server(flags: &[&str]) -> Server {
    let common = [
        "--max-message",
        "32KiB",
        "--send-buffer",
        "64KiB",
        "--write-wait",
        "1h",
        "--pong-wait",
        "2h",
        "--ping-period",
        "1h",
    ];
    server(&[&common, flags].concat())
}

/// The field that offers a window of so many bits.
fn offer(window_bits: u8) -> String {
    format!("{DEFLATE_OFFER}; server_max_window_bits={window_bits}")
}

/// A reader at `path` that inflates.
fn join_deflated(server: &Server, path: &str) -> Peer {
    deflated(server.connect(), path)
}

/// The same on a connection on which nothing has been said.
fn deflated(peer: Peer, path: &str) -> Peer {
    let peer = peer.upgraded_with(path, &[DEFLATE_OFFER]);
    assert!(peer.window_bits().is_some(), "{path}");
    peer
}

/// A reader at `path` that knows ids and inflates.
fn listen_deflated(server: &Server, path: &str) -> Listener {
    let listener = Listener::v1_with(server.connect(), path, &[DEFLATE_OFFER]);
    assert!(listener.peer.window_bits().is_some(), "{path}");
    listener
}

/// A text of so many bytes that shrinks to a few.
fn smooth(len: usize) -> String {
    "{\"kind\":\"tick\",\"price\":12.5}"
        .chars()
        .cycle()
        .take(len)
        .collect()
}

/// A text of so many bytes that shrinks to about half and no further, unlike all others.
fn rough(len: usize, random: &mut Random) -> String {
    let digit = |_| char::from(*random.pick(b"0123456789abcdef"));
    (0..len).map(digit).collect()
}
