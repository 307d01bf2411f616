//! The reasons for which a connection is closed.

use std::fmt;

use strum::{EnumDiscriminants, IntoStaticStr, VariantArray};

use crate::http::status::Refusal;
use crate::ws::close::ProtocolError;

/// Why a connection is closed. The first reason stands; what happens while it is being closed changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumDiscriminants)]
#[strum_discriminants(
    name(CloseKind),
    derive(IntoStaticStr, VariantArray),
    strum(serialize_all = "snake_case"),
    doc = "Why a connection is closed, without the details."
)]
pub enum CloseReason {
    /// The peer began the close handshake.
    PeerClosed,
    /// The peer ended the stream without a close frame, or between two requests.
    PeerGone,
    /// The socket failed.
    Broken(std::io::ErrorKind),
    /// The peer broke a rule of the WebSocket protocol.
    Protocol(ProtocolError),
    /// A request was refused.
    Refused(Refusal),
    /// The last answer of an HTTP connection was sent.
    Answered,
    /// No further request came on a connection that was kept.
    Idle,
    /// The send queue was full and the socket took nothing.
    Stuck,
    /// No pong came in time.
    PongTimeout,
    /// A message was begun and not finished in time.
    MessageTimeout,
    /// The socket took nothing of what was queued for too long.
    WriteTimeout,
    /// More messages than the rate allows, for longer than the warning period.
    RateExceeded,
    /// Too much was queued for all clients together, and most of it for this one.
    Overload,
    /// The server is shutting down.
    Shutdown,
    /// A WebSocket published without the right to.
    MayNotPublish,
    /// The token that the connection was opened with has expired.
    TokenExpired,
    /// The connection did not begin with a PROXY header, where one is required.
    ProxyHeader,
    /// What the peer published could not be appended to the stream of the nodes in time.
    BackplaneAway,
    /// Messages are missing for a peer that has no ids, so that it could not be told.
    MissedMessages,
}

impl CloseReason {
    /// How many kinds of reasons there are.
    pub const KINDS: usize = CloseKind::VARIANTS.len();

    /// The name of this kind of reason, as counters and logs show it.
    pub fn name(self) -> &'static str {
        self.kind().name()
    }

    /// The reason without its details.
    pub fn kind(self) -> CloseKind {
        self.into()
    }

    /// The reason in words, as a close frame shows it to the peer.
    pub fn words(self) -> &'static str {
        match self {
            Self::PongTimeout => "no pong in time",
            Self::MessageTimeout => "the message was not finished in time",
            Self::RateExceeded => "too many messages",
            Self::Shutdown => "server is going away",
            Self::MayNotPublish => "no right to publish here",
            Self::TokenExpired => "token expired",
            Self::BackplaneAway => "what was said could not be passed on; try again",
            Self::MissedMessages => "messages are missing; come back for what is kept",
            Self::Protocol(error) => error.words(),
            // These end without a close frame, or with the peer's own code.
            Self::PeerClosed
            | Self::PeerGone
            | Self::Broken(_)
            | Self::Refused(_)
            | Self::Answered
            | Self::Idle
            | Self::Stuck
            | Self::WriteTimeout
            | Self::Overload
            | Self::ProxyHeader => "",
        }
    }

    /// Whether this server ended the connection for a rule or a limit of its own, which its
    /// operator may want to know; the others are everyday reasons.
    pub fn is_policy(self) -> bool {
        matches!(
            self,
            Self::Stuck
                | Self::RateExceeded
                | Self::Overload
                | Self::ProxyHeader
                | Self::Protocol(ProtocolError::MessageTooBig)
                | Self::Refused(Refusal::TooManyClients | Refusal::TooManyFromAddress)
        )
    }
}

impl CloseKind {
    /// The name of the kind.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerClosed => f.write_str("the peer closed"),
            Self::PeerGone => f.write_str("the peer is gone"),
            Self::Broken(kind) => write!(f, "the socket failed: {kind}"),
            Self::Protocol(error) => write!(f, "protocol error: {error}"),
            Self::Refused(refusal) => write!(f, "refused: {refusal}"),
            Self::Answered => f.write_str("answered"),
            Self::Idle => f.write_str("no further request"),
            Self::Stuck => f.write_str("the send queue is full (--send-queue)"),
            Self::PongTimeout => f.write_str("no pong in time (--pong-wait)"),
            Self::MessageTimeout => f.write_str("a message was not finished in time (--pong-wait)"),
            Self::WriteTimeout => f.write_str("nothing was taken in time (--write-wait)"),
            Self::RateExceeded => f.write_str("too many messages (--message-rate)"),
            Self::Overload => f.write_str("too much is queued in all (--max-queued)"),
            Self::Shutdown => f.write_str("the server is shutting down"),
            Self::MayNotPublish => f.write_str("it published without the right to"),
            Self::TokenExpired => f.write_str("its token has expired"),
            Self::ProxyHeader => f.write_str("no good PROXY header in time (--proxy-protocol)"),
            Self::BackplaneAway => {
                f.write_str("what it published was not appended in time (--backplane-wait)")
            }
            Self::MissedMessages => f.write_str("messages are missing that it cannot be told of"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ws::close::CLOSE_WORDS_MAX;

    #[test]
    fn a_reason_has_a_name_of_its_kind() {
        assert_eq!(CloseReason::PeerClosed.name(), "peer_closed");
        let broken = CloseReason::Broken(std::io::ErrorKind::BrokenPipe);
        assert_eq!(broken.name(), "broken");
        assert_eq!(CloseReason::RateExceeded.kind(), CloseKind::RateExceeded);
    }

    #[test]
    fn every_reason_of_the_backplane_has_words_that_fit_in_a_close_frame() {
        for (reason, name) in [
            (CloseReason::BackplaneAway, "backplane_away"),
            (CloseReason::MissedMessages, "missed_messages"),
        ] {
            assert_eq!(reason.name(), name);
            assert!((1..=CLOSE_WORDS_MAX).contains(&reason.words().len()));
            // A broker that is away is one line in the log, and not one for each client.
            assert!(!reason.is_policy());
        }
    }
}
