//! One peer's protocol, from its first request to its last byte: bytes in, events out, replies into the
//! outbox. A connection knows no socket, no clock and no other peer.

use std::borrow::Cow;

use crate::client::outbox::Outbox;
use crate::config::Config;
use crate::http::page::Asset;
use crate::http::status::{Refusal, Status};
use crate::http::{self, HeadReader, Request, Response};
use crate::observe::metrics::End;
use crate::ws::close::{CloseCode, ProtocolError};
use crate::ws::frame::{self, Opcode, ServerHeader};
use crate::ws::handshake;
use crate::ws::message::{Incoming, MessageReader, Progress};

/// What a peer's bytes amount to, for everybody else.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A request was answered, and the connection may serve another one.
    Answered,
    /// The peer joins the chat.
    Joined,
    /// The peer talks to itself: an echo was opened.
    Opened,
    /// The peer says something to its room.
    Text(Cow<'a, str>),
    /// The peer got what it asked for: a pong, an echo.
    Served,
    /// The peer is alive.
    Pong,
    /// The connection ends. What the peer sends from now on is discarded.
    Ended(Farewell),
}

/// How a connection ends.
#[derive(Debug, PartialEq, Eq)]
pub struct Farewell {
    /// The reason.
    pub end: End,
    /// The last bytes for the peer, after all else that it is owed: an answer, a close frame, nothing.
    pub last_bytes: Vec<u8>,
}

/// The state of one peer's protocol.
#[derive(Debug)]
pub struct Connection(State);

#[derive(Debug)]
enum State {
    Http {
        head: HeadReader,
        has_answered: bool,
    },
    Chat(MessageReader),
    Echo(MessageReader),
    Ending,
}

impl Default for Connection {
    /// A connection on which nothing has come yet.
    fn default() -> Self {
        Self(State::Http {
            head: HeadReader::default(),
            has_answered: false,
        })
    }
}

