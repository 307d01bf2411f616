//! Peers that listen to a room in any of its framings, and what they receive, decoded.

use std::fmt;

use super::{Peer, World, deflate, find, masked_frame, wire};

/// How a peer listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A plain WebSocket.
    Lines,
    /// The same, one message a frame.
    Single,
    /// A WebSocket with ids.
    NumberedLines,
    /// The same, one message a frame.
    NumberedSingle,
    /// Server-sent events.
    Events,
    /// A plain WebSocket that offers a window of so many bits.
    DeflatedLines(u8),
    /// The same with ids.
    DeflatedNumberedLines(u8),
}

impl Kind {
    pub const ALL: [Self; 10] = [
        Self::Lines,
        Self::Single,
        Self::NumberedLines,
        Self::NumberedSingle,
        Self::Events,
        Self::DeflatedLines(15),
        Self::DeflatedLines(9),
        Self::DeflatedNumberedLines(15),
        Self::DeflatedNumberedLines(10),
        Self::DeflatedNumberedLines(8),
    ];
    pub const WITH_IDS: [Self; 4] = [
        Self::NumberedLines,
        Self::NumberedSingle,
        Self::Events,
        Self::DeflatedNumberedLines(15),
    ];

    pub fn has_ids(self) -> bool {
        !matches!(self, Self::Lines | Self::Single | Self::DeflatedLines(_))
    }

    /// The bits of the window that it offers.
    pub fn window_bits(self) -> Option<u8> {
        match self {
            Self::DeflatedLines(bits) | Self::DeflatedNumberedLines(bits) => Some(bits),
            _ => None,
        }
    }

    pub fn is_websocket(self) -> bool {
        self != Self::Events
    }
}

/// An id, or the position behind its message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Position {
    pub epoch: String,
    pub seq: u64,
}

impl Position {
    /// Reads an id, which must have the form of one.
    pub fn parse(text: &str) -> Self {
        let (epoch, seq) = text.split_once('-').expect("an id has a hyphen");
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        assert!(epoch.len() == 8 && epoch.bytes().all(is_plain), "{text}");
        let number: u64 = seq.parse().expect("an id ends with a number");
        assert_eq!(number.to_string(), seq, "no leading zeros");
        Self {
            epoch: epoch.to_owned(),
            seq: number,
        }
    }

    pub fn at(&self, seq: u64) -> Self {
        let epoch = self.epoch.clone();
        Self { epoch, seq }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.seq)
    }
}

/// The answer to where a reader starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Fresh,
    Resumed,
    /// So many messages are missing, if that is known.
    Gap(Option<u64>),
}

/// What a listener receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// The status of the answer to its request.
    Status(u16),
    /// The first line.
    Start(Start, Position),
    /// A message, and its id where there are ids.
    Message(Option<Position>, String),
    Gap(Position, Option<u64>),
    Here(usize),
    /// A ping, or a comment.
    Ping,
    /// A close frame's code.
    Close(u16),
}

/// A listener's end of its connection.
#[derive(Debug)]
pub struct Listener {
    pub peer: Peer,
    pub kind: Kind,
    received: Vec<u8>,
    has_head: bool,
    has_started: bool,
    /// The bits of its window, if it was agreed on that messages may be compressed.
    window_bits: Option<u8>,
    /// How many messages came compressed.
    pub deflated: u64,
    block: Block,
}

/// The lines of an event of which the end has not come.
#[derive(Debug, Default)]
struct Block {
    comment: Option<String>,
    event: Option<String>,
    id: Option<Position>,
    data: Option<String>,
}

impl World {
    /// A peer that asks to listen; `query` is what follows the question mark.
    pub fn listen(&mut self, kind: Kind, room: &str, query: &str) -> Listener {
        let peer = self.connect();
        peer.send(&request(kind, room, query));
        Listener::new(peer, kind)
    }
}

