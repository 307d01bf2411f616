//! What was read from the stream: a page of entries, each of which is told as slices of the reply's own bytes.

use std::ops::Range;
use std::str;

use redis_protocol::resp2::types::RangeFrame;

use super::bytes;
use super::reply::Reply;
use super::stream_id::StreamId;
use crate::http::room_name;
use crate::room::id::{EPOCH_LEN, Epoch, Id};

/// The length of a node's name.
pub(super) const NODE_LEN: usize = 16;

/// A node's name: lower-case letters and digits, drawn when it starts.
pub(super) type Node = [u8; NODE_LEN];

/// Who appended an entry: a node, and the node's own count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) node: Node,
    pub(super) counter: u64,
}

impl Origin {
    fn parse(text: &[u8]) -> Option<Self> {
        let (node, counter) = bytes::split_once(text, b' ')?;
        Some(Self {
            node: node.try_into().ok()?,
            counter: bytes::number(counter)?,
        })
    }
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    Messages(Messages),
    Probe(Origin),
}

/// Messages of one room. Its name and their text stand in the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Messages {
    pub(super) room: Range<usize>,
    pub(super) first: Id,
    pub(super) count: u32,
    pub(super) text: Range<usize>,
    pub(super) origin: Origin,
}

/// Entries that were read together, and how many of them were taken.
#[derive(Debug)]
pub(super) struct Page {
    text: String,
    frame: RangeFrame,
    next: usize,
    count: usize,
}

impl Page {
    /// The entries of a reply to `XREAD`; `None` where it is no such reply, or has none.
    pub(super) fn new(bytes: Vec<u8>, frame: RangeFrame) -> Option<Self> {
        let count = entries(&bytes, &frame).and_then(Reply::count)?;
        let page = Self {
            text: into_text(bytes),
            frame,
            next: 0,
            count,
        };
        (count > 0).then_some(page)
    }

    /// How many entries there are, those included that were taken.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Whether all entries were taken.
    pub(super) fn is_over(&self) -> bool {
        self.next >= self.count
    }

    /// Takes the next entry: its id and, unless it is malformed, what it is. `None`: the reply is malformed itself.
    pub(super) fn take(&mut self) -> Option<(StreamId, Option<Entry>)> {
        let entries = entries(self.text.as_bytes(), &self.frame)?;
        let [id, fields] = entries.item(self.next)?.array()?;
        let id = StreamId::parse(id.text()?)?;
        let entry = parse(fields);
        self.next += 1;
        Some((id, entry))
    }

    /// A part of the page.
    pub(super) fn slice(&self, range: &Range<usize>) -> &str {
        self.text.get(range.clone()).unwrap_or_default()
    }

    /// How many bytes the page has.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Gives the buffer back.
    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.text.into_bytes()
    }
}

/// The entries of the one stream that was read.
fn entries<'a>(bytes: &'a [u8], frame: &'a RangeFrame) -> Option<Reply<'a>> {
    let [stream] = Reply::new(bytes, frame).array()?;
    let [_, entries] = stream.array()?;
    Some(entries)
}

/// All of a reply as text, which is looked through once. What is no UTF-8 gives way to carriage returns, which no field
/// of an entry may have.
fn into_text(bytes: Vec<u8>) -> String {
    let mut bytes = match String::from_utf8(bytes) {
        Ok(text) => return text,
        Err(error) => error.into_bytes(),
    };
    let mut start = 0;
    while let Some(Err(error)) = bytes.get(start..).map(str::from_utf8) {
        start += error.valid_up_to();
        if let Some(byte) = bytes.get_mut(start) {
            *byte = b'\r';
        }
    }
    String::from_utf8(bytes).unwrap_or_default()
}

fn parse(fields: Reply<'_>) -> Option<Entry> {
    if let Some([name, origin]) = fields.array() {
        let is_probe = name.text()? == b"p";
        return is_probe
            .then(|| Origin::parse(origin.text()?))
            .flatten()
            .map(Entry::Probe);
    }
    let [r, room, e, epoch, f, first, c, count, o, origin, t, text] = fields.array()?;
    for (field, name) in [r, e, f, c, o, t]
        .into_iter()
        .zip([b"r", b"e", b"f", b"c", b"o", b"t"])
    {
        if field.text()? != name {
            return None;
        }
    }
    let epoch: [u8; EPOCH_LEN] = epoch.text()?.try_into().ok()?;
    let first = Id {
        epoch: Epoch::parse(&epoch)?,
        seq: first.number()?,
    };
    let count = u32::try_from(count.number()?).ok()?;
    first.seq.checked_add(count.into())?;
    let is_whole = count > 0 && first.seq > 0 && has_lines(text.text()?, count);
    let is_named = str::from_utf8(room.text()?).is_ok_and(room_name::is_valid);
    let origin = Origin::parse(origin.text()?)?;
    let range = |field: Reply<'_>| field.range().map(|(start, end)| start..end);
    let messages = Messages {
        room: range(room)?,
        first,
        count,
        text: range(text)?,
        origin,
    };
    (is_whole && is_named).then_some(Entry::Messages(messages))
}

