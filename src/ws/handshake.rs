//! The opening handshake, server side (RFC 6455 §4.2): the decision, guard by guard, and the accept key.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, PAD, STANDARD};
use sha1::{Digest, Sha1};

use super::extensions;
use crate::http::status::Refusal;
use crate::http::{Date, Request};

/// What the accept key mixes into the client's key (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The length of a decoded `Sec-WebSocket-Key`, in bytes.
const KEY_LEN: usize = 16;
/// Base64 whose last character may have bits that say nothing: the key in RFC 6455 §4.1 has some.
const KEY_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    PAD.with_decode_allow_trailing_bits(true),
);

/// How much of an origin or a host is shown in the log, in bytes.
const ORIGIN_SHOWN_MAX: usize = 80;

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
pub fn accept<'a>(
    request: &Request<'_>,
    allowed_origins: impl Iterator<Item = &'a str>,
    date: &Date,
) -> Result<Vec<u8>, Refusal> {
    if !request.is_http_11 {
        return Err(Refusal::OldUpgrade);
    }
    if !request.has_token("upgrade", "websocket") {
        return Err(Refusal::NoUpgrade);
    }
    if !request.has_token("connection", "upgrade") {
        return Err(Refusal::NoConnectionUpgrade);
    }
    if request.values("sec-websocket-version").next().is_none() {
        return Err(Refusal::NoVersion);
    }
    if request.only_value("sec-websocket-version") != Some(b"13") {
        return Err(Refusal::OtherWebSocketVersion);
    }
    let key = request
        .only_value("sec-websocket-key")
        .filter(|key| is_key(key))
        .ok_or(Refusal::BadKey)?;
    let mut offers = request.values("sec-websocket-extensions").peekable();
    if offers.peek().is_some() && !extensions::is_valid(offers) {
        return Err(Refusal::BadExtensions);
    }
    check_origin(request, allowed_origins)?;

    let mut answer = Vec::with_capacity(192);
    answer.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\nDate: ");
    answer.extend_from_slice(date.as_bytes());
    answer.extend_from_slice(
        b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
    );
    answer.extend_from_slice(accept_key(key).as_bytes());
    answer.extend_from_slice(b"\r\n\r\n");
    Ok(answer)
}

fn is_key(key: &[u8]) -> bool {
    KEY_BASE64.decode(key).is_ok_and(|key| key.len() == KEY_LEN)
}

