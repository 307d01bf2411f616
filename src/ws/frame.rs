//! Frame headers (RFC 6455 §5.2): decode a client's, encode a server's.
//!
//! A header is refused at the first byte that is wrong; nobody waits for the rest of what can only be
//! refused. Payloads are not this file's business.

use super::close::ProtocolError;

/// The largest payload of a control frame, in bytes (RFC 6455 §5.5).
pub const CONTROL_PAYLOAD_MAX: usize = 125;
/// The longest header of a client's frame: 2 bytes, a 64-bit length, the masking key.
pub const CLIENT_HEADER_MAX: usize = 14;
/// The longest header of a server's frame: 2 bytes and a 64-bit length.
pub const SERVER_HEADER_MAX: usize = 10;

const FIN: u8 = 0x80;
const RSV: u8 = 0x70;
const RSV1: u8 = 0x40;
const OPCODE: u8 = 0x0f;
const MASK: u8 = 0x80;
const LEN: u8 = 0x7f;
/// A 7-bit length of 126 announces 16 bits more, 127 announces 64.
const LEN_16_BIT: u8 = 126;
const LEN_64_BIT: u8 = 127;

/// What a frame carries (RFC 6455 §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// More of the message begun before.
    Continuation = 0x0,
    /// The beginning, or the whole, of a text message.
    Text = 0x1,
    /// The beginning, or the whole, of a binary message.
    Binary = 0x2,
    /// The close handshake.
    Close = 0x8,
    /// To be answered by a pong with the same payload.
    Ping = 0x9,
    /// The answer to a ping, or a sign of life nobody asked for.
    Pong = 0xa,
}

impl Opcode {
    /// Whether frames of this kind steer the connection rather than carry a message (RFC 6455 §5.5).
    pub fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }

    fn decode(nibble: u8) -> Result<Self, ProtocolError> {
        match nibble {
            0x0 => Ok(Self::Continuation),
            0x1 => Ok(Self::Text),
            0x2 => Ok(Self::Binary),
            0x8 => Ok(Self::Close),
            0x9 => Ok(Self::Ping),
            0xa => Ok(Self::Pong),
            _ => Err(ProtocolError::ReservedOpcode),
        }
    }
}

/// A client's frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Whether this frame is the last of its message.
    pub fin: bool,
    /// Whether this frame begins a compressed message (RFC 7692 §6).
    pub rsv1: bool,
    /// What the frame carries.
    pub opcode: Opcode,
    /// The masking key (RFC 6455 §5.3).
    pub key: [u8; 4],
    /// The payload's length in bytes, below 2^63.
    pub payload_len: u64,
}

impl Header {
    /// Decodes the header at the start of `input`, and returns it with its own length in bytes.
    ///
    /// `allows_rsv1` says that compression was negotiated: the first frame of a message may then set the first
    /// reserved bit (RFC 7692 §6.1). `Ok(None)`: `input` is a good beginning, but more bytes are needed; nothing was consumed.
    ///
    /// # Errors
    /// The first rule of RFC 6455 §5 that these bytes break, as soon as one of them breaks it.
    #[inline]
    pub fn decode(input: &[u8], allows_rsv1: bool) -> Result<Option<(Self, usize)>, ProtocolError> {
        let Some((&first, rest)) = input.split_first() else {
            return Ok(None);
        };
        let rsv1 = first & RSV == RSV1 && allows_rsv1;
        if first & RSV != 0 && !rsv1 {
            return Err(ProtocolError::ReservedBits);
        }
        let fin = first & FIN != 0;
        let opcode = Opcode::decode(first & OPCODE)?;
        if rsv1 && !matches!(opcode, Opcode::Text | Opcode::Binary) {
            return Err(ProtocolError::ReservedBits);
        }
        if opcode.is_control() && !fin {
            return Err(ProtocolError::FragmentedControl);
        }

        let Some((&second, rest)) = rest.split_first() else {
            return Ok(None);
        };
        if second & MASK == 0 {
            return Err(ProtocolError::Unmasked);
        }
        let short_len = second & LEN;
        if opcode.is_control() && short_len as usize > CONTROL_PAYLOAD_MAX {
            return Err(ProtocolError::OversizedControl);
        }
        let Some((payload_len, rest)) = decode_len(short_len, rest)? else {
            return Ok(None);
        };

        let Some((&key, rest)) = rest.split_first_chunk() else {
            return Ok(None);
        };
        let header = Self {
            fin,
            rsv1,
            opcode,
            key,
            payload_len,
        };
        Ok(Some((header, input.len() - rest.len())))
    }
}

