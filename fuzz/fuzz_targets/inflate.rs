//! Any bytes as compressed messages, and what our own compressor makes of them: the same as a simple decoder's, in
//! one frame, in fragments and cut anywhere.
#![no_main]

#[path = "../support/cut.rs"]
mod cut;
#[path = "../support/messages.rs"]
mod messages;
#[path = "../support/inflate.rs"]
mod naive;
#[path = "../../tests/common/wire.rs"]
mod wire;

use fanfare::ws::deflate::{Deflater, Inflater};
use fanfare::ws::payload::Payload;
use libfuzzer_sys::fuzz_target;
use messages::MESSAGE_MAX;

fn inflate(inflater: &mut Inflater, compressed: &[u8]) -> Option<Vec<u8>> {
    let mut payload = Payload::new(false);
    let inflated = inflater.inflate(compressed, &mut payload, MESSAGE_MAX);
    assert!(payload.held_len() <= MESSAGE_MAX);
    let whole = [compressed, b"\x00\x00\xff\xff"].concat();
    let Payload::Binary(bytes) = payload else {
        panic!("a binary message stays one");
    };
    let bytes = inflated.ok().map(|()| bytes);
    assert_eq!(bytes, naive::inflate(&whole, MESSAGE_MAX));
    bytes
}

fuzz_target!(|input: (Vec<u8>, Vec<u8>, Vec<u8>)| {
    let (compressed, bytes, cuts) = input;
    let mut inflater = Inflater::default();
    inflate(&mut inflater, &compressed);

    let mut deflater = Deflater::new(1);
    let deflated = deflater.deflate(&bytes);
    let inflated = inflate(&mut inflater, deflated);
    assert_eq!(
        inflated,
        Some(bytes).filter(|bytes| bytes.len() <= MESSAGE_MAX)
    );
    // Nothing of it is left for what comes next.
    inflate(&mut inflater, &compressed);

    for is_text in [0, 1] {
        let stream = |frames: &[_]| messages::stream(frames, wire::KEY, &[]);
        let Some(whole) = stream(&[(0xc2 - is_text, compressed.clone())]) else {
            return;
        };
        let parts = cut::pieces(&compressed, &cuts);
        let mut frames: Vec<_> = parts.iter().map(|part| (0x00, part.to_vec())).collect();
        frames[0].0 |= 0x42 - is_text;
        if let Some(last) = frames.last_mut() {
            last.0 |= 0x80;
        }
        let fragments = stream(&frames).expect("parts are shorter than the whole");
        let read = messages::read(&[&whole], true);
        assert_eq!(messages::read(&[&fragments], true), read);
        assert_eq!(messages::read(&cut::pieces(&fragments, &cuts), true), read);
    }
});
