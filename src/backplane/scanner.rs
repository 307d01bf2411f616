//! Where a reply of the broker (RESP2) ends, as its bytes come in.
//!
//! Every byte is looked at once, and every bound is checked at the header that breaks it, before a byte is reserved for
//! what the header promises.

use std::fmt;

use super::bytes;

/// How deep the arrays of a reply may be nested.
pub const REPLY_DEPTH_MAX: usize = 8;
/// The most items that a reply may have, in all its arrays together.
pub const REPLY_ITEMS_MAX: usize = 64 * 1024;
/// The longest line of a reply, in bytes: a status or the reason of an error.
pub const REPLY_LINE_MAX: usize = 4 * 1024;
/// The longest line that holds a number, in bytes, without the line end.
const NUMBER_LINE_MAX: usize = 21;

/// Why a reply cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadReply {
    /// It is no RESP2.
    Malformed,
    /// It breaks a bound.
    TooLarge,
}

impl fmt::Display for BadReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "a reply is malformed",
            Self::TooLarge => "a reply is too large",
        })
    }
}

/// Finds the end of a reply. It remembers how far it has come, so that every byte is looked at once.
#[derive(Debug)]
pub(super) struct Scanner {
    pub(super) len_max: usize,
    /// How many bytes were scanned.
    at: usize,
    /// Where the line that is scanned began.
    line_start: usize,
    /// How many items each open array still lacks.
    open: [usize; REPLY_DEPTH_MAX],
    depth: usize,
    items: usize,
    /// Where the bulk string that is scanned ends, its line end included.
    bulk_end: Option<usize>,
}

impl Scanner {
    pub(super) fn new(len_max: usize) -> Self {
        Self {
            len_max,
            at: 0,
            line_start: 0,
            open: [0; REPLY_DEPTH_MAX],
            depth: 0,
            items: 0,
            bulk_end: None,
        }
    }

    /// Goes on in a reply of which these are the bytes so far, from its first one. Returns its length once it is
    /// whole.
    pub(super) fn scan(&mut self, reply: &[u8]) -> Result<Option<usize>, BadReply> {
        loop {
            let is_item_over = match self.bulk_end {
                Some(end) => self.scan_bulk(reply, end)?,
                None => self.scan_line(reply)?,
            };
            match is_item_over {
                None => return Ok(None),
                Some(false) => {}
                Some(true) if self.end_item() => return Ok(Some(self.at)),
                Some(true) => {}
            }
        }
    }

    /// `None`: more bytes are needed.
    fn scan_bulk(&mut self, reply: &[u8], end: usize) -> Result<Option<bool>, BadReply> {
        let Some(bulk) = reply.get(..end) else {
            return Ok(None);
        };
        if !bulk.ends_with(b"\r\n") {
            return Err(BadReply::Malformed);
        }
        self.bulk_end = None;
        self.begin_line(end);
        Ok(Some(true))
    }

    /// Whether the line is a whole item; `None`: more bytes are needed.
    fn scan_line(&mut self, reply: &[u8]) -> Result<Option<bool>, BadReply> {
        let Some((&kind, _)) = reply.get(self.line_start..).and_then(<[u8]>::split_first) else {
            return Ok(None);
        };
        let line_max = match kind {
            b'+' | b'-' => REPLY_LINE_MAX,
            b':' | b'$' | b'*' => NUMBER_LINE_MAX,
            _ => return Err(BadReply::Malformed),
        };
        let rest = reply.get(self.at..).unwrap_or_default();
        let line_end = memchr::memchr(b'\n', rest).map(|end| self.at + end);
        let line_len = line_end.unwrap_or(reply.len()) - self.line_start;
        // The kind before it and the carriage return behind it do not count.
        if line_len > line_max + 2 || self.line_start + line_len >= self.len_max {
            return Err(BadReply::TooLarge);
        }
        let Some(line_end) = line_end else {
            self.at = reply.len();
            return Ok(None);
        };
        let line = reply.get(self.line_start + 1..line_end);
        let line = line.and_then(|line| line.strip_suffix(b"\r"));
        let line = line.ok_or(BadReply::Malformed)?;
        self.begin_line(line_end + 1);
        self.judge_line(kind, line).map(Some)
    }

    fn judge_line(&mut self, kind: u8, line: &[u8]) -> Result<bool, BadReply> {
        match kind {
            b':' => bytes::signed(line).map_or(Err(BadReply::Malformed), |_| Ok(true)),
            b'$' => self.begin_bulk(line),
            b'*' => self.begin_array(line),
            _ => Ok(true),
        }
    }

    fn begin_line(&mut self, at: usize) {
        self.at = at;
        self.line_start = at;
    }

    fn begin_bulk(&mut self, line: &[u8]) -> Result<bool, BadReply> {
        let Some(len) = length(line)? else {
            return Ok(true);
        };
        let end = self.at.saturating_add(len).saturating_add(2);
        if end > self.len_max {
            return Err(BadReply::TooLarge);
        }
        self.bulk_end = Some(end);
        Ok(false)
    }

    fn begin_array(&mut self, line: &[u8]) -> Result<bool, BadReply> {
        let count = match length(line)? {
            None | Some(0) => return Ok(true),
            Some(count) => count,
        };
        self.items = self.items.saturating_add(count);
        // No item is shorter than three bytes.
        let len_min = count.saturating_mul(3).saturating_add(self.at);
        if self.items > REPLY_ITEMS_MAX || len_min > self.len_max {
            return Err(BadReply::TooLarge);
        }
        let open = self.open.get_mut(self.depth).ok_or(BadReply::TooLarge)?;
        *open = count;
        self.depth += 1;
        Ok(false)
    }

