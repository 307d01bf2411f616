//! Clients behind proxies: whose seat a connection takes, request by request, and that every seat is given back.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;

use crate::random::Random;
use crate::world::{Peer, UPGRADE, World};
use fanfare::config::{Config, REFUSED_CLIENTS_MAX};
use fanfare::observe::CloseReason;

const SECOND: Duration = Duration::from_secs(1);
/// A header of version 2 that says that the proxy speaks for itself.
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// A world with these flags.
fn world(flags: &[&str]) -> World {
    let config = Config::try_parse_from([&["fanfare"], flags].concat());
    World::new(config.expect("good flags"))
}

/// Two clients per address, and a trusted proxy.
fn trusting() -> World {
    world(&["--max-clients-per-ip=2", "--trusted-proxy=10.0.0.0/8"])
}

fn proxy() -> SocketAddr {
    ([10, 0, 0, 1], 1).into()
}

fn stranger() -> SocketAddr {
    ([192, 0, 2, 99], 1).into()
}

/// A request on behalf of `client`; on the proxy's own if there is none.
fn get(path: &str, client: &str) -> String {
    let field = match client {
        "" => String::new(),
        client => format!("X-Forwarded-For: {client}\r\n"),
    };
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n{field}\r\n")
}

/// Sends a request on behalf of `client`, whose connection may be kept; the status of the answer.
fn ask(world: &mut World, peer: &Peer, client: &str) -> String {
    peer.send(get("/limits.json", client).as_bytes());
    world.settle();
    let answer = String::from_utf8(peer.take()).unwrap();
    answer.chars().skip(9).take(3).collect()
}

/// A WebSocket of `client` through the proxy; the status of the answer.
fn join(world: &mut World, client: &str) -> (Peer, String) {
    let peer = world.connect_from(proxy());
    let field = format!("\r\nX-Forwarded-For: {client}\r\n\r\n");
    let upgrade = String::from_utf8_lossy(UPGRADE).replace("\r\n\r\n", &field);
    peer.send(upgrade.as_bytes());
    world.settle();
    let answer = String::from_utf8_lossy(&peer.take()).into_owned();
    (peer, answer.chars().skip(9).take(3).collect())
}

fn assert_empty(world: &mut World, peers: &[Peer]) {
    for peer in peers {
        peer.shut();
    }
    // The engine asserts then that all seats are given back.
    world.settle();
    assert_eq!(world.engine.client_count(), 0);
}

#[test]
fn clients_behind_a_trusted_proxy_are_counted_by_their_own_addresses() {
    let mut world = trusting();
    let mut peers = Vec::new();
    for (client, status) in [
        ("192.0.2.1", "101"),
        ("192.0.2.1, 10.0.0.7", "101"),
        ("192.0.2.2", "101"),
        ("192.0.2.9, 192.0.2.1", "503"),
        ("192.0.2.2", "101"),
        ("192.0.2.2", "503"),
        ("2001:db8::1", "101"),
    ] {
        let (peer, answer) = join(&mut world, client);
        assert_eq!(answer, status, "{client}");
        peers.push(peer);
    }
    peers[0].shut();
    world.settle();
    let (peer, answer) = join(&mut world, "192.0.2.1");
    assert_eq!(answer, "101", "the seat is given back");
    peers.push(peer);
    assert_empty(&mut world, &peers);
}

#[test]
fn a_proxys_own_connections_have_no_limit() {
    let mut world = trusting();
    let mut peers: Vec<Peer> = (0..300).map(|_| world.connect_from(proxy())).collect();
    world.settle();
    for (number, peer) in peers.iter().enumerate() {
        let client = format!("198.51.100.{}", number % 150);
        assert_eq!(ask(&mut world, peer, &client), "200", "{number}");
    }
    let one_more = world.connect_from(proxy());
    assert_eq!(ask(&mut world, &one_more, "198.51.100.7"), "503");
    peers.push(one_more);
    assert_empty(&mut world, &peers);
}

#[test]
fn a_stranger_that_forges_an_address_keeps_its_own() {
    let mut world = trusting();
    let mut peers = Vec::new();
    for (forged, status) in [
        ("198.51.100.1", "200"),
        ("10.0.0.1", "200"),
        ("198.51.100.3", "503"),
    ] {
        let peer = world.connect_from(stranger());
        assert_eq!(ask(&mut world, &peer, forged), status, "{forged}");
        peers.push(peer);
    }
    assert_empty(&mut world, &peers);
}

