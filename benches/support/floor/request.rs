//! What the floor reads of a request: what it is for, in which room, and how long its body is.

use memchr::memmem;

use super::super::wire::{CLOSE, Header, TEXT, server_header, upgrade_response};
use super::room::{Kind, Room};
use crate::support::format::{DEFLATE, PROTOCOL};

const HEAD_END: &[u8] = b"\r\n\r\n";
/// The answer to an offer of [`DEFLATE`], as fanfare gives it.
const DEFLATED: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
const LENGTH_NAME: &[u8] = b"Content-Length: ";

/// The first request of a connection. Those that follow it are for the same room.
pub(super) struct Request<'a> {
    pub(super) kind: Kind,
    /// With a slash before it; empty for the default room.
    pub(super) room: &'a [u8],
}

impl<'a> Request<'a> {
    pub(super) fn parse(input: &'a [u8]) -> Option<Self> {
        let (kind, target) = if let Some(target) = input.strip_prefix(b"GET /ws") {
            let asks_for = |name: &str| memmem::find(target, name.as_bytes()).is_some();
            let kind = match (asks_for(PROTOCOL), asks_for(DEFLATE)) {
                (true, _) => Kind::V1,
                (false, true) => Kind::Deflated,
                (false, false) => Kind::Plain,
            };
            (kind, target)
        } else if let Some(target) = input.strip_prefix(b"GET /room") {
            (Kind::Events, target)
        } else {
            (Kind::Publisher, input.strip_prefix(b"POST /room")?)
        };
        let end = target.iter().position(|byte| b" ?".contains(byte))?;
        Some(Self {
            kind,
            room: &target[..end],
        })
    }

    /// Writes over `response` what a client is sent first; a publisher's answer comes with its message.
    pub(super) fn answer(&self, input: &[u8], room: &Room, response: &mut Vec<u8>) -> Option<()> {
        match self.kind {
            Kind::Plain => upgrade_response(input, response),
            Kind::V1 => {
                upgrade_response(input, response)?;
                append_header("Sec-WebSocket-Protocol", PROTOCOL, response);
                const FRESH: &[u8] = b":fresh ";
                let header = server_header(TEXT, FRESH.len() + room.id().len());
                response.extend_from_slice(header.as_bytes());
                response.extend_from_slice(FRESH);
                response.extend_from_slice(room.id());
                Some(())
            }
            Kind::Deflated => {
                upgrade_response(input, response)?;
                append_header("Sec-WebSocket-Extensions", DEFLATED, response);
                Some(())
            }
            Kind::Events => {
                response.clear();
                response.extend_from_slice(
                    b"HTTP/1.1 200 OK\r\n\
                    Content-Type: text/event-stream\r\n\
                    Connection: close\r\n\
                    \r\n\
                    :resumed ",
                );
                response.extend_from_slice(room.id());
                response.extend_from_slice(b"\nretry: 3000\nid: ");
                response.extend_from_slice(room.id());
                response.extend_from_slice(b"\n\n");
                Some(())
            }
            Kind::Publisher => {
                response.clear();
                Some(())
            }
        }
    }
}

/// Adds a header to those of a response.
fn append_header(name: &str, value: &str, response: &mut Vec<u8>) {
    response.truncate(response.len() - 2);
    for part in [name, ": ", value] {
        response.extend_from_slice(part.as_bytes());
    }
    response.extend_from_slice(HEAD_END);
}

/// What stood at the start of some input.
pub(super) struct Taken {
    /// The bytes that whole frames or requests took.
    pub(super) len: usize,
    /// Whether a close frame was among them, whose answer is the last that is sent.
    pub(super) is_last: bool,
}

/// Publishes the texts of the whole frames at the start of `input`, up to a close frame. That one is answered with its own payload.
pub(super) fn take_frames(input: &mut [u8], room: &mut Room, response: &mut Vec<u8>) -> Taken {
    let mut len = 0;
    while let Some(header) = Header::decode(&input[len..]) {
        let start = len + header.header_len;
        let key = header.key.unwrap_or_default();
        let Some(payload) = input.get(start..start + header.payload_len) else {
            break;
        };
        len = start + header.payload_len;
        if header.is_text() {
            room.publish(payload, key);
        } else if header.is_close() {
            response.extend_from_slice(server_header(CLOSE, payload.len()).as_bytes());
            let unmasked = payload.iter().zip(key.iter().cycle());
            response.extend(unmasked.map(|(byte, key)| byte ^ key));
            return Taken { len, is_last: true };
        }
    }
    Taken {
        len,
        is_last: false,
    }
}

/// Publishes the bodies of the whole requests at the start of `input`, and appends their answers to `response`.
pub(super) fn take_posts(input: &[u8], room: &mut Room, response: &mut Vec<u8>) -> Taken {
    let mut len = 0;
    while let Some(head_len) = memmem::find(&input[len..], HEAD_END) {
        let start = len + head_len + HEAD_END.len();
        let body_len = content_length(&input[len..start]);
        let Some(body) = input.get(start..start + body_len) else {
            break;
        };
        len = start + body_len;
        room.publish(body, [0; 4]);
        append_receipt(room.id(), response);
    }
    Taken {
        len,
        is_last: false,
    }
}

fn content_length(head: &[u8]) -> usize {
    let Some(at) = memmem::find(head, LENGTH_NAME) else {
        return 0;
    };
    let digits = head[at + LENGTH_NAME.len()..].iter();
    digits
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0, |value, digit| 10 * value + usize::from(digit - b'0'))
}

/// The answer to a request that published something: its id and a newline.
fn append_receipt(id: &[u8], response: &mut Vec<u8>) {
    response.extend_from_slice(
        b"HTTP/1.1 200 OK\r\n\
        Content-Type: text/plain; charset=utf-8\r\n\
        Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
        Content-Length: ",
    );
    let [tens, ones] = [(id.len() + 1) / 10, (id.len() + 1) % 10];
    // An id has 10 to 29 bytes.
    response.extend([tens, ones].map(|digit| b'0' + u8::try_from(digit).unwrap_or(0)));
    response.extend_from_slice(HEAD_END);
    response.extend_from_slice(id);
    response.push(b'\n');
}
