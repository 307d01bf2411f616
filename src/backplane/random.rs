//! Chance, from a seed: SplitMix64. A simulation that is repeated draws the same.

const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Any number below `bound`, which is not zero.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Lower-case letters and digits.
    pub(super) fn letters<const N: usize>(&mut self) -> [u8; N] {
        [(); N].map(|()| {
            let place = self.below(ALPHABET.len() as u64);
            let letter = usize::try_from(place)
                .ok()
                .and_then(|place| ALPHABET.get(place));
            letter.copied().unwrap_or(b'0')
        })
    }
}
