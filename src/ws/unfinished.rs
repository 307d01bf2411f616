//! What has come of a frame or message that is not whole: pieces are unmasked, checked and kept as they come.

use std::borrow::Cow;
use std::mem;

use super::close::{self, ProtocolError};
use super::deflate::{Inflater, deflated_max};
use super::frame::{CLIENT_HEADER_MAX, CONTROL_PAYLOAD_MAX, Header, Opcode};
use super::mask::apply_mask;
use super::message::Incoming;
use super::payload::{self, Payload};

/// A frame, a message or both of which only a part has come.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    pub(super) stage: Stage,
    pub(super) message: Option<Begun>,
    /// Whether [`MessageReader::note_progress`] has told of it.
    pub(super) is_noted: bool,
}

/// What has come of a message.
#[derive(Debug)]
pub(super) enum Begun {
    Plain(Payload),
    /// It is inflated when it is whole: then one inflater serves all peers.
    Deflated {
        is_text: bool,
        compressed: Vec<u8>,
    },
}

#[derive(Debug)]
pub(super) enum Stage {
    /// The first bytes of a header; none at all between two fragments.
    Header {
        bytes: [u8; CLIENT_HEADER_MAX],
        len: usize,
    },
    /// A data frame; `received` bytes of its payload are kept.
    Data { header: Header, received: u64 },
    /// A control frame; the first `received` bytes of `payload` have come.
    Control {
        header: Header,
        payload: [u8; CONTROL_PAYLOAD_MAX],
        received: usize,
    },
}

impl Default for Stage {
    fn default() -> Self {
        Self::Header {
            bytes: [0; CLIENT_HEADER_MAX],
            len: 0,
        }
    }
}

/// How far a stage came.
pub(super) enum Received {
    /// The input is used up.
    NeedMore,
    /// The stage is over, and nothing is whole yet.
    Part,
    /// A message or a control frame is whole.
    Whole(Incoming<'static>),
}

impl Unfinished {
    pub(super) fn receive_header(
        &mut self,
        input: &mut &mut [u8],
        message_max: usize,
        allows_rsv1: bool,
    ) -> Result<Received, ProtocolError> {
        let Stage::Header { bytes, len } = &mut self.stage else {
            return Ok(Received::Part);
        };
        let known_len = *len;
        let mut free = bytes.split_at_mut(known_len).1;
        if free.len() > input.len() {
            free = free.split_at_mut(input.len()).0;
        }
        for (place, byte) in free.iter_mut().zip(input.iter()) {
            *place = *byte;
        }
        let filled_len = known_len + free.len();
        let filled = bytes.split_at(filled_len).0;
        let Some((header, header_len)) = Header::decode(filled, allows_rsv1)? else {
            *len = filled_len;
            take(input, filled_len - known_len);
            return Ok(Received::NeedMore);
        };
        take(input, header_len - known_len);
        admit(&header, self.message.as_ref(), message_max)?;
        self.stage = if header.opcode.is_control() {
            Stage::Control {
                header,
                payload: [0; CONTROL_PAYLOAD_MAX],
                received: 0,
            }
        } else {
            self.message.get_or_insert_with(|| Begun::by(&header));
            Stage::Data {
                header,
                received: 0,
            }
        };
        Ok(Received::Part)
    }

    pub(super) fn receive_data(
        &mut self,
        input: &mut &mut [u8],
        message_max: usize,
        inflater: Option<&mut Inflater>,
    ) -> Result<Received, ProtocolError> {
        let (Stage::Data { header, received }, Some(message)) =
            (&mut self.stage, &mut self.message)
        else {
            return Ok(Received::Part);
        };
        let piece = take_up_to(input, header.payload_len - *received);
        apply_mask(piece, header.key, *received);
        *received += piece.len() as u64;
        message.push(piece, message_max)?;
        if *received < header.payload_len {
            return Ok(Received::NeedMore);
        }
        let fin = header.fin;
        self.stage = Stage::default();
        if !fin {
            return Ok(Received::Part);
        }
        match self.message.take() {
            Some(message) => message.finish(message_max, inflater).map(Received::Whole),
            None => Ok(Received::Part),
        }
    }

