//! Those who watch the server watch it too much.

use std::thread;

use fanfare::config::ADMIN_CLIENTS_MAX;

use crate::common::Peer;
use crate::common::wire::get;
use crate::scene::Scene;

/// How many scrapes there are in all.
const SCRAPES: usize = 10_000;

#[test]
fn scrapes_without_a_pause_on_every_seat_of_the_admin() {
    let scene = Scene::start(&["--admin-addr", "127.0.0.1:0"]);
    let scrape_all = |mut peer: Peer| {
        for _ in 0..SCRAPES / ADMIN_CLIENTS_MAX {
            peer.send(get("/metrics"));
            let response = peer.response();
            assert_eq!(response.status, 200, "{response:?}");
            assert!(response.body.ends_with(b"# EOF\n"));
        }
    };
    let seats: Vec<Peer> = (0..ADMIN_CLIENTS_MAX)
        .map(|_| scene.server.connect_admin())
        .collect();
    let watching: Vec<_> = seats
        .into_iter()
        .map(|peer| thread::spawn(move || scrape_all(peer)))
        .collect();
    for watcher in watching {
        watcher.join().expect("every scrape is answered");
    }
    scene.end("scrapes on every seat of the admin");
}
