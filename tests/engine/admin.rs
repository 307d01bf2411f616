//! The admin listener: seats of its own, open while the public waits and while the server goes away.

use std::io::ErrorKind;
use std::time::Duration;

use crate::world::{Peer, UPGRADE, World};
use fanfare::config::{ADMIN_CLIENTS_MAX, Config, REFUSED_CLIENTS_MAX};

const SECOND: Duration = Duration::from_secs(1);
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// What a request to an admin connection is answered with; `None` if with nothing.
fn status(admin: &Peer, world: &mut World) -> Option<String> {
    admin.send(GET);
    world.settle();
    let answer = admin.take();
    let digits = answer.get(9..12)?;
    Some(String::from_utf8_lossy(digits).into_owned())
}

fn assert_serves_admin(world: &mut World) {
    let admin = world.connect_admin();
    assert_eq!(status(&admin, world).as_deref(), Some("404"));
    admin.shut();
    world.settle();
}

/// A world whose only seat is taken, as are the places of those who are refused; one more client waits.
fn full_world() -> (World, Peer, Vec<Peer>, Peer) {
    let mut world = World::with_limit(Config::default(), 1);
    let member = world.join();
    let refused = (0..REFUSED_CLIENTS_MAX).map(|_| world.connect());
    let refused: Vec<_> = refused.collect();
    world.settle();
    let waiting = world.connect();
    waiting.send(UPGRADE);
    world.settle();
    assert_eq!(waiting.take(), b"");
    (world, member, refused, waiting)
}

#[test]
fn an_admin_is_served_while_the_server_is_full_and_the_public_listener_rests() {
    let (mut world, member, _refused, waiting) = full_world();
    // It rests until a second has passed, or somebody leaves.
    assert!(world.wait() > Some(Duration::ZERO));
    let admin = world.connect_admin();
    assert_eq!(status(&admin, &mut world).as_deref(), Some("404"));
    assert_eq!(waiting.take(), b"");
    // Those with a seat are served as before.
    member.say("hello");
    world.settle();
    assert_eq!(member.take_lines(), ["hello"]);
}

#[test]
fn an_admin_takes_no_seat_of_the_public() {
    let mut world = World::with_limit(Config::default(), 1);
    let admins: Vec<_> = (0..ADMIN_CLIENTS_MAX)
        .map(|_| world.connect_admin())
        .collect();
    world.settle();
    let member = world.join();
    for admin in &admins {
        assert_eq!(status(admin, &mut world).as_deref(), Some("404"));
    }
    member.shut();
    admins[0].shut();
    world.settle();
    world.join();
}

#[test]
fn an_admin_is_not_counted_at_its_address() {
    let mut world = World::with(|config| config.network.max_clients_per_ip = Some(1));
    world.join();
    let admins = [world.connect_admin(), world.connect_admin()];
    for admin in &admins {
        assert_eq!(status(admin, &mut world).as_deref(), Some("404"));
        admin.shut();
    }
    world.settle();
    // Nor given back there: the address still has its one client.
    let refused = world.connect();
    refused.send(UPGRADE);
    world.settle();
    assert!(refused.take().starts_with(b"HTTP/1.1 503"));
}

#[test]
fn one_admin_too_many_is_refused_until_another_one_leaves() {
    let mut world = World::with(|_| {});
    let admins: Vec<_> = (0..ADMIN_CLIENTS_MAX)
        .map(|_| world.connect_admin())
        .collect();
    world.settle();
    let refused = world.connect_admin();
    assert_eq!(status(&refused, &mut world).as_deref(), Some("503"));
    world.join();
    admins[0].shut();
    refused.shut();
    world.settle();
    assert_serves_admin(&mut world);
}

#[test]
fn a_failed_registration_gives_the_seat_of_an_admin_back() {
    let mut world = World::with(|_| {});
    for _ in 0..ADMIN_CLIENTS_MAX {
        let error = ErrorKind::OutOfMemory;
        world.network.register_errors.push_back(error.into());
        world.connect_admin();
    }
    world.settle();
    assert_serves_admin(&mut world);
}

#[test]
fn a_flood_of_the_public_does_not_keep_an_admin_waiting() {
    let mut world = World::with(|_| {});
    let flood: Vec<_> = (0..1_000).map(|_| world.connect()).collect();
    let admin = world.connect_admin();
    admin.send(GET);
    world.turn();
    assert!(admin.take().starts_with(b"HTTP/1.1 404"));
    assert!(
        world.network.backlog.len() > flood.len() / 2,
        "in one turn, most of the public waits"
    );
}

#[test]
fn each_listener_rests_by_itself_when_descriptors_run_out() {
    let mut world = World::with(|_| {});
    let error = ErrorKind::Other;
    world.network.admin_backlog.push_back(Err(error.into()));
    let admin = world.connect_admin();
    assert_eq!(status(&admin, &mut world), None, "resting, not spinning");
    world.join();
    world.pass(2 * SECOND);
    assert!(admin.take().starts_with(b"HTTP/1.1 404"));
}

#[test]
fn the_admin_listener_outlives_the_public_ones_and_holds_up_no_end() {
    let mut world = World::with(|config| config.timeouts.drain = 10 * SECOND);
    let (member, early) = (world.join(), world.connect_admin());
    world.settle();
    world.begin_shutdown();
    world.settle();
    let late = world.connect_admin();
    for admin in [&early, &late] {
        assert_eq!(status(admin, &mut world).as_deref(), Some("404"));
    }
    let public = world.connect();
    public.send(UPGRADE);
    world.settle();
    assert_eq!(public.take(), b"", "nobody is let in");
    assert!(!world.engine.is_shut_down());
    member.shut();
    world.settle();
    assert!(world.engine.is_shut_down());
    assert!(!early.is_closed() && !late.is_closed());
}
