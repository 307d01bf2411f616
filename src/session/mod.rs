//! One peer's protocol, from its first request to its last byte: bytes in, events out, replies into the
//! outbox. A session knows no socket, no clock and no other peer.

mod event;
mod http;
mod listen;
mod may;
mod requests;
mod waiting;
mod websocket;

use std::mem;

use crate::http::Date;
use crate::http::status::Refusal;
use crate::observe::{CloseReason, Transport};
use crate::outbox::Outbox;
use crate::proxy_header::{MalformedHeader, ProxyHeader, ProxyHeaderReader};
use crate::room::member::Here;
use crate::room::{Membership, RoomId, notice};
use crate::ws::close::CloseCode;
use crate::ws::deflate::Window;
use crate::ws::message::MessageReader;

pub use crate::ws::message::Progress;
pub use event::{Closing, Codec, Context, Event, Listen, Publication};
use http::HttpSession;
pub use waiting::Waiting;

/// The state of one peer's protocol.
#[derive(Debug)]
pub enum Session {
    /// The peer is a proxy, and says first whose connection this is.
    Proxy(ProxyHeaderReader),
    /// The peer sends requests.
    Http(HttpSession),
    /// The peer waits to be let into a room.
    Waiting(Box<Waiting>),
    /// The peer is in a room.
    Chat {
        /// The message that has come in part.
        reader: MessageReader,
        /// Its seat.
        membership: Membership,
        /// Whether it may publish.
        may_publish: bool,
    },
    /// The peer listens to a room by server-sent events. What it sends means nothing.
    Events {
        /// Its seat.
        membership: Membership,
    },
    /// The peer talks to itself.
    Echo {
        /// The message that has come in part.
        reader: MessageReader,
        /// The window of a peer that compresses.
        window: Option<Window>,
    },
}

