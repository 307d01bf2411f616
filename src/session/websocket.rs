//! What a WebSocket peer's messages and control frames mean.

use std::borrow::Cow;

use super::{Closing, Codec, Event};
use crate::observe::CloseReason;
use crate::outbox::Outbox;
use crate::ws::close::{self, CloseCode, ProtocolError};
use crate::ws::deflate::{Deflater, Inflater, Window};
use crate::ws::frame::{self, Opcode, ServerHeader};
use crate::ws::message::{Incoming, MessageReader};

/// Takes the next message of a member of a room.
#[inline]
pub(super) fn receive_chat<'a>(
    reader: &mut MessageReader,
    may_publish: bool,
    input: &mut &'a mut [u8],
    outbox: &mut Outbox,
    message_max: usize,
    inflater: Option<&mut Inflater>,
) -> Option<Event<'a>> {
    Some(match reader.next(input, message_max, inflater) {
        Ok(Some(Incoming::Text(_) | Incoming::Binary(_))) if !may_publish => {
            Event::Closing(close(CloseCode::Policy, CloseReason::MayNotPublish))
        }
        Ok(Some(Incoming::Text(text))) => Event::Message(text),
        Ok(Some(Incoming::Binary(bytes))) => match into_text(bytes) {
            Some(text) => Event::Message(text),
            None => Event::Closing(Closing::failed(ProtocolError::BinaryNotText)),
        },
        Ok(Some(incoming)) => receive_control(&incoming, outbox),
        Ok(None) => return None,
        Err(error) => Event::Closing(Closing::failed(error)),
    })
}

/// Takes the next message of a peer that talks to itself.
pub(super) fn receive_echo<'a>(
    reader: &mut MessageReader,
    input: &mut &'a mut [u8],
    outbox: &mut Outbox,
    message_max: usize,
    codec: Option<(Window, Codec<'_>)>,
) -> Option<Event<'a>> {
    let (inflater, deflater) = codec
        .map(|(window, codec)| (codec.inflater, (window, codec.deflater)))
        .unzip();
    Some(match reader.next(input, message_max, inflater) {
        Ok(Some(Incoming::Text(text))) => echo(Opcode::Text, into_bytes(text), deflater, outbox),
        Ok(Some(Incoming::Binary(bytes))) => echo(Opcode::Binary, bytes, deflater, outbox),
        Ok(Some(incoming)) => receive_control(&incoming, outbox),
        Ok(None) => return None,
        Err(error) => Event::Closing(Closing::failed(error)),
    })
}

/// How a WebSocket is closed of our own accord, with the reason in words.
pub(super) fn close(code: CloseCode, reason: CloseReason) -> Closing {
    Closing {
        reason,
        last_bytes: close::encode_close(code, reason.words()),
        note: None,
    }
}

fn receive_control(incoming: &Incoming<'_>, outbox: &mut Outbox) -> Event<'static> {
    match incoming {
        Incoming::Ping(payload) => {
            outbox.push_pong(payload);
            Event::Served
        }
        Incoming::Close(code) => Event::Closing(Closing {
            reason: CloseReason::PeerClosed,
            last_bytes: close::encode_answer(*code),
            note: None,
        }),
        Incoming::Pong | Incoming::Text(_) | Incoming::Binary(_) => Event::Pong,
    }
}

/// A long message moves into the outbox as it is, behind a header of its own. For a peer that inflates every one is
/// compressed, however short it is.
fn echo(
    opcode: Opcode,
    payload: Cow<'_, [u8]>,
    deflater: Option<(Window, &mut Deflater)>,
    outbox: &mut Outbox,
) -> Event<'static> {
    if let Some((window, deflater)) = deflater {
        let mut bytes = Vec::new();
        let compressed = deflater.deflate_within(window, &payload);
        frame::encode_deflated_frame(opcode, compressed, &mut bytes);
        outbox.push_private(bytes);
        return Event::Served;
    }
    match payload {
        Cow::Borrowed(payload) => {
            let mut bytes = Vec::new();
            frame::encode_frame(opcode, payload, &mut bytes);
            outbox.push_private(bytes);
        }
        Cow::Owned(payload) => {
            let header = ServerHeader::encode(opcode, payload.len());
            outbox.push_private(header.as_bytes().to_vec());
            outbox.push_private(payload);
        }
    }
    Event::Served
}

fn into_bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

fn into_text(bytes: Cow<'_, [u8]>) -> Option<Cow<'_, str>> {
    match bytes {
        Cow::Borrowed(bytes) => simdutf8::basic::from_utf8(bytes).ok().map(Cow::Borrowed),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    }
}
