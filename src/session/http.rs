//! A peer that sends requests, one after the other: their heads, and the bodies of publications.

use std::mem;
use std::net::SocketAddr;

use super::requests::{self, Answered};
use super::{Context, Event, Publication};
use crate::access::Grant;
use crate::http::HeadReader;
use crate::http::body::BodyReader;
use crate::http::manner::Manner;
use crate::http::status::Refusal;
use crate::outbox::Outbox;

/// What a peer that waits for it is told before it sends a body (RFC 9110 §15.2.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A peer that sends requests, perhaps for others.
#[derive(Debug)]
pub enum HttpSession {
    /// All of them were the peer's own so far.
    Own(Stage),
    /// The peer is a proxy, and has sent requests of its clients.
    Via(Box<Via>),
}

impl Default for HttpSession {
    fn default() -> Self {
        Self::Own(Stage::default())
    }
}

/// A connection that a proxy uses for its clients.
#[derive(Debug)]
pub struct Via {
    /// The proxy's own address.
    proxy: SocketAddr,
    stage: Stage,
    /// The head of a request whose client has to be told first; empty if there is none.
    held: Vec<u8>,
}

/// How far the current request of a peer has come.
#[derive(Debug)]
pub enum Stage {
    /// To its head.
    Head {
        /// The part of it that has come.
        reader: HeadReader,
        /// Whether a request was answered before.
        has_answered: bool,
    },
    /// To its body.
    Body(Box<Post>),
    /// To its end, but its answer has to wait.
    Answer,
}

impl Default for Stage {
    fn default() -> Self {
        Self::Head {
            reader: HeadReader::default(),
            has_answered: false,
        }
    }
}

/// A publication whose body has not come as a whole.
#[derive(Debug)]
pub struct Post {
    pub(super) reader: BodyReader,
    /// Whether the peer waits for leave to send the body.
    pub(super) expects_continue: bool,
    /// What its token allows.
    pub(super) grant: Grant,
    /// All but the body.
    pub(super) publication: Publication,
}

impl Post {
    /// Takes bytes from the front of `input` until the body is whole.
    fn receive(&mut self, input: &mut &mut [u8], context: &Context<'_>) -> Option<Event<'static>> {
        match self.reader.next(input) {
            Ok(None) => None,
            // The body may have taken its time.
            Ok(Some(_)) if self.grant.is_over(context.date.unix_seconds()) => {
                let manner = self.publication.manner.closing();
                Some(requests::refuse(Refusal::TokenExpired, &manner, context))
            }
            Ok(Some(body)) => {
                let mut publication = mem::take(&mut self.publication);
                publication.body = body;
                // A drain may have begun meanwhile.
                publication.manner.is_kept &= context.unavailable.is_none();
                Some(Event::Publishes(publication))
            }
            Err(refusal) => {
                let manner = self.publication.manner.closing();
                Some(requests::refuse(refusal, &manner, context))
            }
        }
    }
}

/// A request that comes from another client than the one before.
struct Foreign {
    proxy: SocketAddr,
    client: SocketAddr,
    head: Vec<u8>,
}

impl Stage {
    /// Takes bytes from the front of `input` until something happens. `proxy`: the peer's own address, where it may
    /// be a proxy.
    fn receive(
        &mut self,
        proxy: Option<SocketAddr>,
        input: &mut &mut [u8],
        outbox: &mut Outbox,
        context: &Context<'_>,
    ) -> Result<Option<Event<'static>>, Foreign> {
        let reader = match self {
            Self::Head { reader, .. } => reader,
            Self::Body(post) => {
                let event = post.receive(input, context);
                if event.is_some() {
                    *self = Self::after_answer();
                }
                return Ok(event);
            }
            Self::Answer => return Ok(None),
        };
        match reader.next(input) {
            Ok(None) => Ok(None),
            Ok(Some(head)) => match requests::answer(&head, proxy, outbox, context) {
                Answered::From { proxy, client } => Err(Foreign {
                    proxy,
                    client,
                    head: head.into_owned(),
                }),
                answered => Ok(self.go_on(answered, input, outbox, context)),
            },
            Err(refusal) => {
                let manner = Manner::unknown(reader.is_head_request(input));
                Ok(Some(requests::refuse(refusal, &manner, context)))
            }
        }
    }