    pub(super) fn receive_control(
        &mut self,
        input: &mut &mut [u8],
    ) -> Result<Received, ProtocolError> {
        let Stage::Control {
            header,
            payload,
            received,
        } = &mut self.stage
        else {
            return Ok(Received::Part);
        };
        let piece = take_up_to(input, header.payload_len - *received as u64);
        apply_mask(piece, header.key, *received as u64);
        for (place, byte) in payload.iter_mut().skip(*received).zip(piece.iter()) {
            *place = *byte;
        }
        *received += piece.len();
        if (*received as u64) < header.payload_len {
            return Ok(Received::NeedMore);
        }
        let payload = payload.get(..*received).unwrap_or_default();
        let incoming = match header.opcode {
            Opcode::Close => Incoming::Close(close::decode_close(payload)?),
            Opcode::Ping => Incoming::Ping(Cow::Owned(payload.to_vec())),
            _ => Incoming::Pong,
        };
        self.stage = Stage::default();
        Ok(Received::Whole(incoming))
    }
}

impl Begun {
    /// Nothing yet of the message that a frame begins.
    fn by(header: &Header) -> Self {
        let is_text = header.opcode == Opcode::Text;
        match header.rsv1 {
            true => Self::Deflated {
                is_text,
                compressed: Vec::new(),
            },
            false => Self::Plain(Payload::new(is_text)),
        }
    }

    fn received_len(&self) -> usize {
        match self {
            Self::Plain(payload) => payload.received_len(),
            Self::Deflated { compressed, .. } => compressed.len(),
        }
    }

    /// The bytes held, as capacity.
    pub(super) fn held_len(&self) -> usize {
        match self {
            Self::Plain(payload) => payload.held_len(),
            Self::Deflated { compressed, .. } => compressed.capacity(),
        }
    }

    fn push(&mut self, piece: &[u8], message_max: usize) -> Result<(), ProtocolError> {
        match self {
            Self::Plain(payload) => payload.push(piece, message_max),
            Self::Deflated { compressed, .. } => {
                payload::push_bytes(compressed, piece, deflated_max(message_max));
                Ok(())
            }
        }
    }

    fn finish(
        self,
        message_max: usize,
        inflater: Option<&mut Inflater>,
    ) -> Result<Incoming<'static>, ProtocolError> {
        match self {
            Self::Plain(payload) => finish(payload),
            Self::Deflated {
                is_text,
                compressed,
            } => inflate(is_text, &compressed, message_max, inflater),
        }
    }
}

/// The message that a whole compressed payload holds (RFC 7692 §6.2).
pub(super) fn inflate(
    is_text: bool,
    compressed: &[u8],
    message_max: usize,
    inflater: Option<&mut Inflater>,
) -> Result<Incoming<'static>, ProtocolError> {
    // Without one, no header was let through that begins such a message.
    let inflater = inflater.ok_or(ProtocolError::ReservedBits)?;
    let mut payload = Payload::new(is_text);
    inflater.inflate(compressed, &mut payload, message_max)?;
    finish(payload)
}

fn finish(payload: Payload) -> Result<Incoming<'static>, ProtocolError> {
    if !payload.is_complete() {
        return Err(ProtocolError::InvalidUtf8);
    }
    Ok(match payload {
        Payload::Text { text, .. } => Incoming::Text(Cow::Owned(text)),
        Payload::Binary(bytes) => Incoming::Binary(Cow::Owned(bytes)),
    })
}

/// Checks a data frame's place in the order of fragments (RFC 6455 §5.4) and the message's size, which for a
/// compressed one is the size that it is sent in.
pub(super) fn admit(
    header: &Header,
    begun: Option<&Begun>,
    message_max: usize,
) -> Result<(), ProtocolError> {
    let (begun_len, is_deflated) = match (header.opcode, begun) {
        (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => return Ok(()),
        (Opcode::Continuation, None) => return Err(ProtocolError::UnexpectedContinuation),
        (Opcode::Text | Opcode::Binary, Some(_)) => return Err(ProtocolError::UnfinishedMessage),
        (Opcode::Continuation, Some(message)) => (
            message.received_len() as u64,
            matches!(message, Begun::Deflated { .. }),
        ),
        (Opcode::Text | Opcode::Binary, None) => (0, header.rsv1),
    };
    let len_max = match is_deflated {
        true => deflated_max(message_max),
        false => message_max,
    };
    // Both are below 2^63.
    if begun_len + header.payload_len > len_max as u64 {
        return Err(ProtocolError::MessageTooBig);
    }
    Ok(())
}

/// Splits the first `len` bytes off `input`; the caller has seen that they are there.
#[inline]
pub(super) fn take<'a>(input: &mut &'a mut [u8], len: usize) -> &'a mut [u8] {
    let (taken, rest) = mem::take(input).split_at_mut(len);
    *input = rest;
    taken
}

/// Splits at most `len` bytes off `input`.
pub(super) fn take_up_to<'a>(input: &mut &'a mut [u8], len: u64) -> &'a mut [u8] {
    let len = usize::try_from(len).map_or(input.len(), |len| len.min(input.len()));
    take(input, len)
}
