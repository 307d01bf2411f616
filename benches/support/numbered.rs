//! How the swarm reads numbered messages, as lines or as events. Every reader is held to the promise that it gets every id once
//! and in order. Where the next id stands at the start of some bytes, the right one at their last message, and their length is
//! that of the messages between, they are taken at a glance; all else, and all that an observer gets, is read message by message.

use memchr::memmem;

use super::format::Format;
use super::id::{EPOCH_LEN, Id};
use super::message::Line;
use super::scan::{Counted, Follower};
use super::wire;

const ID_NAME: &[u8] = b"id: ";
const DATA_NAME: &[u8] = b"data: ";
const BLOCK_END: &[u8] = b"\n\n";
/// What a message has beside its text and the digits of its number.
const LINE_EXTRA: usize = EPOCH_LEN + b"- \n".len();
const BLOCK_EXTRA: usize =
    ID_NAME.len() + EPOCH_LEN + b"-\n".len() + DATA_NAME.len() + BLOCK_END.len();

/// One reader.
pub(crate) struct Numbered {
    format: Format,
    message_len: usize,
    /// The start of a frame or a block whose end has not arrived.
    kept: Vec<u8>,
    /// The last id; none before the server told where it starts.
    position: Option<Id>,
    /// For one that reads every message.
    follower: Option<Box<Follower>>,
    counted: Counted,
}

impl Numbered {
    /// A reader that has heard nothing yet, of messages that are `message_len` bytes long.
    pub(crate) fn new(format: Format, message_len: usize) -> Self {
        Self {
            format,
            message_len,
            kept: Vec::new(),
            position: None,
            follower: None,
            counted: Counted::default(),
        }
    }

    /// Makes it read every message.
    pub(crate) fn observe(&mut self) {
        self.follower = Some(Box::default());
    }

    pub(crate) fn is_observer(&self) -> bool {
        self.follower.is_some()
    }

    pub(crate) fn position(&self) -> Option<Id> {
        self.position
    }

    /// Forgets the bytes of the connection that was cut, but not where it was; all of that if it is `fresh`.
    pub(crate) fn restart(&mut self, fresh: bool) {
        self.kept = Vec::new();
        if fresh {
            self.position = None;
        }
    }

    /// Reads what arrived; `on_line` gets the lines of an observer.
    pub(crate) fn feed(&mut self, input: &[u8], mut on_line: impl FnMut(Line)) -> Counted {
        let mut kept = std::mem::take(&mut self.kept);
        let bytes = wire::behind(&mut kept, input);
        self.counted = Counted::default();
        let used = match self.format {
            Format::Plain | Format::V1 | Format::Deflated => self.read_frames(bytes, &mut on_line),
            Format::Events => self.read_blocks(bytes, &mut on_line),
        };
        if used < bytes.len() {
            self.kept = bytes[used..].to_vec();
        }
        self.counted
    }

    fn read_frames(&mut self, bytes: &[u8], on_line: &mut impl FnMut(Line)) -> usize {
        let mut rest = bytes;
        while let Some((header, payload)) = wire::take_frame(&mut rest) {
            if header.is_text() && self.skip_lines(payload).is_none() {
                for line in payload.split(|byte| *byte == b'\n') {
                    self.read_line(line, on_line);
                }
            }
        }
        bytes.len() - rest.len()
    }

