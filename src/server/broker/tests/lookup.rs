//! Names that stand for no address, for one or for several.

use super::*;

#[test]
fn a_name_is_looked_up_and_both_connections_go_to_the_same_address() {
    let listener = listener();
    let port = listener.local_addr().expect("an address").port();
    let mut scene = Scene::new("localhost", port);
    scene.scripts.append.wants_connection = true;
    scene.turn_until("it connects", |it| it.append.is_connected);
    scene.scripts.read.wants_connection = true;
    scene.turn();
    assert_eq!(scene.broker.read.addr(), scene.broker.append.addr());
    scene.turn_until("the other connects", |it| it.read.is_connected);
}

#[test]
fn a_name_that_cannot_be_found_is_told() {
    // Names have no labels as long as this one.
    let name = format!("{}.invalid", "x".repeat(64));
    let mut scene = Scene::new(&name, 1);
    scene.scripts.append.wants_connection = true;
    let reason = scene.expect_lost();
    assert!(
        reason.starts_with("the name cannot be looked up: "),
        "{reason}"
    );
    assert!(!reason.contains("address information"), "{reason}");
    // It is looked up again at the next attempt.
    scene.scripts.append.wants_connection = true;
    scene.expect_lost();
}

#[test]
fn a_lookup_that_is_given_up_goes_on_and_the_next_attempt_waits_for_it() {
    let listener = listener();
    let port = listener.local_addr().expect("an address").port();
    let mut scene = Scene::new("localhost", port);
    scene.scripts.append.wants_connection = true;
    scene
        .broker
        .after_turn(&mut scene.scripts, scene.poll.registry());
    assert!(matches!(scene.broker.append, Connection::LookingUp));
    scene.scripts.append.is_given_up = true;
    scene.turn();
    assert!(matches!(scene.broker.append, Connection::Closed));
    scene.scripts.append.wants_connection = true;
    scene.turn_until("it connects", |it| it.append.is_connected);
}

#[test]
fn an_attempt_tries_all_addresses_of_a_name() {
    let listener = listener();
    let live = listener.local_addr().expect("an address");
    let mut scene = Scene::new("nobody-asks-for-it", 1);
    // The first one fails at once: it means everybody.
    let everybody = (Ipv4Addr::BROADCAST, 1).into();
    let deserted = Deserted::new();
    let addrs = [everybody, deserted.addr(), live, deserted.addr()];
    scene.broker.lookup = Lookup::knowing(&addrs, &scene.broker.lookup);
    scene.scripts.append.wants_connection = true;
    scene.turn_until("it connects", |it| it.append.is_connected);
    assert_eq!(scene.scripts.append.lost, None);
    assert_eq!(scene.broker.append.addr(), Some(live));
    // The others are forgotten: the next outage may be a move.
    assert!(!scene.broker.lookup.has_more());
}

#[test]
fn an_attempt_that_finds_nobody_at_any_address_fails_once() {
    let mut scene = Scene::new("nobody-asks-for-it", 1);
    let deserted = [Deserted::new(), Deserted::new(), Deserted::new()];
    let addrs = deserted.each_ref().map(Deserted::addr);
    scene.broker.lookup = Lookup::knowing(&addrs, &scene.broker.lookup);
    scene.scripts.append.wants_connection = true;
    assert_eq!(scene.expect_lost(), "connection refused");
    assert!(!scene.broker.lookup.has_more());
}

#[test]
fn an_attempt_that_was_given_up_leaves_the_other_addresses_to_the_next_one() {
    let listener = listener();
    let live = listener.local_addr().expect("an address");
    let other = self::listener();
    let silent = other.local_addr().expect("an address");
    let mut scene = Scene::new("nobody-asks-for-it", 1);
    scene.broker.lookup = Lookup::knowing(&[silent, live], &scene.broker.lookup);
    scene.scripts.append.wants_connection = true;
    scene.turn();
    // Given up before anything was heard from there.
    assert_eq!(scene.broker.append.addr(), Some(silent));
    scene.scripts.append.is_given_up = true;
    scene.turn();
    scene.scripts.append.wants_connection = true;
    scene.turn_until("it connects", |it| it.append.is_connected);
    assert_eq!(scene.broker.append.addr(), Some(live));
}
