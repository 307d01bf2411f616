//! Message ids: `EPOCH-SEQ`. The epoch tells one life of a room from another, the number counts its messages.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};

use crate::decimal::{self, DIGITS_MAX};

/// The length of an epoch, in bytes.
pub const EPOCH_LEN: usize = 8;
/// The longest id, in bytes: an epoch, a hyphen, twenty digits.
pub const ID_LEN_MAX: usize = EPOCH_LEN + 1 + DIGITS_MAX;

const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// Which life of a room an id belongs to: letters and digits, drawn at random when the room is made.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch([u8; EPOCH_LEN]);

impl Epoch {
    /// A new epoch, by the operating system's randomness.
    pub fn random() -> Self {
        // Where the system has no randomness to give, the standard library's own seed stands in.
        let mut bits = getrandom::u64()
            .unwrap_or_else(|_| RandomState::new().hash_one(Self::random as fn() -> Self));
        Self([(); EPOCH_LEN].map(|()| {
            let digit = ALPHABET.get((bits % 36) as usize);
            bits /= 36;
            digit.copied().unwrap_or(b'0')
        }))
    }

    /// Its letters and digits.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reads an epoch: exactly so many lower-case letters and digits.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let is_valid = bytes.iter().all(|byte| ALPHABET.contains(byte));
        bytes.try_into().ok().filter(|_| is_valid).map(Self)
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// The id of a message, and so a position in a room: behind that message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Id {
    /// The room's life.
    pub epoch: Epoch,
    /// The message's number, from 1; 0 is the position before the first one.
    pub seq: u64,
}

impl Id {
    /// Reads an id. A number beyond 64 bits has the form of one, and is taken for the largest there is: one that
    /// was never given.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (epoch, rest) = text.split_at_checked(EPOCH_LEN)?;
        let digits = rest.strip_prefix(b"-")?;
        let is_number = match digits {
            [] | [b'0', _, ..] => false,
            _ => digits.len() <= DIGITS_MAX && digits.iter().all(u8::is_ascii_digit),
        };
        if !is_number {
            return None;
        }
        let seq = digits.iter().fold(0_u64, |seq, digit| {
            seq.saturating_mul(10)
                .saturating_add(u64::from(digit - b'0'))
        });
        let epoch = Epoch::parse(epoch)?;
        Some(Self { epoch, seq })
    }

    /// Appends the id.
    #[inline]
    pub fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.epoch.0);
        out.push(b'-');
        decimal::push(self.seq, out);
    }

    /// The length of the encoded id, in bytes.
    #[inline]
    pub fn encoded_len(self) -> usize {
        EPOCH_LEN + 2 + self.seq.checked_ilog10().unwrap_or(0) as usize
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}-{}", self.epoch, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_and_written() {
        let golden = [
            ("k3v9q2c1-0", 0),
            ("k3v9q2c1-1", 1),
            ("00000000-41", 41),
            ("zzzzzzzz-18446744073709551615", u64::MAX),
        ];
        for (text, seq) in golden {
            let id = Id::parse(text.as_bytes()).expect("an id");
            assert_eq!(id.seq, seq);
            let mut encoded = Vec::new();
            id.encode(&mut encoded);
            assert_eq!(encoded, text.as_bytes());
            assert_eq!(
                (id.to_string(), id.encoded_len()),
                (text.to_owned(), text.len())
            );
            assert!(text.len() <= ID_LEN_MAX);
        }
        let beyond = Id::parse(b"k3v9q2c1-99999999999999999999");
        assert_eq!(beyond.map(|id| id.seq), Some(u64::MAX));
    }

    #[test]
    fn other_forms_are_no_ids() {
        for text in [
            "",
            "k3v9q2c1",
            "k3v9q2c1-",
            "k3v9q2c1-01",
            "k3v9q2c1-00",
            "k3v9q2c1--1",
            "k3v9q2c1-+1",
            "k3v9q2c1-1 ",
            "k3v9q2c1-1a",
            "k3v9q2c1_1",
            "K3V9Q2C1-1",
            "k3v9q2c-1",
            "k3v9q2c11-1",
            "k3v9q2c1-123456789012345678901",
            "k3v9q2\u{e9}-1",
        ] {
            assert_eq!(Id::parse(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn epochs_are_drawn_from_the_alphabet_and_differ() {
        let (a, b) = (Epoch::random(), Epoch::random());
        assert_ne!(a, b);
        assert_eq!(Epoch::parse(&a.0), Some(a));
    }
}
