//! Request heads: [`HeadReader`] finds the end of one without looking at any byte twice.

use std::borrow::Cow;
use std::mem;

use super::status::Refusal;

/// The largest request head, in bytes, with the blank lines before it and the one that ends it.
pub const HEAD_MAX: usize = 8 * 1024;

/// Collects a request head that arrives in pieces. An idle reader is one null pointer.
#[derive(Debug, Default)]
pub struct HeadReader {
    unfinished: Option<Box<UnfinishedHead>>,
}

/// The part of a head that has come, and how far the search for its end got.
#[derive(Debug, Default)]
struct UnfinishedHead {
    bytes: Vec<u8>,
    scan: Scan,
}

/// The search for the empty line that ends a head.
#[derive(Debug, Default, Clone, Copy)]
struct Scan {
    /// Bytes of this request seen, blank lines before it included.
    seen: usize,
    /// Bytes of the current line seen.
    line_len: usize,
    /// The last byte seen was a carriage return.
    after_cr: bool,
    /// A line that is not empty has been seen.
    begun: bool,
}

impl HeadReader {
    /// Takes the next whole request head from the front of `input`.
    ///
    /// `Ok(None)`: all of `input` is consumed and more is needed. What stands behind the head stays in
    /// `input`. A head that came in one piece is not copied.
    ///
    /// # Errors
    /// A head over [`HEAD_MAX`], a line that ends without a carriage return (RFC 9112 §2.2), a first
    /// byte that no method begins with.
    pub fn next<'a>(&mut self, input: &mut &'a mut [u8]) -> Result<Option<Cow<'a, [u8]>>, Refusal> {
        let mut scan = self
            .unfinished
            .as_ref()
            .map(|head| head.scan)
            .unwrap_or_default();
        let end = scan.advance(input)?;
        let taken_len = end.unwrap_or(input.len());
        let (taken, rest) = mem::take(input).split_at_mut(taken_len);
        *input = rest;
        match (end, self.unfinished.take()) {
            (Some(_), None) => Ok(Some(Cow::Borrowed(taken))),
            (Some(_), Some(mut head)) => {
                head.bytes.extend_from_slice(taken);
                Ok(Some(Cow::Owned(head.bytes)))
            }
            (None, None) if taken.is_empty() => Ok(None),
            (None, head) => {
                let mut head = head.unwrap_or_default();
                head.bytes.extend_from_slice(taken);
                head.scan = scan;
                self.unfinished = Some(head);
                Ok(None)
            }
        }
    }

    /// Whether the request that is coming has the method `HEAD`, so that even a refusal has no body; `behind` has
    /// come as well and was not taken. Blank lines may stand before a request (RFC 9112 §2.2).
    pub fn is_head_request(&self, behind: &[u8]) -> bool {
        let taken = self.unfinished.as_ref().map_or(&[][..], |head| &head.bytes);
        let is_line_end = |byte: &&u8| matches!(byte, b'\r' | b'\n');
        let begin = taken.iter().chain(behind).skip_while(is_line_end);
        begin.take(5).eq(b"HEAD ")
    }

    /// Whether a part of a request has come.
    pub fn is_mid_request(&self) -> bool {
        self.unfinished.is_some()
    }
}

impl Scan {
    /// Goes on over `input`; returns the length of its part that completes the head.
    fn advance(&mut self, input: &[u8]) -> Result<Option<usize>, Refusal> {
        let mut rest = input;
        while let Some(line_end) = memchr::memchr(b'\n', rest) {
            let (line, behind) = rest.split_at(line_end + 1);
            self.see(line)?;
            let ended_cleanly = match line {
                [.., b'\r', b'\n'] => true,
                [b'\n'] => self.after_cr,
                _ => false,
            };
            if !ended_cleanly {
                return Err(Refusal::BareLineFeed);
            }
            let is_blank = self.line_len == 2;
            if is_blank && self.begun {
                return Ok(Some(input.len() - behind.len()));
            }
            self.begun |= !is_blank;
            self.line_len = 0;
            self.after_cr = false;
            rest = behind;
        }
        self.see(rest)?;
        self.after_cr = rest.last().map_or(self.after_cr, |&byte| byte == b'\r');
        Ok(None)
    }

