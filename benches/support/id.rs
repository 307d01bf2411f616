//! The ids of numbered messages, `EPOCH-SEQ`, as a reader follows them.

use std::io::Write as _;

/// Eight characters name the room's life, and a dash follows.
pub(crate) const EPOCH_LEN: usize = 8;
/// With the longest number.
const ID_MAX: usize = EPOCH_LEN + 1 + 20;

/// The id of a message, or the position behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id {
    epoch: [u8; EPOCH_LEN],
    sequence: u64,
}

impl Id {
    /// Reads an id and nothing else.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let (epoch, rest) = text.split_first_chunk()?;
        let digits = std::str::from_utf8(rest.strip_prefix(b"-")?).ok()?;
        let is_epoch = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit())
            && (digits == "0" || !digits.starts_with('0'));
        (epoch.iter().all(is_epoch) && is_plain).then_some(())?;
        Some(Self {
            epoch: *epoch,
            sequence: digits.parse().ok()?,
        })
    }

    /// The id so many messages later.
    pub(crate) fn plus(self, messages: u64) -> Self {
        Self {
            sequence: self.sequence + messages,
            ..self
        }
    }

    pub(crate) fn text(self) -> IdText {
        let mut bytes = [0; ID_MAX];
        let (epoch, mut digits) = bytes.split_at_mut(EPOCH_LEN);
        epoch.copy_from_slice(&self.epoch);
        let room = digits.len();
        // There is room for the longest number.
        let _ = write!(digits, "-{}", self.sequence);
        let len = EPOCH_LEN + room - digits.len();
        IdText { bytes, len }
    }

    /// How many of the messages that follow this id fill `len` bytes, each with the digits of its number and `fixed_len`
    /// more, and the bytes that are left.
    pub(crate) fn fit(self, len: usize, fixed_len: usize) -> (u64, usize) {
        let mut next = self.sequence + 1;
        let mut left = len;
        loop {
            let digits = next.ilog10();
            let message_len = fixed_len + digits as usize + 1;
            let longer_at = 10_u64.saturating_pow(digits + 1);
            let count = (left / message_len).min(usize::try_from(longer_at - next).unwrap_or(0));
            left -= count * message_len;
            next += count as u64;
            if next < longer_at {
                return (next - self.sequence - 1, left);
            }
        }
    }
}

/// An id as it is written.
pub(crate) struct IdText {
    bytes: [u8; ID_MAX],
    len: usize,
}

impl IdText {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}
