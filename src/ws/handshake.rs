//! The opening handshake, server side (RFC 6455 §4.2): the decision, guard by guard, and the accept key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use crate::http::{Refusal, Request, Status};

/// What the accept key mixes into the client's key (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The length of a decoded `Sec-WebSocket-Key`, in bytes.
const KEY_LEN: usize = 16;

/// The value of `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key` (RFC 6455 §4.2.2).
///
/// ```
/// let accept = fanfare::ws::handshake::accept_key(b"dGhlIHNhbXBsZSBub25jZQ==");
/// assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
pub fn accept_key(key: &[u8]) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

/// The whole `101` answer to a request that asks for an upgrade as it should.
///
/// `allowed_origins` are compared without regard to case; `*` allows all.
///
/// # Errors
/// `400` where the request is not what RFC 6455 §4.2.1 asks for, `426` for another version of the
/// protocol, `403` for a page of another site.
pub fn accept(request: &Request<'_>, allowed_origins: &[String]) -> Result<Vec<u8>, Refusal> {
    if !request.is_http_11 {
        return Err(Refusal::bad_request("a WebSocket needs HTTP/1.1"));
    }
    if !request.has_token("upgrade", "websocket") {
        return Err(Refusal::bad_request(
            "this is a WebSocket: the Upgrade header must say websocket",
        ));
    }
    if !request.has_token("connection", "upgrade") {
        return Err(Refusal::bad_request(
            "the Connection header must say Upgrade",
        ));
    }
    if request.values("sec-websocket-version").next().is_none() {
        return Err(Refusal::bad_request(
            "the Sec-WebSocket-Version header is missing",
        ));
    }
    if request.only_value("sec-websocket-version") != Some(b"13") {
        return Err(Refusal {
            status: Status::UpgradeRequired,
            why: "only version 13 of the WebSocket protocol is spoken here",
        });
    }
    let key = request
        .only_value("sec-websocket-key")
        .filter(|key| is_key(key))
        .ok_or(Refusal::bad_request(
            "the Sec-WebSocket-Key must be 16 bytes in base64, once",
        ))?;
    check_origin(request, allowed_origins)?;

    let mut answer = Vec::with_capacity(160);
    answer.extend_from_slice(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
    );
    answer.extend_from_slice(accept_key(key).as_bytes());
    answer.extend_from_slice(b"\r\n\r\n");
    Ok(answer)
}

fn is_key(key: &[u8]) -> bool {
    STANDARD.decode(key).is_ok_and(|key| key.len() == KEY_LEN)
}

/// Browsers name the page's origin, and other programs none (RFC 6455 §10.2). A page may speak to its
/// own host; pages of other hosts are refused unless they are listed.
fn check_origin(request: &Request<'_>, allowed_origins: &[String]) -> Result<(), Refusal> {
    const FOREIGN: Refusal = Refusal {
        status: Status::Forbidden,
        why: "this origin is not allowed; --allow-origin lists those that are",
    };
    if request.values("origin").next().is_none() {
        return Ok(());
    }
    let origin = request.only_value("origin").ok_or(FOREIGN)?;
    let host = request.only_value("host").unwrap_or_default();
    let is_listed = allowed_origins.iter().any(|allowed| {
        allowed == "*" || origin.eq_ignore_ascii_case(allowed.trim_end_matches('/').as_bytes())
    });
    if is_listed || is_same_host(origin, host) {
        Ok(())
    } else {
        Err(FOREIGN)
    }
}

/// Whether `origin` (scheme, host, port) names `host`, where a scheme's default port may be left out.
fn is_same_host(origin: &[u8], host: &[u8]) -> bool {
    let origin = origin.to_ascii_lowercase();
    let host = host.to_ascii_lowercase();
    let (authority, default_port) = if let Some(authority) = origin.strip_prefix(b"http://") {
        (authority, &b":80"[..])
    } else if let Some(authority) = origin.strip_prefix(b"https://") {
        (authority, &b":443"[..])
    } else {
        return false;
    };
    let without_port = |name: &[u8]| name.strip_suffix(default_port).unwrap_or(name).to_vec();
    !host.is_empty() && without_port(authority) == without_port(&host)
}
