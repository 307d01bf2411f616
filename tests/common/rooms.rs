//! What the tests of rooms share: ids, requests that publish, and readers of both kinds that know ids.

#![allow(clippy::panic, reason = "a test fails at what no server should send")]

use std::collections::VecDeque;
use std::fmt;
use std::process::{Command, Stdio};

use super::peer::{Response, assert_one_plain_line};
use super::wire::{self, request, upgrade_to};
use super::{Peer, Server};

/// The field by which a client offers the numbered protocol.
pub(crate) const OFFER: &str = "Sec-WebSocket-Protocol: fanfare.v1";

/// An id as the server gives it. Everything about its form is checked when it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Id {
    pub(crate) epoch: String,
    pub(crate) seq: u64,
}

impl Id {
    pub(crate) fn parse(text: &str) -> Self {
        let (epoch, seq) = text.split_once('-').expect(text);
        let is_epoch_byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        assert!(
            epoch.len() == 8 && epoch.bytes().all(is_epoch_byte),
            "{text}"
        );
        let id = Self {
            epoch: epoch.to_owned(),
            seq: seq.parse().expect(text),
        };
        assert_eq!(id.to_string(), text, "no leading zeros");
        id
    }

    /// The id with another number.
    pub(crate) fn at(&self, seq: u64) -> Self {
        Self {
            epoch: self.epoch.clone(),
            seq,
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.seq)
    }
}

/// An upgrade that offers the numbered protocol.
pub(crate) fn upgrade_v1(path: &str) -> String {
    upgrade_to(path, &[OFFER])
}

/// A request that publishes `body`.
pub(crate) fn post(path: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    post_with(path, &[], body)
}

/// The same with more fields.
pub(crate) fn post_with(path: &str, fields: &[&str], body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = format!("Content-Length: {}", body.len());
    let fields = [&["Host: chat.example", &length], fields].concat();
    let head = request(&format!("POST {path} HTTP/1.1"), &fields);
    [head.as_bytes(), body].concat()
}

/// A request whose body comes in chunks, which `chunks` holds as they travel.
pub(crate) fn post_chunked(path: &str, chunks: &str) -> String {
    let fields = ["Host: chat.example", "Transfer-Encoding: chunked"];
    request(&format!("POST {path} HTTP/1.1"), &fields) + chunks
}

impl Server {
    /// Publishes a message and gives its id.
    pub(crate) fn publish(&self, path: &str, body: &str) -> Id {
        let mut peer = self.connect();
        peer.send(post(path, body));
        peer.expect_id()
    }

    /// Publishes the messages `1` to `count`, all in one batch, and gives the id of the last one.
    pub(crate) fn publish_numbers(&self, path: &str, count: usize) -> Id {
        let lines: String = (1..=count).map(|number| format!("{number}\n")).collect();
        self.publish(&format!("{path}?lines=1"), &lines)
    }

    /// Sends a request on a connection of its own and reads the answer.
    pub(crate) fn ask(&self, bytes: impl AsRef<[u8]>) -> Response {
        let mut peer = self.connect();
        peer.send(bytes);
        peer.response()
    }

    /// Expects an error, with its reason in one line.
    pub(crate) fn expect_error(&self, bytes: impl AsRef<[u8]>, status: u16) -> Response {
        let bytes = bytes.as_ref();
        let mut peer = self.connect();
        peer.send(bytes);
        let mut response = peer.response_without_body();
        let asked = String::from_utf8_lossy(bytes);
        assert_eq!(response.status, status, "{asked}{response:?}");
        let len = response.field("content-length").map(str::parse);
        response.body = peer.take(len.expect("a length").expect("a length"));
        assert!(response.field("date").is_some(), "{asked}{response:?}");
        assert_one_plain_line(&response);
        response
    }

    /// A reader of the numbered WebSocket protocol at `path`.
    pub(crate) fn listen_v1(&self, path: &str) -> Listener {
        Listener::v1(self.connect(), path)
    }

    /// A reader of server-sent events at `path`.
    pub(crate) fn listen_sse(&self, path: &str) -> Listener {
        Listener::sse(self.connect(), path)
    }

    /// The two readers that know ids, at `/ws` and at `/room` and what follows.
    pub(crate) fn listen_both(&self, rest: &str) -> [Listener; 2] {
        [
            self.listen_v1(&format!("/ws{rest}")),
            self.listen_sse(&format!("/room{rest}")),
        ]
    }
}

impl Peer {
    /// Reads the answer to a request that publishes.
    pub(crate) fn expect_id(&mut self) -> Id {
        let response = self.response();
        assert_eq!(response.status, 200, "{response:?}");
        let content_type = response.field("content-type").unwrap_or_default();
        assert!(content_type.starts_with("text/plain"), "{response:?}");
        let body = String::from_utf8(response.body).expect("an id is ASCII");
        Id::parse(body.strip_suffix('\n').expect(&body))
    }

    /// Reads the `101` to an upgrade that offered the numbered protocol.
    pub(crate) fn expect_upgrade_v1(&mut self) {
        let response = self.expect_upgrade();
        assert_eq!(response.field("sec-websocket-protocol"), Some("fanfare.v1"));
    }

    /// Reads a line that ends with a line feed, and gives it without.
    pub(crate) fn line(&mut self) -> String {
        let mut line = self.take_through(b'\n');
        line.pop();
        String::from_utf8(line).expect("text is UTF-8")
    }

