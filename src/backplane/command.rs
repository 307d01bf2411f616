//! Commands as bytes (RESP2), and the names of the keys that they are about.

use std::time::Duration;

use crate::decimal;

use super::script::{Script, Scripts};
use super::stream_id::StreamId;

/// Appends commands to the bytes that wait for a connection.
pub(super) struct Encoder<'a> {
    out: &'a mut Vec<u8>,
    prefix: &'a str,
}

impl<'a> Encoder<'a> {
    /// Every key begins with the prefix in braces, so that all of them lie in one slot of a cluster.
    pub(super) fn new(out: &'a mut Vec<u8>, prefix: &'a str) -> Self {
        Self { out, prefix }
    }

    /// Begins a command of so many parts, the first of which is its name.
    pub(super) fn command(&mut self, name: &str, parts: usize) -> &mut Self {
        self.header(b'*', parts);
        self.text(name.as_bytes())
    }

    /// Begins the call of a script. `parts` are its keys and its arguments.
    pub(super) fn call(
        &mut self,
        scripts: &Scripts,
        script: Script,
        keys: usize,
        parts: usize,
    ) -> &mut Self {
        self.command("EVALSHA", 3 + parts);
        self.text(scripts.hash(script).as_bytes())
            .number(keys as u64)
    }

    pub(super) fn text(&mut self, text: &[u8]) -> &mut Self {
        self.header(b'$', text.len());
        self.out.extend_from_slice(text);
        self.end()
    }

    pub(super) fn number(&mut self, number: u64) -> &mut Self {
        self.header(b'$', digits(number));
        decimal::push(number, self.out);
        self.end()
    }

    pub(super) fn millis(&mut self, time: Duration) -> &mut Self {
        self.number(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn stream_id(&mut self, id: StreamId) -> &mut Self {
        let mut text = Vec::with_capacity(2 * decimal::DIGITS_MAX + 1);
        id.encode(&mut text);
        self.text(&text)
    }

    /// The name of a key: the prefix and what the parts are when they are joined by colons.
    pub(super) fn key(&mut self, parts: &[&[u8]]) -> &mut Self {
        let len = self.prefix.len() + 2 + parts.iter().map(|part| 1 + part.len()).sum::<usize>();
        self.header(b'$', len);
        self.out.push(b'{');
        self.out.extend_from_slice(self.prefix.as_bytes());
        self.out.push(b'}');
        for part in parts {
            self.out.push(b':');
            self.out.extend_from_slice(part);
        }
        self.end()
    }

    fn header(&mut self, kind: u8, number: usize) {
        self.out.push(kind);
        decimal::push(number as u64, self.out);
        self.end();
    }

    fn end(&mut self) -> &mut Self {
        self.out.extend_from_slice(b"\r\n");
        self
    }
}

fn digits(number: u64) -> usize {
    number.checked_ilog10().unwrap_or(0) as usize + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_an_array_of_texts() {
        let mut out = Vec::new();
        let mut encoder = Encoder::new(&mut out, "fanfare");
        encoder
            .command("X", 5)
            .key(&[b"room", b""])
            .number(0)
            .number(10)
            .stream_id(StreamId::before(7));
        let expected =
            "*5\r\n$1\r\nX\r\n$15\r\n{fanfare}:room:\r\n$1\r\n0\r\n$2\r\n10\r\n$3\r\n7-0\r\n";
        assert_eq!(String::from_utf8(out).as_deref(), Ok(expected));
    }
}
