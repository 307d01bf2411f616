//! Bytes as they travel: requests, frames of a client, and frames of the server (RFC 6455 §5.2). All tests and
//! fuzz targets share it; only bytes that are wrong on purpose are made elsewhere.

#![allow(dead_code, reason = "each test uses a part of this module")]

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
    frame_under(KEY, first, payload)
}

/// The same under another key.
pub(crate) fn frame_under(key: [u8; 4], first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = match (u16::try_from(payload.len()), payload.len()) {
        (_, len @ 0..126) => header_7(first, u8::try_from(len).expect("it is below 126")),
        (Ok(len), _) => header_16(first, len),
        (Err(_), len) => header_64(first, len as u64),
    };
    bytes.truncate(bytes.len() - KEY.len());
    bytes.extend(key);
    bytes.extend(masked_under(key, payload));
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
    masked_under(KEY, payload)
}

fn masked_under(key: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let key = key.iter().cycle();
    payload.iter().zip(key).map(|(a, b)| a ^ b).collect()
}

/// A frame that the server sent: FIN, reserved bits and opcode; payload.
pub(crate) type ServerFrame = (u8, Vec<u8>);

/// The server's frame at the front of `bytes` and its length, once it is there in whole. It must be unmasked,
/// without reserved bits, and as short as can be.
pub(crate) fn decode(bytes: &[u8]) -> Option<(ServerFrame, usize)> {
    decode_with(bytes, false)
}

/// The same, where a text or binary message may be marked as compressed if that was agreed on (RFC 7692 §6). The
/// server sends each in one frame.
pub(crate) fn decode_with(bytes: &[u8], may_be_deflated: bool) -> Option<(ServerFrame, usize)> {
    let [first, second, rest @ ..] = bytes else {
        return None;
    };
    let is_deflated = may_be_deflated && matches!(first, 0xc1 | 0xc2);
    let reserved = if is_deflated { 0x30 } else { 0x70 };
    assert_eq!(first & reserved, 0, "no such extension was agreed upon");
    assert_eq!(second & 0x80, 0, "a server must not mask (RFC 6455 §5.1)");
    let (payload_len, start) = match second {
        126 => {
            let len = u16::from_be_bytes(*rest.first_chunk()?);
            assert!(len >= 126, "{len} fits in 7 bits");
            (len.into(), 4)
        }
        127 => {
            let len = u64::from_be_bytes(*rest.first_chunk()?);
            assert!(len > u16::MAX.into(), "{len} fits in 16 bits");
            let len = usize::try_from(len).expect("a length that fits in memory");
            (len, 10)
        }
        len => (usize::from(*len), 2),
    };
    let payload = bytes.get(start..start + payload_len)?;
    Some(((*first, payload.to_vec()), start + payload_len))
}

/// Takes the whole frames off the front of `bytes`.
pub(crate) fn take_frames(bytes: &mut Vec<u8>) -> Vec<ServerFrame> {
    take_frames_with(bytes, false)
}

/// The same, where messages may be compressed.
pub(crate) fn take_frames_with(bytes: &mut Vec<u8>, may_be_deflated: bool) -> Vec<ServerFrame> {
    let mut frames = Vec::new();
    let mut taken = 0;
    let next = |bytes| decode_with(bytes, may_be_deflated);
    while let Some((frame, len)) = bytes.get(taken..).and_then(next) {
        frames.push(frame);
        taken += len;
    }
    bytes.drain(..taken);
    frames
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
    upgrade_to(path, &[])
}

/// An upgrade to `/ws` with other fields.
pub(crate) fn upgrade_with(fields: &[&str]) -> String {
    upgrade_to("/ws", fields)
}

/// An upgrade with every field that `fields` names replaced, or with the fields added.
///
/// A field without a value is left out: `Host:` means no `Host`.
pub(crate) fn upgrade_to(path: &str, fields: &[&str]) -> String {
    let name = |field: &str| field.split(':').next().map(str::to_ascii_lowercase);
    let kept = UPGRADE
        .into_iter()
        .filter(|good| !fields.iter().any(|field| name(field) == name(good)));
    let added = fields.iter().copied().filter(|field| !field.ends_with(':'));
    let fields: Vec<&str> = kept.chain(added).collect();
    request(&format!("GET {path} HTTP/1.1"), &fields)
}