impl Default for Session {
    /// A session in which nothing has come yet.
    fn default() -> Self {
        Self::Http(HttpSession::default())
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
        context: &Context<'_>,
        codec: Codec<'_>,
    ) -> Option<Event<'a>> {
        let message_max = context.config.chat.max_message;
        match self {
            Self::Chat {
                reader,
                membership,
                may_publish,
            } => {
                let inflater = membership.framing.window().map(|_| codec.inflater);
                websocket::receive_chat(reader, *may_publish, input, outbox, message_max, inflater)
            }
            Self::Echo { reader, window } => {
                let codec = window.map(|window| (window, codec));
                websocket::receive_echo(reader, input, outbox, message_max, codec)
            }
            Self::Http(http) => http.receive(input, outbox, context),
            Self::Waiting(waiting) if waiting.is_websocket() => {
                // It should have waited for it. Whatever is answered comes behind it.
                if !input.is_empty() {
                    waiting.send_opening(outbox);
                }
                let Listen {
                    listening, grant, ..
                } = &waiting.listen;
                let inflater = listening.framing.window().map(|_| codec.inflater);
                let may_publish = grant.may_publish;
                let reader = &mut waiting.reader;
                websocket::receive_chat(reader, may_publish, input, outbox, message_max, inflater)
            }
            Self::Events { .. } | Self::Waiting(_) => None,
            Self::Proxy(header) => match header.next(input) {
                Ok(None) => None,
                Ok(Some(named)) => {
                    *self = Self::default();
                    Some(Event::Forwarded(match named {
                        ProxyHeader::Of(client) => Some(client),
                        ProxyHeader::Own => None,
                    }))
                }
                Err(MalformedHeader) => {
                    Some(Event::Closing(Closing::silent(CloseReason::ProxyHeader)))
                }
            },
        }
    }

    /// The reader of a WebSocket that may publish, and the room in which it may; `None` for all others.
    #[inline]
    pub fn talker(&mut self) -> Option<(&mut MessageReader, RoomId)> {
        match self {
            Self::Chat {
                reader,
                membership,
                may_publish: true,
            } => Some((reader, membership.room)),
            _ => None,
        }
    }

    /// The connection must begin with a PROXY header.
    pub fn expect_proxy_header(&mut self) {
        *self = Self::Proxy(ProxyHeaderReader::default());
    }

    /// The peer waits to be let into a room from now on.
    pub fn wait(&mut self, listen: Listen) {
        *self = Self::Waiting(Box::new(Waiting::new(listen)));
    }

    /// What the peer waits for, if it waits to be let into a room.
    #[inline]
    pub fn waiting(&mut self) -> Option<&mut Waiting> {
        match self {
            Self::Waiting(waiting) => Some(waiting),
            _ => None,
        }
    }

    /// The peer waits for the answer to what it has published; nothing is read from it meanwhile.
    pub fn await_answer(&mut self) {
        if let Self::Http(http) = self {
            http.await_answer();
        }
    }

    /// The answer is there.
    pub fn end_wait(&mut self) {
        if let Self::Http(http) = self {
            http.end_wait();
        }
    }

    /// Whether the peer waits for the answer to what it has published.
    #[inline]
    pub fn awaits_answer(&self) -> bool {
        matches!(self, Self::Http(http) if http.awaits_answer())
    }

    /// The peer is in a room from now on, and may publish there or not.
    pub fn enter_room(&mut self, membership: Membership, may_publish: bool) {
        let reader = match self {
            // It may be in the middle of a message.
            Self::Waiting(waiting) => mem::take(&mut waiting.reader),
            _ => MessageReader::default(),
        };
        *self = if membership.framing.is_websocket() {
            Self::Chat {
                reader,
                membership,
                may_publish,
            }
        } else {
            Self::Events { membership }
        };
    }

    /// The peer talks to itself from now on.
    pub fn enter_echo(&mut self, window: Option<Window>) {
        *self = Self::Echo {
            reader: MessageReader::default(),
            window,
        };
    }

    /// How the connection is closed of our own accord: a WebSocket gets a close frame, others nothing more.
    pub fn close(&self, code: CloseCode, reason: CloseReason) -> Closing {
        match self {
            Self::Chat { .. } | Self::Echo { .. } => websocket::close(code, reason),
            Self::Waiting(waiting) => waiting.close(code, reason),
            Self::Proxy(_) | Self::Http(_) | Self::Events { .. } => Closing::silent(reason),
        }
    }

    /// How a connection is closed because the server goes away. An event source is told when to come back, by
    /// `jitter`, so that not all of them come at once.
    pub fn shut_down(&self, jitter: u32) -> Closing {
        let mut closing = self.close(CloseCode::GoingAway, CloseReason::Shutdown);
        if self.transport() == Transport::Sse {
            closing.last_bytes.extend(notice::retry(jitter));
        }
        closing
    }

    /// How the wait for a request, or for the end of a message, is given up. A peer that just keeps a connection
    /// it has used gets no answer.
    pub fn time_out_input(&self, date: &Date) -> Closing {
        match self {
            Self::Proxy(_) => Closing::silent(CloseReason::ProxyHeader),
            Self::Http(http) if http.is_between_requests() => Closing::silent(CloseReason::Idle),
            Self::Http(http) => Closing::refused(Refusal::Late, &http.manner(), date),
            Self::Chat { .. } | Self::Echo { .. } | Self::Events { .. } | Self::Waiting(_) => {
                self.close(CloseCode::Policy, CloseReason::MessageTimeout)
            }
        }
    }

    /// How the peer speaks.
    #[inline]
    pub fn transport(&self) -> Transport {
        match self {
            Self::Proxy(_) | Self::Http(_) => Transport::Http,
            Self::Chat { .. } | Self::Echo { .. } => Transport::WebSocket,
            Self::Events { .. } => Transport::Sse,
            Self::Waiting(waiting) => match waiting.is_websocket() {
                true => Transport::WebSocket,
                false => Transport::Sse,
            },
        }
    }

    /// Whether the peer sends requests, or is to send them behind its PROXY header.
    #[inline]
    pub fn is_http(&self) -> bool {
        matches!(self, Self::Http(_) | Self::Proxy(_))
    }

    /// Whether the peer has sent a part of a request.
    pub fn is_mid_request(&self) -> bool {
        matches!(self, Self::Http(http) if http.is_mid_request())
    }

    /// Whether the head of the first request has not come in whole yet.
    pub fn awaits_first_request(&self) -> bool {
        match self {
            Self::Proxy(_) => true,
            Self::Http(http) => http.awaits_first_request(),
            _ => false,
        }
    }

    /// The memory of the part of a body that has come, or of what was said too early, in bytes.
    #[inline]
    pub fn body_len(&self) -> usize {
        match self {
            Self::Http(http) => http.body_len(),
            Self::Waiting(waiting) => waiting.said_len,
            _ => 0,
        }
    }

    /// How many bytes the peer is known to send before the next request begins.
    #[inline]
    pub fn body_left(&self) -> usize {
        match self {
            Self::Http(http) => http.body_left(),
            _ => 0,
        }
    }

    /// Whether the peer is in a room.
    #[inline]
    pub fn is_member(&self) -> bool {
        matches!(self, Self::Chat { .. } | Self::Events { .. })
    }

    /// The peer's seat in its room, if it has one.
    #[inline]
    pub fn membership(&self) -> Option<Membership> {
        match self {
            Self::Chat { membership, .. } | Self::Events { membership } => Some(*membership),
            _ => None,
        }
    }

    /// The member got the seat of one that left.
    pub fn move_to_seat_of(&mut self, left: Membership) {
        if let Self::Chat { membership, .. } | Self::Events { membership } = self {
            *membership = membership.moved_to(left);
        }
    }

    /// Says whether the member is told how many listen.
    pub fn set_here(&mut self, here: Here) {
        if let Self::Chat { membership, .. } | Self::Events { membership } = self {
            membership.here = here;
        }
    }

    /// Whether the peer has begun a request or message that is not finished.
    #[inline]
    pub fn progress(&self) -> Progress {
        let is_begun = match self {
            Self::Http(http) => http.is_mid_request(),
            // The first request is due from the start, and the header with it.
            Self::Proxy(_) | Self::Events { .. } => false,
            Self::Chat { reader, .. } | Self::Echo { reader, .. } => reader.is_mid_message(),
            Self::Waiting(waiting) => waiting.reader.is_mid_message(),
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
            Self::Http(http) if http.is_mid_request() => Progress::Begun,
            Self::Proxy(_) | Self::Http(_) | Self::Events { .. } => Progress::Between,
            Self::Chat { reader, .. } | Self::Echo { reader, .. } => reader.note_progress(),
            Self::Waiting(waiting) => waiting.reader.note_progress(),
        }
    }
}