#[test]
fn without_trusted_proxies_nobody_is_asked_for_another_address() {
    let mut world = world(&["--max-clients-per-ip=1"]);
    let mut peers = Vec::new();
    for status in ["200", "503"] {
        let peer = world.connect_from(stranger());
        assert_eq!(ask(&mut world, &peer, "198.51.100.1"), status);
        peers.push(peer);
    }
    assert_empty(&mut world, &peers);
}

#[test]
fn a_kept_connection_moves_to_the_client_of_each_request() {
    let mut world = trusting();
    let kept = world.connect_from(proxy());
    let (first, _) = join(&mut world, "192.0.2.1");
    assert_eq!(ask(&mut world, &kept, "192.0.2.1"), "200");
    let (refused, answer) = join(&mut world, "192.0.2.1");
    assert_eq!(answer, "503", "the kept connection has the second seat");
    assert_eq!(ask(&mut world, &kept, "192.0.2.2"), "200");
    let (second, answer) = join(&mut world, "192.0.2.1");
    assert_eq!(answer, "101", "it has moved");
    assert_eq!(ask(&mut world, &kept, ""), "200", "the proxy's own");
    assert_eq!(ask(&mut world, &kept, "unknown"), "200");
    assert_eq!(ask(&mut world, &kept, "192.0.2.1"), "503");
    assert_empty(&mut world, &[kept, first, refused, second]);
}

#[test]
fn pipelined_requests_of_several_clients_are_each_their_own() {
    let mut world = trusting();
    let members = [
        join(&mut world, "192.0.2.1").0,
        join(&mut world, "192.0.2.1").0,
    ];
    let kept = world.connect_from(proxy());
    let clients = ["192.0.2.2", "192.0.2.3", "192.0.2.1", "192.0.2.4"];
    kept.send(
        clients
            .map(|client| get("/limits.json", client))
            .concat()
            .as_bytes(),
    );
    world.settle();
    let answers = String::from_utf8(kept.take()).unwrap();
    let statuses: Vec<&str> = answers
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|answer| answer.get(..3).unwrap())
        .collect();
    assert_eq!(
        statuses,
        ["200", "200", "503"],
        "a refusal is the last answer"
    );
    assert_empty(&mut world, &[&members[..], &[kept]].concat());
}

#[test]
fn a_publication_is_that_of_its_client_however_it_is_cut() {
    let mut world = trusting();
    let kept = world.connect_from(proxy());
    let post = "POST /room HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\nContent-Length: 5\r\n\r\nhello";
    for _ in 0..2 {
        for byte in post.as_bytes() {
            kept.send(&[*byte]);
            world.settle();
        }
        assert!(kept.take().starts_with(b"HTTP/1.1 200 "));
    }
    assert_eq!(world.engine.metrics().messages(), 2);
    let others = [
        join(&mut world, "192.0.2.1").0,
        join(&mut world, "192.0.2.1").0,
    ];
    assert_eq!(others[1].take(), b"", "the third is refused and closed");
    assert_empty(&mut world, &[&others[..], &[kept]].concat());
}

