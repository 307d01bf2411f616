//! Requests: `httparse` parses a whole head once, and what it leaves open is decided here.

use std::mem::MaybeUninit;

use super::query::Query;
use super::status::Refusal;
use super::target::{Target, is_host};

/// The most header fields of a request.
pub const HEADERS_MAX: usize = 100;

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
    /// Whether a body follows the head.
    pub has_body: bool,
    headers: &'a [httparse::Header<'a>],
}

impl<'a> Request<'a> {
    /// Parses a whole head, as [`HeadReader`](super::HeadReader) gives it.
    ///
    /// # Errors
    /// `431` for more than [`HEADERS_MAX`] fields; `400` for what is
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
        let target = Target::parse(method, target)?;
        let mut request = Self {
            method,
            path: target.path,
            query: Query::new(target.query),
            authority: target.authority,
            is_http_11: version == 1,
            has_body: false,
            headers: parsed.headers,
        };
        request.check_host()?;
        request.has_body = request.announces_body()?;
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
        match (self.values("host").count(), self.only_value("host")) {
            (0, _) if !self.is_http_11 => Ok(()),
            (0, _) => Err(Refusal::MissingHost),
            (_, Some(host)) if is_host(host) => Ok(()),
            (_, Some(_)) => Err(Refusal::MalformedHost),
            (_, None) => Err(Refusal::RepeatedHost),
        }
    }

    /// Whether a body is announced (RFC 9112 §6.3).
    fn announces_body(&self) -> Result<bool, Refusal> {
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
        let length = self.only_value("content-length").unwrap_or(b"0");
        if length.is_empty() || !length.iter().all(u8::is_ascii_digit) {
            return Err(Refusal::MalformedLength);
        }
        if is_coded && !self.ends_chunked() {
            return Err(Refusal::EndlessCoding);
        }
        Ok(is_coded || length.iter().any(|&digit| digit != b'0'))
    }

    /// Whether the last coding is `chunked`, and no other one is: otherwise the end of the body cannot be told
    /// (RFC 9112 §6.3, §7.1).
    fn ends_chunked(&self) -> bool {
        let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
        let codings = self
            .values("transfer-encoding")
            .flat_map(|value| value.split(|&byte| byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|coding| !coding.is_empty());
        let mut last = None;
        let mut count = 0;
        for coding in codings {
            count += usize::from(is_chunked(coding));
            last = Some(coding);
        }
        count == 1 && last.is_some_and(is_chunked)
    }
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
                .map(|request| request.has_body)
                .map_err(Refusal::status)
        };
        assert_eq!(with(""), Ok(false));
        assert_eq!(with("Content-Length: 0\r\n"), Ok(false));
        assert_eq!(with("Content-Length: 1\r\n"), Ok(true));
        assert_eq!(
            with("Content-Length: 99999999999999999999999\r\n"),
            Ok(true)
        );
        assert_eq!(with("Transfer-Encoding: chunked\r\n"), Ok(true));
        assert_eq!(with("Transfer-Encoding: gzip, CHUNKED ,\r\n"), Ok(true));
        let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(status_of(old), Some(Status::BadRequest));
        let doubtful = [
            "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: 0\r\nContent-Length: 0\r\n",
            "Content-Length: 0, 0\r\n",
            "Content-Length: -1\r\n",
            "Content-Length: +0\r\n",
            "Content-Length: 0x0\r\n",
            "Content-Length:\r\n",
            "Transfer-Encoding:\r\n",
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
