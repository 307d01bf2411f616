//! How a request is answered: status codes, the reasons to refuse one, and the one table between them.

use std::fmt;

use strum::{IntoStaticStr, VariantArray};

/// The status codes this server answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
#[expect(missing_docs, reason = "the names are HTTP's own (RFC 9110 §15)")]
pub enum Status {
    Ok = 200,
    NoContent = 204,
    NotModified = 304,
    BadRequest = 400,
    Unauthorized = 401,
    Forbidden = 403,
    NotFound = 404,
    MethodNotAllowed = 405,
    RequestTimeout = 408,
    PreconditionFailed = 412,
    ContentTooLarge = 413,
    ExpectationFailed = 417,
    MisdirectedRequest = 421,
    UpgradeRequired = 426,
    TooManyRequests = 429,
    RequestHeaderFieldsTooLarge = 431,
    NotImplemented = 501,
    ServiceUnavailable = 503,
}

impl Status {
    /// The reason phrase (RFC 9110 §15, RFC 6585 §4 and §5).
    pub fn reason(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::NoContent => "No Content",
            Self::NotModified => "Not Modified",
            Self::BadRequest => "Bad Request",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "Not Found",
            Self::MethodNotAllowed => "Method Not Allowed",
            Self::RequestTimeout => "Request Timeout",
            Self::PreconditionFailed => "Precondition Failed",
            Self::ContentTooLarge => "Content Too Large",
            Self::ExpectationFailed => "Expectation Failed",
            Self::MisdirectedRequest => "Misdirected Request",
            Self::UpgradeRequired => "Upgrade Required",
            Self::TooManyRequests => "Too Many Requests",
            Self::RequestHeaderFieldsTooLarge => "Request Header Fields Too Large",
            Self::NotImplemented => "Not Implemented",
            Self::ServiceUnavailable => "Service Unavailable",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", *self as u16, self.reason())
    }
}

