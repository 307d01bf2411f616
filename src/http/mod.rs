//! HTTP/1.1 as far as a page and an upgrade need it (RFC 9110, RFC 9112): request heads in, responses out.
//!
//! [`HeadReader`] finds the end of a head without looking at any byte twice; `httparse` then parses it
//! once. Requests have no bodies here: one that announces a body is refused.

pub mod page;
pub mod status;

use std::borrow::Cow;
use std::fmt;
use std::mem::{self, MaybeUninit};

use crate::http::status::{Refusal, Status};

/// The largest request head, in bytes, with the blank lines before it and the one that ends it.
pub const HEAD_MAX: usize = 8 * 1024;
/// The most header fields of a request.
pub const HEADERS_MAX: usize = 100;

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

/// The storage that a [`Request`] borrows its header fields from.
pub type HeaderStorage<'h> = [MaybeUninit<httparse::Header<'h>>; HEADERS_MAX];

/// Fresh storage for [`Request::parse`].
pub fn header_storage<'h>() -> HeaderStorage<'h> {
    [const { MaybeUninit::uninit() }; HEADERS_MAX]
}

/// A request without a body.
#[derive(Debug)]
pub struct Request<'a> {
    /// The method, as sent: methods are case-sensitive (RFC 9110 §9.1).
    pub method: &'a str,
    /// The target's path: no scheme, no authority, no query.
    pub path: &'a str,
    /// The target's authority, in absolute form.
    authority: Option<&'a str>,
    /// Whether this is HTTP/1.1 rather than HTTP/1.0.
    pub is_http_11: bool,
    headers: &'a [httparse::Header<'a>],
}

impl<'a> Request<'a> {
    /// Parses a whole head, as [`HeadReader`] gives it.
    ///
    /// # Errors
    /// `431` for more than [`HEADERS_MAX`] fields; `413` for an announced body; `400` for what is
    /// malformed, for a request of HTTP/1.1 whose `Host` is missing or doubled (RFC 9112 §3.2), and for
    /// a length that cannot be trusted (RFC 9112 §6.3).
    pub fn parse(head: &'a [u8], storage: &'a mut HeaderStorage<'a>) -> Result<Self, Refusal> {
        let mut parsed = httparse::Request::new(&mut []);
        match parsed.parse_with_uninit_headers(head, storage) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => {
                return Err(Refusal::Malformed);
            }
            Err(httparse::Error::TooManyHeaders) => {
                return Err(Refusal::TooManyHeaders);
            }
            Err(httparse::Error::Version) => {
                return Err(Refusal::OtherVersion);
            }
            Err(_) => return Err(Refusal::Malformed),
        }
        let (Some(method), Some(target), Some(version)) =
            (parsed.method, parsed.path, parsed.version)
        else {
            return Err(Refusal::Malformed);
        };
        let (authority, path) = split_target(target).ok_or(Refusal::MalformedTarget)?;
        let request = Self {
            method,
            path,
            authority,
            is_http_11: version == 1,
            headers: parsed.headers,
        };
        request.check_host()?;
        request.check_body()?;
        Ok(request)
    }

    /// The values of every field called `name` (without regard to case), in order.
    pub fn values<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.headers
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
            .map(|header| header.value)
    }

    /// The value of the only field called `name`; `None` where there is none or more than one.
    pub fn only_value(&self, name: &str) -> Option<&'a [u8]> {
        let mut values = self.values(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// The host that is asked, with its port if one is named: the target's where it has one, whatever
    /// the header says (RFC 9112 §3.2.2); empty where none is named.
    pub fn host(&self) -> &'a [u8] {
        match self.authority {
            Some(authority) => authority.as_bytes(),
            None => self.only_value("host").unwrap_or_default(),
        }
    }

    /// Whether a comma-separated list called `name` holds `token`, without regard to case (RFC 9110 §5.6.1).
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.values(name)
            .flat_map(|value| value.split(|&byte| byte == b','))
            .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    }

    /// Whether the connection may serve another request after this one (RFC 9112 §9.3).
    pub fn wants_keep_alive(&self) -> bool {
        self.is_http_11 && !self.has_token("connection", "close")
    }

    fn check_host(&self) -> Result<(), Refusal> {
        match (self.values("host").count(), self.only_value("host")) {
            (0, _) if !self.is_http_11 => Ok(()),
            (0, _) => Err(Refusal::MissingHost),
            (_, Some(host)) if host.iter().all(|byte| is_host_byte(*byte)) => Ok(()),
            (_, Some(_)) => Err(Refusal::MalformedHost),
            (_, None) => Err(Refusal::RepeatedHost),
        }
    }

    fn check_body(&self) -> Result<(), Refusal> {
        let lengths = self.values("content-length").count();
        let is_coded = self.values("transfer-encoding").next().is_some();
        if lengths > 1 {
            return Err(Refusal::RepeatedLength);
        }
        if lengths == 1 && is_coded {
            return Err(Refusal::LengthAndCoding);
        }
        let length = self.only_value("content-length").unwrap_or(b"0");
        if length.is_empty() || !length.iter().all(u8::is_ascii_digit) {
            return Err(Refusal::MalformedLength);
        }
        if is_coded || length.iter().any(|&digit| digit != b'0') {
            return Err(Refusal::Body);
        }
        Ok(())
    }
}