    /// What follows a head.
    fn go_on(
        &mut self,
        answered: Answered,
        input: &mut &mut [u8],
        outbox: &mut Outbox,
        context: &Context<'_>,
    ) -> Option<Event<'static>> {
        *self = Self::after_answer();
        let mut post = match answered {
            Answered::At(event) => return Some(event),
            Answered::From { client, .. } => return Some(Event::Forwarded(Some(client))),
            Answered::AfterBody(post) => post,
        };
        if post.expects_continue && input.is_empty() {
            outbox.push_static(CONTINUE);
        }
        let event = post.receive(input, context);
        if event.is_none() {
            *self = Self::Body(Box::new(post));
        }
        event
    }

    /// The next request may come.
    fn after_answer() -> Self {
        Self::Head {
            reader: HeadReader::default(),
            has_answered: true,
        }
    }
}

impl HttpSession {
    /// Takes bytes from the front of `input` until something happens. Answers go into `outbox`.
    pub(super) fn receive(
        &mut self,
        input: &mut &mut [u8],
        outbox: &mut Outbox,
        context: &Context<'_>,
    ) -> Option<Event<'static>> {
        let (stage, proxy, held) = match self {
            Self::Own(stage) => (stage, context.peer, Vec::new()),
            Self::Via(via) => (&mut via.stage, Some(via.proxy), mem::take(&mut via.held)),
        };
        if !held.is_empty() {
            // Its client is known by now.
            let answered = requests::answer(&held, None, outbox, context);
            return stage.go_on(answered, input, outbox, context);
        }
        match stage.receive(proxy, input, outbox, context) {
            Ok(event) => event,
            Err(foreign) => {
                let via = Via {
                    proxy: foreign.proxy,
                    stage: mem::take(stage),
                    held: foreign.head,
                };
                *self = Self::Via(Box::new(via));
                Some(Event::Forwarded(Some(foreign.client)))
            }
        }
    }

    fn stage(&self) -> &Stage {
        match self {
            Self::Own(stage) => stage,
            Self::Via(via) => &via.stage,
        }
    }

    fn stage_mut(&mut self) -> &mut Stage {
        match self {
            Self::Own(stage) => stage,
            Self::Via(via) => &mut via.stage,
        }
    }

    /// The answer to the request that has just come has to wait.
    pub(super) fn await_answer(&mut self) {
        *self.stage_mut() = Stage::Answer;
    }

    /// The request is answered.
    pub(super) fn end_wait(&mut self) {
        *self.stage_mut() = Stage::after_answer();
    }

    /// Whether an answer has to wait.
    pub(super) fn awaits_answer(&self) -> bool {
        matches!(self.stage(), Stage::Answer)
    }

    /// Whether a part of a request has come, or its answer has to wait.
    pub(super) fn is_mid_request(&self) -> bool {
        let is_held = matches!(self, Self::Via(via) if !via.held.is_empty());
        is_held
            || match self.stage() {
                Stage::Head { reader, .. } => reader.is_mid_request(),
                Stage::Body(_) | Stage::Answer => true,
            }
    }

    /// The memory of the part of a body that has come, in bytes.
    pub(super) fn body_len(&self) -> usize {
        match self.stage() {
            Stage::Head { .. } | Stage::Answer => 0,
            Stage::Body(post) => post.reader.buffer_len(),
        }
    }

    /// How many bytes of a body are known to come.
    pub(super) fn body_left(&self) -> usize {
        match self.stage() {
            Stage::Head { .. } | Stage::Answer => 0,
            Stage::Body(post) => post.reader.left(),
        }
    }

    /// Whether the peer just keeps a connection that it has used.
    pub(super) fn is_between_requests(&self) -> bool {
        matches!(self.stage(), Stage::Head { reader, has_answered: true } if !reader.is_mid_request())
    }

    /// Whether the head of the first request has not come in whole yet.
    pub(super) fn awaits_first_request(&self) -> bool {
        matches!(
            self.stage(),
            Stage::Head {
                has_answered: false,
                ..
            }
        )
    }

    /// How the request that is coming would be answered, as far as is known.
    pub(super) fn manner(&self) -> Manner {
        match self.stage() {
            Stage::Head { reader, .. } => Manner::unknown(reader.is_head_request(b"")),
            Stage::Body(post) => post.publication.manner.closing(),
            Stage::Answer => Manner::unknown(false),
        }
    }
}
