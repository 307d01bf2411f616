//! A whole connection over a scripted socket: bytes, short reads and writes, blocked writes, errors and
//! time, in any order. A healthy witness hears everything that is said, and all that was taken is freed.
#![no_main]

#[path = "../../tests/world/mod.rs"]
mod world;

use std::io::ErrorKind;
use std::time::Duration;

use fanfare::config::Config;
use libfuzzer_sys::fuzz_target;
use world::{UPGRADE, World, masked_frame};

#[derive(Debug, arbitrary::Arbitrary)]
enum Step {
    Send(Vec<u8>),
    Frame(u8, Vec<u8>),
    Upgrade,
    ReadMax(u8),
    WriteMax(u8),
    Room(u16),
    Shut,
    ReadError(bool),
    WriteError(bool),
    Pass(u8),
}

fuzz_target!(|input: (bool, Vec<Step>)| {
    let (short_means_blocked, steps) = input;
    let config = Config {
        echo: true,
        send_queue: 8,
        ..Config::default()
    };
    let mut world = World::new(config);
    world.network.short_means_blocked = short_means_blocked;
    let witness = world.join();
    let peer = world.connect();
    for step in steps.into_iter().take(64) {
        match step {
            Step::Send(bytes) => peer.send(&bytes),
            Step::Frame(first, payload) => {
                peer.send(&masked_frame(first, &payload[..payload.len().min(600)]));
            }
            Step::Upgrade => peer.send(UPGRADE),
            Step::ReadMax(max) => peer.socket().read_max = usize::from(max).max(1),
            Step::WriteMax(max) => peer.socket().write_max = usize::from(max).max(1),
            Step::Room(room) => peer.set_room(room.into()),
            Step::Shut => peer.shut(),
            Step::ReadError(is_fatal) => peer.socket().read_errors.push_back(kind(is_fatal).into()),
            Step::WriteError(is_fatal) => {
                peer.socket().write_errors.push_back(kind(is_fatal).into())
            }
            Step::Pass(tenths) => {
                world.pass(Duration::from_millis(u64::from(tenths) * 100));
                witness.send(&masked_frame(0x8a, b""));
            }
        }
        world.settle();
        let deliveries = world.engine.metrics().messages;
        witness.say("witness");
        world.settle();
        assert!(witness.take_lines().contains(&"witness".to_owned()));
        assert_eq!(world.engine.metrics().messages, deliveries + 1);
        assert!(!witness.is_closed());
    }
    peer.set_room(usize::MAX);
    peer.shut();
    peer.reset();
    world.settle();
    assert!(peer.is_closed());
    assert_eq!(world.engine.client_count(), 1);
});

fn kind(is_fatal: bool) -> ErrorKind {
    if is_fatal {
        ErrorKind::ConnectionReset
    } else {
        ErrorKind::Interrupted
    }
}