    /// Reads the lines up to the next empty one.
    pub(crate) fn block(&mut self) -> Vec<String> {
        std::iter::from_fn(|| Some(self.line()).filter(|line| !line.is_empty())).collect()
    }
}

/// A reader that knows ids. Whatever it reads is given as the lines of `fanfare.v1`.
pub(crate) struct Listener {
    pub(crate) peer: Peer,
    is_sse: bool,
    has_started: bool,
    unread: VecDeque<String>,
}

impl Listener {
    pub(crate) fn v1(peer: Peer, path: &str) -> Self {
        Self::v1_with(peer, path, &[])
    }

    /// The same with more fields in the request.
    pub(crate) fn v1_with(mut peer: Peer, path: &str, fields: &[&str]) -> Self {
        peer.send(upgrade_to(path, &[&[OFFER], fields].concat()));
        Self::v1_answered(peer)
    }

    /// The same where the request was sent and its answer was not read yet.
    pub(crate) fn v1_answered(mut peer: Peer) -> Self {
        peer.expect_upgrade_v1();
        Self::over(peer, false)
    }

    pub(crate) fn sse(peer: Peer, path: &str) -> Self {
        Self::sse_with(peer, path, &[])
    }

    /// The same with more fields in the request.
    pub(crate) fn sse_with(mut peer: Peer, path: &str, fields: &[&str]) -> Self {
        let fields = [&["Host: chat.example"], fields].concat();
        peer.send(request(&format!("GET {path} HTTP/1.1"), &fields));
        let response = peer.response_without_body();
        assert_eq!(response.status, 200, "{response:?}");
        assert_eq!(response.field("content-type"), Some("text/event-stream"));
        Self::over(peer, true)
    }

    fn over(peer: Peer, is_sse: bool) -> Self {
        Self {
            peer,
            is_sse,
            has_started: false,
            unread: VecDeque::new(),
        }
    }

    /// Reads a line. Pings are answered.
    pub(crate) fn line(&mut self) -> String {
        if self.is_sse {
            return self.line_of_block();
        }
        while self.unread.is_empty() {
            let frame = self.peer.frame();
            if frame.first == wire::PING {
                self.peer.send(wire::frame(wire::PONG, &frame.payload));
                continue;
            }
            let text = self.peer.text_of(frame);
            self.unread.extend(text.split('\n').map(str::to_owned));
        }
        self.unread.pop_front().expect("it is not empty")
    }

    /// Expects these lines.
    pub(crate) fn expect(&mut self, lines: &[String]) {
        for line in lines {
            assert_eq!(self.line(), *line, "is_sse: {}", self.is_sse);
        }
    }

    /// Expects a first line that says where a connection without a past starts, and gives the position.
    pub(crate) fn expect_fresh(&mut self) -> Id {
        let line = self.line();
        Id::parse(line.strip_prefix(":fresh ").expect(&line))
    }

    fn line_of_block(&mut self) -> String {
        let block = self.peer.block();
        // Comments that keep the connection alive stand between blocks.
        let block: Vec<&str> = block
            .iter()
            .map(String::as_str)
            .filter(|line| *line != ":")
            .collect();
        if !self.has_started {
            self.has_started = true;
            return self.first_line(&block);
        }
        let fields: Vec<_> = block
            .iter()
            .filter_map(|line| line.split_once(": "))
            .collect();
        match (block.len(), &fields[..]) {
            (2, [("id", id), ("data", text)]) => format!("{id} {text}"),
            (1, [("retry", wait)]) => format!(":retry {wait}"),
            (2, [("event", "here"), ("data", count)]) => format!(":here {count}"),
            (3, [("event", "gap"), ("id", id), ("data", count)]) => format!(":gap {id} {count}"),
            _ => panic!("no such block: {block:?}"),
        }
    }

    /// The comment that opens a stream; where it tells of a gap, an event must tell of it as well.
    fn first_line(&mut self, block: &[&str]) -> String {
        let [line, "retry: 3000", position] = block else {
            panic!("no first block: {block:?}");
        };
        let id = line.split(' ').nth(1).expect(line);
        assert_eq!(*position, format!("id: {id}"), "{block:?}");
        if line.starts_with(":gap ") {
            assert_eq!(self.line_of_block(), *line);
        }
        (*line).to_owned()
    }
}

/// Checks that `lines` go on from `position` without a silent gap; the position behind the last one, and how
/// many messages were skipped.
pub(crate) fn follow(mut position: Id, lines: &[String]) -> (Id, u64) {
    let mut skipped = 0;
    for line in lines {
        if let Some(gap) = line.strip_prefix(":gap ") {
            let (id, count) = gap.split_once(' ').expect(line);
            let count: u64 = count.parse().expect(line);
            assert!(count > 0, "{line}");
            position = position.at(position.seq + count);
            assert_eq!(id, position.to_string(), "{line}");
            skipped += count;
        } else {
            let (id, _) = line.split_once(' ').expect(line);
            position = position.at(position.seq + 1);
            assert_eq!(id, position.to_string());
        }
    }
    (position, skipped)
}

/// Where there is no `curl`, what needs it says so and sees nothing, unless it must be there.
pub(crate) fn has_curl() -> bool {
    let mut command = Command::new("curl");
    command.arg("--version").stdout(Stdio::null());
    let has = command.status().is_ok_and(|status| status.success());
    let is_optional = std::env::var_os("FANFARE_REQUIRE_CURL").is_none();
    assert!(has || is_optional, "there is no curl");
    if !has {
        eprintln!("NOT TESTED: this machine has no curl");
    }
    has
}
