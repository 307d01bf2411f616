//! What a session has to know, and what a peer's bytes amount to for everybody else.

use std::borrow::Cow;
use std::net::SocketAddr;

use crate::access::{Access, Grant};
use crate::config::Config;
use crate::http::Date;
use crate::http::manner::Manner;
use crate::http::route::Role;
use crate::http::status::Refusal;
use crate::observe::CloseReason;
use crate::room::member::Listening;
use crate::ws::close::{self, ProtocolError};
use crate::ws::deflate::{Deflater, Inflater, Window};

/// What a session has to know of the server.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// All settings.
    pub config: &'a Config,
    /// Who may listen and publish.
    pub access: &'a Access,
    /// The time of day.
    pub date: &'a Date,
    /// What the listener is for that accepted the connection.
    pub role: Role,
    /// The address that the peer's requests come from, as far as is known; `None` where no proxy is trusted to tell it.
    pub peer: Option<SocketAddr>,
    /// Why no request is served, if none is.
    pub unavailable: Option<Refusal>,
    /// Whether new clients may be sent here.
    pub is_ready: bool,
}

/// What all connections share that compress.
#[derive(Debug)]
pub struct Codec<'a> {
    /// For what peers send.
    pub inflater: &'a mut Inflater,
    /// For what they are sent alone.
    pub deflater: &'a mut Deflater,
}

/// What a peer's bytes amount to, for everybody else.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// What follows comes from the client with this address, whom the peer speaks for; from the peer itself if there is
    /// none.
    Forwarded(Option<SocketAddr>),
    /// A request was answered, and the connection may serve another one.
    Answered,
    /// The peer wants to listen to a room, and its request is in order.
    Listens(Listen),
    /// The peer publishes by HTTP, and waits for an answer.
    Publishes(Publication),
    /// The peer asks for all counters, and waits for an answer.
    Scrapes(Manner),
    /// The peer is a WebSocket from now on, and talks to itself.
    OpenedEcho {
        /// What it may do, and until when.
        grant: Grant,
        /// Its window, if it compresses.
        window: Option<Window>,
    },
    /// The peer publishes a message in its room.
    Message(Cow<'a, str>),
    /// The peer got what it asked for: a pong, an echo.
    Served,
    /// The peer is alive.
    Pong,
    /// The connection is to be closed.
    Closing(Closing),
}

/// A request to listen to a room.
#[derive(Debug, PartialEq, Eq)]
pub struct Listen {
    /// The room's name.
    pub room: Box<str>,
    /// How.
    pub listening: Listening,
    /// What its token allows.
    pub grant: Grant,
    /// What the peer is sent first, once it is in the room: the handshake, the head of a response.
    pub opening: Vec<u8>,
    /// How it is answered otherwise.
    pub manner: Manner,
}

/// A request to publish.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Publication {
    /// The room's name.
    pub room: Box<str>,
    /// The message, or all of them.
    pub body: Vec<u8>,
    /// Whether each line is a message.
    pub is_lines: bool,
    /// The key by which a repetition is recognized.
    pub key: Option<Box<[u8]>>,
    /// How it is answered.
    pub manner: Manner,
}

/// How a connection is closed.
#[derive(Debug, PartialEq, Eq)]
pub struct Closing {
    /// Why.
    pub reason: CloseReason,
    /// The last bytes for the peer, after all else that is queued for it: an answer, a close frame, nothing.
    pub last_bytes: Vec<u8>,
    /// What the log is to say of it.
    pub note: Option<String>,
}

impl Closing {
    /// Without last bytes.
    pub(super) fn silent(reason: CloseReason) -> Self {
        Self {
            reason,
            last_bytes: Vec::new(),
            note: None,
        }
    }

    /// Fails the WebSocket connection (RFC 6455 §7.1.7): the ladder from a broken rule to its close code.
    pub fn failed(error: ProtocolError) -> Self {
        let reason = CloseReason::Protocol(error);
        Self {
            last_bytes: close::encode_close(error.close_code(), reason.words()),
            ..Self::silent(reason)
        }
    }

    /// With the last answer of an HTTP connection.
    pub fn answered(last_bytes: Vec<u8>) -> Self {
        Self {
            last_bytes,
            ..Self::silent(CloseReason::Answered)
        }
    }

    /// With the answer to a request that is refused.
    pub fn refused(refusal: Refusal, manner: &Manner, date: &Date) -> Self {
        Self {
            last_bytes: manner.closing().refuse(refusal, date),
            ..Self::silent(CloseReason::Refused(refusal))
        }
    }
}