    fn read_blocks(&mut self, bytes: &[u8], on_line: &mut impl FnMut(Line)) -> usize {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            if let Some(len) = self.skip_blocks(rest) {
                used += len;
            } else if let Some(len) = memmem::find(rest, BLOCK_END) {
                self.read_block(&rest[..len], on_line);
                used += len + BLOCK_END.len();
            } else {
                return used;
            }
        }
    }

    /// Takes a payload that is nothing but the lines that should come next.
    fn skip_lines(&mut self, payload: &[u8]) -> Option<()> {
        let position = self.position.filter(|_| !self.is_observer())?;
        let (count, 0) = position.fit(payload.len() + 1, LINE_EXTRA + self.message_len) else {
            return None;
        };
        let (first, last) = (position.plus(1).text(), position.plus(count).text());
        let last_at = payload.len() - (last.as_bytes().len() + 1 + self.message_len);
        (payload.starts_with(first.as_bytes()) && payload[last_at..].starts_with(last.as_bytes()))
            .then(|| self.skip(count))
    }

    /// Takes the blocks that should come next, as many as are whole, and returns their length.
    fn skip_blocks(&mut self, bytes: &[u8]) -> Option<usize> {
        let position = self.position.filter(|_| !self.is_observer())?;
        let (count, left) = position.fit(bytes.len(), BLOCK_EXTRA + self.message_len);
        let is_block = |at: usize, id: Id| {
            let rest = bytes[at..].strip_prefix(ID_NAME);
            rest.is_some_and(|rest| rest.starts_with(id.text().as_bytes()))
        };
        let len = bytes.len() - left;
        let last = position.plus(count);
        let last_len =
            BLOCK_EXTRA - EPOCH_LEN - 1 + last.text().as_bytes().len() + self.message_len;
        (count > 0
            && is_block(0, position.plus(1))
            && is_block(len - last_len, last)
            && bytes[..len].ends_with(BLOCK_END))
        .then(|| {
            self.skip(count);
            len
        })
    }

    fn skip(&mut self, count: u64) {
        self.counted.lines += count;
        self.position = self.position.map(|position| position.plus(count));
    }

    fn read_line(&mut self, line: &[u8], on_line: &mut impl FnMut(Line)) {
        if let Some(control) = line.strip_prefix(b":") {
            return self.read_control(control);
        }
        let end = line.iter().position(|byte| *byte == b' ');
        let (id, text) = line.split_at(end.unwrap_or(line.len()));
        self.receive(Id::parse(id), text.get(1..).unwrap_or_default(), on_line);
    }

    /// Where the connection starts is where it was before; a gap is damage, and a count is none.
    fn read_control(&mut self, control: &[u8]) {
        let mut words = control.split(|byte| *byte == b' ');
        let word = words.next();
        if word != Some(b"here") {
            self.start_at(words.next().and_then(Id::parse));
        }
        self.counted.damaged += u64::from(word == Some(b"gap"));
    }

    fn read_block(&mut self, block: &[u8], on_line: &mut impl FnMut(Line)) {
        let (mut id, mut text, mut event) = (None, None, None);
        for line in block.split(|byte| *byte == b'\n') {
            if let Some(value) = line.strip_prefix(ID_NAME) {
                id = Some(Id::parse(value));
            } else if let Some(value) = line.strip_prefix(DATA_NAME) {
                text = Some(value);
            } else if let Some(value) = line.strip_prefix(b"event: ") {
                event = Some(value);
            }
        }
        match (id, text, event) {
            (Some(id), Some(text), None) => self.receive(id, text, on_line),
            (None, Some(_), None) => self.counted.damaged += 1,
            (Some(id), _, event) => {
                self.start_at(id);
                self.counted.damaged += u64::from(event == Some(b"gap"));
            }
            (None, _, _) => {}
        }
    }

    fn start_at(&mut self, id: Option<Id>) {
        let is_right = id.is_some() && (self.position.is_none() || self.position == id);
        self.counted.damaged += u64::from(!is_right);
        self.position = id.or(self.position);
    }

    fn receive(&mut self, id: Option<Id>, text: &[u8], on_line: &mut impl FnMut(Line)) {
        let next = self.position.map(|position| position.plus(1));
        let is_right = id.is_some() && id == next && text.len() == self.message_len;
        self.counted.lines += 1;
        self.counted.damaged += u64::from(!is_right);
        self.position = id.or(next);
        if let Some(follower) = &mut self.follower {
            self.counted.damaged += follower.read_line(text, on_line);
        }
    }
}
