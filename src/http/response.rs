//! Responses: a head, and a body of one line where there is one.

use super::Date;
use super::status::Status;
use crate::decimal;

/// The methods of a room.
pub const ROOM_METHODS: &str = "GET, HEAD, POST, OPTIONS";
/// The methods that pages of listed origins may use in a room.
const PREFLIGHT_METHODS: &str = "GET, HEAD, POST";
/// The fields that such pages may set.
const PREFLIGHT_HEADERS: &str = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID";
/// How long a browser may keep the answer to a preflight: two hours, the longest that Chromium keeps one.
const PREFLIGHT_SECONDS: &str = "7200";

/// A response under construction: the head, and a body of one line where there is one.
#[derive(Debug)]
pub struct Response {
    bytes: Vec<u8>,
}

impl Response {
    /// Begins a response with its status line and its date (RFC 9110 §6.6.1).
    pub fn new(status: Status, date: &Date) -> Self {
        let mut bytes = Vec::with_capacity(512);
        bytes.extend_from_slice(b"HTTP/1.1 ");
        decimal::push(status as u64, &mut bytes);
        bytes.push(b' ');
        bytes.extend_from_slice(status.reason().as_bytes());
        bytes.extend_from_slice(b"\r\nDate: ");
        bytes.extend_from_slice(date.as_bytes());
        bytes.extend_from_slice(b"\r\n");
        Self { bytes }
    }

    /// Adds a header field. Names and values are this server's own, never a peer's.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(b": ");
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.extend_from_slice(b"\r\n");
        self
    }

    /// Says how long the body is.
    pub fn content_length(mut self, len: usize) -> Self {
        self.bytes.extend_from_slice(b"Content-Length: ");
        decimal::push(len as u64, &mut self.bytes);
        self.bytes.extend_from_slice(b"\r\n");
        self
    }

    /// Lets pages of a listed origin read the response (Fetch standard, §3.2). The origin is the request's own word,
    /// so that what is not plain visible ASCII is left out rather than sent.
    pub fn allow_origin(mut self, listed_origin: Option<&[u8]>) -> Self {
        let is_plain = |origin: &&[u8]| origin.iter().all(u8::is_ascii_graphic);
        let Some(origin) = listed_origin.filter(is_plain).filter(|o| !o.is_empty()) else {
            return self;
        };
        self.bytes
            .extend_from_slice(b"Access-Control-Allow-Origin: ");
        self.bytes.extend_from_slice(origin);
        self.bytes.extend_from_slice(b"\r\n");
        // The same request of another origin is answered without it.
        self.header("Vary", "Origin")
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
    pub fn finish_with_line(self, line: impl AsRef<[u8]>, is_head: bool) -> Vec<u8> {
        let line = line.as_ref();
        let mut bytes = self
            .header("Content-Type", "text/plain; charset=utf-8")
            .header("X-Content-Type-Options", "nosniff")
            .content_length(line.len() + 1)
            .finish();
        if !is_head {
            bytes.extend_from_slice(line);
            bytes.push(b'\n');
        }
        bytes
    }
}

/// The whole answer to `OPTIONS` for what is read and published under one path: what a browser asks before a page of
/// another origin may send its request (Fetch standard, §4.8), or anybody asks for the methods.
///
/// Without a listed origin it names the methods alone: the browser then tells the page that it may not, which says
/// more to its author than a refusal that the browser hides.
pub fn preflight(listed_origin: Option<&[u8]>, is_kept: bool, date: &Date) -> Vec<u8> {
    let mut response = Response::new(Status::NoContent, date)
        .keep_alive(is_kept)
        .header("Allow", ROOM_METHODS);
    if listed_origin.is_some() {
        response = response
            .allow_origin(listed_origin)
            .header("Access-Control-Allow-Methods", PREFLIGHT_METHODS)
            .header("Access-Control-Allow-Headers", PREFLIGHT_HEADERS)
            .header("Access-Control-Max-Age", PREFLIGHT_SECONDS);
    }
    response.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_whole_and_a_head_request_gets_no_body() {
        let date = Date::at(784_111_777);
        let get = Response::new(Status::NotFound, &date)
            .keep_alive(true)
            .finish_with_line("nothing", false);
        let head = Response::new(Status::NotFound, &date)
            .keep_alive(true)
            .finish_with_line("nothing", true);
        let start = b"HTTP/1.1 404 Not Found\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
        assert!(get.starts_with(start));
        assert!(get.ends_with(b"\r\nContent-Length: 8\r\n\r\nnothing\n"));
        assert_eq!(get.strip_suffix(b"nothing\n"), Some(&head[..]));
    }

    const ORIGIN: &[u8] = b"https://a.example";

    fn text(answer: Vec<u8>) -> String {
        String::from_utf8(answer).expect("an answer is ASCII")
    }

    #[test]
    fn a_listed_origin_is_named_and_told_to_caches() {
        let date = Date::at(784_111_777);
        let with = |origin| {
            let response = Response::new(Status::Ok, &date).allow_origin(origin);
            text(response.finish())
        };
        let without = "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
        for origin in ["https://a.example", "null", "file://"] {
            let cors = format!("Access-Control-Allow-Origin: {origin}\r\nVary: Origin\r\n");
            let expected = format!("{without}{cors}\r\n");
            assert_eq!(with(Some(origin.as_bytes())), expected);
        }
        assert_eq!(with(None), format!("{without}\r\n"));
        for origin in [
            &b""[..],
            b"a\r\nX: y",
            b"a b",
            b"a\tb",
            b"\0",
            b"\x7f",
            b"\xc3\xa4",
        ] {
            assert_eq!(with(Some(origin)), format!("{without}\r\n"), "{origin:?}");
        }
    }

    #[test]
    fn a_preflight_names_methods_and_headers_to_listed_origins_alone() {
        let date = Date::at(784_111_777);
        let begin = "HTTP/1.1 204 No Content\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
        let allow = "Allow: GET, HEAD, POST, OPTIONS\r\n";
        let listed = "Access-Control-Allow-Origin: https://a.example\r\nVary: Origin\r\n\
             Access-Control-Allow-Methods: GET, HEAD, POST\r\n\
             Access-Control-Allow-Headers: Authorization, Content-Type, Idempotency-Key, Last-Event-ID\r\n\
             Access-Control-Max-Age: 7200\r\n";
        assert_eq!(
            text(preflight(Some(ORIGIN), true, &date)),
            format!("{begin}{allow}{listed}\r\n")
        );
        assert_eq!(
            text(preflight(None, true, &date)),
            format!("{begin}{allow}\r\n")
        );
        assert_eq!(
            text(preflight(None, false, &date)),
            format!("{begin}Connection: close\r\n{allow}\r\n")
        );
    }
}
