//! One peer's protocol, from its first request to its last byte: bytes in, events out, replies into the
//! outbox. A session knows no socket, no clock and no other peer.

mod http;
mod websocket;

use std::borrow::Cow;

use crate::config::Config;
use crate::http::status::Refusal;
use crate::http::{Date, HeadReader};
use crate::observe::CloseReason;
use crate::outbox::Outbox;
use crate::room::Membership;
use crate::ws::close::CloseCode;
use crate::ws::message::MessageReader;

pub use crate::ws::message::Progress;

/// What a peer's bytes amount to, for everybody else.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A request was answered, and the connection may serve another one.
    Answered,
    /// The peer is a WebSocket from now on, and joins the chat or talks to itself.
    Opened(Endpoint),
    /// The peer publishes a message.
    Message(Cow<'a, str>),
    /// The peer got what it asked for: a pong, an echo.
    Served,
    /// The peer is alive.
    Pong,
    /// The connection is to be closed.
    Closing(Closing),
}

/// What a WebSocket is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// A room.
    Chat,
    /// Its own messages.
    Echo,
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

/// The state of one peer's protocol.
#[derive(Debug)]
pub enum Session {
    /// The peer sends requests.
    Http {
        /// The request that has come in part.
        head: HeadReader,
        /// Whether a request was answered.
        has_answered: bool,
    },
    /// The peer is in a room.
    Chat {
        /// The message that has come in part.
        reader: MessageReader,
        /// Its seat.
        membership: Membership,
    },
    /// The peer talks to itself.
    Echo {
        /// The message that has come in part.
        reader: MessageReader,
    },
}

impl Default for Session {
    /// A session in which nothing has come yet.
    fn default() -> Self {
        Self::Http {
            head: HeadReader::default(),
            has_answered: false,
        }
    }
}

impl Session {
    /// Takes bytes from the front of `input` until something happens.
    ///
    /// `None`: all of `input` is consumed and more is needed. Replies to the peer go into `outbox`.
    #[inline]
    pub fn receive<'a>(
        &mut self,
        input: &mut &'a mut [u8],
        outbox: &mut Outbox,
        config: &Config,
        date: &Date,
    ) -> Option<Event<'a>> {
        match self {
            Self::Chat { reader, .. } => {
                websocket::receive_chat(reader, input, outbox, config.chat.max_message)
            }
            Self::Echo { reader } => {
                websocket::receive_echo(reader, input, outbox, config.chat.max_message)
            }
            Self::Http { head, has_answered } => match head.next(input) {
                Ok(Some(head)) => {
                    let event = http::answer(&head, outbox, config, date);
                    *has_answered = true;
                    Some(event)
                }
                Ok(None) => None,
                Err(refusal) => {
                    let is_head = head.is_head_request(input);
                    Some(Event::Closing(http::refuse(refusal, is_head, date)))
                }
            },
        }
    }

    /// The peer is in a room from now on.
    pub fn enter_chat(&mut self, membership: Membership) {
        *self = Self::Chat {
            reader: MessageReader::default(),
            membership,
        };
    }

    /// The peer talks to itself from now on.
    pub fn enter_echo(&mut self) {
        *self = Self::Echo {
            reader: MessageReader::default(),
        };
    }

    /// How the connection is closed of our own accord: a WebSocket gets a close frame, HTTP nothing more.
    pub fn close(&self, code: CloseCode, reason: CloseReason) -> Closing {
        match self {
            Self::Chat { .. } | Self::Echo { .. } => websocket::close(code, reason),
            Self::Http { .. } => Closing {
                reason,
                last_bytes: Vec::new(),
                note: None,
            },
        }
    }

    /// How a peer is refused, before or instead of understanding a request.
    pub fn refuse(&self, refusal: Refusal, date: &Date) -> Closing {
        let is_head = matches!(self, Self::Http { head, .. } if head.is_head_request(b""));
        http::refuse(refusal, is_head, date)
    }

    /// How the wait for a request, or for the end of a message, is given up. A peer that just keeps a connection
    /// it has used gets no answer.
    pub fn time_out_input(&self, date: &Date) -> Closing {
        match self {
            Self::Http { head, has_answered } if *has_answered && !head.is_mid_request() => {
                self.close(CloseCode::Normal, CloseReason::Idle)
            }
            Self::Http { .. } => self.refuse(Refusal::Late, date),
            Self::Chat { .. } | Self::Echo { .. } => {
                self.close(CloseCode::Policy, CloseReason::MessageTimeout)
            }
        }
    }

    /// Whether the peer sends requests.
    #[inline]
    pub fn is_http(&self) -> bool {
        matches!(self, Self::Http { .. })
    }

    /// Whether the peer is in a room.
    #[inline]
    pub fn is_chat(&self) -> bool {
        matches!(self, Self::Chat { .. })
    }

    /// The peer's seat in its room, if it has one.
    #[inline]
    pub fn membership(&self) -> Option<Membership> {
        match self {
            Self::Chat { membership, .. } => Some(*membership),
            _ => None,
        }
    }

    /// The member got the seat of one that left.
    pub fn move_to_seat_of(&mut self, left: Membership) {
        if let Self::Chat { membership, .. } = self {
            *membership = membership.moved_to(left);
        }
    }

    /// Whether the peer has begun a request or message that is not finished.
    #[inline]
    pub fn progress(&self) -> Progress {
        let is_begun = match self {
            Self::Http { head, .. } => head.is_mid_request(),
            Self::Chat { reader, .. } | Self::Echo { reader } => reader.is_mid_message(),
        };
        match is_begun {
            true => Progress::Unfinished,
            false => Progress::Between,
        }
    }

    /// The same, and whether what was begun is new since the last call. A request is always told as new.
    #[inline]
    pub fn note_progress(&mut self) -> Progress {
        match self {
            Self::Http { head, .. } if head.is_mid_request() => Progress::Begun,
            Self::Http { .. } => Progress::Between,
            Self::Chat { reader, .. } | Self::Echo { reader } => reader.note_progress(),
        }
    }
}
