//! How a reader gets messages framed, and a batch's bytes in each framing.
//!
//! Lines join: all messages that wait travel in one text message. Every other framing puts finished frames or
//! events one behind the other, so that what waits is simply their concatenation.

use super::batch::{BATCH_TEXT_MAX, is_oversized};
use super::id::Id;
use crate::ws::frame::{Opcode, SERVER_HEADER_MAX, ServerHeader};

/// The most text that is joined into one frame, in bytes. Common clients close on messages over 1 MiB.
/// A batch that is longer, because of one long message, travels on its own.
pub const JOINED_TEXT_MAX: usize = BATCH_TEXT_MAX;
/// The length of the shared buffer in which waiting bytes are put together, and so of one write.
pub const GATHER_LEN: usize = 64 * 1024;

/// How many framings there are.
pub const FRAMINGS: usize = 5;

/// How a reader gets its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Framing {
    /// What waits is one text message, joined by newlines.
    Lines,
    /// Each message is a text message.
    Single,
    /// As lines, with the id before each message.
    NumberedLines,
    /// Each message is a text message, its id before it.
    NumberedSingle,
    /// Server-sent events.
    Events,
}

/// The framings that are not built with the batch itself, but when a reader wants them.
pub const DERIVED: [Framing; FRAMINGS - 1] = [
    Framing::Single,
    Framing::NumberedLines,
    Framing::NumberedSingle,
    Framing::Events,
];

impl Framing {
    /// Whether messages that wait are joined into one frame.
    #[inline]
    pub fn is_joined(self) -> bool {
        matches!(self, Self::Lines | Self::NumberedLines)
    }

    /// Whether a reader knows the ids, so that it can be told of a gap.
    #[inline]
    pub fn has_ids(self) -> bool {
        !matches!(self, Self::Lines | Self::Single)
    }

    /// Whether the reader is a WebSocket.
    #[inline]
    pub fn is_websocket(self) -> bool {
        self != Self::Events
    }

    /// What stands between the bodies of two batches.
    pub(super) fn separator(self) -> &'static [u8] {
        if self.is_joined() { b"\n" } else { b"" }
    }

    /// The length of a message in the body of a batch, without separators.
    fn message_len(self, text_len: usize, id: Id) -> usize {
        let line_len = id.encoded_len() + 1 + text_len;
        match self {
            Self::Lines => text_len,
            Self::NumberedLines => line_len,
            Self::Single => header(text_len).as_bytes().len() + text_len,
            Self::NumberedSingle => header(line_len).as_bytes().len() + line_len,
            Self::Events => {
                EVENT_ID.len() + id.encoded_len() + EVENT_DATA.len() + text_len + EVENT_END.len()
            }
        }
    }

    /// What the body of a batch has at most, without a look at each message: the last id is the longest.
    fn body_len_max(self, text_len: usize, message_count: u64, first: Id) -> usize {
        let seq = first.seq + message_count;
        let header_len = if self.is_joined() {
            0
        } else {
            SERVER_HEADER_MAX
        };
        let added_len = self.message_len(0, Id { seq, ..first }) + header_len;
        text_len + usize::try_from(message_count).unwrap_or(usize::MAX) * added_len
    }

    /// Where a message begins in the body of a batch: behind the `skip` messages before it. The first message of
    /// `text` has the id `first`.
    pub(super) fn offset(self, skip: u32, text: &[u8], first: Id) -> usize {
        let messages = lines(text).zip(first.seq..).take(skip as usize);
        let separator_len = self.separator().len();
        messages
            .map(|(line, seq)| self.message_len(line.len(), Id { seq, ..first }) + separator_len)
            .sum()
    }
}

const EVENT_ID: &[u8] = b"id: ";
const EVENT_DATA: &[u8] = b"\ndata: ";
const EVENT_END: &[u8] = b"\n\n";

/// The header of a text message.
#[inline]
pub fn header(text_len: usize) -> ServerHeader {
    ServerHeader::encode(Opcode::Text, text_len)
}

/// The messages of a batch: none of them has a newline.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'\n')
}

/// The bytes of a batch in one framing. Joined ones have room for the frame header in front of the body.
#[derive(Debug, Default)]
pub struct Form {
    bytes: Vec<u8>,
    /// Where the frame begins in `bytes`.
    start: usize,
}

impl Form {
    /// Frames the messages of `text`, the first of which has the id `first`, in an empty buffer.
    pub fn build(
        framing: Framing,
        text: &[u8],
        message_count: u64,
        first: Id,
        mut bytes: Vec<u8>,
    ) -> Self {
        let end = framing.body_len_max(text.len(), message_count, first);
        if is_oversized(&bytes, end) {
            bytes = Vec::new();
        }
        if framing.is_joined() {
            bytes.resize(SERVER_HEADER_MAX, 0);
        }
        bytes.reserve_exact(end);
        for (index, (line, seq)) in lines(text).zip(first.seq..).enumerate() {
            let id = Id { seq, ..first };
            if index > 0 {
                bytes.extend_from_slice(framing.separator());
            }
            push_message(framing, line, id, &mut bytes);
        }
        let start = match framing.is_joined() {
            true => SERVER_HEADER_MAX - usize::from(put_header(&mut bytes)),
            false => 0,
        };
        Self { bytes, start }
    }

