//! Seats, the listener, and wakes without cause.

use std::io::ErrorKind;
use std::time::Duration;

use crate::world::{UPGRADE, World, client_id};
use fanfare::config::Config;

const SECOND: Duration = Duration::from_secs(1);

fn status(answer: &[u8]) -> &str {
    std::str::from_utf8(&answer[9..12]).unwrap()
}

#[test]
fn one_client_too_many_gets_503_and_the_next_after_a_leaver_does_not() {
    let mut world = World::with_limit(Config::default(), 2);
    let (a, _b) = (world.join(), world.join());
    let refused = world.connect();
    refused.send(UPGRADE);
    world.settle();
    assert_eq!(status(&refused.take()), "503");
    refused.shut();
    a.shut();
    world.settle();
    world.join();
}

#[test]
fn when_descriptors_run_out_the_listener_rests_until_a_client_leaves_or_a_second_passes() {
    let mut world = World::with(|_| {});
    let a = world.join();
    let resource_error = ErrorKind::Other;
    world.network.backlog.push_back(Err(resource_error.into()));
    let waiting = world.connect();
    waiting.send(UPGRADE);
    world.settle();
    assert_eq!(waiting.take(), b"", "resting, not spinning");
    a.shut();
    world.settle();
    assert!(waiting.take().starts_with(b"HTTP/1.1 101"));

    world.network.backlog.push_back(Err(resource_error.into()));
    let waiting = world.connect();
    waiting.send(UPGRADE);
    world.settle();
    assert_eq!(waiting.take(), b"");
    world.pass(2 * SECOND);
    assert!(waiting.take().starts_with(b"HTTP/1.1 101"));
}

#[test]
fn a_connection_that_dies_in_the_backlog_does_not_stop_the_next() {
    let mut world = World::with(|_| {});
    for error in [ErrorKind::ConnectionAborted, ErrorKind::Interrupted] {
        world.network.backlog.push_back(Err(error.into()));
    }
    world.join();
}

#[test]
fn stale_and_spurious_events_are_harmless() {
    let mut world = World::with(|_| {});
    let a = world.join();
    for slot in 0..5 {
        for generation in 0..5 {
            let (near, far) = (
                client_id(slot, generation),
                client_id(slot << 20, generation),
            );
            world.engine.note_ready(near, true, true, false);
            world.engine.note_ready(far, true, true, true);
        }
    }
    world.settle();
    a.say("unmoved");
    world.settle();
    assert_eq!(a.take_lines(), ["unmoved"]);
}

#[test]
fn an_idle_world_sleeps_until_something_is_due() {
    let mut world = World::with(|_| {});
    world.settle();
    assert_eq!(world.wait(), None);
    world.join();
    world.pass(SECOND);
    assert!(world.wait() > Some(10 * SECOND));
}