impl Connection {
    /// Takes bytes from the front of `input` until something happens.
    ///
    /// `None`: all of `input` is consumed and more is needed. Replies to the peer go into `outbox`.
    #[inline]
    pub fn receive<'a>(
        &mut self,
        input: &mut &'a mut [u8],
        outbox: &mut Outbox,
        config: &Config,
    ) -> Option<Event<'a>> {
        match &mut self.0 {
            State::Chat(reader) | State::Echo(reader) => {
                match reader.next(input, config.max_message) {
                    Ok(Some(incoming)) => Some(self.take(incoming, outbox)),
                    Ok(None) => None,
                    Err(error) => Some(self.fail(error)),
                }
            }
            State::Http { head, .. } => match head.next(input) {
                Ok(Some(head)) => Some(self.answer(&head, outbox, config)),
                Ok(None) => None,
                Err(refusal) => Some(Event::Ended(self.refuse(refusal))),
            },
            State::Ending => {
                *input = &mut [];
                None
            }
        }
    }

    /// Takes one message or control frame.
    #[inline]
    fn take<'a>(&mut self, incoming: Incoming<'a>, outbox: &mut Outbox) -> Event<'a> {
        let is_echo = matches!(self.0, State::Echo(_));
        match incoming {
            Incoming::Text(text) if is_echo => {
                echo(Opcode::Text, into_bytes(text), outbox);
                Event::Served
            }
            Incoming::Binary(bytes) if is_echo => {
                echo(Opcode::Binary, bytes, outbox);
                Event::Served
            }
            Incoming::Text(text) => Event::Text(text),
            Incoming::Binary(bytes) => match into_text(bytes) {
                Some(text) => Event::Text(text),
                None => self.fail(ProtocolError::BinaryNotText),
            },
            Incoming::Ping(payload) => {
                outbox.push_pong(&payload);
                Event::Served
            }
            Incoming::Pong => Event::Pong,
            Incoming::Close(code) => self.echo_close(code),
        }
    }

    /// Ends the connection of our own accord: a WebSocket gets a close frame, HTTP nothing more.
    pub fn begin_close(&mut self, code: CloseCode, end: End) -> Farewell {
        let last_bytes = if self.is_websocket() {
            close_frame(Some(code as u16))
        } else {
            Vec::new()
        };
        self.end(end, last_bytes)
    }

    /// Refuses to speak, before or instead of understanding a request.
    pub fn refuse(&mut self, refusal: Refusal) -> Farewell {
        self.end(End::Refused(refusal), http::refuse(refusal, false))
    }

    /// Ends the wait for a request: with an answer, unless the peer just keeps a connection it has used.
    pub fn time_out_request(&mut self) -> Farewell {
        if self.is_between_requests() {
            return self.end(End::Idle, Vec::new());
        }
        self.refuse(Refusal::Late)
    }

    /// Whether the peer still speaks HTTP.
    #[inline]
    pub fn is_http(&self) -> bool {
        matches!(self.0, State::Http { .. })
    }

    /// Whether the peer talks with its room.
    #[inline]
    pub fn is_chat(&self) -> bool {
        matches!(self.0, State::Chat(_))
    }

    /// Whether the handshake is done and no close frame has been queued.
    pub fn is_websocket(&self) -> bool {
        matches!(self.0, State::Chat(_) | State::Echo(_))
    }

    /// Whether only the last bytes are still to be sent.
    #[inline]
    pub fn is_ending(&self) -> bool {
        matches!(self.0, State::Ending)
    }

    /// Tells whether the peer is in the middle of a WebSocket frame or message, and whether of a new one.
    #[inline]
    pub fn note_progress(&mut self) -> Progress {
        match &mut self.0 {
            State::Chat(reader) | State::Echo(reader) => reader.note_progress(),
            State::Http { .. } | State::Ending => Progress::Between,
        }
    }

    fn is_between_requests(&self) -> bool {
        match &self.0 {
            State::Http { head, has_answered } => *has_answered && !head.is_mid_request(),
            State::Chat(_) | State::Echo(_) | State::Ending => false,
        }
    }

    /// Answers one request.
    fn answer(&mut self, head: &[u8], outbox: &mut Outbox, config: &Config) -> Event<'static> {
        let mut storage = http::header_storage();
        let request = match Request::parse(head, &mut storage) {
            Ok(request) => request,
            Err(refusal) => {
                let answer = http::refuse(refusal, head.starts_with(b"HEAD "));
                return Event::Ended(self.end(End::Refused(refusal), answer));
            }
        };
        let is_echo = request.path == "/echo" && config.echo;
        if request.method == "GET" && (is_echo || request.path == "/ws") {
            return self.upgrade(&request, is_echo, outbox, config);
        }

        let is_kept = request.wants_keep_alive();
        let is_head = request.method == "HEAD";
        let plain = |status, allow: Option<&str>, line| {
            let mut response = Response::new(status).keep_alive(is_kept);
            if let Some(methods) = allow {
                response = response.header("Allow", methods);
            }
            response.finish_with_line(line, is_head)
        };
        if is_echo || request.path == "/ws" {
            outbox.push_own(plain(
                Status::MethodNotAllowed,
                Some("GET"),
                "a WebSocket is opened with GET",
            ));
        } else if let Some(asset) = Asset::find(request.path) {
            if is_head || request.method == "GET" {
                let (head, body) = asset.answer(&request, is_kept);
                outbox.push_own(head);
                outbox.push_static(body.unwrap_or_default());
            } else {
                outbox.push_own(plain(
                    Status::MethodNotAllowed,
                    Some("GET, HEAD"),
                    "this can be read only",
                ));
            }
        } else {
            outbox.push_own(plain(Status::NotFound, None, "there is nothing here"));
        }

        if is_kept {
            if let State::Http { has_answered, .. } = &mut self.0 {
                *has_answered = true;
            }
            Event::Answered
        } else {
            Event::Ended(self.end(End::Answered, Vec::new()))
        }
    }

    fn upgrade(
        &mut self,
        request: &Request<'_>,
        is_echo: bool,
        outbox: &mut Outbox,
        config: &Config,
    ) -> Event<'static> {
        match handshake::accept(request, &config.allow_origin) {
            Err(refusal) => Event::Ended(self.refuse(refusal)),
            Ok(answer) => {
                outbox.push_own(answer);
                if is_echo {
                    self.0 = State::Echo(MessageReader::default());
                    Event::Opened
                } else {
                    self.0 = State::Chat(MessageReader::default());
                    Event::Joined
                }
            }
        }
    }

    /// Fails the WebSocket connection (RFC 6455 §7.1.7): the ladder from a broken rule to its close code.
    fn fail(&mut self, error: ProtocolError) -> Event<'static> {
        Event::Ended(self.begin_close(error.close_code(), End::Protocol(error)))
    }

    /// Answers the peer's close frame with its own code (RFC 6455 §5.5.1).
    fn echo_close(&mut self, code: Option<u16>) -> Event<'static> {
        Event::Ended(self.end(End::PeerClosed, close_frame(code)))
    }

    fn end(&mut self, end: End, last_bytes: Vec<u8>) -> Farewell {
        self.0 = State::Ending;
        Farewell { end, last_bytes }
    }
}

fn close_frame(code: Option<u16>) -> Vec<u8> {
    let mut bytes = Vec::new();
    match code {
        Some(code) => frame::encode_frame(Opcode::Close, &code.to_be_bytes(), &mut bytes),
        None => frame::encode_frame(Opcode::Close, b"", &mut bytes),
    }
    bytes
}

/// A long message moves into the outbox as it is, behind a header of its own.
fn echo(opcode: Opcode, payload: Cow<'_, [u8]>, outbox: &mut Outbox) {
    match payload {
        Cow::Borrowed(payload) => {
            let mut bytes = Vec::new();
            frame::encode_frame(opcode, payload, &mut bytes);
            outbox.push_own(bytes);
        }
        Cow::Owned(payload) => {
            let header = ServerHeader::encode(opcode, payload.len());
            outbox.push_own(header.as_bytes().to_vec());
            outbox.push_own(payload);
        }
    }
}

fn into_bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

fn into_text(bytes: Cow<'_, [u8]>) -> Option<Cow<'_, str>> {
    match bytes {
        Cow::Borrowed(bytes) => simdutf8::basic::from_utf8(bytes).ok().map(Cow::Borrowed),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    }
}