/// Why a request is refused. One variant per rule; [`Refusal::status`] says how it is answered.
///
/// After a refusal the connection ends: where a request was not understood, its end is not known either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Refusal {
    /// No method begins with the first byte.
    NotHttp,
    /// A line ends with a line feed alone (RFC 9112 §2.2).
    BareLineFeed,
    /// The head exceeds its bound.
    HeadTooLarge,
    /// There are too many header fields.
    TooManyHeaders,
    /// The head is not what RFC 9112 describes.
    Malformed,
    /// The version is neither HTTP/1.0 nor HTTP/1.1.
    OtherVersion,
    /// The target is in no form of RFC 9112 §3.2.
    MalformedTarget,
    /// A request of HTTP/1.1 names no host (RFC 9112 §3.2).
    MissingHost,
    /// A request names more than one host (RFC 9112 §3.2).
    RepeatedHost,
    /// The host is no host.
    MalformedHost,
    /// There is more than one length (RFC 9112 §6.3).
    RepeatedLength,
    /// There are both a length and a transfer coding (RFC 9112 §6.3).
    LengthAndCoding,
    /// A request of HTTP/1.0 has a transfer coding (RFC 9112 §6.1).
    OldCoding,
    /// The transfer codings do not end with `chunked`, or name it twice (RFC 9112 §6.3, §7.1).
    EndlessCoding,
    /// The length is no number (RFC 9112 §6.3).
    MalformedLength,
    /// There are transfer codings besides `chunked` (RFC 9112 §6.1).
    UnknownCoding,
    /// A body is announced to a resource that takes none.
    Body,
    /// The body exceeds what the resource takes.
    BodyTooLarge,
    /// The chunks of the body are not what RFC 9112 §7.1 describes.
    MalformedChunk,
    /// What surrounds the chunks of the body, and follows them, exceeds its bound.
    ChunkOverhead,
    /// Something other than `100-continue` is expected (RFC 9110 §10.1.1).
    UnknownExpectation,
    /// A parameter of the query has a value that it cannot have.
    MalformedQuery,
    /// No whole request came in time.
    Late,
    /// An upgrade is asked for in HTTP/1.0 (RFC 6455 §4.2.1).
    OldUpgrade,
    /// `Upgrade` does not say `websocket` (RFC 6455 §4.2.1).
    NoUpgrade,
    /// `Connection` does not say `Upgrade` (RFC 6455 §4.2.1).
    NoConnectionUpgrade,
    /// `Sec-WebSocket-Version` is missing (RFC 6455 §4.2.1 and §4.4).
    NoVersion,
    /// `Sec-WebSocket-Version` is not 13 (RFC 6455 §4.4).
    OtherWebSocketVersion,
    /// `Sec-WebSocket-Key` is not 16 bytes in base64, once (RFC 6455 §4.2.1).
    BadKey,
    /// `Sec-WebSocket-Extensions` is malformed (RFC 6455 §9.1).
    BadExtensions,
    /// `Sec-WebSocket-Protocol` is no list of tokens (RFC 6455 §4.1).
    BadSubprotocols,
    /// A message to go on after is named in a WebSocket that cannot be told what it missed.
    SinceOnPlain,
    /// The name of a message is not of the form that names have.
    BadId,
    /// `Idempotency-Key` is not 1 to 64 visible characters, once.
    BadIdempotencyKey,
    /// A message is nothing but white space.
    EmptyMessage,
    /// A message is not UTF-8.
    NotUtf8,
    /// A message is longer than it may be.
    MessageTooLarge,
    /// More messages came from this client than may.
    TooManyMessages,
    /// The page's origin is not allowed (RFC 6455 §10.2).
    ForeignOrigin,
    /// The host that is asked is not one of those that are served (RFC 9110 §7.4).
    OtherHost,
    /// A token is needed, and there is none.
    TokenMissing,
    /// The token is none that was given out.
    BadToken,
    /// The token is not valid yet.
    TokenTooEarly,
    /// The token is not valid any more.
    TokenExpired,
    /// The token is good, and does not allow what was asked for.
    NoRight,
    /// As many clients are connected as may be.
    TooManyClients,
    /// As many clients are connected from this address as may be.
    TooManyFromAddress,
    /// As many rooms exist as may.
    TooManyRooms,
    /// The server is shutting down.
    ShuttingDown,
    /// The stream of the nodes cannot be reached, or what waits for it has reached its bound.
    BackplaneAway,
}

impl Refusal {
    /// How many reasons there are.
    pub const COUNT: usize = Self::VARIANTS.len();

    /// The name of the reason, as counters show it.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The status that answers this refusal.
    pub fn status(self) -> Status {
        match self {
            Self::NotHttp
            | Self::BareLineFeed
            | Self::Malformed
            | Self::OtherVersion
            | Self::MalformedTarget
            | Self::MissingHost
            | Self::RepeatedHost
            | Self::MalformedHost
            | Self::RepeatedLength
            | Self::LengthAndCoding
            | Self::OldCoding
            | Self::EndlessCoding
            | Self::MalformedLength
            | Self::MalformedChunk
            | Self::ChunkOverhead
            | Self::MalformedQuery
            | Self::OldUpgrade
            | Self::NoConnectionUpgrade
            | Self::BadKey
            | Self::BadExtensions
            | Self::BadSubprotocols
            | Self::SinceOnPlain
            | Self::BadId
            | Self::BadIdempotencyKey
            | Self::EmptyMessage
            | Self::NotUtf8 => Status::BadRequest,
            Self::HeadTooLarge | Self::TooManyHeaders => Status::RequestHeaderFieldsTooLarge,
            Self::Body | Self::BodyTooLarge | Self::MessageTooLarge => Status::ContentTooLarge,
            Self::UnknownExpectation => Status::ExpectationFailed,
            Self::UnknownCoding => Status::NotImplemented,
            Self::TooManyMessages => Status::TooManyRequests,
            Self::Late => Status::RequestTimeout,
            Self::NoUpgrade | Self::NoVersion | Self::OtherWebSocketVersion => {
                Status::UpgradeRequired
            }
            Self::TokenMissing | Self::BadToken | Self::TokenTooEarly | Self::TokenExpired => {
                Status::Unauthorized
            }
            Self::ForeignOrigin | Self::NoRight => Status::Forbidden,
            Self::OtherHost => Status::MisdirectedRequest,
            Self::TooManyClients
            | Self::TooManyFromAddress
            | Self::TooManyRooms
            | Self::ShuttingDown
            | Self::BackplaneAway => Status::ServiceUnavailable,
        }
    }

