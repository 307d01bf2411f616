//! Replies of the broker (RESP2): as bytes that come in, and what they say. Only a whole one is decoded, by
//! `redis-protocol`.

use std::mem;

use redis_protocol::resp2::decode::decode_range;
use redis_protocol::resp2::types::RangeFrame;

use super::bytes;
use super::scanner::{BadReply, Scanner};

/// The longest reply, in bytes, unless one entry of the stream may be longer.
pub const REPLY_LEN_MAX: usize = 8 * 1024 * 1024;
/// A buffer that grew beyond this is not kept, in bytes.
const KEPT_CAPACITY_MAX: usize = 1024 * 1024;

/// The bytes that came in on a connection, and where the first reply in them ends.
#[derive(Debug)]
pub(super) struct Replies {
    bytes: Vec<u8>,
    /// Where the first reply begins that was not read.
    start: usize,
    scanner: Scanner,
    /// The length of the first reply, once it is whole.
    whole: Option<usize>,
}

impl Replies {
    /// No reply may be longer than `len_max` bytes.
    pub(super) fn new(len_max: usize) -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
            scanner: Scanner::new(len_max),
            whole: None,
        }
    }

    /// Takes what came in.
    pub(super) fn receive(&mut self, received: &[u8]) -> Result<(), BadReply> {
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.extend_from_slice(received);
        self.scan()
    }

    fn scan(&mut self) -> Result<(), BadReply> {
        if self.whole.is_none() {
            let reply = self.bytes.get(self.start..).unwrap_or_default();
            self.whole = self.scanner.scan(reply)?;
        }
        Ok(())
    }

    /// Whether a whole reply is there.
    pub(super) fn has_whole(&self) -> bool {
        self.whole.is_some()
    }

    /// How many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Decodes the next reply, if it is whole.
    pub(super) fn next<R>(
        &mut self,
        read: impl FnOnce(Reply<'_>) -> R,
    ) -> Result<Option<R>, BadReply> {
        let Some(len) = self.whole else {
            return Ok(None);
        };
        let end = self.start + len;
        let reply = self.bytes.get(self.start..end).unwrap_or_default();
        let Ok(Some((frame, _))) = decode_range(reply) else {
            return Err(BadReply::Malformed);
        };
        let result = read(Reply::new(reply, &frame));
        self.start = end;
        self.begin_reply();
        if end == self.bytes.len() {
            self.start = 0;
            self.bytes.clear();
            give_back(&mut self.bytes);
        }
        self.scan()?;
        Ok(Some(result))
    }

    /// Takes a whole reply out, with its bytes, where nothing came behind it: a long one is not copied.
    pub(super) fn take(&mut self) -> Result<Option<(Vec<u8>, RangeFrame)>, BadReply> {
        let Some(len) = self.whole else {
            return Ok(None);
        };
        if self.start > 0 || len != self.bytes.len() {
            return Err(BadReply::Malformed);
        }
        let Ok(Some((frame, _))) = decode_range(&self.bytes) else {
            return Err(BadReply::Malformed);
        };
        self.begin_reply();
        Ok(Some((mem::take(&mut self.bytes), frame)))
    }

    fn begin_reply(&mut self) {
        self.whole = None;
        self.scanner = Scanner::new(self.scanner.len_max);
    }

    /// Gives a buffer back that was taken out with a reply.
    pub(super) fn recycle(&mut self, mut buffer: Vec<u8>) {
        if self.bytes.is_empty() {
            buffer.clear();
            give_back(&mut buffer);
            self.bytes = buffer;
        }
    }

    /// Forgets all that came in: the connection is another one.
    pub(super) fn clear(&mut self) {
        self.bytes = Vec::new();
        self.start = 0;
        self.begin_reply();
    }
}

/// Lets an empty buffer go that is larger than what is usual.
pub(super) fn give_back(buffer: &mut Vec<u8>) {
    if buffer.is_empty() && buffer.capacity() > KEPT_CAPACITY_MAX {
        *buffer = Vec::new();
    }
}

/// A part of a reply: what it is, and the bytes that it is part of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reply<'a> {
    bytes: &'a [u8],
    frame: &'a RangeFrame,
}

impl<'a> Reply<'a> {
    pub(super) fn new(bytes: &'a [u8], frame: &'a RangeFrame) -> Self {
        Self { bytes, frame }
    }

    /// The text of a bulk string or a status.
    pub(super) fn text(self) -> Option<&'a [u8]> {
        match self.frame {
            RangeFrame::BulkString(range) | RangeFrame::SimpleString(range) => self.slice(*range),
            _ => None,
        }
    }

    /// Where the text of a bulk string stands.
    pub(super) fn range(self) -> Option<(usize, usize)> {
        match self.frame {
            RangeFrame::BulkString(range) => Some(*range),
            _ => None,
        }
    }

    /// A number, as such or as a text.
    pub(super) fn number(self) -> Option<u64> {
        match self.frame {
            RangeFrame::Integer(number) => u64::try_from(*number).ok(),
            _ => bytes::number(self.text()?),
        }
    }

    /// The reason of an error.
    pub(super) fn error(self) -> Option<&'a [u8]> {
        match self.frame {
            RangeFrame::Error(range) => self.slice(*range),
            _ => None,
        }
    }

    pub(super) fn is_null(self) -> bool {
        matches!(self.frame, RangeFrame::Null)
    }

    /// How many items an array has.
    pub(super) fn count(self) -> Option<usize> {
        match self.frame {
            RangeFrame::Array(items) => Some(items.len()),
            _ => None,
        }
    }

    /// The items of an array; none of what is no array.
    pub(super) fn items(self) -> impl Iterator<Item = Self> {
        let items = match self.frame {
            RangeFrame::Array(items) => &items[..],
            _ => &[],
        };
        items.iter().map(move |frame| Self::new(self.bytes, frame))
    }

    /// All items of an array that has exactly `N`.
    pub(super) fn array<const N: usize>(self) -> Option<[Self; N]> {
        let RangeFrame::Array(items) = self.frame else {
            return None;
        };
        let items: &[RangeFrame; N] = items[..].try_into().ok()?;
        Some(items.each_ref().map(|frame| Self::new(self.bytes, frame)))
    }

    /// An item of an array.
    pub(super) fn item(self, place: usize) -> Option<Self> {
        match self.frame {
            RangeFrame::Array(items) => Some(Self::new(self.bytes, items.get(place)?)),
            _ => None,
        }
    }

    fn slice(self, (start, end): (usize, usize)) -> Option<&'a [u8]> {
        self.bytes.get(start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN_MAX: usize = 1000;

    #[test]
    fn several_replies_in_one_piece_are_told_in_their_order() {
        let mut replies = Replies::new(LEN_MAX);
        replies.receive(b":1\r\n:2\r\n:3\r\n:4").expect("replies");
        #[expect(
            clippy::redundant_closure_for_method_calls,
            reason = "the method is for one lifetime"
        )]
        let next = |replies: &mut Replies| replies.next(|reply| reply.number());
        for number in 1..=3 {
            assert_eq!(next(&mut replies), Ok(Some(Some(number))));
        }
        assert_eq!(next(&mut replies), Ok(None));
        replies.receive(b"\r\n!").expect("a reply is whole");
        assert_eq!(next(&mut replies), Err(BadReply::Malformed));
    }
}