    /// All frames or events, as a reader that is caught up gets them.
    #[inline]
    pub fn whole(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// The messages without the header of the frame that joins them.
    pub fn body(&self, framing: Framing) -> &[u8] {
        let start = if framing.is_joined() {
            SERVER_HEADER_MAX
        } else {
            0
        };
        self.bytes.get(start..).unwrap_or_default()
    }

    /// The memory behind it, in bytes.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Whether it was built.
    pub fn is_built(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// The buffer, emptied.
    pub fn into_buffer(mut self) -> Vec<u8> {
        self.bytes.clear();
        self.bytes
    }
}

/// Writes the header of a frame into the room before its text. Returns the header's length.
pub(super) fn put_header(bytes: &mut [u8]) -> u8 {
    let header = header(bytes.len().saturating_sub(SERVER_HEADER_MAX));
    let len = header.as_bytes().len();
    if let Some(room) = bytes.get_mut(SERVER_HEADER_MAX - len..SERVER_HEADER_MAX) {
        room.copy_from_slice(header.as_bytes());
    }
    u8::try_from(len).unwrap_or(0)
}

#[inline]
fn push_message(framing: Framing, line: &[u8], id: Id, out: &mut Vec<u8>) {
    match framing {
        Framing::Lines => {}
        Framing::Single => out.extend_from_slice(header(line.len()).as_bytes()),
        Framing::NumberedSingle => {
            out.extend_from_slice(header(id.encoded_len() + 1 + line.len()).as_bytes());
            id.encode(out);
            out.push(b' ');
        }
        Framing::NumberedLines => {
            id.encode(out);
            out.push(b' ');
        }
        Framing::Events => {
            out.extend_from_slice(EVENT_ID);
            id.encode(out);
            out.extend_from_slice(EVENT_DATA);
        }
    }
    out.extend_from_slice(line);
    if framing == Framing::Events {
        out.extend_from_slice(EVENT_END);
    }
}

/// Puts bytes together, without the first `skip` of them, until the buffer is full.
pub struct Gather<'a> {
    /// How many bytes are still to be left out.
    pub skip: usize,
    /// How many bytes may be put together.
    pub max: usize,
    /// Where to.
    pub out: &'a mut Vec<u8>,
}

impl Gather<'_> {
    /// Appends bytes; whether there is room for more.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        let bytes = bytes.get(skipped..).unwrap_or_default();
        let room = self.max - self.out.len();
        self.out
            .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        self.out.len() < self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(seq: u64) -> Id {
        let id = Id::parse(b"k3v9q2c1-0").expect("an id");
        Id { seq, ..id }
    }

    #[test]
    fn every_framing_has_its_bytes() {
        let golden: [(Framing, &[u8]); FRAMINGS] = [
            (Framing::Lines, b"\x81\x07hi\n\nyou"),
            (Framing::Single, b"\x81\x02hi\x81\x00\x81\x03you"),
            (
                Framing::NumberedLines,
                b"\x81\x2ak3v9q2c1-9 hi\nk3v9q2c1-10 \nk3v9q2c1-11 you",
            ),
            (
                Framing::NumberedSingle,
                b"\x81\x0dk3v9q2c1-9 hi\x81\x0ck3v9q2c1-10 \x81\x0fk3v9q2c1-11 you",
            ),
            (
                Framing::Events,
                b"id: k3v9q2c1-9\ndata: hi\n\nid: k3v9q2c1-10\ndata: \n\nid: k3v9q2c1-11\ndata: you\n\n",
            ),
        ];
        for (framing, bytes) in golden {
            let text = b"hi\n\nyou";
            let form = Form::build(framing, text, 3, first(9), Vec::new());
            let shown = |bytes: &[u8]| bytes.escape_ascii().to_string();
            assert_eq!(shown(form.whole()), shown(bytes), "{framing:?}");
        }
    }

    #[test]
    fn a_message_begins_where_the_framing_says() {
        let texts = [
            "",
            "a",
            &"x".repeat(125),
            &"y".repeat(126),
            &"z".repeat(70_000),
        ];
        for framing in [Framing::Lines].into_iter().chain(DERIVED) {
            let text = texts.join("\n");
            let built = |text: &str, count: usize, seq: usize| {
                Form::build(
                    framing,
                    text.as_bytes(),
                    count as u64,
                    first(seq as u64),
                    Vec::new(),
                )
            };
            let all = built(&text, texts.len(), 8);
            let len_max = framing.body_len_max(text.len(), texts.len() as u64, first(8));
            assert!(all.body(framing).len() <= len_max, "{framing:?}");
            for skip in 0..texts.len() {
                let rest = texts[skip..].join("\n");
                let rest = built(&rest, texts.len() - skip, 8 + skip);
                let offset = framing.offset(skip as u32, text.as_bytes(), first(8));
                let body = all.body(framing).get(offset..);
                assert_eq!(body, Some(rest.body(framing)), "{framing:?} {skip}");
            }
        }
    }
}