/// The authority, in absolute form, and the path of a target (RFC 9112 §3.2).
fn split_target(target: &str) -> Option<(Option<&str>, &str)> {
    let (authority, target) = match target.split_once("://") {
        Some((scheme, rest))
            if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") =>
        {
            let (authority, behind) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            let is_path = behind.starts_with('/');
            (Some(authority), if is_path { behind } else { "/" })
        }
        _ => (None, target),
    };
    // "*" is the target of an OPTIONS about the server as a whole (RFC 9112 §3.2.4).
    if !target.starts_with('/') && target != "*" {
        return None;
    }
    Some((authority, target.split(['?', '#']).next()?))
}

/// Whether a byte may stand in a `Host` value: a registered name, an address, a port (RFC 3986 §3.2.2).
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(&byte)
}

/// A response under construction: the head, and a body of one line where there is one.
#[derive(Debug)]
pub struct Response {
    bytes: Vec<u8>,
}

impl Response {
    /// Begins a response with its status line.
    pub fn new(status: Status) -> Self {
        let mut bytes = Vec::with_capacity(512);
        bytes.extend_from_slice(format!("HTTP/1.1 {status}\r\n").as_bytes());
        Self { bytes }
    }

    /// Adds a header field. Names and values are this server's own, never a peer's.
    pub fn header(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.bytes
            .extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        self
    }

    /// Says that the connection ends with this response, unless it is kept.
    pub fn keep_alive(self, is_kept: bool) -> Self {
        if is_kept {
            self
        } else {
            self.header("Connection", "close")
        }
    }

    /// Ends the head; whatever body there is follows separately.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(b"\r\n");
        self.bytes
    }

    /// Ends the response with a body of one line; a `HEAD` request gets the head alone.
    pub fn finish_with_line(self, line: &str, is_head: bool) -> Vec<u8> {
        let mut bytes = self
            .header("Content-Type", "text/plain; charset=utf-8")
            .header("X-Content-Type-Options", "nosniff")
            .header("Content-Length", line.len() + 1)
            .finish();
        if !is_head {
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
        }
        bytes
    }
}

