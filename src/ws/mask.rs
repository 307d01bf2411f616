//! Payload masking (RFC 6455 §5.3): XOR with a 4-byte key, in place.
//!
//! The key is widened once to a block that the compiler turns into vector registers, so a long
//! payload is unmasked as fast as memory allows and a 64-byte chat line in a handful of instructions.

/// The key's period.
const KEY_LEN: usize = 4;
/// One step of the wide loop: two 16-byte or one 32-byte vector register.
const BLOCK_LEN: usize = 32;

/// Masks or unmasks `payload`, whose first byte is byte number `offset` of the frame's payload.
///
/// The operation is its own inverse. Feeding a payload in pieces gives the same bytes as feeding it
/// whole, as long as each piece comes with its offset.
///
/// ```
/// // RFC 6455 §5.7: a single-frame masked text message.
/// let mut payload = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
/// fanfare::ws::mask::apply_mask(&mut payload, [0x37, 0xfa, 0x21, 0x3d], 0);
/// assert_eq!(&payload, b"Hello");
/// ```
#[inline]
pub fn apply_mask(payload: &mut [u8], key: [u8; KEY_LEN], offset: u64) {
    // The byte of the key with number `offset` comes first. Its place follows from the last two bits.
    let place = offset.to_le_bytes()[0] % 4;
    let key = u32::from_be_bytes(key).rotate_left(u8::BITS * u32::from(place));
    let key = key.to_be_bytes();
    let (blocks, tail) = payload.as_chunks_mut::<BLOCK_LEN>();
    if !blocks.is_empty() {
        let mut wide = [0; BLOCK_LEN];
        for place in wide.as_chunks_mut().0 {
            *place = key;
        }
        for block in blocks {
            for (byte, mask) in block.iter_mut().zip(&wide) {
                *byte ^= mask;
            }
        }
    }
    // BLOCK_LEN is a multiple of KEY_LEN, so the tail starts at the key's first byte.
    let (words, rest) = tail.as_chunks_mut::<KEY_LEN>();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ u32::from_ne_bytes(key)).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(key) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(payload: &mut [u8], key: [u8; 4], offset: u64) {
        for (i, byte) in payload.iter_mut().enumerate() {
            *byte ^= key[((offset % 4) as usize + i) % 4];
        }
    }

    #[test]
    fn every_length_and_offset_agrees_with_the_naive_loop() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        // Miri would take minutes for all.
        let step = if cfg!(miri) { 13 } else { 1 };
        for len in (0..200).step_by(step) {
            for offset in 0..9 {
                let original: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
                let (mut fast, mut slow) = (original.clone(), original.clone());
                apply_mask(&mut fast, key, offset);
                naive(&mut slow, key, offset);
                assert_eq!(fast, slow, "length {len}, offset {offset}");
                apply_mask(&mut fast, key, offset);
                assert_eq!(fast, original, "masking twice is no masking");
            }
        }
    }

    #[test]
    fn every_alignment_agrees_with_the_naive_loop() {
        let key = [1, 2, 3, 4];
        for start in 0..33 {
            let mut fast = vec![0xaa; 133];
            let mut slow = fast.clone();
            apply_mask(&mut fast[start..], key, 1);
            naive(&mut slow[start..], key, 1);
            assert_eq!(fast, slow, "start {start}");
        }
    }

    #[test]
    fn a_split_payload_is_unmasked_like_the_whole_one() {
        let key = [9, 8, 7, 6];
        let original: Vec<u8> = (0..101).collect();
        let mut whole = original.clone();
        apply_mask(&mut whole, key, 0);
        for cut in 0..=original.len() {
            let mut pieces = original.clone();
            let (head, tail) = pieces.split_at_mut(cut);
            apply_mask(head, key, 0);
            apply_mask(tail, key, cut as u64);
            assert_eq!(pieces, whole, "cut at {cut}");
        }
    }

    #[test]
    fn an_offset_near_the_largest_length_does_not_overflow() {
        let mut payload = [0; 8];
        apply_mask(&mut payload, [1, 2, 3, 4], u64::MAX);
        assert_eq!(payload, [4, 1, 2, 3, 4, 1, 2, 3]);
    }
}
