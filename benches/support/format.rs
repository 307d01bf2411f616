//! The ways to listen, and the request for each.

use super::wire::UPGRADE_REQUEST;

/// The subprotocol whose lines have ids.
pub(crate) const PROTOCOL: &str = "fanfare.v1";
/// The extension that compresses messages.
pub(crate) const DEFLATE: &str = "permessage-deflate";

/// How a client listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Over WebSocket; lines.
    Plain,
    /// Over WebSocket with [`PROTOCOL`]; lines with ids.
    V1,
    /// Over WebSocket; lines, compressed with [`DEFLATE`].
    Deflated,
    /// By server-sent events.
    Events,
}

impl Format {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::V1 => "v1",
            Self::Deflated => "deflated",
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
        if let Some(header) = self.header() {
            request.truncate(request.len() - 2);
            request.extend_from_slice(header.as_bytes());
            request.extend_from_slice(b"\r\n\r\n");
        }
        request
    }

    /// What the request has beside the header that every client sends.
    fn header(self) -> Option<String> {
        match self {
            Self::Plain | Self::Events => None,
            Self::V1 => Some(format!("Sec-WebSocket-Protocol: {PROTOCOL}")),
            // As browsers offer it.
            Self::Deflated => Some(format!(
                "Sec-WebSocket-Extensions: {DEFLATE}; client_max_window_bits"
            )),
        }
    }

    /// The status of the answer to it.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::Plain | Self::V1 | Self::Deflated => 101,
            Self::Events => 200,
        }
    }
}