/// The whole answer to a request that was refused. The connection ends with it.
pub fn refuse(refusal: Refusal, is_head: bool) -> Vec<u8> {
    let mut response = Response::new(refusal.status()).keep_alive(false);
    match refusal.status() {
        // RFC 6455 §4.4, RFC 9110 §15.5.22.
        Status::UpgradeRequired => {
            response = response
                .header("Upgrade", "websocket")
                .header("Sec-WebSocket-Version", "13");
        }
        Status::ServiceUnavailable => response = response.header("Retry-After", "5"),
        _ => {}
    }
    response.finish_with_line(refusal.why(), is_head)
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn parse(head: &str) -> Result<(String, String, bool), Status> {
        let mut storage = header_storage();
        let request = Request::parse(head.as_bytes(), &mut storage).map_err(Refusal::status)?;
        Ok((
            request.method.to_owned(),
            request.path.to_owned(),
            request.wants_keep_alive(),
        ))
    }

    fn status_of(head: &str) -> Option<Status> {
        parse(head).err()
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
    fn targets_give_their_path() {
        let golden = [
            ("/", "/"),
            ("/ws?room=1", "/ws"),
            ("/a/b#c", "/a/b"),
            ("http://host/ws?x", "/ws"),
            ("HTTPS://host:1", "/"),
            ("http://host?x", "/"),
            ("*", "*"),
        ];
        for (target, path) in golden {
            let parsed = parse(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
            assert_eq!(parsed, Ok(("GET".into(), path.into(), true)), "{target}");
        }
        assert_eq!(
            status_of("GET ftp://host/ HTTP/1.1\r\nHost: a\r\n\r\n"),
            Some(Status::BadRequest)
        );
    }

    #[test]
    fn http_1_1_needs_one_good_host_and_http_1_0_none() {
        let bad = Some(Status::BadRequest);
        assert_eq!(status_of("GET / HTTP/1.1\r\nHost: a:80\r\n\r\n"), None);
        assert_eq!(status_of("GET / HTTP/1.1\r\nHost:\r\n\r\n"), None);
        assert_eq!(status_of("GET / HTTP/1.1\r\n\r\n"), bad);
        assert_eq!(
            status_of("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
            bad
        );
        assert_eq!(status_of("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), bad);
        assert_eq!(status_of("GET / HTTP/1.0\r\n\r\n"), None);
        assert_eq!(
            status_of("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"),
            bad
        );
        assert_eq!(status_of("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), bad);
    }

    #[test]
    fn a_body_that_announces_itself_is_refused_and_a_doubtful_length_is_an_error() {
        let with = |fields: &str| status_of(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        assert_eq!(with(""), None);
        assert_eq!(with("Content-Length: 0\r\n"), None);
        assert_eq!(with("Content-Length: 1\r\n"), Some(Status::ContentTooLarge));
        assert_eq!(
            with("Content-Length: 99999999999999999999999\r\n"),
            Some(Status::ContentTooLarge)
        );
        assert_eq!(
            with("Transfer-Encoding: chunked\r\n"),
            Some(Status::ContentTooLarge)
        );
        let doubtful = [
            "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: 0\r\nContent-Length: 0\r\n",
            "Content-Length: 0, 0\r\n",
            "Content-Length: -1\r\n",
            "Content-Length: +0\r\n",
            "Content-Length: 0x0\r\n",
            "Content-Length:\r\n",
        ];
        for fields in doubtful {
            assert_eq!(with(fields), Some(Status::BadRequest), "{fields:?}");
        }
    }

    #[test]
    fn malformed_heads_are_refused() {
        let malformed = [
            "GET /\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
            "GET /\u{7f} HTTP/1.1\r\nHost: a\r\n\r\n",
            "G@T / HTTP/1.1\r\nHost: a\r\n\r\n",
        ];
        for head in malformed {
            assert_eq!(status_of(head), Some(Status::BadRequest), "{head:?}");
        }
    }

    #[test]
    fn a_hundred_headers_are_taken_and_one_more_is_not() {
        let with = |count: usize| {
            let fields = "X: y\r\n".repeat(count - 1);
            status_of(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"))
        };
        assert_eq!(with(HEADERS_MAX), None);
        assert_eq!(
            with(HEADERS_MAX + 1),
            Some(Status::RequestHeaderFieldsTooLarge)
        );
    }

    #[test]
    fn connections_are_kept_unless_the_peer_says_close() {
        let keeps = |version: &str, fields: &str| {
            parse(&format!("GET / HTTP/{version}\r\nHost: a\r\n{fields}\r\n"))
                .is_ok_and(|(_, _, keeps)| keeps)
        };
        assert!(keeps("1.1", ""));
        assert!(!keeps("1.1", "Connection: Close\r\n"));
        assert!(!keeps("1.1", "Connection: foo, close\r\n"));
        assert!(!keeps("1.0", ""));
    }

    #[test]
    fn answers_are_whole_and_a_head_request_gets_no_body() {
        let get = Response::new(Status::NotFound)
            .keep_alive(true)
            .finish_with_line("nothing", false);
        let head = Response::new(Status::NotFound)
            .keep_alive(true)
            .finish_with_line("nothing", true);
        assert!(get.starts_with(b"HTTP/1.1 404 Not Found\r\n"));
        assert!(get.ends_with(b"\r\nContent-Length: 8\r\n\r\nnothing\n"));
        assert_eq!(get.strip_suffix(b"nothing\n"), Some(&head[..]));
    }
}
