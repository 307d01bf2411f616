//! A slow inflater by the letter of RFC 1951, bit by bit, that looks back no further than it is allowed to. The
//! usual ones do not mind how far back a peer with a small window would have to look.

use std::sync::LazyLock;

/// What compressed data hold, all blocks of them up to the end of the data; `None` where they break a rule, or reach
/// back more than `window` bytes.
pub(crate) fn inflate(bytes: &[u8], window: usize) -> Option<Vec<u8>> {
    let mut bits = Bits { bytes, at: 0 };
    let mut out = Vec::new();
    while bits.at.div_ceil(8) < bytes.len() {
        let is_last = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => stored(&mut bits, &mut out)?,
            1 => coded(&mut bits, &FIXED, window, &mut out)?,
            2 => {
                let codes = dynamic(&mut bits)?;
                coded(&mut bits, &codes, window, &mut out)?;
            }
            _ => return None,
        }
        if is_last {
            return None;
        }
    }
    Some(out)
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    /// A number of so many bits, the lowest first.
    fn take(&mut self, count: usize) -> Option<usize> {
        (0..count).try_fold(0, |number, place| {
            let byte = usize::from(*self.bytes.get(self.at / 8)?);
            let bit = byte >> (self.at % 8) & 1;
            self.at += 1;
            Some(number | bit << place)
        })
    }
}

/// A Huffman code: how many codes there are of each length, and the symbols in the order of their codes (§3.2.2).
struct Code {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Code {
    fn new(lens: &[usize]) -> Self {
        let mut counts = [0; 16];
        let mut symbols: Vec<usize> = (0..lens.len()).filter(|&symbol| lens[symbol] > 0).collect();
        symbols.sort_by_key(|&symbol| lens[symbol]);
        symbols.iter().for_each(|&symbol| counts[lens[symbol]] += 1);
        Self { counts, symbols }
    }

    fn take(&self, bits: &mut Bits<'_>) -> Option<usize> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            code = code << 1 | bits.take(1)?;
            first <<= 1;
            if code < first + count {
                return self.symbols.get(index + code - first).copied();
            }
            first += count;
            index += count;
        }
        None
    }
}

/// A block without compression (§3.2.4).
fn stored(bits: &mut Bits<'_>, out: &mut Vec<u8>) -> Option<()> {
    bits.at = bits.at.next_multiple_of(8);
    let (len, complement) = (bits.take(16)?, bits.take(16)?);
    if len != !complement & 0xffff {
        return None;
    }
    let start = bits.at / 8;
    out.extend(bits.bytes.get(start..start + len)?);
    bits.at += 8 * len;
    Some(())
}

/// The codes for literals and lengths, and for distances, that need not be told (§3.2.6).
static FIXED: LazyLock<[Code; 2]> = LazyLock::new(|| {
    let len = |symbol| match symbol {
        144..256 => 9,
        256..280 => 7,
        _ => 8,
    };
    let lens: Vec<usize> = (0..288).map(len).collect();
    [Code::new(&lens), Code::new(&[5; 30])]
});

/// The same, as a block tells them (§3.2.7).
fn dynamic(bits: &mut Bits<'_>) -> Option<[Code; 2]> {
    const ORDER: [usize; 19] = [
        16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
    ];
    let literals = bits.take(5)? + 257;
    let distances = bits.take(5)? + 1;
    let mut lens_of_lens = [0; 19];
    for place in ORDER.into_iter().take(bits.take(4)? + 4) {
        lens_of_lens[place] = bits.take(3)?;
    }
    let code = Code::new(&lens_of_lens);
    let mut lens = Vec::new();
    while lens.len() < literals + distances {
        let (len, count) = match code.take(bits)? {
            16 => (*lens.last()?, 3 + bits.take(2)?),
            17 => (0, 3 + bits.take(3)?),
            18 => (0, 11 + bits.take(7)?),
            len => (len, 1),
        };
        lens.extend(std::iter::repeat_n(len, count));
    }
    let (literals, distances) = lens.split_at_checked(literals)?;
    Some([Code::new(literals), Code::new(distances)])
}

/// A block of literals, and of lengths and distances (§3.2.5).
fn coded(bits: &mut Bits<'_>, codes: &[Code; 2], window: usize, out: &mut Vec<u8>) -> Option<()> {
    let [literals, distances] = codes;
    loop {
        let len = match literals.take(bits)? {
            byte @ 0..256 => {
                out.push(u8::try_from(byte).ok()?);
                continue;
            }
            256 => return Some(()),
            symbol @ 257..265 => symbol - 257 + 3,
            285 => 258,
            symbol @ 265..285 => scaled(bits, symbol - 257, 4)? + 3,
            _ => return None,
        };
        let distance = match distances.take(bits)? {
            symbol @ 0..2 => symbol + 1,
            symbol @ 2..30 => scaled(bits, symbol, 2)? + 1,
            _ => return None,
        };
        let start = out.len().checked_sub(distance)?;
        if distance > window {
            return None;
        }
        (start..start + len).for_each(|place| out.push(out[place]));
    }
}

/// A number with some of its highest bits in a symbol, and the rest behind it: `steps` symbols for each power of two.
fn scaled(bits: &mut Bits<'_>, symbol: usize, steps: usize) -> Option<usize> {
    let count = symbol / steps - 1;
    Some(((steps + symbol % steps) << count) + bits.take(count)?)
}
