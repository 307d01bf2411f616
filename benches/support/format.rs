//! The ways to listen, and the request for each.

use super::wire::UPGRADE_REQUEST;

/// The subprotocol whose lines have ids.
pub(crate) const PROTOCOL: &str = "fanfare.v1";

/// How a client listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Over WebSocket; lines.
    Plain,
    /// Over WebSocket with [`PROTOCOL`]; lines with ids.
    V1,
    /// By server-sent events.
    Events,
}

impl Format {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::V1 => "v1",
            Self::Events => "sse",
        }
    }

    /// Asks to listen in `room`, which is empty for the default room or has a slash before it, and may have a query behind it.
    pub(crate) fn request(self, room: &str) -> Vec<u8> {
        if self == Self::Events {
            return format!(
                "GET /room{room} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
            )
            .into_bytes();
        }
        let mut request = format!("GET /ws{room} ").into_bytes();
        let rest = UPGRADE_REQUEST.strip_prefix(b"GET /ws ");
        request.extend_from_slice(rest.unwrap_or_default());
        if self == Self::V1 {
            request.truncate(request.len() - 2);
            let protocol = format!("Sec-WebSocket-Protocol: {PROTOCOL}\r\n\r\n");
            request.extend_from_slice(protocol.as_bytes());
        }
        request
    }

    /// The status of the answer to it.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::Plain | Self::V1 => 101,
            Self::Events => 200,
        }
    }
}
