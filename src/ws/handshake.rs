//! The opening handshake, server side (RFC 6455 §4.2): the decision, guard by guard, and the accept key.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, PAD, STANDARD};
use sha1::{Digest, Sha1};

use super::deflate::{self, Agreement};
use super::extensions;
use crate::http::status::Refusal;
use crate::http::{Date, Request};

/// What the accept key mixes into the client's key (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The field that offers extensions.
const EXTENSIONS: &str = "sec-websocket-extensions";
/// The length of a decoded `Sec-WebSocket-Key`, in bytes.
const KEY_LEN: usize = 16;
/// The length of a key in base64.
const ENCODED_KEY_LEN: usize = 24;
/// The length of a SHA-1 digest in base64.
const ACCEPT_LEN: usize = 28;
/// Base64 whose last character may have bits that say nothing: the key in RFC 6455 §4.1 has some.
const KEY_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    PAD.with_decode_allow_trailing_bits(true),
);

/// The value of `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key` (RFC 6455 §4.2.2).
///
/// ```
/// let accept = fanfare::ws::handshake::accept_key(b"dGhlIHNhbXBsZSBub25jZQ==");
/// assert_eq!(&accept, b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
pub fn accept_key(key: &[u8]) -> [u8; ACCEPT_LEN] {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    let mut accept = [0; ACCEPT_LEN];
    let encoded = STANDARD.encode_slice(digest, &mut accept);
    debug_assert_eq!(encoded, Ok(ACCEPT_LEN), "20 bytes are 28 characters");
    accept
}

/// The whole `101` answer to a request that asks for an upgrade as it should.
///
/// `subprotocol` is the one that the connection will speak, if any: one that [`offers_subprotocol`] found;
/// `agreement` how its messages may be compressed, if at all: what [`offers_deflate`] found.
/// Whether the page that asks may connect is decided elsewhere ([`origin::check`](crate::http::origin::check)).
///
/// # Errors
/// `400` where the request is not what RFC 6455 §4.2.1 asks for, `426` for another version of the
/// protocol.
pub fn accept(
    request: &Request<'_>,
    subprotocol: Option<&'static str>,
    agreement: Option<&Agreement>,
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
    let mut versions = request.values("sec-websocket-version");
    match (versions.next(), versions.next()) {
        (None, _) => return Err(Refusal::NoVersion),
        (Some(b"13"), None) => {}
        _ => return Err(Refusal::OtherWebSocketVersion),
    }
    let key = request
        .only_value("sec-websocket-key")
        .filter(|key| is_key(key))
        .ok_or(Refusal::BadKey)?;
    let mut offers = request.values(EXTENSIONS).peekable();
    if offers.peek().is_some() && !extensions::is_valid(offers) {
        return Err(Refusal::BadExtensions);
    }

    let mut answer = Vec::with_capacity(256);
    answer.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\nDate: ");
    answer.extend_from_slice(date.as_bytes());
    answer.extend_from_slice(
        b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
    );
    answer.extend_from_slice(&accept_key(key));
    if let Some(subprotocol) = subprotocol {
        answer.extend_from_slice(b"\r\nSec-WebSocket-Protocol: ");
        answer.extend_from_slice(subprotocol.as_bytes());
    }
    if let Some(agreement) = agreement {
        answer.extend_from_slice(b"\r\nSec-WebSocket-Extensions: ");
        agreement.push_to(&mut answer);
    }
    answer.extend_from_slice(b"\r\n\r\n");
    Ok(answer)
}

/// Whether the client offers to speak `subprotocol`, whose case counts (RFC 6455 §4.1, §4.2.2).
///
/// # Errors
/// `400` where `Sec-WebSocket-Protocol`, in all its lines, is no list of at least one token.
pub fn offers_subprotocol(request: &Request<'_>, subprotocol: &str) -> Result<bool, Refusal> {
    const NAME: &str = "sec-websocket-protocol";
    if request.values(NAME).next().is_none() {
        return Ok(false);
    }
    let is_token = |item: &[u8]| item.iter().all(|&byte| extensions::is_token_byte(byte));
    let mut offers = request.list_items(NAME).peekable();
    if offers.peek().is_none() || !request.list_items(NAME).all(is_token) {
        return Err(Refusal::BadSubprotocols);
    }
    Ok(offers.any(|offer| offer == subprotocol.as_bytes()))
}

/// The compression that the client offers and this server speaks (RFC 7692 §5.1); `None` where there is none.
pub fn offers_deflate(request: &Request<'_>) -> Option<Agreement> {
    deflate::negotiate(request.values(EXTENSIONS))
}