#[test]
fn an_event_source_without_a_seat_is_put_off() {
    let mut world = trusting();
    let members = [
        join(&mut world, "192.0.2.1").0,
        join(&mut world, "192.0.2.1").0,
    ];
    let source = world.connect_from(proxy());
    source.send(get("/room", "192.0.2.1").as_bytes());
    world.settle();
    let answer = String::from_utf8(source.take()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\nretry: 5000\n\n"), "{answer}");
    assert_empty(&mut world, &[&members[..], &[source]].concat());
}

#[test]
fn so_many_are_told_that_they_have_no_seat_and_the_rest_is_closed() {
    let mut world = trusting();
    let members = [
        join(&mut world, "192.0.2.1").0,
        join(&mut world, "192.0.2.1").0,
    ];
    let told: Vec<Peer> = (0..REFUSED_CLIENTS_MAX)
        .map(|_| {
            let (peer, status) = join(&mut world, "192.0.2.1");
            assert_eq!(status, "503");
            peer
        })
        .collect();
    let (turned_away, status) = join(&mut world, "192.0.2.1");
    assert_eq!(status, "");
    assert!(turned_away.is_closed());
    assert_eq!(world.engine.metrics().turned_away, 1);
    assert_eq!(world.engine.client_count(), 2 + REFUSED_CLIENTS_MAX);
    let (other, status) = join(&mut world, "192.0.2.2");
    assert_eq!(status, "101", "others have their seats");
    assert_empty(&mut world, &[&members[..], &told, &[other]].concat());
}

/// A connection that begins with this.
fn begin(world: &mut World, from: SocketAddr, header: impl AsRef<[u8]>) -> Peer {
    let peer = world.connect_from(from);
    peer.send(header.as_ref());
    world.settle();
    peer
}

fn header(client: &str) -> String {
    format!("PROXY TCP4 {client} 192.0.2.99 1234 80\r\n")
}

#[test]
fn a_proxy_header_names_whose_seat_it_is() {
    let mut world = world(&["--max-clients-per-ip=2", "--proxy-protocol"]);
    let mut peers = Vec::new();
    for (client, status) in [
        ("198.51.100.1", "200"),
        ("198.51.100.1", "200"),
        ("198.51.100.1", "503"),
        ("198.51.100.2", "200"),
        ("198.51.100.3", "200"),
    ] {
        let peer = begin(&mut world, stranger(), header(client));
        assert_eq!(ask(&mut world, &peer, "198.51.100.9"), status, "{client}");
        peers.push(peer);
    }
    assert_empty(&mut world, &peers);
}

#[test]
fn a_header_and_requests_may_come_together_or_byte_by_byte() {
    for read_max in [1, usize::MAX] {
        let mut world = world(&["--proxy-protocol"]);
        let peer = world.connect_from(stranger());
        peer.socket().read_max = read_max;
        let requests = [header("198.51.100.1"), get("/limits.json", "").repeat(2)].concat();
        peer.send(requests.as_bytes());
        world.settle();
        let answers = String::from_utf8(peer.take()).unwrap();
        assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 2);
        assert_empty(&mut world, &[peer]);
    }
}

#[test]
fn a_proxy_that_speaks_for_itself_has_its_own_address() {
    let mut world = world(&["--max-clients-per-ip=1", "--proxy-protocol"]);
    let mut peers = Vec::new();
    for (header, status) in [(LOCAL, "200"), (b"PROXY UNKNOWN\r\n", "503")] {
        let peer = world.connect_from(stranger());
        peer.send(header);
        assert_eq!(ask(&mut world, &peer, ""), status);
        peers.push(peer);
    }
    assert_empty(&mut world, &peers);
}

#[test]
fn connections_that_have_not_named_their_client_take_no_seat_of_their_proxys_address() {
    let mut world = world(&["--max-clients-per-ip=1", "--proxy-protocol"]);
    let silent = world.connect_from(stranger());
    world.settle();
    let peers: Vec<Peer> = (1..5).map(|_| world.connect_from(stranger())).collect();
    for (number, peer) in peers.iter().enumerate() {
        peer.send(header(&format!("198.51.100.{number}")).as_bytes());
        assert_eq!(ask(&mut world, peer, ""), "200", "{number}");
    }
    let own = begin(&mut world, stranger(), LOCAL);
    assert_eq!(ask(&mut world, &own, ""), "200");
    silent.send(header("198.51.100.1").as_bytes());
    assert_eq!(ask(&mut world, &silent, ""), "503");
    assert_empty(&mut world, &[&peers[..], &[silent, own]].concat());
}

#[test]
fn what_is_no_proxy_header_is_closed_at_once_without_an_answer() {
    for bytes in [
        get("/", "").as_bytes(),
        b"PROXY TCP4 192.0.2.1 192.0.2.2 80\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
        &b"PROXY UNKNOWN "
            .iter()
            .chain(&[b'x'; 100])
            .copied()
            .collect::<Vec<u8>>(),
    ] {
        let mut world = world(&["--proxy-protocol"]);
        let peer = begin(&mut world, stranger(), bytes);
        assert_eq!(peer.take(), b"");
        assert!(peer.socket().server_has_shut, "{bytes:?}");
        assert_empty(&mut world, &[peer]);
        let closed = world.engine.metrics().closed(CloseReason::ProxyHeader);
        assert_eq!(closed, 1);
    }
}

