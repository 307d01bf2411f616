//! Masking against the naive loop, for every length, offset and alignment.
#![no_main]

use fanfare::ws::mask::apply_mask;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: ([u8; 4], u64, u8, Vec<u8>)| {
    let (key, offset, start, mut payload) = input;
    let start = usize::from(start).min(payload.len());
    let mut naive = payload.clone();
    for (i, byte) in naive[start..].iter_mut().enumerate() {
        *byte ^= key[((offset % 4) as usize + i) % 4];
    }
    apply_mask(&mut payload[start..], key, offset);
    assert_eq!(payload, naive);
});
