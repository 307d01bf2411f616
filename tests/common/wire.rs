//! Bytes as they travel: requests, and frames of a client (RFC 6455 §5.2).

/// First bytes of frames: FIN and opcode.
pub(crate) const CONTINUE: u8 = 0x00;
pub(crate) const BEGIN_TEXT: u8 = 0x01;
pub(crate) const BEGIN_BINARY: u8 = 0x02;
pub(crate) const END: u8 = 0x80;
pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8a;

/// The masking key of the RFC's examples (RFC 6455 §5.7).
pub(crate) const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A masked frame with the shortest length that fits.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = match (u16::try_from(payload.len()), payload.len()) {
        (_, len @ 0..126) => header_7(first, u8::try_from(len).expect("it is below 126")),
        (Ok(len), _) => header_16(first, len),
        (Err(_), len) => header_64(first, len as u64),
    };
    bytes.extend(masked(payload));
    bytes
}

/// A masked frame's header with a 7-bit length.
pub(crate) fn header_7(first: u8, len: u8) -> Vec<u8> {
    [&[first, 0x80 | len], &KEY[..]].concat()
}

/// A masked frame's header with a 16-bit length, needed or not.
pub(crate) fn header_16(first: u8, len: u16) -> Vec<u8> {
    [&[first, 0x80 | 126], &len.to_be_bytes()[..], &KEY].concat()
}

/// A masked frame's header with a 64-bit length, needed or not.
pub(crate) fn header_64(first: u8, len: u64) -> Vec<u8> {
    [&[first, 0x80 | 127], &len.to_be_bytes()[..], &KEY].concat()
}

/// A payload under [`KEY`].
pub(crate) fn masked(payload: &[u8]) -> Vec<u8> {
    let key = KEY.iter().cycle();
    payload.iter().zip(key).map(|(a, b)| a ^ b).collect()
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    frame(TEXT, text.as_bytes())
}

/// A close frame with a code and a reason.
pub(crate) fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(CLOSE, &[&code.to_be_bytes(), reason].concat())
}

/// A request without a body; `fields` are whole lines without their ends.
pub(crate) fn request(line: &str, fields: &[&str]) -> String {
    let mut head = format!("{line}\r\n");
    for field in fields {
        head += field;
        head += "\r\n";
    }
    head + "\r\n"
}

/// `GET` of a path.
pub(crate) fn get(path: &str) -> String {
    request(&format!("GET {path} HTTP/1.1"), &["Host: chat.example"])
}

/// The header fields of a good upgrade, with the RFC's example key (RFC 6455 §1.3).
pub(crate) const UPGRADE: [&str; 5] = [
    "Host: chat.example",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];

/// A good upgrade.
pub(crate) fn upgrade(path: &str) -> String {
    request(&format!("GET {path} HTTP/1.1"), &UPGRADE)
}

/// An upgrade to `/ws` with every field that `fields` names replaced, or with the fields added.
///
/// A field without a value is left out: `Host:` means no `Host`.
pub(crate) fn upgrade_with(fields: &[&str]) -> String {
    let name = |field: &str| field.split(':').next().map(str::to_ascii_lowercase);
    let kept = UPGRADE
        .into_iter()
        .filter(|good| !fields.iter().any(|field| name(field) == name(good)));
    let added = fields.iter().copied().filter(|field| !field.ends_with(':'));
    let fields: Vec<&str> = kept.chain(added).collect();
    request("GET /ws HTTP/1.1", &fields)
}