#[test]
fn a_header_and_the_first_request_are_due_together() {
    let mut world = world(&["--proxy-protocol", "--request-timeout=10s"]);
    let silent = world.connect_from(stranger());
    let slow = begin(&mut world, stranger(), "PROXY");
    let late = begin(&mut world, stranger(), "");
    world.pass(9 * SECOND);
    slow.send(b" TCP4");
    late.send(header("198.51.100.1").as_bytes());
    world.settle();
    late.send(b"GET /");
    world.pass(2 * SECOND);
    for peer in [&silent, &slow] {
        assert_eq!(peer.take(), b"");
        assert!(peer.socket().server_has_shut);
    }
    assert!(late.take().starts_with(b"HTTP/1.1 408 "));
    assert_empty(&mut world, &[silent, slow, late]);
    let metrics = world.engine.metrics();
    assert_eq!(metrics.closed(CloseReason::ProxyHeader), 2);
}

#[test]
fn a_peer_that_goes_before_its_header_is_just_gone() {
    let mut world = world(&["--proxy-protocol"]);
    let peers = [
        begin(&mut world, stranger(), ""),
        begin(&mut world, stranger(), "PROXY"),
        begin(&mut world, stranger(), LOCAL),
    ];
    assert_empty(&mut world, &peers);
    let metrics = world.engine.metrics();
    assert_eq!(metrics.closed(CloseReason::PeerGone), 3);
}

#[test]
fn a_header_counts_only_from_trusted_proxies_where_there_are_any() {
    let flags = [
        "--max-clients-per-ip=1",
        "--proxy-protocol",
        "--trusted-proxy=10.0.0.0/8",
    ];
    let mut world = world(&flags);
    let untrusted = begin(&mut world, stranger(), header("198.51.100.1"));
    assert!(untrusted.is_closed());
    assert_eq!(world.engine.metrics().turned_away, 1);
    // The client's address need not be trusted; if it is, it may name another one.
    let client = begin(&mut world, proxy(), header("198.51.100.1"));
    assert_eq!(ask(&mut world, &client, "198.51.100.9"), "200");
    let [refused, inner] = [(); 2].map(|()| begin(&mut world, proxy(), header("10.0.0.2")));
    assert_eq!(ask(&mut world, &refused, "198.51.100.1"), "503");
    assert_eq!(ask(&mut world, &inner, "198.51.100.2"), "200");
    let own = begin(&mut world, proxy(), LOCAL);
    assert_eq!(ask(&mut world, &own, ""), "200");
    assert_empty(&mut world, &[client, refused, inner, own]);
}

#[test]
fn a_drain_says_nothing_to_a_proxy_that_has_not_begun() {
    let mut world = world(&["--proxy-protocol"]);
    let peer = begin(&mut world, stranger(), "PROXY");
    world.begin_shutdown();
    world.pass(10 * SECOND);
    assert_eq!(peer.take(), b"");
    assert!(world.engine.is_shut_down());
}

/// Any requests for any clients over any connections, against a model that counts seats by address.
#[test]
fn every_seat_is_that_of_the_last_request_and_all_are_given_back() {
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let mut world = trusting();
        let mut peers: Vec<(Peer, usize)> = Vec::new();
        for _ in 0..100 {
            match random.below(10) {
                0..3 => peers.push((world.connect_from(proxy()), 0)),
                3 if !peers.is_empty() => {
                    let (peer, _) = peers.swap_remove(random.below(peers.len()));
                    peer.shut();
                    world.settle();
                }
                _ if !peers.is_empty() => {
                    // The proxy itself, and four clients.
                    let client = random.below(5);
                    let asked = random.below(peers.len());
                    peers[asked].1 = 0;
                    let seats = peers.iter().filter(|(_, other)| *other == client).count();
                    let has_seat = client == 0 || seats < 2;
                    let addr = format!("192.0.2.{client}");
                    let addr = if client == 0 { "" } else { &addr };
                    let peer = peers[asked].0.clone();
                    let status = ask(&mut world, &peer, addr);
                    assert_eq!(status, if has_seat { "200" } else { "503" }, "seed {seed}");
                    match has_seat {
                        true => peers[asked].1 = client,
                        false => {
                            peers.swap_remove(asked);
                            peer.shut();
                            world.settle();
                        }
                    }
                }
                _ => {}
            }
        }
        let peers: Vec<Peer> = peers.into_iter().map(|(peer, _)| peer).collect();
        assert_empty(&mut world, &peers);
    }
}
