//! What a scrape tells is what raw peers did and got.

use super::{scrape, status};
use crate::common::deflate::DEFLATE_OFFER;
use crate::common::rooms::post;
use crate::common::wire::close;
use crate::common::{Peer, eventually};
use crate::listeners::with_admin;

#[test]
fn the_counters_are_told_on_the_admin_address_and_nowhere_else() {
    let server = with_admin(&[]);
    let mut admin = server.connect_admin();
    let turns = |admin: &mut Peer| scrape(admin).value("fanfare_turn_seconds_count");
    let before = turns(&mut admin);
    assert!(turns(&mut admin) > before);
    assert_eq!(status(server.connect(), "/metrics"), 404);
}

#[test]
fn each_client_is_one_more_and_has_one_descriptor() {
    const CROWD: usize = 25;
    let server = with_admin(&[]);
    let mut admin = server.connect_admin();
    let before = scrape(&mut admin);
    assert_eq!(before.sum("fanfare_clients"), 1.0, "the one that asks");
    let has_clients = |admin: &mut Peer, count: usize| {
        eventually("the kernel is asked again", || {
            let told = scrape(admin);
            let members = told.value("fanfare_clients{transport=\"websocket\"}");
            assert_eq!(told.sum("fanfare_clients"), members + 1.0);
            let descriptors = told.value("process_open_fds") - before.value("process_open_fds");
            (members == count as f64 && descriptors == members).then_some(())
        });
    };
    let members: Vec<Peer> = (0..CROWD).map(|_| server.join()).collect();
    has_clients(&mut admin, CROWD);
    drop(members);
    has_clients(&mut admin, 0);
}

#[test]
fn the_bytes_that_were_sent_are_those_that_peers_read() {
    let server = with_admin(&["--deflate", "--deflate-min", "20B"]);
    let mut lines = server.join();
    let [mut listener, mut events] = server.listen_both("");
    listener.expect_fresh();
    events.expect_fresh();
    let mut deflated = server.connect().upgraded_with("/ws", &[DEFLATE_OFFER]);
    let mut publisher = server.connect();
    for number in 0..20 {
        let text = format!("message {number} {}.", "xyz".repeat(number));
        publisher.send(post("/room", &text));
        let id = publisher.expect_id();
        assert_eq!(lines.hear(), text);
        assert_eq!(deflated.hear(), text);
        let line = [format!("{id} {text}")];
        listener.expect(&line);
        events.expect(&line);
    }
    lines.send(close(1000, b""));
    lines.expect_close(1000);
    let mut refused = server.connect();
    refused.send("nonsense\r\n\r\n");
    refused.expect_refusal(400);
    let mut earlier = server.connect_admin();
    for _ in 0..3 {
        scrape(&mut earlier);
    }
    let mut admin = server.connect_admin();
    for _ in 0..3 {
        let [listener, events] = [&listener.peer, &events.peer];
        let websockets = [&lines, listener, &deflated];
        let others = [events, &publisher, &refused, &earlier, &admin];
        let received = websockets.iter().chain(&others);
        let received: usize = received.map(|peer| peer.received_len()).sum();
        let told = scrape(&mut admin);
        assert_eq!(told.value("fanfare_sent_bytes_total"), received as f64);
        let compressed = |end| told.value(&format!("fanfare_deflate_{end}_bytes_total"));
        assert!(0.0 < compressed("output"));
        assert!(compressed("output") < compressed("input"));
    }
}