/// Decodes the extended length that `short_len` announces; returns the length and the bytes behind it.
#[inline]
fn decode_len(short_len: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, ProtocolError> {
    let (len, rest, len_min) = match short_len {
        LEN_16_BIT => match rest.split_first_chunk() {
            Some((bytes, rest)) => (u64::from(u16::from_be_bytes(*bytes)), rest, 126),
            None => return Ok(None),
        },
        LEN_64_BIT => match rest.split_first_chunk() {
            Some((bytes, rest)) => (u64::from_be_bytes(*bytes), rest, 1 << 16),
            None => return Ok(None),
        },
        _ => (u64::from(short_len), rest, 0),
    };
    if len < len_min {
        return Err(ProtocolError::NonMinimalLength);
    }
    if len >> 63 != 0 {
        return Err(ProtocolError::LengthOverflow);
    }
    Ok(Some((len, rest)))
}

/// The header of a server's frame: final, unmasked, at most [`SERVER_HEADER_MAX`] bytes.
#[derive(Debug, Clone, Copy)]
pub struct ServerHeader {
    bytes: [u8; SERVER_HEADER_MAX],
    len: u8,
}

impl ServerHeader {
    /// Encodes the header of an unfragmented frame with `payload_len` bytes of payload (RFC 6455 §5.2).
    #[inline]
    pub fn encode(opcode: Opcode, payload_len: usize) -> Self {
        Self::encode_from(FIN | opcode as u8, payload_len)
    }

    /// The same of a frame whose payload is compressed (RFC 7692 §6.1).
    #[inline]
    pub fn encode_deflated(opcode: Opcode, payload_len: usize) -> Self {
        Self::encode_from(FIN | RSV1 | opcode as u8, payload_len)
    }

    #[inline]
    fn encode_from(first: u8, payload_len: usize) -> Self {
        let mut bytes = [0; SERVER_HEADER_MAX];
        let len = match (u8::try_from(payload_len), u16::try_from(payload_len)) {
            (Ok(short), _) if short < LEN_16_BIT => {
                bytes[..2].copy_from_slice(&[first, short]);
                2
            }
            (_, Ok(medium)) => {
                bytes[..2].copy_from_slice(&[first, LEN_16_BIT]);
                bytes[2..4].copy_from_slice(&medium.to_be_bytes());
                4
            }
            _ => {
                bytes[..2].copy_from_slice(&[first, LEN_64_BIT]);
                bytes[2..].copy_from_slice(&(payload_len as u64).to_be_bytes());
                10
            }
        };
        Self { bytes, len }
    }

    /// The encoded bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len.into()).unwrap_or_default()
    }
}

/// Appends a whole server frame to `out`.
pub fn encode_frame(opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
    push_frame(ServerHeader::encode(opcode, payload.len()), payload, out);
}

/// Appends a whole server frame with a compressed payload to `out`.
pub fn encode_deflated_frame(opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
    let header = ServerHeader::encode_deflated(opcode, payload.len());
    push_frame(header, payload, out);
}