    /// The reason in one line, for the person at the other side and for the log. It names the setting
    /// that would allow what was refused, where there is one.
    pub fn why(self) -> &'static str {
        match self {
            Self::NotHttp => "this is not HTTP",
            Self::BareLineFeed => "a line ends without a carriage return",
            Self::HeadTooLarge => "the request's head exceeds 8 KiB",
            Self::TooManyHeaders => "the request has more than 100 headers",
            Self::Malformed => "the request is malformed",
            Self::OtherVersion => "only HTTP/1.0 and HTTP/1.1 are spoken here",
            Self::MalformedTarget => "the target is malformed",
            Self::MissingHost => "the Host header is missing",
            Self::RepeatedHost => "there is more than one Host header",
            Self::MalformedHost => "the Host header is malformed",
            Self::RepeatedLength => "there is more than one Content-Length",
            Self::LengthAndCoding => "Content-Length and Transfer-Encoding exclude each other",
            Self::OldCoding => "HTTP/1.0 has no Transfer-Encoding",
            Self::EndlessCoding => "the Transfer-Encoding must end with chunked, named once",
            Self::MalformedLength => "the Content-Length is not a number",
            Self::UnknownCoding => "the only Transfer-Encoding known here is chunked",
            Self::Body => "this resource takes no body",
            Self::BodyTooLarge => "the body is too large",
            Self::MalformedChunk => "the chunks of the body are malformed",
            Self::ChunkOverhead => "the chunks of the body carry too much besides the body",
            Self::UnknownExpectation => "the only expectation known here is 100-continue",
            Self::MalformedQuery => "a parameter of the query has a malformed value",
            Self::Late => "no whole request came in time (--request-timeout)",
            Self::OldUpgrade => "a WebSocket needs HTTP/1.1",
            Self::NoUpgrade => "this is a WebSocket: the Upgrade header must say websocket",
            Self::NoConnectionUpgrade => "the Connection header must say Upgrade",
            Self::NoVersion => "the Sec-WebSocket-Version header is missing",
            Self::OtherWebSocketVersion => {
                "only version 13 of the WebSocket protocol is spoken here"
            }
            Self::BadKey => "the Sec-WebSocket-Key must be 16 bytes in base64, once",
            Self::BadExtensions => "the Sec-WebSocket-Extensions header is malformed",
            Self::BadSubprotocols => "the Sec-WebSocket-Protocol header is malformed",
            Self::SinceOnPlain => "since needs the WebSocket subprotocol fanfare.v1",
            Self::BadId => "this is not a message id",
            Self::BadIdempotencyKey => "the Idempotency-Key must be 1 to 64 visible characters",
            Self::EmptyMessage => "the message is nothing but white space",
            Self::NotUtf8 => "the message is not UTF-8",
            Self::MessageTooLarge => "the message is too large (--max-message)",
            Self::TooManyMessages => "too many messages per second (--message-rate)",
            Self::ForeignOrigin => "this origin is not allowed (--allow-origin)",
            Self::OtherHost => "this host is not served here (--allow-host)",
            Self::TokenMissing => "this takes a token",
            Self::BadToken => "the token is not valid",
            Self::TokenTooEarly => "the token is not valid yet",
            Self::TokenExpired => "the token has expired",
            Self::NoRight => "the token does not allow this",
            Self::TooManyClients => "too many clients are connected (--max-clients)",
            Self::TooManyFromAddress => {
                "too many clients are connected from this address (--max-clients-per-ip)"
            }
            Self::TooManyRooms => "there are too many rooms (--max-rooms)",
            Self::ShuttingDown => "the server is shutting down",
            Self::BackplaneAway => {
                "the message could not be passed on in time (--backplane-wait): it may be published or not"
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.status(), self.why())
    }
}