/// A request to listen to a room.
pub fn request(kind: Kind, room: &str, query: &str) -> Vec<u8> {
    let name = if room.is_empty() { "" } else { "/" };
    let root = if kind.is_websocket() { "/ws" } else { "/room" };
    let coalesce = match kind {
        Kind::Single | Kind::NumberedSingle => "&coalesce=0",
        _ => "",
    };
    let mut head = format!("GET {root}{name}{room}?{query}{coalesce} HTTP/1.1\r\n");
    let fields: &[&str] = if kind.is_websocket() {
        &wire::UPGRADE
    } else {
        &["Host: chat.example"]
    };
    for field in fields {
        head += &format!("{field}\r\n");
    }
    if kind.is_websocket() && kind.has_ids() {
        head += "Sec-WebSocket-Protocol: fanfare.v1\r\n";
    }
    if let Some(bits) = kind.window_bits() {
        let offer = deflate::DEFLATE_OFFER;
        head += &format!("{offer}; server_max_window_bits={bits}\r\n");
    }
    (head + "\r\n").into_bytes()
}

impl Listener {
    /// A listener whose request is sent.
    pub fn new(peer: Peer, kind: Kind) -> Self {
        Self {
            peer,
            kind,
            received: Vec::new(),
            has_head: false,
            has_started: false,
            window_bits: None,
            deflated: 0,
            block: Block::default(),
        }
    }

    /// What came whole since the last call; pings are answered.
    pub fn take(&mut self) -> Vec<Item> {
        self.take_up_to(usize::MAX)
    }

    /// The same, of so many bytes at most.
    pub fn take_up_to(&mut self, len: usize) -> Vec<Item> {
        self.received.extend(self.peer.take_up_to(len));
        let mut items = Vec::new();
        if !self.has_head && !self.take_head(&mut items) {
            return items;
        }
        match self.kind {
            Kind::Events => self.take_events(&mut items),
            _ => self.take_messages(&mut items),
        }
        items
    }

    /// The messages among what came, as text.
    pub fn take_texts(&mut self) -> Vec<String> {
        let items = self.take().into_iter();
        let texts = items.filter_map(|item| match item {
            Item::Message(_, text) => Some(text),
            _ => None,
        });
        texts.collect()
    }

    /// Where the connection starts, and the messages that came since, as text.
    pub fn take_start(&mut self) -> (Start, Position, Vec<String>) {
        let mut items = self.take().into_iter();
        let status = items.next();
        assert!(
            matches!(status, Some(Item::Status(101 | 200))),
            "{status:?}"
        );
        let Some(Item::Start(start, position)) = items.next() else {
            panic!("the first line comes first");
        };
        let texts = items.filter_map(|item| match item {
            Item::Message(_, text) => Some(text),
            _ => None,
        });
        (start, position, texts.collect())
    }

    fn take_head(&mut self, items: &mut Vec<Item>) -> bool {
        let Some(end) = find(&self.received, b"\r\n\r\n") else {
            return false;
        };
        let head: Vec<u8> = self.received.drain(..end + 4).collect();
        let head = String::from_utf8(head).expect("a head is ASCII");
        let status = head[9..12].parse().expect("a status");
        items.push(Item::Status(status));
        let (is_listening, field) = match self.kind {
            Kind::Events => (status == 200, "Content-Type: text/event-stream\r\n"),
            _ => (status == 101, "Sec-WebSocket-Accept: "),
        };
        assert!(!is_listening || head.contains(field), "{head}");
        let is_named = head.contains("Sec-WebSocket-Protocol: fanfare.v1\r\n");
        let has_lines = self.kind.has_ids() && self.kind.is_websocket();
        assert_eq!(is_named, is_listening && has_lines, "{head}");
        self.window_bits = deflate::agreed_window_of(&head);
        let offered = self.kind.window_bits();
        assert!(
            self.window_bits.is_none() || self.window_bits == offered,
            "{head}"
        );
        self.has_head = is_listening;
        is_listening
    }

