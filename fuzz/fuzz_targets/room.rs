//! One room against a plain model: readers of every framing, compressed ones among them, join, resume at any id, stall,
//! drain some bytes and leave, while others publish and history is let go by count, size and age. Each reader receives
//! every message once and in order, or is told exactly how many are missing.
#![no_main]

#[path = "../support/room.rs"]
mod room;
#[path = "../../tests/world/mod.rs"]
mod world;

use libfuzzer_sys::fuzz_target;
use room::{Room, Settings, Step};

fuzz_target!(|input: (Settings, Vec<Step>)| {
    let (settings, steps) = input;
    let mut room = Room::new(&settings);
    for step in steps.iter().take(100) {
        room.apply(step);
    }
    room.end();
});
