//! A client of the broker for tests: one command, one reply, blocking (RESP2).

#![allow(clippy::panic, reason = "a test fails at what the broker answers")]

use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::common::PATIENCE;

/// What the broker answers.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    Nil,
    Number(i64),
    Text(String),
    Error(String),
    List(Vec<Reply>),
}

impl Reply {
    /// A string, simple or not.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            _ => panic!("no text: {self:?}"),
        }
    }

    pub(crate) fn list(&self) -> &[Reply] {
        match self {
            Self::List(list) => list,
            _ => panic!("no list: {self:?}"),
        }
    }

    /// A list of strings.
    pub(crate) fn texts(&self) -> Vec<&str> {
        self.list().iter().map(Self::text).collect()
    }

    pub(crate) fn number(&self) -> i64 {
        match self {
            &Self::Number(number) => number,
            _ => panic!("no number: {self:?}"),
        }
    }

    /// The first word of an error.
    pub(crate) fn error_code(&self) -> &str {
        match self {
            Self::Error(line) => line.split(' ').next().unwrap_or_default(),
            _ => panic!("no error: {self:?}"),
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
            Self::Error(line) => write!(f, "error {line}"),
            Self::List(list) => list.fmt(f),
        }
    }
}

/// A connection to the broker.
pub(crate) struct Resp(BufReader<TcpStream>);

impl Resp {
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).expect("the broker accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("an option");
        Self(BufReader::new(stream))
    }

    /// Asks, and waits for the answer.
    pub(crate) fn ask(&mut self, words: &[&str]) -> Reply {
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            command += &format!("${}\r\n{word}\r\n", word.len());
        }
        let sent = self.0.get_mut().write_all(command.as_bytes());
        sent.expect("the broker reads");
        self.reply()
    }

    fn reply(&mut self) -> Reply {
        let line = self.line();
        let (kind, rest) = line.split_at(1);
        let number = || rest.parse::<i64>().expect(&line);
        match kind {
            "+" => Reply::Text(rest.to_owned()),
            "-" => Reply::Error(rest.to_owned()),
            ":" => Reply::Number(number()),
            "$" => usize::try_from(number()).map_or(Reply::Nil, |len| Reply::Text(self.bulk(len))),
            "*" => usize::try_from(number()).map_or(Reply::Nil, |len| {
                Reply::List((0..len).map(|_| self.reply()).collect())
            }),
            _ => panic!("no reply: {line}"),
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("the broker answers");
        line.trim_end().to_owned()
    }

    fn bulk(&mut self, len: usize) -> String {
        let mut bytes = vec![0; len + 2];
        self.0.read_exact(&mut bytes).expect("the rest of a reply");
        bytes.truncate(len);
        String::from_utf8(bytes).expect("UTF-8")
    }
}
