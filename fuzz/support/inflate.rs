//! RFC 1951 in the simplest way, bit by bit.

use std::collections::HashMap;

/// The order in which the lengths of the code of code lengths are sent (§3.2.7).
const ORDER: [usize; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

/// What blocks that end with the last byte hold, at most `max` bytes. Behind a final block more may follow, from
/// the next byte on, which cannot reach back.
pub fn inflate(bytes: &[u8], max: usize) -> Option<Vec<u8>> {
    let mut bits = Bits { bytes, at: 0 };
    let (mut out, mut begin) = (Vec::new(), 0);
    while bits.at < 8 * bytes.len() {
        let is_final = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => stored(&mut bits, &mut out)?,
            1 => {
                let lens = [vec![8; 144], vec![9; 112], vec![7; 24], vec![8; 8]].concat();
                let codes = (code(&lens)?, code(&[5; 32])?);
                compressed(&mut bits, &codes, &mut out, begin, max)?;
            }
            2 => {
                let codes = dynamic_codes(&mut bits)?;
                compressed(&mut bits, &codes, &mut out, begin, max)?;
            }
            _ => return None,
        }
        if out.len() > max {
            return None;
        }
        if is_final {
            bits.align();
            begin = out.len();
        }
    }
    Some(out)
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<usize> {
        let mut number = 0;
        for place in 0..count {
            let byte = usize::from(*self.bytes.get(self.at / 8)?);
            number |= (byte >> (self.at % 8) & 1) << place;
            self.at += 1;
        }
        Some(number)
    }

    fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }
}

/// Symbols by the length and the bits of their code.
type Code = HashMap<(usize, usize), usize>;

/// `None` where the lengths are no code: only one of a single bit, or none, may have room left.
fn code(lens: &[usize]) -> Option<Code> {
    let (mut code, mut next) = (Code::new(), 0);
    for len in 1..=15 {
        next *= 2;
        for symbol in (0..lens.len()).filter(|&symbol| lens[symbol] == len) {
            code.insert((len, next), symbol);
            next += 1;
        }
        if next > 1 << len {
            return None;
        }
    }
    let is_whole = next == 1 << 15;
    let is_short = code.is_empty() || (code.len() == 1 && code.contains_key(&(1, 0)));
    (is_whole || is_short).then_some(code)
}

fn symbol(bits: &mut Bits<'_>, code: &Code) -> Option<usize> {
    let mut read = 0;
    (1..=15).find_map(|len| {
        read = read * 2 + bits.take(1)?;
        code.get(&(len, read)).copied()
    })
}

fn stored(bits: &mut Bits<'_>, out: &mut Vec<u8>) -> Option<()> {
    bits.align();
    let (len, inverse) = (bits.take(16)?, bits.take(16)?);
    if len ^ inverse != 0xffff {
        return None;
    }
    for _ in 0..len {
        out.push(bits.take(8)? as u8);
    }
    Some(())
}

fn dynamic_codes(bits: &mut Bits<'_>) -> Option<(Code, Code)> {
    let (literals, distances) = (bits.take(5)? + 257, bits.take(5)? + 1);
    let sent = bits.take(4)? + 4;
    if literals > 286 || distances > 30 {
        return None;
    }
    let mut lens_of_lens = [0; 19];
    for &symbol in ORDER.iter().take(sent) {
        lens_of_lens[symbol] = bits.take(3)?;
    }
    let code_of_lens = code(&lens_of_lens)?;
    if code_of_lens.len() < 2 {
        return None;
    }
    let mut lens = Vec::new();
    while lens.len() < literals + distances {
        let (len, times) = match symbol(bits, &code_of_lens)? {
            16 => (*lens.last()?, bits.take(2)? + 3),
            17 => (0, bits.take(3)? + 3),
            18 => (0, bits.take(7)? + 11),
            len => (len, 1),
        };
        lens.extend(std::iter::repeat_n(len, times));
    }
    let has_end = lens.len() == literals + distances && lens[256] > 0;
    let (literals, distances) = lens.split_at(literals);
    has_end.then_some((code(literals)?, code(distances)?))
}

fn compressed(
    bits: &mut Bits<'_>,
    (literals, distances): &(Code, Code),
    out: &mut Vec<u8>,
    begin: usize,
    max: usize,
) -> Option<()> {
    while out.len() <= max {
        let at = match symbol(bits, literals)? {
            256 => break,
            literal @ 0..256 => {
                out.push(literal as u8);
                continue;
            }
            length => length - 257,
        };
        let len = match at {
            28 => 258,
            _ => number(bits, at, 4, 3, 28)?,
        };
        let at = symbol(bits, distances)?;
        let distance = number(bits, at, 2, 1, 30)?;
        let from = out.len().checked_sub(distance).filter(|&at| at >= begin)?;
        for place in from..from + len {
            out.push(out[place]);
        }
    }
    Some(())
}

/// A length or distance by its place among `count` symbols: twice `step` of them have no more bits, then each
/// `step` have one more than those before (§3.2.5).
fn number(
    bits: &mut Bits<'_>,
    at: usize,
    step: usize,
    first: usize,
    count: usize,
) -> Option<usize> {
    let extra = |at: usize| (at / step).saturating_sub(1);
    let base = (0..at).fold(first, |base, at| base + (1 << extra(at)));
    let more = (at < count).then(|| bits.take(extra(at)))?;
    Some(base + more?)
}
