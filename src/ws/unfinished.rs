//! What has come of a frame or message that is not whole: pieces are unmasked, checked and kept as they come.

use std::borrow::Cow;
use std::mem;

use super::close::{self, ProtocolError};
use super::frame::{CLIENT_HEADER_MAX, CONTROL_PAYLOAD_MAX, Header, Opcode};
use super::mask::apply_mask;
use super::message::Incoming;
use super::payload::Payload;

/// A frame, a message or both of which only a part has come.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    pub(super) stage: Stage,
    pub(super) payload: Option<Payload>,
    /// Whether [`MessageReader::note_progress`] has told of it.
    pub(super) is_noted: bool,
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
        let Some((header, header_len)) = Header::decode(bytes.split_at(filled_len).0)? else {
            *len = filled_len;
            take(input, filled_len - known_len);
            return Ok(Received::NeedMore);
        };
        take(input, header_len - known_len);
        admit(&header, self.payload.as_ref(), message_max)?;
        self.stage = if header.opcode.is_control() {
            Stage::Control {
                header,
                payload: [0; CONTROL_PAYLOAD_MAX],
                received: 0,
            }
        } else {
            let is_text = header.opcode == Opcode::Text;
            self.payload.get_or_insert_with(|| Payload::new(is_text));
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
    ) -> Result<Received, ProtocolError> {
        let (Stage::Data { header, received }, Some(payload)) =
            (&mut self.stage, &mut self.payload)
        else {
            return Ok(Received::Part);
        };
        let piece = take_up_to(input, header.payload_len - *received);
        apply_mask(piece, header.key, *received);
        *received += piece.len() as u64;
        payload.push(piece, message_max)?;
        if *received < header.payload_len {
            return Ok(Received::NeedMore);
        }
        let fin = header.fin;
        self.stage = Stage::default();
        if !fin {
            return Ok(Received::Part);
        }
        if !payload.is_complete() {
            return Err(ProtocolError::InvalidUtf8);
        }
        Ok(match self.payload.take() {
            Some(Payload::Text { text, .. }) => Received::Whole(Incoming::Text(Cow::Owned(text))),
            Some(Payload::Binary(bytes)) => Received::Whole(Incoming::Binary(Cow::Owned(bytes))),
            None => Received::Part,
        })
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

/// Checks a data frame's place in the order of fragments (RFC 6455 §5.4) and the message's size.
pub(super) fn admit(
    header: &Header,
    begun: Option<&Payload>,
    message_max: usize,
) -> Result<(), ProtocolError> {
    let begun_len = match (header.opcode, begun) {
        (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => return Ok(()),
        (Opcode::Continuation, None) => return Err(ProtocolError::UnexpectedContinuation),
        (Opcode::Text | Opcode::Binary, Some(_)) => return Err(ProtocolError::UnfinishedMessage),
        (Opcode::Continuation, Some(payload)) => payload.received_len() as u64,
        (Opcode::Text | Opcode::Binary, None) => 0,
    };
    // Both are below 2^63.
    if begun_len + header.payload_len > message_max as u64 {
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
