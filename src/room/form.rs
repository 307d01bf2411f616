//! A batch's bytes in one framing.

use super::batch::{is_oversized, needed_capacity};
use super::framing::{EVENT_DATA, EVENT_END, EVENT_ID, Framing, header, lines};
use super::id::Id;
use crate::ws::frame::SERVER_HEADER_MAX;

/// The bytes of a batch in one framing. Joined ones have room for the frame header in front of the body.
#[derive(Debug, Default)]
pub struct Form {
    bytes: Vec<u8>,
    /// Where the frame begins in `bytes`.
    start: u8,
    is_built: bool,
}

/// The set of all forms of a batch is not to grow.
const _: () = assert!(size_of::<Form>() == 32);

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
            true => put_header(framing, &mut bytes),
            false => 0,
        };
        Self {
            bytes,
            start,
            is_built: true,
        }
    }

    /// Frames a compressed body, in an empty buffer.
    pub fn deflated(framing: Framing, body: &[u8], mut bytes: Vec<u8>) -> Self {
        let len = needed_capacity(body.len());
        if is_oversized(&bytes, len) {
            bytes = Vec::new();
        }
        bytes.reserve_exact(len);
        bytes.resize(SERVER_HEADER_MAX, 0);
        bytes.extend_from_slice(body);
        let start = put_header(framing, &mut bytes);
        Self {
            bytes,
            start,
            is_built: true,
        }
    }

    /// The form of a batch that has none in this framing.
    pub fn none() -> Self {
        Self {
            is_built: true,
            ..Self::default()
        }
    }

    /// All frames or events, as a reader that is caught up gets them.
    #[inline]
    pub fn whole(&self) -> &[u8] {
        self.bytes
            .get(usize::from(self.start)..)
            .unwrap_or_default()
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

    /// Whether it was built, or found not to be had.
    pub fn is_built(&self) -> bool {
        self.is_built
    }

    /// Whether there are no bytes, because the batch has none in this framing or they were not built.
    #[inline]
    pub fn is_none(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The buffer, emptied.
    pub fn into_buffer(mut self) -> Vec<u8> {
        self.bytes.clear();
        self.bytes
    }
}

/// Writes the header of a frame into the room before its body. Returns where the frame begins.
pub(super) fn put_header(framing: Framing, bytes: &mut [u8]) -> u8 {
    let header = framing.header(bytes.len().saturating_sub(SERVER_HEADER_MAX));
    let start = SERVER_HEADER_MAX - header.as_bytes().len();
    if let Some(room) = bytes.get_mut(start..SERVER_HEADER_MAX) {
        room.copy_from_slice(header.as_bytes());
    }
    u8::try_from(start).unwrap_or(0)
}

#[inline]
fn push_message(framing: Framing, line: &[u8], id: Id, out: &mut Vec<u8>) {
    match framing {
        Framing::Lines | Framing::DeflatedLines(_) => {}
        Framing::Single => out.extend_from_slice(header(line.len()).as_bytes()),
        Framing::NumberedSingle => {
            out.extend_from_slice(header(id.encoded_len() + 1 + line.len()).as_bytes());
            id.encode(out);
            out.push(b' ');
        }
        Framing::NumberedLines | Framing::DeflatedNumberedLines(_) => {
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

#[cfg(test)]
mod tests {
    use super::super::framing::DERIVED;
    use super::*;
    use crate::ws::deflate::{Deflater, Window, inflate};

    fn first(seq: u64) -> Id {
        let id = Id::parse(b"k3v9q2c1-0").expect("an id");
        Id { seq, ..id }
    }

    #[test]
    fn every_framing_has_its_bytes() {
        let golden: [(Framing, &[u8]); 5] = [
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
    fn compressed_bodies_join_as_lines_do() {
        let framing = Framing::DeflatedLines(Window::MAX);
        let mut deflater = Deflater::new(6);
        let texts = ["a\nb", "", &"long ".repeat(50), "\n", "end"];
        let mut joined = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            let form = Form::deflated(framing, deflater.deflate(text.as_bytes()), Vec::new());
            let body = form.body(framing);
            assert_eq!(inflate(body, text.len()), text.as_bytes());
            assert_eq!(form.whole()[..2], [0xc1, body.len() as u8], "RSV1 marks it");
            if index > 0 {
                joined.extend_from_slice(framing.separator());
            }
            joined.extend_from_slice(body);
        }
        assert_eq!(inflate(&joined, 1_000), texts.join("\n").as_bytes());
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
        let plain = DERIVED
            .into_iter()
            .filter(|framing| framing.window().is_none());
        for framing in plain.chain([Framing::Lines]) {
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
