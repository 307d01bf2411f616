//! The bytes that travel: the upgrade, the masked frames of clients, the unmasked frames of servers.
//! Written apart from the library on purpose, so that neither side of a bench can hide the other's mistake; the only encoder
//! and decoder that the benches have, so that all of them send the same.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;
use sha1::{Digest as _, Sha1};

/// The longest header that a server's frame can have.
pub(crate) const HEADER_MAX: usize = 10;

pub(crate) const TEXT: u8 = 0x1;
pub(crate) const CLOSE: u8 = 0x8;
/// The payload of a normal close: code 1000, no reason (RFC 6455, 7.4.1).
pub(crate) const NORMAL_CLOSE: [u8; 2] = 1000_u16.to_be_bytes();

/// Says that a message is compressed (RFC 7692, 6).
pub(crate) const RSV1: u8 = 0x40;

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
pub(crate) const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// Of 16 bytes in base64.
const KEY_LEN: usize = 24;
/// Of the 20 bytes of a SHA-1 in base64.
const ACCEPT_LEN: usize = 28;

/// The request with which every client of the swarm asks for `/ws`.
pub(crate) const UPGRADE_REQUEST: &[u8] = b"GET /ws HTTP/1.1\r\n\
    Host: localhost\r\n\
    Connection: Upgrade\r\n\
    Upgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    \r\n";

/// Writes the `101` that answers `request` over `response`; `None` while the request has no end or no key.
pub(crate) fn upgrade_response(request: &[u8], response: &mut Vec<u8>) -> Option<()> {
    const KEY_NAME: &[u8] = b"Sec-WebSocket-Key: ";
    request.ends_with(b"\r\n\r\n").then_some(())?;
    let key_start = memmem::find(request, KEY_NAME)? + KEY_NAME.len();
    let digest = Sha1::new()
        .chain_update(request.get(key_start..key_start + KEY_LEN)?)
        .chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
        .finalize();
    let mut accept = [0; ACCEPT_LEN];
    STANDARD.encode_slice(digest, &mut accept).ok()?;
    response.clear();
    response.extend_from_slice(
        b"HTTP/1.1 101 Switching Protocols\r\n\
        Connection: Upgrade\r\n\
        Upgrade: websocket\r\n\
        Sec-WebSocket-Accept: ",
    );
    response.extend_from_slice(&accept);
    response.extend_from_slice(b"\r\n\r\n");
    Some(())
}

/// A whole frame as a client sends it: final, masked.
pub(crate) fn client_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER_MAX + MASK.len() + payload.len());
    frame.extend(header(opcode, MASKED, payload.len()).as_bytes());
    frame.extend(MASK);
    let payload_at = frame.len();
    frame.extend(payload);
    apply_mask(&mut frame[payload_at..], MASK);
    frame
}

/// The header of a frame as a server sends it: final, not masked.
pub(crate) fn server_header(opcode: u8, payload_len: usize) -> HeaderBytes {
    header(opcode, 0, payload_len)
}

/// An encoded header, without the masking key.
pub(crate) struct HeaderBytes {
    bytes: [u8; HEADER_MAX],
    len: usize,
}

impl HeaderBytes {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

fn header(opcode: u8, mask_bit: u8, payload_len: usize) -> HeaderBytes {
    let mut bytes = [0; HEADER_MAX];
    bytes[0] = FIN | opcode;
    let len = if let Ok(short @ 0..=125) = u8::try_from(payload_len) {
        bytes[1] = mask_bit | short;
        2
    } else if let Ok(medium) = u16::try_from(payload_len) {
        bytes[1] = mask_bit | 126;
        bytes[2..4].copy_from_slice(&medium.to_be_bytes());
        4
    } else {
        bytes[1] = mask_bit | 127;
        bytes[2..].copy_from_slice(&(payload_len as u64).to_be_bytes());
        HEADER_MAX
    };
    HeaderBytes { bytes, len }
}

/// Masks or unmasks a whole payload, eight bytes at a time.
pub(crate) fn apply_mask(payload: &mut [u8], key: [u8; 4]) {
    let wide = u64::from_ne_bytes([
        key[0], key[1], key[2], key[3], key[0], key[1], key[2], key[3],
    ]);
    let (chunks, rest) = payload.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}

/// A frame header as read from either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) opcode: u8,
    pub(crate) is_deflated: bool,
    pub(crate) key: Option<[u8; 4]>,
    pub(crate) header_len: usize,
    pub(crate) payload_len: usize,
}

impl Header {
    /// Decodes the header at the start of `bytes`; `None` if it is not all there.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[first, second], rest) = bytes.split_first_chunk()?;
        let (payload_len, len_len) = match second & !MASKED {
            126 => (usize::from(u16::from_be_bytes(*rest.first_chunk()?)), 2),
            127 => (
                usize::try_from(u64::from_be_bytes(*rest.first_chunk()?)).ok()?,
                8,
            ),
            short => (usize::from(short), 0),
        };
        let key = match second & MASKED {
            0 => None,
            _ => Some(*rest.get(len_len..)?.first_chunk()?),
        };
        let header_len = 2 + len_len + key.map_or(0, |key| key.len());
        Some(Self {
            opcode: first & 0xf,
            is_deflated: first & RSV1 != 0,
            key,
            header_len,
            payload_len,
        })
    }

    pub(crate) fn is_text(&self) -> bool {
        self.opcode == TEXT
    }

    pub(crate) fn is_close(&self) -> bool {
        self.opcode == CLOSE
    }
}

/// Takes a whole frame off the start of `bytes`; `None` if its end is not there.
pub(crate) fn take_frame<'a>(bytes: &mut &'a [u8]) -> Option<(Header, &'a [u8])> {
    let header = Header::decode(bytes)?;
    let end = header.header_len + header.payload_len;
    let payload = bytes.get(header.header_len..end)?;
    *bytes = &bytes[end..];
    Some((header, payload))
}

/// What was left of the last read, and `input` behind it.
pub(crate) fn behind<'a>(kept: &'a mut Vec<u8>, input: &'a [u8]) -> &'a [u8] {
    if kept.is_empty() {
        return input;
    }
    kept.extend_from_slice(input);
    kept
}