    /// Ends an item, and the arrays whose last one it was. Whether the reply is whole with it.
    fn end_item(&mut self) -> bool {
        while let Some(level) = self.depth.checked_sub(1) {
            if let Some(open) = self.open.get_mut(level) {
                *open -= 1;
                if *open > 0 {
                    return false;
                }
            }
            self.depth = level;
        }
        true
    }
}

/// A length or a count; `None` for what is null.
fn length(line: &[u8]) -> Result<Option<usize>, BadReply> {
    if line == b"-1" {
        return Ok(None);
    }
    let length = bytes::number(line).ok_or(BadReply::Malformed)?;
    usize::try_from(length)
        .map(Some)
        .map_err(|_| BadReply::TooLarge)
}

#[cfg(test)]
mod tests {
    use redis_protocol::resp2::decode::decode_range;

    use super::*;

    const LEN_MAX: usize = 1000;

    fn scan(bytes: &[u8]) -> Result<Option<usize>, BadReply> {
        Scanner::new(LEN_MAX).scan(bytes)
    }

    #[test]
    fn the_end_of_a_reply_is_found_at_every_cut() {
        for reply in [
            &b"+OK\r\n"[..],
            b"+\r\n",
            b"-ERR what\r\n",
            b":0\r\n",
            b":-12\r\n",
            b"$0\r\n\r\n",
            b"$4\r\na\r\nb\r\n",
            b"$-1\r\n",
            b"*-1\r\n",
            b"*0\r\n",
            b"*2\r\n*0\r\n*-1\r\n",
            b"*3\r\n$1\r\na\r\n*2\r\n:1\r\n*1\r\n+b\r\n$-1\r\n",
        ] {
            for cut in 0..reply.len() {
                let mut scanner = Scanner::new(LEN_MAX);
                assert_eq!(scanner.scan(&reply[..cut]), Ok(None), "{reply:?} at {cut}");
                assert_eq!(scanner.scan(reply), Ok(Some(reply.len())), "{reply:?}");
            }
            let longer = [reply, b"+"].concat();
            assert_eq!(scan(&longer), Ok(Some(reply.len())));
            let decoded = decode_range(reply).expect("it is RESP2");
            assert_eq!(decoded.map(|(_, len)| len), Some(reply.len()));
        }
    }

    #[test]
    fn what_is_no_reply_is_refused_at_once() {
        for bytes in [
            &b"HTTP/1.1 400\r\n"[..],
            b"\r\n",
            b"%1\r\n",
            b":\r\n",
            b":+1\r\n",
            b":1a\r\n",
            b":1\n",
            b"$-2\r\n",
            b"$-0\r\n",
            b"$+1\r\n",
            b"$ 1\r\n",
            b"*-2\r\n",
            b"*x\r\n",
            b"$1\r\nabc",
            b"*1\r\n?",
            b"+a\n",
        ] {
            assert_eq!(scan(bytes), Err(BadReply::Malformed), "{bytes:?}");
        }
    }

    #[test]
    fn every_bound_holds_and_is_met_before_anything_is_reserved() {
        let bulk = |len: usize| scan(format!("${len}\r\n").as_bytes());
        // `$994\r\n` has six bytes, and a line end follows the text.
        assert_eq!(bulk(LEN_MAX - 8), Ok(None));
        assert_eq!(bulk(LEN_MAX - 7), Err(BadReply::TooLarge));
        assert_eq!(bulk(usize::MAX), Err(BadReply::TooLarge));
        let line = |len: usize| {
            let line = [b"-", &b"x".repeat(len)[..], b"\r\n"].concat();
            let whole = line.len();
            let end = Scanner::new(2 * whole).scan(&line);
            end.map(|end| assert_eq!(end, Some(whole)))
        };
        assert_eq!(line(REPLY_LINE_MAX), Ok(()));
        assert_eq!(line(REPLY_LINE_MAX + 1), Err(BadReply::TooLarge));
        let lines =
            |count: usize| scan(format!("*{count}\r\n{}", "+abcdefg\r\n".repeat(99)).as_bytes());
        assert_eq!(lines(99), Ok(Some(995)));
        assert_eq!(
            scan(&b"*100\r\n+abcdefghijk\r\n".repeat(60)),
            Err(BadReply::TooLarge)
        );
        assert_eq!(
            scan(&[b":", &b"1".repeat(30)[..]].concat()),
            Err(BadReply::TooLarge)
        );
        let nested = |depth: usize| scan("*1\r\n".repeat(depth).as_bytes());
        assert_eq!(nested(REPLY_DEPTH_MAX), Ok(None));
        assert_eq!(nested(REPLY_DEPTH_MAX + 1), Err(BadReply::TooLarge));
        let items =
            |count: usize| Scanner::new(1 << 30).scan(format!("*2\r\n*{count}\r\n").as_bytes());
        assert_eq!(items(REPLY_ITEMS_MAX - 2), Ok(None));
        assert_eq!(items(REPLY_ITEMS_MAX - 1), Err(BadReply::TooLarge));
        assert_eq!(scan(b"*332\r\n"), Err(BadReply::TooLarge));
        assert_eq!(scan(b"*331\r\n"), Ok(None));
    }
}
