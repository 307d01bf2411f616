//! The bytes that travel: the upgrade, the masked frames of the swarm, the unmasked frames of the servers.
//! Written apart from the library on purpose, so that neither side of a bench can hide the other's mistake.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

/// The longest header that a server's frame can have.
pub(crate) const HEADER_MAX: usize = 10;
/// The shortest message that has room for what a [`Line`] says.
pub(crate) const LINE_MIN: usize = 16;

const FIN: u8 = 0x80;
const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const MASKED: u8 = 0x80;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The request with which every client of the swarm asks for `/ws`.
pub(crate) const UPGRADE_REQUEST: &[u8] = b"GET /ws HTTP/1.1\r\n\
    Host: localhost\r\n\
    Connection: Upgrade\r\n\
    Upgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    \r\n";

/// The `101` that answers `request`; `None` while the request has no end or no key.
pub(crate) fn upgrade_response(request: &[u8]) -> Option<String> {
    let request = std::str::from_utf8(request).ok()?;
    let (head, _) = request.split_once("\r\n\r\n")?;
    let key = head
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))?;
    let digest = Sha1::new()
        .chain_update(key)
        .chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
        .finalize();
    let accept = STANDARD.encode(digest);
    Some(format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    ))
}

/// What every message of the swarm says: who sent it, its number, and when it should have been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) sender: u8,
    /// Counts up to 24 bits, then starts again.
    pub(crate) sequence: u32,
    pub(crate) intended_us: u32,
}

impl Line {
    /// Reads back what [`Messages::append`] wrote; `None` if it came back damaged.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text.get(..LINE_MIN)?).ok()?;
        Some(Self {
            sender: u8::from_str_radix(text.get(..2)?, 16).ok()?,
            sequence: u32::from_str_radix(text.get(2..8)?, 16).ok()?,
            intended_us: u32::from_str_radix(text.get(8..)?, 16).ok()?,
        })
    }
}

/// Makes masked text frames that all have the same length.
pub(crate) struct Messages {
    frame: Vec<u8>,
    payload_at: usize,
    text: String,
}

impl Messages {
    /// Messages of `len` bytes, at least [`LINE_MIN`]; what the line leaves over is filled with letters.
    pub(crate) fn new(len: usize) -> Self {
        let mut frame = Vec::new();
        push_header(&mut frame, len, MASKED);
        frame.extend(MASK);
        let payload_at = frame.len();
        let letters = (b'a'..=b'z').cycle().take(len.max(LINE_MIN));
        frame.extend(
            letters
                .zip(MASK.iter().cycle())
                .map(|(byte, key)| byte ^ key),
        );
        Self {
            frame,
            payload_at,
            text: String::with_capacity(LINE_MIN),
        }
    }

    /// Appends one frame that says `line`.
    pub(crate) fn append(&mut self, line: Line, out: &mut Vec<u8>) {
        let Line {
            sender,
            sequence,
            intended_us,
        } = line;
        self.text.clear();
        let sequence = sequence & 0xff_ffff;
        // Writing to a `String` cannot fail.
        let _ = write!(self.text, "{sender:02x}{sequence:06x}{intended_us:08x}");
        let masked = self.text.bytes().zip(MASK.iter().cycle());
        for (slot, (byte, key)) in self.frame.iter_mut().skip(self.payload_at).zip(masked) {
            *slot = byte ^ key;
        }
        out.extend_from_slice(&self.frame);
    }
}

/// The header of an unmasked text frame with `len` bytes of payload.
pub(crate) fn server_header(len: usize) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER_MAX);
    push_header(&mut header, len, 0);
    header
}

fn push_header(out: &mut Vec<u8>, len: usize, mask_bit: u8) {
    out.push(FIN | TEXT);
    if let Ok(short @ 0..=125) = u8::try_from(len) {
        out.push(mask_bit | short);
    } else if let Ok(medium) = u16::try_from(len) {
        out.push(mask_bit | 126);
        out.extend(medium.to_be_bytes());
    } else {
        out.push(mask_bit | 127);
        out.extend((len as u64).to_be_bytes());
    }
}

/// A frame header as read from either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) opcode: u8,
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
