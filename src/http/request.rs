//! Requests: `httparse` parses a whole head once, and what it leaves open is decided here.

use std::mem::MaybeUninit;

use super::body::BodyLength;
use super::query::Query;
use super::status::Refusal;
use super::target::{Target, is_host};

/// The most header fields of a request.
pub const HEADERS_MAX: usize = 100;

/// The longest `Idempotency-Key`, in bytes.
pub const IDEMPOTENCY_KEY_MAX: usize = 64;

/// The storage that a [`Request`] borrows its header fields from.
pub type HeaderStorage<'h> = [MaybeUninit<httparse::Header<'h>>; HEADERS_MAX];

/// Fresh storage for [`Request::parse`].
pub fn header_storage<'h>() -> HeaderStorage<'h> {
    [const { MaybeUninit::uninit() }; HEADERS_MAX]
}

/// A request's head.
#[derive(Debug)]
pub struct Request<'a> {
    /// The method, as sent: methods are case-sensitive (RFC 9110 §9.1).
    pub method: &'a str,
    /// The target's path: no scheme, no authority, no query.
    pub path: &'a str,
    /// The target's query.
    pub query: Query<'a>,
    /// The target's authority, in absolute form.
    authority: Option<&'a str>,
    /// Whether this is HTTP/1.1 rather than HTTP/1.0.
    pub is_http_11: bool,
    /// How the end of the body that follows the head is told.
    pub body_length: BodyLength,
    headers: &'a [httparse::Header<'a>],
}

impl<'a> Request<'a> {
    /// Parses a whole head, as [`HeadReader`](super::HeadReader) gives it.
    ///
    /// # Errors
    /// `431` for more than [`HEADERS_MAX`] fields; `400` for what is
    /// malformed, for a request of HTTP/1.1 whose `Host` is missing or doubled (RFC 9112 §3.2), and for
    /// a length that cannot be trusted (RFC 9112 §6.3); `501` for a body in a transfer coding besides `chunked`.
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
        let target = Target::parse(method, target)?;
        let mut request = Self {
            method,
            path: target.path,
            query: Query::new(target.query),
            authority: target.authority,
            is_http_11: version == 1,
            body_length: BodyLength::None,
            headers: parsed.headers,
        };
        request.check_host()?;
        request.body_length = request.find_body_length()?;
        Ok(request)
    }

    /// The values of every field called `name` (without regard to case), in order.
    pub fn values<'n>(
        &self,
        name: &'n str,
    ) -> impl DoubleEndedIterator<Item = &'a [u8]> + use<'a, 'n> {
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

    /// Whether a body follows the head.
    pub fn has_body(&self) -> bool {
        self.body_length != BodyLength::None
    }

    /// Whether the peer waits for `100 Continue` before it sends the body (RFC 9110 §10.1.1). In HTTP/1.0 nobody does.
    ///
    /// # Errors
    /// `417` where something else is expected.
    pub fn expects_continue(&self) -> Result<bool, Refusal> {
        if !self.is_http_11 {
            return Ok(false);
        }
        let mut expectations = self.list_items("expect").peekable();
        let is_expected = expectations.peek().is_some();
        match expectations.all(|item| item.eq_ignore_ascii_case(b"100-continue")) {
            true => Ok(is_expected),
            false => Err(Refusal::UnknownExpectation),
        }
    }

    /// The key under which the same request sent again is recognised.
    ///
    /// # Errors
    /// `400` for a key that is not 1 to [`IDEMPOTENCY_KEY_MAX`] visible ASCII characters, and for more than one.
    pub fn idempotency_key(&self) -> Result<Option<&'a [u8]>, Refusal> {
        const NAME: &str = "idempotency-key";
        if self.values(NAME).next().is_none() {
            return Ok(None);
        }
        let is_good = |key: &&[u8]| {
            (1..=IDEMPOTENCY_KEY_MAX).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic)
        };
        let key = self.only_value(NAME).filter(is_good);
        key.map(Some).ok_or(Refusal::BadIdempotencyKey)
    }

    /// The members of a comma-separated list called `name`; empty ones count as nothing (RFC 9110 §5.6.1).
    pub fn list_items<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.values(name)
            .flat_map(|value| value.split(|&byte| byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|item| !item.is_empty())
    }

    /// Whether a comma-separated list called `name` holds `token`, without regard to case (RFC 9110 §5.6.1).
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.list_items(name)
            .any(|item| item.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// Whether a head that may not be understood asks with HEAD, so that the answer has no body. Blank lines may
    /// stand before a request (RFC 9112 §2.2).
    pub fn is_head(head: &[u8]) -> bool {
        head.trim_ascii_start().starts_with(b"HEAD ")
    }

    /// Whether the connection may serve another request after this one (RFC 9112 §9.3).
    pub fn wants_keep_alive(&self) -> bool {
        self.is_http_11 && !self.has_token("connection", "close")
    }

    fn check_host(&self) -> Result<(), Refusal> {
        let mut hosts = self.values("host");
        match (hosts.next(), hosts.next()) {
            (None, _) if !self.is_http_11 => Ok(()),
            (None, _) => Err(Refusal::MissingHost),
            (Some(_), Some(_)) => Err(Refusal::RepeatedHost),
            (Some(host), None) if is_host(host) => Ok(()),
            (Some(_), None) => Err(Refusal::MalformedHost),
        }
    }

    /// How the end of the body is told (RFC 9112 §6.3).
    fn find_body_length(&self) -> Result<BodyLength, Refusal> {
        let lengths = self.values("content-length").count();
        let is_coded = self.values("transfer-encoding").next().is_some();
        if lengths > 1 {
            return Err(Refusal::RepeatedLength);
        }
        if lengths == 1 && is_coded {
            return Err(Refusal::LengthAndCoding);
        }
        if is_coded && !self.is_http_11 {
            return Err(Refusal::OldCoding);
        }
        if is_coded {
            return self.check_codings().map(|()| BodyLength::Chunked);
        }
        let length = self.only_value("content-length").unwrap_or(b"0");
        match parse_saturating(length) {
            None => Err(Refusal::MalformedLength),
            Some(0) => Ok(BodyLength::None),
            Some(length) => Ok(BodyLength::Known(length)),
        }
    }

    /// Whether the last coding is `chunked`, and no other one is: otherwise the end of the body cannot be told
    /// (RFC 9112 §6.3, §7.1). What could be told is refused as well where there are more codings (§6.1).
    fn check_codings(&self) -> Result<(), Refusal> {
        let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
        let mut last = None;
        let mut count = 0;
        let mut chunked_count = 0;
        for coding in self.list_items("transfer-encoding") {
            count += 1;
            chunked_count += usize::from(is_chunked(coding));
            last = Some(coding);
        }
        if chunked_count != 1 || !last.is_some_and(is_chunked) {
            return Err(Refusal::EndlessCoding);
        }
        match count {
            1 => Ok(()),
            _ => Err(Refusal::UnknownCoding),
        }
    }
}