    fn take_messages(&mut self, items: &mut Vec<Item>) {
        let window_bits = self.window_bits;
        for (first, payload) in wire::take_frames_with(&mut self.received, window_bits.is_some()) {
            match first {
                wire::TEXT | deflate::DEFLATED_TEXT => {
                    self.deflated += u64::from(first == deflate::DEFLATED_TEXT);
                    let text = deflate::text_of(first, payload, window_bits);
                    let is_single = matches!(self.kind, Kind::Single | Kind::NumberedSingle);
                    assert!(!is_single || !text.contains('\n'), "one message a frame");
                    items.extend(text.split('\n').map(|line| self.line(line)));
                }
                wire::PING => {
                    self.peer.send(&masked_frame(wire::PONG, &payload));
                    items.push(Item::Ping);
                }
                wire::CLOSE => {
                    let code = payload.first_chunk().expect("a close frame has a code");
                    items.push(Item::Close(u16::from_be_bytes(*code)));
                }
                _ => panic!("a frame that begins with {first:#x}"),
            }
        }
    }

    fn line(&mut self, line: &str) -> Item {
        if !self.kind.has_ids() {
            return Item::Message(None, line.to_owned());
        }
        let Some(control) = line.strip_prefix(':') else {
            let (id, text) = line.split_once(' ').expect("a space follows the id");
            return Item::Message(Some(Position::parse(id)), text.to_owned());
        };
        let is_first = !std::mem::replace(&mut self.has_started, true);
        let (answer, position) = match control.split(' ').collect::<Vec<_>>()[..] {
            ["here", count] => {
                assert!(!is_first, "{line}");
                return Item::Here(count.parse().expect("a number"));
            }
            ["gap", id, count] if !is_first => {
                return Item::Gap(Position::parse(id), parse_count(count));
            }
            ["fresh", id] => (Start::Fresh, id),
            ["resumed", id] => (Start::Resumed, id),
            ["gap", id, count] => (Start::Gap(parse_count(count)), id),
            _ => panic!("{line:?} is no control line"),
        };
        assert!(is_first, "{line}");
        Item::Start(answer, Position::parse(position))
    }

    fn take_events(&mut self, items: &mut Vec<Item>) {
        while let Some(end) = self.received.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.received.drain(..=end).collect();
            let line = String::from_utf8(line).expect("the server sends UTF-8");
            let block = &mut self.block;
            match line.trim_end_matches('\n').split_once(": ") {
                None if line == "\n" => items.extend(self.event()),
                None if line == ":\n" => items.push(Item::Ping),
                Some(("id", id)) => block.id = Some(Position::parse(id)),
                Some(("event", name)) => block.event = Some(name.to_owned()),
                Some(("data", data)) => {
                    assert!(block.data.is_none(), "a message is one line");
                    block.data = Some(data.to_owned());
                }
                Some(("retry", time)) => assert!(time.parse::<u32>().is_ok()),
                _ => block.comment = line.strip_prefix(':').map(|it| it.trim_end().to_owned()),
            }
        }
    }

    /// The event whose last line has come.
    fn event(&mut self) -> Option<Item> {
        let block = std::mem::take(&mut self.block);
        if let Some(comment) = block.comment {
            let item = self.line(&format!(":{comment}"));
            let Item::Start(_, position) = &item else {
                panic!("{comment:?} is no first line");
            };
            assert_eq!(block.id.as_ref(), Some(position));
            return Some(item);
        }
        let data = block.data?;
        Some(match block.event.as_deref() {
            None => Item::Message(block.id, data),
            Some("gap") => Item::Gap(block.id.expect("a gap has an id"), parse_count(&data)),
            Some("here") => Item::Here(data.parse().expect("a number")),
            Some(name) => panic!("an event {name:?}"),
        })
    }
}

fn parse_count(text: &str) -> Option<u64> {
    match text {
        "?" => None,
        _ => Some(text.parse().expect("a number")),
    }
}
