//! Ids of the stream's entries: milliseconds and a number.

use super::bytes;
use crate::decimal;

/// The id of an entry, and so a position in the stream: behind that entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StreamId {
    ms: u64,
    seq: u64,
}

impl StreamId {
    /// Before every entry.
    pub(super) const START: Self = Self { ms: 0, seq: 0 };

    /// Before all entries of this millisecond and of later ones.
    pub(super) fn before(ms: u64) -> Self {
        Self { ms, seq: 0 }
    }

    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let (ms, seq) = bytes::split_once(text, b'-')?;
        Some(Self {
            ms: bytes::number(ms)?,
            seq: bytes::number(seq)?,
        })
    }

    pub(super) fn encode(self, out: &mut Vec<u8>) {
        decimal::push(self.ms, out);
        out.push(b'-');
        decimal::push(self.seq, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_written_and_compared_as_numbers() {
        let mut last = None;
        for text in ["0-0", "9-10", "10-9", "10-10", "18446744073709551615-0"] {
            let id = StreamId::parse(text.as_bytes()).expect("an id");
            let mut encoded = Vec::new();
            id.encode(&mut encoded);
            assert_eq!(encoded, text.as_bytes());
            assert!(Some(id) > last);
            last = Some(id);
        }
        for text in ["", "1", "-", "1-", "-1", "1-2-3", "01-0", "a-0", "$"] {
            assert_eq!(StreamId::parse(text.as_bytes()), None, "{text}");
        }
    }
}