fn is_key(key: &[u8]) -> bool {
    // As much as so many characters may be without their padding.
    let mut decoded = [0; ENCODED_KEY_LEN / 4 * 3];
    key.len() == ENCODED_KEY_LEN && KEY_BASE64.decode_slice(key, &mut decoded) == Ok(KEY_LEN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http;

    /// A good request, with `with` added and every field that begins with `without` taken out.
    fn status(with: &str, without: &str) -> Option<u16> {
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
        status_of_head(&format!("{head}\r\n"))
    }

    /// `None` where the upgrade is accepted.
    fn status_of_head(head: &str) -> Option<u16> {
        let mut storage = http::header_storage();
        let request = Request::parse(head.as_bytes(), &mut storage).expect("a good request");
        let date = Date::at(784_111_777);
        match accept(&request, None, None, &date) {
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
            &accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="),
            b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        assert_eq!(status("", ""), None);
    }

    #[test]
    fn every_required_field_is_missed() {
        for (field, refused) in [
            ("Upgrade", 426),
            ("Connection", 400),
            ("Sec-WebSocket-Key", 400),
            ("Sec-WebSocket-Version", 426),
        ] {
            assert_eq!(status("", field), Some(refused), "{field}");
        }
    }

    #[test]
    fn tokens_are_found_in_lists_without_regard_to_case() {
        assert_eq!(
            status("Connection: keep-alive, uPGRADE", "Connection"),
            None
        );
        assert_eq!(status("Upgrade: h2c, WebSocket", "Upgrade"), None);
        assert_eq!(status("Upgrade: websockets", "Upgrade"), Some(426));
        assert_eq!(status("Connection: upgraded", "Connection"), Some(400));
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
            assert_eq!(status(&field, "Sec-WebSocket-Key"), Some(400), "{key}");
        }
        // RFC 6455 §4.1: the last bits of its last character belong to no byte.
        let field = "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC==";
        assert_eq!(status(field, "Sec-WebSocket-Key"), None);
        let second = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
        assert_eq!(status(second, ""), Some(400));
    }

    #[test]
    fn malformed_extensions_are_refused_and_unknown_ones_declined() {
        let extensions = |value| status(&format!("Sec-WebSocket-Extensions: {value}"), "");
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
    fn only_version_13_is_spoken() {
        for version in ["8", "12", "14", "013", "13, 8", ""] {
            let field = format!("Sec-WebSocket-Version: {version}");
            assert_eq!(
                status(&field, "Sec-WebSocket-Version"),
                Some(426),
                "{version}"
            );
        }
    }

    #[test]
    fn http_1_0_is_not_upgraded() {
        let head = "GET /ws HTTP/1.0\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        assert_eq!(status_of_head(head), Some(400));
        assert_eq!(status_of_head(&head.replace("1.0", "1.1")), None);
    }

    #[test]
    fn the_answer_names_the_subprotocol_that_is_spoken() {
        let head = "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        let mut storage = http::header_storage();
        let request = Request::parse(head.as_bytes(), &mut storage).expect("a good request");
        let date = Date::at(784_111_777);
        let answer =
            |subprotocol| accept(&request, subprotocol, None, &date).map(String::from_utf8);
        let begin = "HTTP/1.1 101 Switching Protocols\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
             Upgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
        assert_eq!(answer(None), Ok(Ok(format!("{begin}\r\n"))));
        let field = "Sec-WebSocket-Protocol: fanfare.v1\r\n";
        let expected = Ok(Ok(format!("{begin}{field}\r\n")));
        assert_eq!(answer(Some("fanfare.v1")), expected);
    }

    #[test]
    fn the_answer_names_the_compression_that_was_agreed_upon_in_a_line_of_its_own() {
        let answer = |extensions: &str| {
            let head = "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
            let head = format!("{head}{extensions}\r\n");
            let mut storage = http::header_storage();
            let request = Request::parse(head.as_bytes(), &mut storage).expect("a good request");
            let agreement = offers_deflate(&request);
            let date = Date::at(784_111_777);
            let answer = accept(&request, None, agreement.as_ref(), &date).expect("a good upgrade");
            let answer = String::from_utf8(answer).expect("an answer is ASCII");
            let (_, behind) = answer
                .split_once("kYGzzhZRbK+xOo=\r\n")
                .expect("the accept key");
            behind.to_owned()
        };
        let line = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; \
                    client_no_context_takeover";
        for (offered, answered) in [
            ("", String::new()),
            ("Sec-WebSocket-Extensions: foo\r\n", String::new()),
            (
                "Sec-WebSocket-Extensions: foo\r\nSec-WebSocket-Extensions: permessage-deflate\r\n",
                format!("{line}\r\n"),
            ),
            (
                "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9\r\n",
                format!("{line}; server_max_window_bits=9\r\n"),
            ),
        ] {
            assert_eq!(answer(offered), format!("{answered}\r\n"), "{offered}");
        }
    }

    #[test]
    fn a_subprotocol_is_found_in_all_lines_of_the_list_in_its_own_case() {
        let offers = |lines: &[&str]| {
            let mut head = String::from("GET /ws HTTP/1.1\r\nHost: a\r\n");
            for line in lines {
                head += &format!("Sec-WebSocket-Protocol: {line}\r\n");
            }
            head += "\r\n";
            let mut storage = http::header_storage();
            let request = Request::parse(head.as_bytes(), &mut storage).expect("a good request");
            offers_subprotocol(&request, "fanfare.v1")
        };
        for lines in [
            &["fanfare.v1"][..],
            &["chat,fanfare.v1"],
            &["chat , fanfare.v1\t,, "],
            &["chat", "fanfare.v1, more"],
            &["", "fanfare.v1"],
            &["fanfare.v1", "fanfare.v1"],
        ] {
            assert_eq!(offers(lines), Ok(true), "{lines:?}");
        }
        for lines in [
            &[][..],
            &["chat"],
            &["Fanfare.v1"],
            &["fanfare.v2"],
            &["fanfare.v11, fanfare.v"],
            &["!#$%&'*+-.^_`|~"],
        ] {
            assert_eq!(offers(lines), Ok(false), "{lines:?}");
        }
        for lines in [
            &[""][..],
            &[","],
            &["", ""],
            &["fanfare v1"],
            &["\"fanfare.v1\""],
            &["fanfare.v1;a"],
            &["fanfare.v1, a/b"],
            &["a=b", "fanfare.v1"],
            &["fanfare.v1", "\u{e4}"],
        ] {
            assert_eq!(offers(lines), Err(Refusal::BadSubprotocols), "{lines:?}");
        }
    }
}
