//! Those who watch the server reach it when it is full and when it goes away, and are told the truth.

use std::net::TcpStream;

use super::status;
use crate::common::rooms::post;
use crate::common::wire::TEXT;
use crate::common::{Peer, Server, eventually};
use crate::listeners::with_admin;

/// What the admin and the public are told of health, readiness and the counters.
fn statuses(connect: impl Fn() -> Peer) -> [u16; 3] {
    ["/healthz", "/readyz", "/metrics"].map(|path| status(connect(), path))
}

fn wait_until_refused(server: &Server) {
    eventually("the public address refuses connections", || {
        TcpStream::connect(server.addr).is_err().then_some(())
    });
}

#[test]
fn a_full_server_is_well_and_says_so_to_those_who_operate_it() {
    let server = with_admin(&["--max-clients", "1"]);
    let _member = server.join();
    server.expect_no_seat();
    for _ in 0..3 {
        assert_eq!(statuses(|| server.connect_admin()), [200; 3]);
    }
}

#[test]
fn a_drain_is_watched_to_its_end() {
    let mut server = with_admin(&["--drain", "1h"]);
    let members = [server.join(), server.join(), server.join()];
    assert_eq!(statuses(|| server.connect_admin()), [200; 3]);
    server.signal("TERM");
    wait_until_refused(&server);
    for _ in 0..20 {
        assert_eq!(statuses(|| server.connect_admin()), [200, 503, 200]);
    }
    drop(members);
    assert_eq!(server.wait_for_exit().code(), Some(0));
    assert!(TcpStream::connect(server.admin_addr()).is_err());
}

#[test]
fn while_a_drain_is_announced_all_is_served_and_nobody_is_to_be_sent_here() {
    let mut server = with_admin(&["--drain-delay", "1h"]);
    let mut early = server.join();
    server.signal("TERM");
    server.wait_for_log(&["shutting down"]);
    for _ in 0..5 {
        assert_eq!(statuses(|| server.connect_admin()), [200, 503, 200]);
        assert_eq!(statuses(|| server.connect()), [200, 503, 404]);
        let mut late = server.join();
        let mut publisher = server.connect();
        publisher.send(post("/room", "hello"));
        publisher.expect_id();
        late.expect_frame(TEXT, b"hello");
        early.expect_frame(TEXT, b"hello");
    }
    // The second signal does not wait.
    server.signal("TERM");
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn behind_the_delay_the_public_address_refuses_connections() {
    let server = with_admin(&["--drain-delay", "500ms", "--drain", "1h"]);
    let _members = [server.join(), server.join(), server.join()];
    server.signal("TERM");
    wait_until_refused(&server);
    assert_eq!(statuses(|| server.connect_admin()), [200, 503, 200]);
}