/// Browsers name the page's origin, and other programs none (RFC 6455 §10.2). A page may speak to its
/// own host; pages of other hosts are refused unless they are listed.
fn check_origin<'a>(
    request: &Request<'_>,
    mut allowed_origins: impl Iterator<Item = &'a str>,
) -> Result<(), Refusal> {
    if request.values("origin").next().is_none() {
        return Ok(());
    }
    let origin = request.only_value("origin").ok_or(Refusal::ForeignOrigin)?;
    let is_listed = allowed_origins
        .any(|allowed| allowed == "*" || origin.eq_ignore_ascii_case(allowed.as_bytes()));
    if is_listed || is_same_host(origin, request.host()) {
        Ok(())
    } else {
        Err(Refusal::ForeignOrigin)
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

/// What a refused origin and the host that was asked looked like, for the log.
pub fn describe_origin(request: &Request<'_>) -> String {
    let shown = |bytes: &[u8]| {
        let part = bytes.get(..ORIGIN_SHOWN_MAX).unwrap_or(bytes);
        part.escape_ascii().to_string()
    };
    let origin = request.values("origin").next().unwrap_or_default();
    format!(
        "a page of origin \"{}\" may not connect to host \"{}\" (--allow-origin)",
        shown(origin),
        shown(request.host())
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http;

    /// A good request, with `with` added and every field that begins with `without` taken out.
    fn status(with: &str, without: &str, allowed: &[&str]) -> Option<u16> {
        let fields = [
            "Host: chat.example:8080",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
        ];
        let mut head = String::from("GET /ws HTTP/1.1\r\n");
        for field in fields {
            if without.is_empty() || !field.starts_with(without) {
                head += &format!("{field}\r\n");
            }
        }
        if !with.is_empty() {
            head += &format!("{with}\r\n");
        }
        status_of_head(&format!("{head}\r\n"), allowed)
    }

    /// `None` where the upgrade is accepted.
    fn status_of_head(head: &str, allowed: &[&str]) -> Option<u16> {
        let mut storage = http::header_storage();
        let request = Request::parse(head.as_bytes(), &mut storage).expect("a good request");
        let date = Date::at(784_111_777);
        match accept(&request, allowed.iter().copied(), &date) {
            Ok(answer) => {
                let answer = String::from_utf8(answer).expect("an answer is ASCII");
                assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
                let date = "\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
                assert!(answer.contains(date), "{answer}");
                assert!(answer.ends_with("\r\n\r\n"), "{answer}");
                None
            }
            Err(refusal) => Some(refusal.status() as u16),
        }
    }

    #[test]
    fn the_rfcs_key_gives_the_rfcs_answer() {
        // RFC 6455 §1.3.
        assert_eq!(
            accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        assert_eq!(status("", "", &[]), None);
    }

    #[test]
    fn every_required_field_is_missed() {
        for (field, refused) in [
            ("Upgrade", 400),
            ("Connection", 400),
            ("Sec-WebSocket-Key", 400),
            ("Sec-WebSocket-Version", 426),
        ] {
            assert_eq!(status("", field, &[]), Some(refused), "{field}");
        }
    }

    #[test]
    fn tokens_are_found_in_lists_without_regard_to_case() {
        assert_eq!(
            status("Connection: keep-alive, uPGRADE", "Connection", &[]),
            None
        );
        assert_eq!(status("Upgrade: h2c, WebSocket", "Upgrade", &[]), None);
        assert_eq!(status("Upgrade: websockets", "Upgrade", &[]), Some(400));
        assert_eq!(status("Connection: upgraded", "Connection", &[]), Some(400));
    }

    #[test]
    fn the_key_is_sixteen_bytes_in_base64_once() {
        for key in [
            "",
            "AAAA",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZSE=",
            "!GhlIHNhbXBsZSBub25jZQ==",
        ] {
            let field = format!("Sec-WebSocket-Key: {key}");
            assert_eq!(status(&field, "Sec-WebSocket-Key", &[]), Some(400), "{key}");
        }
        // RFC 6455 §4.1: the last bits of its last character belong to no byte.
        let field = "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC==";
        assert_eq!(status(field, "Sec-WebSocket-Key", &[]), None);
        let second = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
        assert_eq!(status(second, "", &[]), Some(400));
    }

    #[test]
    fn malformed_extensions_are_refused_and_unknown_ones_declined() {
        let extensions = |value| status(&format!("Sec-WebSocket-Extensions: {value}"), "", &[]);
        for value in [
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits, x-webkit-deflate-frame",
            "a,",
        ] {
            assert_eq!(extensions(value), None, "{value}");
        }
        for value in ["", ",", "a;", "a b"] {
            assert_eq!(extensions(value), Some(400), "{value}");
        }
    }

    #[test]
    fn a_refused_origin_is_described_escaped_and_cut() {
        let long = "x".repeat(100);
        let head = format!("GET /ws HTTP/1.1\r\nHost: {long}\r\nOrigin: http://\u{e4}\"\r\n\r\n");
        let mut storage = http::header_storage();
        let request = Request::parse(head.as_bytes(), &mut storage).expect("a good request");
        let shown = describe_origin(&request);
        assert!(
            shown.contains(r#"origin "http://\xc3\xa4\"" may"#),
            "{shown}"
        );
        assert!(
            shown.contains(&format!("\"{}\"", "x".repeat(80))),
            "{shown}"
        );
    }

    #[test]
    fn only_version_13_is_spoken() {
        for version in ["8", "12", "14", "013", "13, 8", ""] {
            let field = format!("Sec-WebSocket-Version: {version}");
            assert_eq!(
                status(&field, "Sec-WebSocket-Version", &[]),
                Some(426),
                "{version}"
            );
        }
    }

    #[test]
    fn http_1_0_is_not_upgraded() {
        let head = "GET /ws HTTP/1.0\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        assert_eq!(status_of_head(head, &[]), Some(400));
        assert_eq!(status_of_head(&head.replace("1.0", "1.1"), &[]), None);
    }

    #[test]
    fn pages_of_the_same_host_are_let_in_and_foreign_ones_only_if_listed() {
        let origin =
            |origin: &str, allowed: &[&str]| status(&format!("Origin: {origin}"), "", allowed);
        assert_eq!(origin("http://chat.example:8080", &[]), None);
        assert_eq!(origin("HTTPS://CHAT.example:8080", &[]), None);
        for foreign in [
            "http://chat.example",
            "http://chat.example:80801",
            "http://evil.example:8080",
            "http://chat.example:8080.evil.example",
            "null",
            "",
            "chat.example:8080",
        ] {
            assert_eq!(origin(foreign, &[]), Some(403), "{foreign}");
            assert_eq!(origin(foreign, &["*"]), None, "{foreign}");
        }
        assert_eq!(
            origin(
                "https://a.example",
                &["https://a.example", "https://b.example"]
            ),
            None
        );
        assert_eq!(
            origin("http://a.example", &["https://a.example"]),
            Some(403)
        );
        assert_eq!(origin("null", &["null"]), None);
        assert_eq!(origin("file://", &["file://"]), None);
    }

    #[test]
    fn a_target_that_names_a_host_stands_for_the_host_header() {
        let head = |target: &str| {
            format!(
                "GET {target} HTTP/1.1\r\nHost: evil.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
                 Origin: http://evil.example\r\n\r\n"
            )
        };
        assert_eq!(status_of_head(&head("/ws"), &[]), None);
        assert_eq!(status_of_head(&head("http://evil.example/ws"), &[]), None);
        assert_eq!(status_of_head(&head("http://a.example/ws"), &[]), Some(403));
    }

    #[test]
    fn the_default_port_of_a_scheme_may_be_left_out_on_either_side() {
        let same = |origin: &str, host: &str| is_same_host(origin.as_bytes(), host.as_bytes());
        assert!(same("http://a", "a:80"));
        assert!(same("http://a:80", "a"));
        assert!(same("https://a:443", "a"));
        assert!(same("https://a", "A:443"));
        assert!(same("http://[::1]:8080", "[::1]:8080"));
        assert!(!same("https://a", "a:80"));
        assert!(!same("http://a:443", "a"));
        assert!(!same("http://", ""));
    }
}
