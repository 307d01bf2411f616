//! `docs/protocol.md`: every example in it is played against the real server, byte by byte.
//!
//! The document explains its own notation. Each block has a server of its own, started with the flags that stand
//! behind the block's first word.

use std::collections::BTreeMap;
use std::process::Command;

use crate::common::program::Program;
use crate::common::rooms::has_curl;
use crate::common::{Peer, Server};

const DOCUMENT: &str = include_str!("../../docs/protocol.md");
/// What stands in the examples for an epoch that the server drew.
const EPOCHS: [&str; 2] = ["k3v9q2c1", "m2xw7d0a"];
/// Where the server of the examples listens.
const ADDRESS: &str = "localhost:8080";

/// A fenced block: the words behind its fence, and its lines.
struct Block {
    words: Vec<&'static str>,
    lines: Vec<&'static str>,
}

/// The blocks whose first word is `kind`.
fn blocks(kind: &str) -> Vec<Block> {
    let parts = DOCUMENT.split("\n```").skip(1).step_by(2);
    let blocks = parts.map(|part| {
        let mut lines = part.lines();
        Block {
            words: lines.next().unwrap_or_default().split(' ').collect(),
            lines: lines.collect(),
        }
    });
    blocks.filter(|block| block.words[0] == kind).collect()
}

/// The epochs of one block: each placeholder is bound when the server first names one in its place.
#[derive(Default)]
struct Epochs(BTreeMap<&'static str, String>);

impl Epochs {
    /// What the client sends: a placeholder that is not bound is an epoch that the server never drew.
    fn fill_in(&self, line: &str) -> String {
        self.0.iter().fold(line.to_owned(), |line, (name, epoch)| {
            line.replace(name, epoch)
        })
    }

    /// Expects the server's line to be the document's.
    fn expect(&mut self, expected: &str, actual: &str) {
        if let Some(date) = actual.strip_prefix("Date: ") {
            assert!(expected.starts_with("Date: "), "{expected:?} is a date");
            assert!(date.len() == 29 && date.ends_with(" GMT"), "{date}");
            return;
        }
        for name in EPOCHS {
            if let Some(place) = expected.find(name).filter(|_| !self.0.contains_key(name)) {
                let epoch = actual.get(place..place + name.len());
                self.0.insert(name, epoch.unwrap_or_default().to_owned());
            }
        }
        assert_eq!(actual, self.fill_in(expected), "docs/protocol.md");
    }
}

/// What a connection of an example has become.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Http,
    Events,
    WebSocket,
}

struct Connection {
    peer: Peer,
    mode: Mode,
    /// Lines of a WebSocket message that came joined with others.
    unread: Vec<String>,
}

impl Connection {
    fn new(server: &Server) -> Self {
        Self {
            peer: server.connect(),
            mode: Mode::Http,
            unread: Vec::new(),
        }
    }

    /// Sends what stands behind `>`: a request and its body, or a message a line.
    fn send(&mut self, lines: &[String]) {
        if self.mode == Mode::WebSocket {
            lines.iter().for_each(|line| self.peer.say(line));
            return;
        }
        assert!(self.mode == Mode::Http, "nobody talks in an event stream");
        let end = lines
            .iter()
            .position(String::is_empty)
            .expect("a head ends");
        let head: String = lines[..=end]
            .iter()
            .map(|line| format!("{line}\r\n"))
            .collect();
        self.peer.send(head + &lines[end + 1..].join("\n"));
    }

    /// Expects what stands behind `<`.
    fn expect(&mut self, lines: &[&str], epochs: &mut Epochs) {
        let mut lines = lines.iter();
        if self.mode == Mode::Http {
            self.expect_response(&mut lines, epochs);
        }
        for line in lines {
            let actual = match self.mode {
                Mode::WebSocket => self.line_of_message(),
                Mode::Http | Mode::Events => self.peer.line(),
            };
            epochs.expect(line, &actual);
        }
    }

