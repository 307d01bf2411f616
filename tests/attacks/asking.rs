//! Requests by the hundred thousand: how they are written, and how their answers are counted.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use memchr::memmem;

use crate::common::wire::request;
use crate::common::{Peer, Server};

/// How many answers there were, by status.
pub(crate) type Answers = BTreeMap<u16, usize>;

const STATUS_LINE: &[u8] = b"HTTP/1.1 ";
/// The beginning of a status line, up to the status.
const STATUS_LEN: usize = STATUS_LINE.len() + 3;

/// A publication.
pub(crate) fn post(path: &str, body: &[u8]) -> Vec<u8> {
    post_with(path, &[], body)
}

/// The same, with more fields.
pub(crate) fn post_with(path: &str, fields: &[&str], body: &[u8]) -> Vec<u8> {
    let length = format!("Content-Length: {}", body.len());
    let fields = [&["Host: chat.example", &length], fields].concat();
    let head = request(&format!("POST {path} HTTP/1.1"), &fields);
    [head.as_bytes(), body].concat()
}

/// A publication that comes in chunks, up to the first of them.
pub(crate) fn post_chunked(path: &str) -> String {
    let fields = ["Host: chat.example", "Transfer-Encoding: chunked"];
    request(&format!("POST {path} HTTP/1.1"), &fields)
}

/// Publishes, and returns the id.
pub(crate) fn publish(server: &Server, path: &str, body: &[u8]) -> String {
    let mut peer = server.connect();
    peer.send(post(path, body));
    let response = peer.response();
    assert_eq!(response.status, 200, "{response:?}");
    let id = String::from_utf8(response.body).expect("an id is ASCII");
    id.trim_end().to_owned()
}

/// Sends requests one behind the other on one connection, and counts their answers.
pub(crate) fn ask_all(
    server: &Server,
    requests: impl ExactSizeIterator<Item = Vec<u8>> + Send,
) -> Answers {
    let peer = server.connect();
    let (mut mouth, mut ear) = (peer.writer(), peer.writer());
    let count = requests.len();
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut bytes = Vec::new();
            for request in requests {
                bytes.extend(request);
                if bytes.len() > 64 * 1024 {
                    mouth.write_all(&bytes).expect("the server listens");
                    bytes.clear();
                }
            }
            mouth.write_all(&bytes).expect("the server listens");
        });
        count_answers(&mut ear, count)
    })
}

/// Reads until `count` answers have begun. No body may look like a status line.
fn count_answers(stream: &mut TcpStream, count: usize) -> Answers {
    let mut answers = Answers::new();
    let (mut buffer, mut unread) = (vec![0; 256 * 1024], Vec::new());
    while answers.values().sum::<usize>() < count {
        let len = stream.read(&mut buffer).expect("answers, not silence");
        assert!(len > 0, "the connection ended after {answers:?}");
        unread.extend(&buffer[..len]);
        let mut end = unread.len().saturating_sub(STATUS_LEN - 1);
        for at in memmem::find_iter(&unread, STATUS_LINE) {
            let Some(status) = unread.get(at + STATUS_LINE.len()..at + STATUS_LEN) else {
                break;
            };
            let status = str::from_utf8(status)
                .ok()
                .and_then(|text| text.parse().ok());
            *answers.entry(status.expect("a status")).or_default() += 1;
            end = end.max(at + STATUS_LEN);
        }
        unread.drain(..end);
    }
    answers
}

/// Adds up what several connections were answered.
pub(crate) fn sum(answers: impl IntoIterator<Item = Answers>) -> Answers {
    let mut sum = Answers::new();
    for (status, count) in answers.into_iter().flatten() {
        *sum.entry(status).or_default() += count;
    }
    sum
}

/// Asks for a room's events, and reads the answer's head.
pub(crate) fn listen(server: &Server, path: &str) -> Peer {
    listen_on(server.connect(), path)
}

/// The same, on a connection on which nothing has been said.
pub(crate) fn listen_on(mut peer: Peer, path: &str) -> Peer {
    peer.send(crate::common::wire::get(path));
    let response = peer.response_without_body();
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(response.field("content-type"), Some("text/event-stream"));
    peer
}
