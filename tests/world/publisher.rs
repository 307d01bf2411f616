//! Peers that publish by HTTP, and what they are answered.

use super::{Peer, World, find};

/// A publication: its head, with a length or chunked, and its body.
#[derive(Debug, Clone, Default)]
pub struct Post {
    pub room: String,
    pub query: String,
    pub key: Option<String>,
    /// How long the chunks are; without it, the body has its length before it.
    pub chunk_len: Option<usize>,
    pub body: String,
}

impl Post {
    pub fn new(room: &str, body: &str) -> Self {
        Self {
            room: room.to_owned(),
            body: body.to_owned(),
            ..Self::default()
        }
    }

    /// Each line is a message.
    pub fn lines(room: &str, lines: &[String]) -> Self {
        Self {
            query: "lines=1".to_owned(),
            ..Self::new(room, &lines.join("\n"))
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let Self {
            room, query, body, ..
        } = self;
        let name = if room.is_empty() { "" } else { "/" };
        let mut request = format!("POST /room{name}{room}?{query} HTTP/1.1\r\nHost: a\r\n");
        if let Some(key) = &self.key {
            request += &format!("Idempotency-Key: {key}\r\n");
        }
        let mut request = request.into_bytes();
        let Some(chunk_len) = self.chunk_len else {
            request.extend(format!("Content-Length: {}\r\n\r\n{body}", body.len()).bytes());
            return request;
        };
        request.extend(b"Transfer-Encoding: chunked\r\n\r\n");
        for chunk in body.as_bytes().chunks(chunk_len) {
            request.extend(format!("{:x}\r\n", chunk.len()).bytes());
            request.extend(chunk);
            request.extend(b"\r\n");
        }
        request.extend(b"0\r\n\r\n");
        request
    }
}

impl World {
    /// Publishes, and returns the status and the line of the answer.
    pub fn post(&mut self, post: &Post) -> (u16, String) {
        let peer = self.connect();
        peer.send(&post.bytes());
        self.settle();
        let answer = take_answer(&peer).expect("an answer");
        peer.shut();
        self.settle();
        answer
    }
}

/// The status of a whole answer and the line that it consists of, once it is there.
pub fn take_answer(peer: &Peer) -> Option<(u16, String)> {
    let bytes = peer.socket().outbound.clone();
    let end = find(&bytes, b"\r\n\r\n")? + 4;
    let head = String::from_utf8(bytes[..end].to_vec()).expect("a head is ASCII");
    let mut fields = head.lines();
    let len = fields.find_map(|line| line.strip_prefix("Content-Length: "));
    let len: usize = len.map_or(0, |len| len.parse().expect("a length"));
    let body = bytes.get(end..end + len)?;
    let line = str::from_utf8(body).expect("UTF-8").trim_end();
    peer.take_up_to(end + len);
    Some((head[9..12].parse().expect("a status"), line.to_owned()))
}