    /// Expects a head, and a body as long as the head says. Afterwards the connection is what the head made it.
    fn expect_response<'a>(
        &mut self,
        lines: &mut impl Iterator<Item = &'a &'a str>,
        epochs: &mut Epochs,
    ) {
        let mut head = Vec::new();
        for line in lines.by_ref() {
            let actual = self.peer.line();
            let actual = actual
                .strip_suffix('\r')
                .expect("a head has whole line ends");
            epochs.expect(line, actual);
            if line.is_empty() {
                break;
            }
            head.push(*line);
        }
        let has = |field: &str| head.contains(&field);
        if has("Content-Type: text/event-stream") {
            self.mode = Mode::Events;
        } else if has("HTTP/1.1 101 Switching Protocols") {
            self.mode = Mode::WebSocket;
        } else if let Some(len) = head
            .iter()
            .find_map(|line| line.strip_prefix("Content-Length: "))
        {
            let body: Vec<&str> = lines.copied().collect();
            let body_len: usize = body.iter().map(|line| line.len() + 1).sum();
            assert_eq!(body_len.to_string(), len, "{head:?}");
            for line in body {
                epochs.expect(line, &self.peer.line());
            }
        }
        let is_last = has("Connection: close") || has("Connection: upgrade, close");
        if self.mode == Mode::Http && is_last {
            self.peer.expect_end();
        }
    }

    fn line_of_message(&mut self) -> String {
        if self.unread.is_empty() {
            let text = self.peer.hear();
            self.unread = text.split('\n').map(str::to_owned).collect();
        }
        self.unread.remove(0)
    }
}

/// A line of an exchange: which connection, whether the client sends it, and the text.
fn parse(line: &'static str) -> (&'static str, bool, &'static str) {
    let mark = line.find(['>', '<']).expect(line);
    let text = &line[mark + 1..];
    let is_sent = line[mark..].starts_with('>');
    (
        &line[..mark],
        is_sent,
        text.strip_prefix(' ').unwrap_or(text),
    )
}

fn play(block: &Block) {
    let server = Server::start(&block.words[1..]);
    let mut connections = BTreeMap::new();
    let mut epochs = Epochs::default();
    let steps: Vec<_> = block.lines.iter().map(|line| parse(line)).collect();
    for step in steps.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
        let (name, is_sent, _) = step[0];
        let connection = connections
            .entry(name)
            .or_insert_with(|| Connection::new(&server));
        let lines = step.iter().map(|(_, _, text)| *text);
        if is_sent {
            let lines: Vec<_> = lines.map(|line| epochs.fill_in(line)).collect();
            connection.send(&lines);
        } else {
            connection.expect(&lines.collect::<Vec<_>>(), &mut epochs);
        }
    }
    for connection in connections.values() {
        assert!(connection.unread.is_empty(), "{:?}", connection.unread);
    }
}

#[test]
fn every_exchange_of_the_document_happens_as_it_stands_there() {
    let exchanges = blocks("exchange");
    assert!(exchanges.len() >= 15, "{} exchanges", exchanges.len());
    for exchange in &exchanges {
        play(exchange);
    }
}

#[test]
fn every_command_of_the_document_prints_what_stands_there() {
    let consoles = blocks("console");
    assert!(!consoles.is_empty(), "there is no example with curl");
    if !has_curl() {
        return;
    }
    for console in consoles {
        let server = Server::start(&console.words[1..]);
        let mut epochs = Epochs::default();
        let commands = console.lines.iter().enumerate();
        for (start, line) in commands.filter(|(_, line)| line.starts_with("$ ")) {
            let line = epochs.fill_in(&line[2..]);
            let line = line.replace(ADDRESS, &server.addr.to_string());
            let mut command = Command::new("sh");
            command.args(["-c", &format!("exec {line}")]);
            let curl = Program::spawn(command);
            let printed = console.lines[start + 1..].iter();
            let printed = printed.take_while(|line| !line.starts_with("$ "));
            for (index, expected) in printed.enumerate() {
                let actual = curl.line(index).expect("curl prints so many lines");
                epochs.expect(expected, &actual);
            }
        }
    }
}

#[test]
fn no_example_of_the_document_is_left_out() {
    let fences = DOCUMENT.matches("\n```").count();
    let known = ["exchange", "console", "js"];
    let read: usize = known.map(|kind| blocks(kind).len()).iter().sum();
    assert_eq!(read * 2, fences, "a block is of no known kind");
}
