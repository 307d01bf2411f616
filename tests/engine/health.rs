//! Whether the server lives, and whether it takes new clients: who is told, and when.

use crate::world::publisher::take_answer;
use crate::world::{Peer, World, find};
use fanfare::config::Config;

fn ask(peer: &Peer, world: &mut World, method: &str, path: &str) {
    let origin = "Origin: https://foreign.example\r\nSec-Fetch-Site: cross-site\r\n";
    peer.send(format!("{method} {path} HTTP/1.1\r\nHost: a\r\n{origin}\r\n").as_bytes());
    world.settle();
}

fn answer(peer: &Peer, world: &mut World, path: &str) -> (u16, String) {
    ask(peer, world, "GET", path);
    take_answer(peer).expect("an answer")
}

fn good(line: &str) -> (u16, String) {
    (200, line.to_owned())
}

#[test]
fn both_are_told_everywhere_without_a_question_for_the_origin() {
    let mut world = World::with(|_| {});
    for peer in [world.connect(), world.connect_admin()] {
        for (path, line) in [("/healthz", "ok"), ("/readyz", "ready")] {
            assert_eq!(answer(&peer, &mut world, path), good(line));
            ask(&peer, &mut world, "GET", path);
            let whole = String::from_utf8(peer.take()).unwrap();
            assert!(whole.contains("\r\nCache-Control: no-store\r\n"), "{whole}");
            assert!(whole.contains("\r\nContent-Type: text/plain; "), "{whole}");
            assert!(whole.ends_with(&format!("\r\n\r\n{line}\n")), "{whole}");
            ask(&peer, &mut world, "HEAD", path);
            let head = peer.take();
            assert_eq!(find(&head, b"\r\n\r\n"), Some(head.len() - 4));
            assert!(head.starts_with(b"HTTP/1.1 200 "));
            ask(&peer, &mut world, "DELETE", path);
            let refused = String::from_utf8(peer.take()).unwrap();
            assert!(refused.starts_with("HTTP/1.1 405 "), "{refused}");
            assert!(refused.contains("\r\nAllow: GET, HEAD\r\n"), "{refused}");
        }
        assert!(!peer.is_closed());
    }
}

#[test]
fn each_listener_serves_what_is_for_its_peers_alone() {
    let mut world = World::with(|config| config.chat.echo = true);
    let public = world.connect();
    assert_eq!(answer(&public, &mut world, "/metrics").0, 404);
    let admin = world.connect_admin();
    for path in [
        "/",
        "/ws",
        "/ws/a",
        "/room",
        "/echo",
        "/limits.json",
        "/nothing",
    ] {
        assert_eq!(answer(&admin, &mut world, path).0, 404, "{path}");
    }
    ask(&admin, &mut world, "POST", "/metrics");
    assert_eq!(take_answer(&admin).unwrap().0, 405);
}

#[test]
fn a_connection_without_a_seat_is_told_that_the_server_lives_and_nothing_else() {
    let mut world = World::with_limit(Config::default(), 1);
    let _member = world.join();
    for (method, path, status) in [
        ("GET", "/healthz", 200),
        ("HEAD", "/healthz", 200),
        ("POST", "/healthz", 503),
        ("GET", "/readyz", 503),
        ("GET", "/metrics", 503),
        ("GET", "/", 503),
    ] {
        let peer = world.connect();
        ask(&peer, &mut world, method, path);
        let whole = String::from_utf8(peer.take()).unwrap();
        assert!(whole.starts_with(&format!("HTTP/1.1 {status} ")), "{path}");
        assert!(whole.contains("\r\nConnection: close\r\n"), "{whole}");
        peer.shut();
        world.settle();
        assert!(peer.is_closed(), "its place is for the next one");
    }
}

#[test]
fn a_server_that_drains_lives_and_is_not_ready() {
    let mut world = World::with(|_| {});
    let probes = [(); 4].map(|()| world.connect_admin());
    let public = world.connect();
    for probe in probes.iter().chain([&public]) {
        assert_eq!(answer(probe, &mut world, "/readyz"), good("ready"));
    }
    // So many that the probes' time to be closed has not come.
    let _members = [(); 50].map(|()| world.join());
    world.begin_shutdown();
    let mut ask = |peer: &Peer, path: &str| {
        peer.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        world.turn();
        take_answer(peer).expect("an answer")
    };
    let [life, readiness, metrics, other] = probes;
    assert_eq!(ask(&life, "/healthz"), good("ok"));
    assert_eq!(ask(&readiness, "/readyz"), (503, "draining".to_owned()));
    let (status, text) = ask(&metrics, "/metrics");
    assert_eq!(status, 200);
    assert!(
        text.contains("fanfare_clients{transport=\"websocket\"} 50\n"),
        "{text}"
    );
    assert_eq!(ask(&other, "/nothing").0, 404);
    assert_eq!(ask(&public, "/").0, 503);
}
