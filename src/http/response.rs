//! Responses: a head, and a body of one line where there is one.

use std::fmt;

use super::Date;
use super::status::{Refusal, Status};

/// A response under construction: the head, and a body of one line where there is one.
#[derive(Debug)]
pub struct Response {
    bytes: Vec<u8>,
}

impl Response {
    /// Begins a response with its status line and its date (RFC 9110 §6.6.1).
    pub fn new(status: Status, date: &Date) -> Self {
        let mut bytes = Vec::with_capacity(512);
        bytes.extend_from_slice(format!("HTTP/1.1 {status}\r\nDate: {date}\r\n").as_bytes());
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
pub fn refuse(refusal: Refusal, is_head: bool, date: &Date) -> Vec<u8> {
    let response = Response::new(refusal.status(), date);
    let response = match refusal.status() {
        // RFC 6455 §4.4, RFC 9110 §7.8 and §15.5.22.
        Status::UpgradeRequired => response
            .header("Connection", "upgrade, close")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13"),
        Status::ServiceUnavailable => response.keep_alive(false).header("Retry-After", "5"),
        _ => response.keep_alive(false),
    };
    response.finish_with_line(refusal.why(), is_head)
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
}
