//! A whole connection over a scripted socket: bytes, short reads and writes, blocked writes, errors and
//! time, in any order. A healthy witness hears everything that is said, what is queued is bounded, and
//! all that was taken is freed.
#![no_main]

#[path = "../support/steps.rs"]
mod steps;
#[path = "../../tests/world/mod.rs"]
mod world;

use fanfare::config::Config;
use libfuzzer_sys::fuzz_target;
use steps::Step;
use world::World;

fuzz_target!(|input: (bool, Vec<Step>)| {
    let (short_means_blocked, steps) = input;
    let mut config = Config::default();
    config.chat.echo = true;
    config.chat.send_queue = 8;
    let mut world = World::new(config);
    world.network.short_means_blocked = short_means_blocked;
    let witness = world.join();
    let peer = world.connect();
    for step in steps.into_iter().take(64) {
        step.apply(&mut world, &peer, &witness);
        world.settle();
        let before = world.engine.metrics().messages();
        witness.say("witness");
        world.settle();
        assert!(witness.take_lines().contains(&"witness".to_owned()));
        assert_eq!(world.engine.metrics().messages(), before + 1);
        assert!(!witness.is_closed());
        assert!(
            world.engine.queued_len() < 1 << 20,
            "what one peer may be owed"
        );
    }
    peer.set_room(usize::MAX);
    peer.shut();
    peer.reset();
    world.settle();
    assert!(peer.is_closed());
    assert_eq!(
        (world.engine.client_count(), world.engine.queued_len()),
        (1, 0)
    );
});