/// Whether a text has exactly so many lines, which end at line feeds alone.
fn has_lines(text: &[u8], count: u32) -> bool {
    memchr::memchr(b'\r', text).is_none()
        && memchr::memchr_iter(b'\n', text).count() + 1 == count as usize
}

#[cfg(test)]
mod tests {
    use redis_protocol::resp2::decode::decode_range;

    use super::*;

    const ORIGIN: &str = "abcdefghijklmnop 7";

    fn bulk(text: &[u8]) -> Vec<u8> {
        [format!("${}\r\n", text.len()).as_bytes(), text, b"\r\n"].concat()
    }

    /// A page of one entry with these fields, and another one behind it that is good.
    fn page(fields: &[&[u8]]) -> Page {
        let entry = |fields: &[&[u8]]| {
            let count = format!("*{}\r\n", fields.len());
            let fields: Vec<_> = fields.iter().flat_map(|field| bulk(field)).collect();
            [b"*2\r\n", &bulk(b"5-0")[..], count.as_bytes(), &fields].concat()
        };
        let good = entry(&[b"p", ORIGIN.as_bytes()]);
        let bytes = [b"*1\r\n*2\r\n$1\r\nk\r\n*2\r\n", &entry(fields)[..], &good].concat();
        let (frame, len) = decode_range(&bytes).expect("RESP2").expect("it is whole");
        assert_eq!(len, bytes.len());
        Page::new(bytes, frame).expect("a page")
    }

    fn messages<'a>(
        room: &'a [u8],
        first: &'a str,
        count: &'a str,
        text: &'a [u8],
    ) -> [&'a [u8]; 12] {
        let [e, f, c] = [&b"k3v9q2c1"[..], first.as_bytes(), count.as_bytes()];
        [
            b"r",
            room,
            b"e",
            e,
            b"f",
            f,
            b"c",
            c,
            b"o",
            ORIGIN.as_bytes(),
            b"t",
            text,
        ]
    }

    #[test]
    fn an_entry_is_told_as_slices_of_its_page() {
        for (text, count) in [
            ("a", "1"),
            ("", "1"),
            ("a\n\nb", "3"),
            ("\n", "2"),
            ("\u{e9}", "1"),
        ] {
            let mut page = page(&messages(b"lobby", "41", count, text.as_bytes()));
            let (id, entry) = page.take().expect("an entry");
            assert_eq!(Some(id), StreamId::parse(b"5-0"));
            let messages = match entry {
                Some(Entry::Messages(messages)) => Some(messages),
                _ => None,
            };
            let messages = messages.expect("it is accepted");
            assert_eq!(page.slice(&messages.room), "lobby");
            assert_eq!(page.slice(&messages.text), text);
            assert_eq!(messages.first.to_string(), "k3v9q2c1-41");
            assert_eq!(messages.count.to_string(), count);
            assert_eq!(messages.origin.counter, 7);
            assert!(!page.is_over());
            assert!(matches!(page.take(), Some((_, Some(Entry::Probe(_))))));
            assert!(page.is_over());
        }
    }

    #[test]
    fn a_malformed_entry_is_known_and_the_next_one_is_read() {
        let good = messages(b"lobby", "41", "1", b"a");
        let with = |place: usize, value: &'static [u8]| {
            let mut fields = good.to_vec();
            fields[place] = value;
            fields
        };
        let cases = [
            with(0, b"x"),
            with(10, b"u"),
            with(1, b"a:b"),
            with(3, b"K3V9Q2C1"),
            with(3, b"k3v9q2c"),
            with(5, b"0"),
            with(5, b"041"),
            with(5, b"18446744073709551615"),
            with(7, b"0"),
            with(7, b"2"),
            with(7, b"4294967297"),
            with(9, b"abcdefghijklmnop"),
            with(9, b"abcdefghijklmno 7"),
            with(9, b"abcdefghijklmnop -7"),
            with(11, b"a\nb"),
            with(11, b"a\r"),
            with(11, b"\xff"),
            with(11, b"\xe2\x82"),
            good[..10].to_vec(),
            [&good[..], &[b"x", b"y"]].concat(),
            vec![b"p", b"7"],
            vec![b"q", ORIGIN.as_bytes()],
            vec![],
        ];
        for fields in cases {
            let mut page = page(&fields);
            assert!(matches!(page.take(), Some((_, None))), "{fields:?}");
            assert!(matches!(page.take(), Some((_, Some(Entry::Probe(_))))));
        }
    }
}
