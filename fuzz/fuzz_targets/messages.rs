//! A stream of client frames, cut anywhere: the same messages and the same error as uncut, and memory
//! within its bound.
#![no_main]

#[path = "../support/cut.rs"]
mod cut;
#[path = "../support/messages.rs"]
mod messages;
#[path = "../../tests/common/wire.rs"]
mod wire;

use libfuzzer_sys::fuzz_target;

#[derive(Debug, arbitrary::Arbitrary)]
struct Input {
    frames: Vec<(u8, Vec<u8>)>,
    key: [u8; 4],
    behind: Vec<u8>,
    cuts: Vec<u8>,
}

fuzz_target!(|input: Input| {
    let Some(stream) = messages::stream(&input.frames, input.key, &input.behind) else {
        return;
    };
    let pieces = cut::pieces(&stream, &input.cuts);
    for is_deflated in [false, true] {
        let whole = messages::read(&[&stream], is_deflated);
        assert_eq!(messages::read(&pieces, is_deflated), whole);
    }
});
