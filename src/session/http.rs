//! A peer that sends requests, one after the other: their heads, and the bodies of publications.

use std::mem;

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

/// How far the current request of a peer has come.
#[derive(Debug)]
pub enum HttpSession {
    /// To its head.
    Head {
        /// The part of it that has come.
        reader: HeadReader,
        /// Whether a request was answered before.
        has_answered: bool,
    },
    /// To its body.
    Body(Box<Post>),
}

impl Default for HttpSession {
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
                Some(Event::Publishes(publication))
            }
            Err(refusal) => {
                let manner = self.publication.manner.closing();
                Some(requests::refuse(refusal, &manner, context))
            }
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
        let (reader, has_answered) = match self {
            Self::Head {
                reader,
                has_answered,
            } => (reader, has_answered),
            Self::Body(post) => {
                let event = post.receive(input, context)?;
                *self = Self::Head {
                    reader: HeadReader::default(),
                    has_answered: true,
                };
                return Some(event);
            }
        };
        let answered = match reader.next(input) {
            Ok(Some(head)) => requests::answer(&head, outbox, context),
            Ok(None) => return None,
            Err(refusal) => {
                let manner = Manner::unknown(reader.is_head_request(input));
                return Some(requests::refuse(refusal, &manner, context));
            }
        };
        *has_answered = true;
        let mut post = match answered {
            Answered::At(event) => return Some(event),
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

    /// Whether a part of a request has come.
    pub(super) fn is_mid_request(&self) -> bool {
        match self {
            Self::Head { reader, .. } => reader.is_mid_request(),
            Self::Body(_) => true,
        }
    }

    /// The memory of the part of a body that has come, in bytes.
    pub(super) fn body_len(&self) -> usize {
        match self {
            Self::Head { .. } => 0,
            Self::Body(post) => post.reader.buffer_len(),
        }
    }

    /// How many bytes of a body are known to come.
    pub(super) fn body_left(&self) -> usize {
        match self {
            Self::Head { .. } => 0,
            Self::Body(post) => post.reader.left(),
        }
    }

    /// Whether the peer just keeps a connection that it has used.
    pub(super) fn is_between_requests(&self) -> bool {
        matches!(self, Self::Head { reader, has_answered: true } if !reader.is_mid_request())
    }

    /// How the request that is coming would be answered, as far as is known.
    pub(super) fn manner(&self) -> Manner {
        match self {
            Self::Head { reader, .. } => Manner::unknown(reader.is_head_request(b"")),
            Self::Body(post) => post.publication.manner.closing(),
        }
    }
}