    /// Counts bytes of the current line, and looks at the first of the request.
    fn see(&mut self, part: &[u8]) -> Result<(), Refusal> {
        if !self.begun
            && self.line_len == 0
            && let Some(&first) = part.first()
            && !(first.is_ascii_alphabetic() || first == b'\r' || first == b'\n')
        {
            return Err(Refusal::NotHttp);
        }
        self.seen += part.len();
        self.line_len += part.len();
        if self.seen > HEAD_MAX {
            return Err(Refusal::HeadTooLarge);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::status::Status;

    /// Feeds the pieces; returns every whole head, or the first refusal.
    fn heads<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Vec<u8>>, Status> {
        let mut reader = HeadReader::default();
        let mut heads = Vec::new();
        for piece in pieces {
            let mut piece = piece.to_vec();
            let mut input = &mut piece[..];
            while let Some(head) = reader.next(&mut input).map_err(Refusal::status)? {
                heads.push(head.into_owned());
            }
            assert!(input.is_empty(), "a reader that needs more has taken all");
        }
        Ok(heads)
    }

    fn heads_every_way(bytes: &[u8]) -> Result<Vec<Vec<u8>>, Status> {
        let whole = heads([bytes]);
        assert_eq!(heads(bytes.chunks(1)), whole, "byte by byte");
        for cut in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            assert_eq!(heads([head, tail]), whole, "cut at {cut}");
        }
        whole
    }

    #[test]
    fn pipelined_heads_come_out_one_by_one_however_they_are_cut() {
        let bytes = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET /b HTTP/1.1\r\n\r\n";
        let expected = vec![
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
            b"\r\nGET /b HTTP/1.1\r\n\r\n".to_vec(),
        ];
        assert_eq!(heads_every_way(bytes), Ok(expected));
    }

    #[test]
    fn a_line_must_end_with_cr_lf() {
        for bytes in [
            &b"GET / HTTP/1.1\nHost: a\n\n"[..],
            b"GET / HTTP/1.1\r\nHost: a\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n\n",
            b"\n",
        ] {
            assert_eq!(heads_every_way(bytes), Err(Status::BadRequest));
        }
    }

    #[test]
    fn what_cannot_begin_a_request_is_refused_at_its_first_byte() {
        // A TLS handshake, a NUL, a space.
        for bytes in [&b"\x16\x03\x01"[..], b"\0", b" GET"] {
            assert_eq!(heads_every_way(bytes), Err(Status::BadRequest));
        }
        assert_eq!(heads_every_way(b"\r\nG"), Ok(vec![]));
    }

    #[test]
    fn a_head_may_reach_the_bound_and_not_pass_it() {
        let sized = |len: usize| {
            let begin = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
            let fill = "x".repeat(len - begin.len() - 4);
            format!("{begin}{fill}\r\n\r\n").into_bytes()
        };
        let at = sized(HEAD_MAX);
        assert_eq!(heads([&at[..]]), Ok(vec![at.clone()]));
        assert_eq!(heads(at.chunks(1)), Ok(vec![at.clone()]));
        let over = sized(HEAD_MAX + 1);
        let refused = Err(Status::RequestHeaderFieldsTooLarge);
        assert_eq!(heads([&over[..]]), refused);
        assert_eq!(heads(over.chunks(1)), refused);
        assert_eq!(heads([&b"\r\n".repeat(HEAD_MAX)[..]]), refused);
    }

    #[test]
    fn a_reader_holds_memory_only_inside_a_head() {
        let mut reader = HeadReader::default();
        assert_eq!(size_of_val(&reader), size_of::<usize>());
        let mut bytes = *b"GET / HTTP/1.1\r\n\r\n";
        let (head, tail) = bytes.split_at_mut(5);
        assert_eq!(reader.next(&mut { head }), Ok(None));
        assert!(reader.is_mid_request());
        assert!(reader.next(&mut { tail }).is_ok_and(|head| head.is_some()));
        assert!(!reader.is_mid_request());
    }

    #[test]
    fn the_method_head_is_known_however_much_of_the_request_has_come() {
        for (bytes, is_head) in [
            (&b"HEAD / HTTP/1.1\r\n"[..], true),
            (b"\r\n\r\nHEAD /", true),
            (b"HEAD", false),
            (b"HEADS /", false),
            (b"head / HTTP/1.1\r\n", false),
            (b"\r\nGET /HEAD ", false),
        ] {
            for cut in 0..=bytes.len() {
                let (taken, behind) = bytes.split_at(cut);
                let mut reader = HeadReader::default();
                assert_eq!(reader.next(&mut &mut taken.to_vec()[..]), Ok(None));
                assert_eq!(reader.is_head_request(behind), is_head, "{bytes:?}");
            }
        }
    }
}
