//! A raw socket: it says any bytes, and understands what the server says with every rule checked.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use super::wire;
use super::{PATIENCE, deflate};

/// One connection to the server.
pub(crate) struct Peer {
    stream: TcpStream,
    /// Received, and not yet consumed.
    received: Vec<u8>,
    /// How much of `received` is consumed.
    consumed: usize,
    /// The bits of its window, if it was agreed on that messages may be compressed.
    window_bits: Option<u8>,
    received_len: usize,
}

/// An HTTP response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The value of a field that must not stand there twice.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(field, _)| field == name);
        let value = values.next();
        assert!(values.next().is_none(), "{name} stands there twice");
        value.map(|(_, value)| value.as_str())
    }
}

/// A frame that the server sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// FIN, reserved bits and opcode.
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

impl Peer {
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        Self::over(TcpStream::connect(addr).expect("the server accepts"))
    }

    /// Connects with a receive buffer so small that the server soon feels when nobody reads, yet larger
    /// than a segment of the loopback interface, which would make reading slow.
    pub(crate) fn connect_with_small_buffer(addr: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(128 * 1024).expect("a buffer");
        socket.connect(&addr.into()).expect("the server accepts");
        Self::over(socket.into())
    }

    /// Connects from another address of this machine.
    pub(crate) fn connect_from(local: IpAddr, addr: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).expect("a socket");
        socket
            .bind(&SocketAddr::from((local, 0)).into())
            .expect("an address of this machine");
        socket.connect(&addr.into()).expect("the server accepts");
        Self::over(socket.into())
    }

    /// Connects to a Unix socket, which is read and written like any other.
    pub(crate) fn connect_unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("the server accepts");
        Self::with_timeouts(OwnedFd::from(stream).into())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("an option");
        Self::with_timeouts(stream)
    }

    fn with_timeouts(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        Self {
            stream,
            received: Vec::new(),
            consumed: 0,
            window_bits: None,
            received_len: 0,
        }
    }

    /// How many bytes have come in all.
    pub(crate) fn received_len(&self) -> usize {
        self.received_len
    }

    /// Another handle on the same socket, to write from another thread.
    pub(crate) fn writer(&self) -> TcpStream {
        self.stream.try_clone().expect("a second handle")
    }

    /// Sends all of `bytes`; the server must not refuse any.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream
            .write_all(bytes.as_ref())
            .expect("the server takes what is sent");
    }

    /// Sends `bytes` each in a segment of its own.
    pub(crate) fn send_byte_by_byte(&mut self, bytes: impl AsRef<[u8]>) {
        for byte in bytes.as_ref() {
            self.send([*byte]);
        }
    }

    /// Sends what the server may refuse to take; whether it did take it.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Sends text to the room.
    pub(crate) fn say(&mut self, text: &str) {
        self.send(wire::text(text));
    }

    /// Ends our side of the stream.
    pub(crate) fn finish(&mut self) {
        self.stream
            .shutdown(Shutdown::Write)
            .expect("the connection is up");
    }

    /// Ends the connection with a reset.
    pub(crate) fn reset(self) {
        let linger = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        linger.expect("an option");
    }

    /// Upgrades this connection, which has not said anything yet.
    pub(crate) fn upgraded(mut self, path: &str) -> Self {
        self.send(wire::upgrade(path));
        self.expect_upgrade();
        self
    }

    /// The same with these fields as well.
    pub(crate) fn upgraded_with(mut self, path: &str, fields: &[&str]) -> Self {
        self.send(wire::upgrade_to(path, fields));
        self.expect_upgrade();
        self
    }

    /// Reads the `101` to a good upgrade. What it agrees on holds from now on.
    pub(crate) fn expect_upgrade(&mut self) -> Response {
        let response = self.response_without_body();
        assert_eq!(response.status, 101, "{response:?}");
        let accept = response.field("sec-websocket-accept");
        assert_eq!(accept, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        self.window_bits = deflate::agreed_window(response.field("sec-websocket-extensions"));
        response
    }

    /// The bits of the window that was agreed on, if any was.
    pub(crate) fn window_bits(&self) -> Option<u8> {
        self.window_bits
    }

    /// Reads a response and its body.
    pub(crate) fn response(&mut self) -> Response {
        let mut response = self.response_without_body();
        let len = response.field("content-length");
        let len = len.and_then(|len| len.parse().ok()).expect("a length");
        response.body = self.take(len);
        response
    }

    /// Reads a response that has no body, whatever its length says.
    pub(crate) fn response_without_body(&mut self) -> Response {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(self.take(1));
        }
        let head = String::from_utf8(head).expect("a head is ASCII");
        let mut lines = head.trim_end().split("\r\n");
        let status_line = lines.next().expect("there is a first line");
        let status = status_line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.split(' ').next())
            .and_then(|status| status.parse().ok())
            .expect(status_line);
        let fields = lines
            .map(|line| {
                let (name, value) = line.split_once(": ").expect(line);
                (name.to_ascii_lowercase(), value.to_owned())
            })
            .collect();
        Response {
            status,
            fields,
            body: Vec::new(),
        }
    }

    /// Reads a refusal: the status, a body of one plain line, then the end of the connection.
    pub(crate) fn expect_refusal(&mut self, status: u16) -> Response {
        let response = self.response();
        assert_eq!(response.status, status, "{response:?}");
        // 426 names the protocol to upgrade to as well (RFC 9110 §7.8).
        let connection = if status == 426 {
            "upgrade, close"
        } else {
            "close"
        };
        assert_eq!(
            response.field("connection"),
            Some(connection),
            "{response:?}"
        );
        assert_one_plain_line(&response);
        self.expect_end();
        response
    }

    /// Reads a frame, which must be unmasked, as short as can be, and without reserved bits but for what was agreed on.
    pub(crate) fn frame(&mut self) -> Frame {
        loop {
            if let Some(frame) = self.received_frame() {
                return frame;
            }
            self.receive_more();
        }
    }

    /// The next frame, if all of it is received already.
    pub(crate) fn received_frame(&mut self) -> Option<Frame> {
        let unread = self.received.get(self.consumed..).unwrap_or_default();
        let ((first, payload), len) = wire::decode_with(unread, self.window_bits.is_some())?;
        self.consumed += len;
        Some(Frame { first, payload })
    }

    /// Reads a frame that must be of this kind. On a busy machine a test may take longer than a ping, which is skipped.
    fn frame_of(&mut self, first: u8) -> Frame {
        let frame = match first {
            wire::PING => self.frame(),
            _ => self.frame_behind_pings(),
        };
        assert_eq!(frame.first, first, "{frame:?}");
        frame
    }

    fn frame_behind_pings(&mut self) -> Frame {
        loop {
            let frame = self.frame();
            if frame.first != wire::PING {
                return frame;
            }
        }
    }

    /// Reads a frame that must be this one.
    pub(crate) fn expect_frame(&mut self, first: u8, payload: &[u8]) {
        let frame = self.frame_of(first);
        // A difference deep in a long payload is not worth printing.
        let same = frame.payload == payload;
        assert!(same, "{}", String::from_utf8_lossy(&frame.payload));
    }

    /// Reads a text message.
    pub(crate) fn hear(&mut self) -> String {
        let frame = self.frame_behind_pings();
        self.text_of(frame)
    }

    /// The text of a message, which may be compressed if that was agreed on.
    pub(crate) fn text_of(&self, frame: Frame) -> String {
        deflate::text_of(frame.first, frame.payload, self.window_bits)
    }

    /// Reads text messages until they hold `count` lines.
    pub(crate) fn hear_lines(&mut self, count: usize) -> Vec<String> {
        let mut lines = Vec::new();
        while lines.len() < count {
            lines.extend(self.hear().split('\n').map(str::to_owned));
        }
        lines
    }

    /// Reads text messages until the stream ends, wherever it does; their lines. A message that came
    /// in part does not count.
    pub(crate) fn hear_lines_to_the_end(&mut self) -> Vec<String> {
        while self.receive().is_ok_and(|len| len > 0) {}
        let mut lines = Vec::new();
        let mut unread = self.received.split_off(self.consumed);
        for (first, payload) in wire::take_frames_with(&mut unread, self.window_bits.is_some()) {
            if [wire::TEXT, deflate::DEFLATED_TEXT].contains(&first) {
                let text = deflate::text_of(first, payload, self.window_bits);
                lines.extend(text.split('\n').map(str::to_owned));
            }
        }
        self.received.clear();
        self.consumed = 0;
        lines
    }

    /// Reads a close frame with this code, then the end of the stream; the reason in words beside the code.
    pub(crate) fn expect_close(&mut self, code: u16) -> String {
        let frame = self.frame_of(wire::CLOSE);
        let (sent, words) = frame.payload.split_first_chunk().expect("a code");
        assert_eq!(u16::from_be_bytes(*sent), code, "{frame:?}");
        let words = String::from_utf8(words.to_vec()).expect("a reason is UTF-8");
        self.expect_end();
        words
    }

    /// Reads the end of the stream: nothing before it, and no reset, neither then nor while the
    /// server waits for us to close.
    pub(crate) fn expect_end(&mut self) {
        let unread = self.received.split_off(self.consumed);
        assert!(unread.is_empty(), "{}", String::from_utf8_lossy(&unread));
        let len = self.receive().expect("an end, not a reset");
        assert_eq!(len, 0, "{}", String::from_utf8_lossy(&self.received));
        let error = self.stream.take_error().expect("an option");
        assert!(error.is_none(), "{error:?} behind the end");
    }

    /// Waits until the connection is of no use any more: it ended or was reset.
    pub(crate) fn wait_until_gone(&mut self) {
        while self.receive().is_ok_and(|len| len > 0) {
            self.received.clear();
            self.consumed = 0;
        }
    }

    /// Ends our side of the stream, if the connection is still up; whatever is received to its end.
    pub(crate) fn finish_and_take_all(mut self) -> Vec<u8> {
        // The server may have ended it.
        let _ = self.stream.shutdown(Shutdown::Write);
        while self.receive().is_ok_and(|len| len > 0) {}
        self.received.split_off(self.consumed)
    }

    pub(crate) fn take(&mut self, len: usize) -> Vec<u8> {
        while self.received.len() - self.consumed < len {
            self.receive_more();
        }
        let bytes = self.received.get(self.consumed..self.consumed + len);
        let bytes = bytes.expect("that many were received").to_vec();
        self.consumed += len;
        if self.consumed == self.received.len() {
            self.received.clear();
            self.consumed = 0;
        }
        bytes
    }

    /// Reads up to the next such byte, and gives it too.
    pub(crate) fn take_through(&mut self, last: u8) -> Vec<u8> {
        let mut searched = 0;
        loop {
            let unread = self.received.get(self.consumed..).unwrap_or_default();
            let new = unread.get(searched..).unwrap_or_default();
            if let Some(place) = memchr::memchr(last, new) {
                return self.take(searched + place + 1);
            }
            searched = unread.len();
            self.receive_more();
        }
    }

    /// Sends a request. Whether anything is answered before the stream ends.
    pub(crate) fn is_answered(&mut self, request: impl AsRef<[u8]>) -> bool {
        self.try_send(request.as_ref());
        matches!(self.receive(), Ok(1..))
    }

    /// Reads once; the stream must not end.
    fn receive_more(&mut self) {
        if self.consumed == self.received.len() {
            self.received.clear();
            self.consumed = 0;
        }
        let received = self
            .receive()
            .expect("bytes, not a reset or a long silence");
        let so_far = self.received.get(self.consumed..).unwrap_or_default();
        let so_far = String::from_utf8_lossy(so_far);
        assert!(received > 0, "the stream ended after {so_far:?}");
    }

    /// Reads once; 0 at the end of the stream.
    pub(crate) fn receive(&mut self) -> std::io::Result<usize> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let timed_out = [ErrorKind::WouldBlock, ErrorKind::TimedOut];
                    assert!(!timed_out.contains(&error.kind()), "the server is silent");
                    return Err(error);
                }
                Ok(len) => {
                    self.received_len += len;
                    self.received.extend(buffer.iter().take(len));
                    return Ok(len);
                }
            }
        }
    }
}

impl AsFd for Peer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// An error's body says what is wrong in one line of plain text.
pub(crate) fn assert_one_plain_line(response: &Response) {
    let content_type = response.field("content-type").unwrap_or_default();
    assert!(content_type.starts_with("text/plain"), "{response:?}");
    let body = String::from_utf8_lossy(&response.body);
    assert!(body.len() > 1 && body.ends_with('\n'), "{body:?}");
    assert_eq!(body.lines().count(), 1, "{body:?}");
}