/// The value of one or more digits, or the largest there is.
fn parse_saturating(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let value = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        Some(number.saturating_mul(10).saturating_add(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::status::Status;

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
    fn targets_give_their_path() {
        let golden = [
            ("/", "/"),
            ("/ws?room=1", "/ws"),
            ("http://host/ws?x", "/ws"),
            ("HTTPS://host:1", "/"),
            ("http://host?x", "/"),
        ];
        for (target, path) in golden {
            let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(
                parse(&head),
                Ok(("GET".into(), path.into(), true)),
                "{target}"
            );
            let mut storage = header_storage();
            let request = Request::parse(head.as_bytes(), &mut storage);
            let query = target.split_once('?').map_or("", |(_, query)| query);
            assert!(request.is_ok_and(|request| request.query == Query::new(query)));
        }
        let refused = [
            "GET ftp://host/",
            "GET http://",
            "GET http:///",
            "GET http://:80/",
            "GET /a/b#c",
            "GET http://me@host/",
            "GET *",
            "CONNECT host:80",
            "GET path",
        ];
        for line in refused {
            let status = status_of(&format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n"));
            assert_eq!(status, Some(Status::BadRequest), "{line}");
        }
        assert_eq!(status_of("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), None);
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
        assert_eq!(status_of("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n"), bad);
        assert_eq!(status_of("GET / HTTP/1.0\r\n\r\n"), None);
        assert_eq!(
            status_of("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"),
            bad
        );
        assert_eq!(status_of("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), bad);
    }

    #[test]
    fn a_body_announces_itself_and_a_doubtful_length_is_an_error() {
        let with = |fields: &str| {
            let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            let mut storage = header_storage();
            let request = Request::parse(head.as_bytes(), &mut storage);
            request
                .inspect(|request| {
                    assert_eq!(request.has_body(), request.body_length != BodyLength::None);
                })
                .map(|request| request.body_length)
                .map_err(Refusal::status)
        };
        let known = |length| Ok(BodyLength::Known(length));
        for (fields, length) in [
            ("", Ok(BodyLength::None)),
            ("Content-Length: 0\r\n", Ok(BodyLength::None)),
            ("Content-Length: 000\r\n", Ok(BodyLength::None)),
            ("Content-Length: 1\r\n", known(1)),
            ("Content-Length: 0042\r\n", known(42)),
            (
                "Content-Length: 18446744073709551614\r\n",
                known(u64::MAX - 1),
            ),
            ("Content-Length: 18446744073709551615\r\n", known(u64::MAX)),
            ("Content-Length: 18446744073709551616\r\n", known(u64::MAX)),
            (
                "Content-Length: 99999999999999999999999\r\n",
                known(u64::MAX),
            ),
            ("Transfer-Encoding: chunked\r\n", Ok(BodyLength::Chunked)),
            (
                "Transfer-Encoding: , CHUNKED ,\r\n",
                Ok(BodyLength::Chunked),
            ),
        ] {
            assert_eq!(with(fields), length, "{fields:?}");
        }
        for fields in [
            "Transfer-Encoding: gzip, CHUNKED ,\r\n",
            "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: identity, chunked\r\n",
        ] {
            assert_eq!(with(fields), Err(Status::NotImplemented), "{fields:?}");
        }
        let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(status_of(old), Some(Status::BadRequest));
        let doubtful = [
            "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: 0\r\nContent-Length: 0\r\n",
            "Content-Length: 0, 0\r\n",
            "Content-Length: -1\r\n",
            "Content-Length: +0\r\n",
            "Content-Length: 0x0\r\n",
            "Content-Length: 1 0\r\n",
            "Content-Length: 99999999999999999999999x\r\n",
            "Content-Length:\r\n",
            "Transfer-Encoding:\r\n",
            "Transfer-Encoding: ,\r\n",
            "Transfer-Encoding: gzip\r\n",
            "Transfer-Encoding: chunked, gzip\r\n",
            "Transfer-Encoding: chunked, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n",
            "Transfer-Encoding: chunked;x=1\r\n",
            "Transfer-Encoding: xchunked\r\n",
        ];
        for fields in doubtful {
            assert_eq!(with(fields), Err(Status::BadRequest), "{fields:?}");
        }
    }

    #[test]
    fn only_100_continue_can_be_expected() {
        let expects = |version: &str, fields: &str| {
            let head = format!("POST / HTTP/{version}\r\nHost: a\r\n{fields}\r\n");
            let mut storage = header_storage();
            Request::parse(head.as_bytes(), &mut storage).and_then(|r| r.expects_continue())
        };
        assert_eq!(expects("1.1", ""), Ok(false));
        assert_eq!(expects("1.1", "Expect:\r\n"), Ok(false));
        for fields in [
            "Expect: 100-continue\r\n",
            "Expect: 100-Continue\r\n",
            "Expect: 100-continue,\r\n",
            "Expect: 100-continue\r\nExpect: 100-continue\r\n",
        ] {
            assert_eq!(expects("1.1", fields), Ok(true), "{fields:?}");
            assert_eq!(expects("1.0", fields), Ok(false), "{fields:?}");
        }
        for fields in [
            "Expect: 100\r\n",
            "Expect: 100-continues\r\n",
            "Expect: 100-continue=1\r\n",
            "Expect: 100-continue; a=b\r\n",
            "Expect: 100-continue, more\r\n",
            "Expect: more\r\nExpect: 100-continue\r\n",
        ] {
            let refused = Err(Refusal::UnknownExpectation);
            assert_eq!(expects("1.1", fields), refused, "{fields:?}");
            assert_eq!(expects("1.0", fields), Ok(false), "{fields:?}");
        }
    }

    #[test]
    fn an_idempotency_key_is_1_to_64_visible_characters_once() {
        let key = |fields: &str| {
            let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            let mut storage = header_storage();
            let request = Request::parse(head.as_bytes(), &mut storage)?;
            request.idempotency_key().map(|key| key.map(<[u8]>::to_vec))
        };
        assert_eq!(key(""), Ok(None));
        let longest = "k".repeat(IDEMPOTENCY_KEY_MAX);
        for value in ["k", "!~", "\"8e03978e-40d5\"", "a,b", &longest] {
            let expected = Ok(Some(value.as_bytes().to_vec()));
            assert_eq!(key(&format!("Idempotency-Key: {value} \r\n")), expected);
        }
        for value in ["", "a b", "a\tb", "ä", "\u{80}", &format!("{longest}k")] {
            let refused = Err(Refusal::BadIdempotencyKey);
            assert_eq!(key(&format!("Idempotency-Key: {value}\r\n")), refused);
        }
        let twice = "Idempotency-Key: a\r\nidempotency-key: a\r\n";
        assert_eq!(key(twice), Err(Refusal::BadIdempotencyKey));
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
}