fn push_frame(header: ServerHeader, payload: &[u8], out: &mut Vec<u8>) {
    out.reserve(header.as_bytes().len() + payload.len());
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    fn header(fin: bool, opcode: Opcode, payload_len: u64) -> Header {
        Header {
            fin,
            rsv1: false,
            opcode,
            key: KEY,
            payload_len,
        }
    }

    /// A client's header bytes: the given beginning, then the key.
    fn masked(beginning: &[u8]) -> Vec<u8> {
        [beginning, &KEY].concat()
    }

    #[test]
    fn golden_headers_decode_and_every_beginning_of_one_needs_more() {
        let golden = [
            // RFC 6455 §5.7: a masked "Hello".
            (&[0x81, 0x85][..], header(true, Opcode::Text, 5)),
            (&[0x01, 0x83], header(false, Opcode::Text, 3)),
            (&[0x80, 0x82], header(true, Opcode::Continuation, 2)),
            (&[0x89, 0x85], header(true, Opcode::Ping, 5)),
            (&[0x8a, 0x80], header(true, Opcode::Pong, 0)),
            (&[0x88, 0xfd], header(true, Opcode::Close, 125)),
            (&[0x82, 0xfd], header(true, Opcode::Binary, 125)),
            (&[0x82, 0xfe, 0, 126], header(true, Opcode::Binary, 126)),
            (&[0x82, 0xfe, 1, 0], header(true, Opcode::Binary, 256)),
            (
                &[0x82, 0xfe, 0xff, 0xff],
                header(true, Opcode::Binary, 65_535),
            ),
            (
                &[0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0],
                header(true, Opcode::Binary, 65_536),
            ),
            (
                &[0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
                header(true, Opcode::Binary, i64::MAX as u64),
            ),
        ];
        for (beginning, expected) in golden {
            let bytes = masked(beginning);
            for allows_rsv1 in [false, true] {
                let decode = |input| Header::decode(input, allows_rsv1);
                assert_eq!(decode(&bytes), Ok(Some((expected, bytes.len()))));
                for cut in 0..bytes.len() {
                    assert_eq!(decode(&bytes[..cut]), Ok(None), "{beginning:x?}");
                }
                let behind = [&bytes[..], b"payload"].concat();
                assert_eq!(decode(&behind), Ok(Some((expected, bytes.len()))));
            }
        }
    }

    #[test]
    fn a_bad_header_is_refused_at_its_first_bad_byte() {
        use ProtocolError::*;
        let refused = [
            (&[0xc1][..], ReservedBits),
            (&[0xa1], ReservedBits),
            (&[0x91], ReservedBits),
            (&[0x83], ReservedOpcode),
            (&[0x87], ReservedOpcode),
            (&[0x8b], ReservedOpcode),
            (&[0x8f], ReservedOpcode),
            (&[0x09], FragmentedControl),
            (&[0x08], FragmentedControl),
            (&[0x81, 0x05], Unmasked),
            (&[0x89, 0x00], Unmasked),
            (&[0x89, 0xfe], OversizedControl),
            (&[0x88, 0xff], OversizedControl),
            (&[0x81, 0xfe, 0, 125], NonMinimalLength),
            (&[0x81, 0xfe, 0, 0], NonMinimalLength),
            (
                &[0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
                NonMinimalLength,
            ),
            (&[0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0], LengthOverflow),
        ];
        for (bytes, expected) in refused {
            let (_, before) = bytes.split_last().expect("no sample is empty");
            assert_eq!(Header::decode(bytes, false), Err(expected), "{bytes:x?}");
            assert_eq!(Header::decode(before, false), Ok(None), "{bytes:x?}");
        }
    }

    #[test]
    fn the_first_reserved_bit_may_be_set_where_a_compressed_message_begins() {
        for (first, opcode) in [
            (0xc1, Opcode::Text),
            (0x41, Opcode::Text),
            (0xc2, Opcode::Binary),
            (0x42, Opcode::Binary),
        ] {
            let bytes = masked(&[first, 0x85]);
            let plain = header(first & FIN != 0, opcode, 5);
            let expected = Header {
                rsv1: true,
                ..plain
            };
            assert_eq!(Header::decode(&bytes, true), Ok(Some((expected, 6))));
            let refused = Err(ProtocolError::ReservedBits);
            assert_eq!(Header::decode(&[first], false), refused);
        }
        for first in [0xc0, 0x40, 0xc8, 0xc9, 0xca, 0xe1, 0xd1, 0xa1, 0x91] {
            let refused = Err(ProtocolError::ReservedBits);
            assert_eq!(Header::decode(&[first], true), refused, "{first:x}");
        }
    }

    #[test]
    fn server_headers_use_the_shortest_length() {
        let golden = [
            (0, &[0x81, 0][..]),
            (5, &[0x81, 5]),
            (125, &[0x81, 125]),
            (126, &[0x81, 126, 0, 126]),
            (65_535, &[0x81, 126, 0xff, 0xff]),
            (65_536, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ];
        for (payload_len, expected) in golden {
            let encoded = ServerHeader::encode(Opcode::Text, payload_len);
            assert_eq!(encoded.as_bytes(), expected, "{payload_len}");
        }
    }

    #[test]
    fn the_rfcs_server_frames_come_out_byte_for_byte() {
        // RFC 6455 §5.7.
        let mut out = Vec::new();
        encode_frame(Opcode::Text, b"Hello", &mut out);
        assert_eq!(out, [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
        out.clear();
        encode_frame(Opcode::Ping, b"Hello", &mut out);
        assert_eq!(out, [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
        out.clear();
        encode_frame(Opcode::Binary, &[7; 256], &mut out);
        assert_eq!(&out[..4], [0x82, 0x7e, 0x01, 0x00]);
        assert_eq!(out.len(), 4 + 256);
        out.clear();
        encode_frame(Opcode::Binary, &[7; 65_536], &mut out);
        assert_eq!(&out[..10], [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn what_the_server_encodes_decodes_once_masked() {
        for opcode in [Opcode::Text, Opcode::Binary, Opcode::Continuation] {
            for len in [0, 1, 125, 126, 65_535, 65_536, 1 << 33] {
                let mut bytes = ServerHeader::encode(opcode, len).as_bytes().to_vec();
                bytes[1] |= MASK;
                bytes.extend_from_slice(&KEY);
                let expected = header(true, opcode, len as u64);
                let decoded = Header::decode(&bytes, false);
                assert_eq!(decoded, Ok(Some((expected, bytes.len()))));
            }
        }
    }

    #[test]
    fn a_compressed_frame_differs_in_one_bit() {
        for len in [0, 125, 126, 65_535, 65_536] {
            let (mut plain, mut deflated) = (Vec::new(), Vec::new());
            encode_frame(Opcode::Text, &vec![7; len], &mut plain);
            encode_deflated_frame(Opcode::Text, &vec![7; len], &mut deflated);
            assert_eq!((plain[0], deflated[0]), (0x81, 0xc1));
            assert_eq!(plain[1..], deflated[1..]);
            let header = ServerHeader::encode_deflated(Opcode::Text, len);
            assert!(deflated.starts_with(header.as_bytes()));
        }
    }
}
