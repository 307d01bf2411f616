//! Frames to messages: fragment order, the size bound, UTF-8, compression.
//!
//! The common case, a whole unfragmented frame in the caller's buffer, is unmasked where it lies and
//! handed out without a copy. Anything else is streamed: each piece is unmasked, checked and kept as
//! it comes, so that nothing is buffered that is known to be wrong, and nothing is reserved on the
//! strength of a header. A compressed message is inflated once it is whole. Between messages a reader owns no
//! memory.

use std::borrow::Cow;
use std::mem;

use super::close::{self, ProtocolError};
use super::deflate::Inflater;
use super::frame::{Header, Opcode};
use super::mask::apply_mask;
use super::unfinished::{Begun, Received, Stage, Unfinished, admit, inflate, take};

/// What a peer said: a whole message, or a control frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A text message.
    Text(Cow<'a, str>),
    /// A binary message.
    Binary(Cow<'a, [u8]>),
    /// A ping, to be answered with the same payload.
    Ping(Cow<'a, [u8]>),
    /// A pong.
    Pong,
    /// The peer's close frame and its code, if it gave one.
    Close(Option<u16>),
}

/// Turns a stream of frames into messages. An idle reader is one null pointer.
#[derive(Debug, Default)]
pub struct MessageReader {
    unfinished: Option<Box<Unfinished>>,
}

/// What has changed since [`MessageReader::note_progress`] was last called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The peer is between two messages.
    Between,
    /// A frame or message was begun, and is not finished yet.
    Begun,
    /// The frame or message that was begun before is still not finished.
    Unfinished,
}

impl MessageReader {
    /// Takes the next message or control frame from the front of `input`, which is unmasked in place.
    ///
    /// `Ok(None)`: all of `input` is consumed and more is needed. A message may have at most
    /// `message_max` bytes, whether in one frame or in many, and inflated where it is compressed. `inflater` is
    /// the same for all calls, and `None` where compression was not negotiated: then no message may be compressed.
    ///
    /// # Errors
    /// The first rule the peer broke. The connection is to be failed (RFC 6455 §7.1.7): calling again
    /// after an error is a mistake of the caller's.
    #[inline]
    pub fn next<'a>(
        &mut self,
        input: &mut &'a mut [u8],
        message_max: usize,
        inflater: Option<&mut Inflater>,
    ) -> Result<Option<Incoming<'a>>, ProtocolError> {
        if let Some(text) = self.next_short(input, message_max)? {
            return Ok(Some(Incoming::Text(Cow::Borrowed(text))));
        }
        if self.unfinished.is_none() {
            let Some((header, header_len)) = Header::decode(input, inflater.is_some())? else {
                if !input.is_empty() {
                    return self.stream(input, message_max, inflater);
                }
                return Ok(None);
            };
            admit(&header, None, message_max)?;
            let payload_len = usize::try_from(header.payload_len).unwrap_or(usize::MAX);
            if header.fin && payload_len <= input.len() - header_len {
                take(input, header_len);
                let payload = take(input, payload_len);
                apply_mask(payload, header.key, 0);
                if header.rsv1 {
                    let is_text = header.opcode == Opcode::Text;
                    return inflate(is_text, payload, message_max, inflater).map(Some);
                }
                return whole(header.opcode, payload).map(Some);
            }
        }
        self.stream(input, message_max, inflater)
    }

    /// Takes the next message if it is a whole text of up to 125 bytes, plain and in one frame, at the front of `input`.
    /// It is what chat is made of; `Ok(None)`: all else, wrong or not, is for [`MessageReader::next`].
    ///
    /// # Errors
    /// It is not UTF-8.
    #[inline]
    pub fn next_short<'a>(
        &mut self,
        input: &mut &'a mut [u8],
        message_max: usize,
    ) -> Result<Option<&'a str>, ProtocolError> {
        if self.unfinished.is_some() {
            return Ok(None);
        }
        let Some((key, payload_len)) = short_text(input, message_max) else {
            return Ok(None);
        };
        take(input, SHORT_HEADER_LEN);
        let payload = take(input, payload_len);
        apply_mask(payload, key, 0);
        match simdutf8::basic::from_utf8(payload) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(ProtocolError::InvalidUtf8),
        }
    }

    /// Tells whether the peer is in the middle of a frame or message, and whether of a new one.
    #[inline]
    pub fn note_progress(&mut self) -> Progress {
        match self.unfinished.as_deref_mut() {
            None => Progress::Between,
            Some(unfinished) => match mem::replace(&mut unfinished.is_noted, true) {
                true => Progress::Unfinished,
                false => Progress::Begun,
            },
        }
    }

    /// Whether a part of a frame or message has come.
    #[inline]
    pub fn is_mid_message(&self) -> bool {
        self.unfinished.is_some()
    }

    /// The bytes held for an unfinished message, as capacity.
    pub fn held_len(&self) -> usize {
        match self.unfinished.as_deref() {
            None => 0,
            Some(unfinished) => {
                size_of::<Unfinished>() + unfinished.message.as_ref().map_or(0, Begun::held_len)
            }
        }
    }

    /// Takes pieces until something is whole or `input` is used up.
    fn stream<'a>(
        &mut self,
        input: &mut &'a mut [u8],
        message_max: usize,
        mut inflater: Option<&mut Inflater>,
    ) -> Result<Option<Incoming<'a>>, ProtocolError> {
        let unfinished = self.unfinished.get_or_insert_default();
        loop {
            let received = match unfinished.stage {
                Stage::Header { .. } => {
                    unfinished.receive_header(input, message_max, inflater.is_some())?
                }
                Stage::Data { .. } => {
                    unfinished.receive_data(input, message_max, inflater.as_deref_mut())?
                }
                Stage::Control { .. } => unfinished.receive_control(input)?,
            };
            match received {
                Received::NeedMore => return Ok(None),
                Received::Part => {}
                Received::Whole(incoming) => {
                    // A control frame may have come between the fragments of a message.
                    if unfinished.message.is_none() {
                        self.unfinished = None;
                    }
                    return Ok(Some(incoming));
                }
            }
        }
    }
}

/// The length of a client's frame header with a length of 7 bits.
const SHORT_HEADER_LEN: usize = 6;

/// The key and length of a whole text message of up to 125 bytes at the front of `input`.
#[inline]
fn short_text(input: &[u8], message_max: usize) -> Option<([u8; 4], usize)> {
    let (&[0x81, len @ 0x80..0xfe, a, b, c, d], rest) = input.split_first_chunk()? else {
        return None;
    };
    let payload_len = usize::from(len & 0x7f);
    (payload_len <= rest.len().min(message_max)).then_some(([a, b, c, d], payload_len))
}

/// What a whole unfragmented frame says.
#[inline]
fn whole(opcode: Opcode, payload: &[u8]) -> Result<Incoming<'_>, ProtocolError> {
    match opcode {
        Opcode::Text => simdutf8::basic::from_utf8(payload)
            .map(|text| Incoming::Text(Cow::Borrowed(text)))
            .map_err(|_| ProtocolError::InvalidUtf8),
        Opcode::Binary => Ok(Incoming::Binary(Cow::Borrowed(payload))),
        Opcode::Ping => Ok(Incoming::Ping(Cow::Borrowed(payload))),
        Opcode::Pong => Ok(Incoming::Pong),
        Opcode::Close => close::decode_close(payload).map(Incoming::Close),
        Opcode::Continuation => Err(ProtocolError::UnexpectedContinuation),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    const MAX: usize = 70_000;

    /// A client's frame, with the given first byte (FIN, RSV, opcode).
    pub(in crate::ws) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload.len() {
            len @ 0..126 => bytes.push(0x80 | len as u8),
            len @ 126..65_536 => {
                bytes.push(0xfe);
                bytes.extend_from_slice(&(len as u16).to_be_bytes());
            }
            len => {
                bytes.push(0xff);
                bytes.extend_from_slice(&(len as u64).to_be_bytes());
            }
        }
        bytes.extend_from_slice(&KEY);
        let start = bytes.len();
        bytes.extend_from_slice(payload);
        apply_mask(&mut bytes[start..], KEY, 0);
        bytes
    }

    pub(in crate::ws) type Outcome = (Vec<Incoming<'static>>, Option<ProtocolError>);

    /// Feeds the pieces to one reader; collects what comes out, up to the first error.
    pub(in crate::ws) fn read_by<'a>(
        pieces: impl IntoIterator<Item = &'a [u8]>,
        message_max: usize,
        mut inflater: Option<&mut Inflater>,
    ) -> Outcome {
        let mut reader = MessageReader::default();
        let mut out = Vec::new();
        for piece in pieces {
            let mut piece = piece.to_vec();
            let mut input = &mut piece[..];
            loop {
                match reader.next(&mut input, message_max, inflater.as_deref_mut()) {
                    Ok(Some(incoming)) => out.push(own(incoming)),
                    Ok(None) => break,
                    Err(error) => return (out, Some(error)),
                }
            }
            assert!(input.is_empty(), "a reader that needs more has taken all");
        }
        (out, None)
    }

    fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
        read_by(pieces, MAX, None)
    }

    fn own(incoming: Incoming<'_>) -> Incoming<'static> {
        match incoming {
            Incoming::Text(text) => Incoming::Text(Cow::Owned(text.into_owned())),
            Incoming::Binary(bytes) => Incoming::Binary(Cow::Owned(bytes.into_owned())),
            Incoming::Ping(payload) => Incoming::Ping(Cow::Owned(payload.into_owned())),
            Incoming::Pong => Incoming::Pong,
            Incoming::Close(code) => Incoming::Close(code),
        }
    }

    /// Whole, byte by byte, and cut in two at every place (at some of them, where the stream is long).
    pub(in crate::ws) fn read_every_way_by(
        bytes: &[u8],
        message_max: usize,
        mut inflater: Option<&mut Inflater>,
    ) -> Outcome {
        let mut read = |pieces: &[&[u8]]| {
            let pieces = pieces.iter().copied();
            read_by(pieces, message_max, inflater.as_deref_mut())
        };
        let whole = read(&[bytes]);
        let single: Vec<_> = bytes.chunks(1).collect();
        assert_eq!(read(&single), whole, "byte by byte");
        let step = (bytes.len() / 300).max(1);
        for cut in (0..=bytes.len()).step_by(step) {
            let (head, tail) = bytes.split_at(cut);
            assert_eq!(read(&[head, tail]), whole, "cut at {cut}");
        }
        whole
    }

    fn read_every_way(bytes: &[u8]) -> Outcome {
        read_every_way_by(bytes, MAX, None)
    }

    pub(in crate::ws) fn text(text: &str) -> Incoming<'static> {
        Incoming::Text(Cow::Owned(text.to_owned()))
    }

    pub(in crate::ws) fn binary(bytes: &[u8]) -> Incoming<'static> {
        Incoming::Binary(Cow::Owned(bytes.to_vec()))
    }

    pub(in crate::ws) fn ping(payload: &[u8]) -> Incoming<'static> {
        Incoming::Ping(Cow::Owned(payload.to_vec()))
    }

    #[test]
    fn the_rfcs_masked_hello_is_read() {
        // RFC 6455 §5.7.
        let bytes = [
            0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
        ];
        assert_eq!(read_every_way(&bytes), (vec![text("Hello")], None));
        let pong = [
            0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
        ];
        assert_eq!(read_every_way(&pong), (vec![Incoming::Pong], None));
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes there")]
    fn messages_of_every_length_class_are_read() {
        for len in [0, 1, 125, 126, 127, 65_535, 65_536, MAX] {
            let payload = vec![b'x'; len];
            let expected = (vec![binary(&payload)], None);
            assert_eq!(read_every_way(&frame(0x82, &payload)), expected, "{len}");
        }
    }

    #[test]
    fn fragments_join_and_control_frames_pass_between_them() {
        let bytes = [
            frame(0x01, b"Hel"),
            frame(0x89, b"are you there"),
            frame(0x00, b""),
            frame(0x8a, b""),
            frame(0x80, b"lo"),
            frame(0x82, b"next"),
        ]
        .concat();
        let expected = vec![
            ping(b"are you there"),
            Incoming::Pong,
            text("Hello"),
            binary(b"next"),
        ];
        assert_eq!(read_every_way(&bytes), (expected, None));
    }

    #[test]
    fn a_character_may_be_cut_by_fragments() {
        let bytes = [
            frame(0x01, b"\xf0\x9f"),
            frame(0x00, b"\x98"),
            frame(0x80, b"\x80"),
        ]
        .concat();
        assert_eq!(read_every_way(&bytes), (vec![text("😀")], None));
    }

    #[test]
    fn bad_utf8_is_refused_inside_an_unfinished_frame() {
        let whole = frame(0x81, b"ab\xffcdefgh");
        let up_to_bad_byte = &whole[..6 + 3];
        assert_eq!(
            read([up_to_bad_byte]),
            (vec![], Some(ProtocolError::InvalidUtf8))
        );
        assert_eq!(read([&up_to_bad_byte[..8]]), (vec![], None));
        read_every_way(&whole);
    }

    #[test]
    fn text_must_not_end_inside_a_character() {
        let bytes = [frame(0x01, b"a\xce"), frame(0x80, b"")].concat();
        let refused = (vec![], Some(ProtocolError::InvalidUtf8));
        assert_eq!(read_every_way(&bytes), refused);
        assert_eq!(read_every_way(&frame(0x81, b"a\xce")), refused);
    }

    #[test]
    fn the_order_of_fragments_is_kept() {
        let cases = [
            (
                frame(0x80, b"x"),
                vec![],
                ProtocolError::UnexpectedContinuation,
            ),
            (
                [frame(0x01, b"a"), frame(0x81, b"b")].concat(),
                vec![],
                ProtocolError::UnfinishedMessage,
            ),
            (
                [frame(0x01, b"a"), frame(0x80, b"b"), frame(0x00, b"c")].concat(),
                vec![text("ab")],
                ProtocolError::UnexpectedContinuation,
            ),
        ];
        for (bytes, before, error) in cases {
            assert_eq!(read_every_way(&bytes), (before, Some(error)));
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes there")]
    fn a_message_may_reach_the_bound_and_not_pass_it() {
        let at = vec![b'x'; MAX];
        let (read_at, none) = read([&frame(0x81, &at)[..]]);
        assert_eq!((read_at.len(), none), (1, None));
        let fragments = [frame(0x01, &at), frame(0x80, b"")].concat();
        assert_eq!(read([&fragments[..]]).0.len(), 1);

        let too_big = (vec![], Some(ProtocolError::MessageTooBig));
        let over = frame(0x81, &vec![b'x'; MAX + 1]);
        assert_eq!(read([&over[..14]]), too_big, "refused at the header");
        let fragments = [frame(0x01, &at), frame(0x80, b"y")].concat();
        assert_eq!(read([&fragments[..]]), too_big);
    }

    #[test]
    fn close_frames_give_their_code() {
        let cases: [(&[u8], Outcome); 5] = [
            (b"", (vec![Incoming::Close(None)], None)),
            (b"\x03\xe8", (vec![Incoming::Close(Some(1000))], None)),
            (b"\x0f\xa0why", (vec![Incoming::Close(Some(4000))], None)),
            (b"\x03", (vec![], Some(ProtocolError::TruncatedCloseCode))),
            (b"\x03\xee", (vec![], Some(ProtocolError::InvalidCloseCode))),
        ];
        for (payload, expected) in cases {
            assert_eq!(read_every_way(&frame(0x88, payload)), expected);
        }
    }

    #[test]
    fn a_reader_holds_memory_only_while_something_is_unfinished() {
        let mut reader = MessageReader::default();
        assert_eq!(size_of_val(&reader), size_of::<usize>());
        let mut bytes = frame(0x81, b"Hello");
        let (head, tail) = bytes.split_at_mut(8);
        assert_eq!(reader.next(&mut { head }, MAX, None), Ok(None));
        assert!(reader.held_len() > 0);
        assert_eq!(
            reader.next(&mut { tail }, MAX, None),
            Ok(Some(text("Hello")))
        );
        assert_eq!(reader.held_len(), 0);
    }

    #[test]
    fn a_message_that_follows_another_within_one_piece_is_told_as_a_new_one() {
        let mut reader = MessageReader::default();
        assert_eq!(reader.note_progress(), Progress::Between);
        let mut bytes = [frame(0x81, b"one"), frame(0x81, b"two"), frame(0x89, b"")].concat();
        let (first, rest) = bytes.split_at_mut(8);
        let (mut second, last) = rest.split_at_mut(8);
        assert_eq!(reader.next(&mut { first }, MAX, None), Ok(None));
        assert_eq!(reader.note_progress(), Progress::Begun);
        assert_eq!(reader.note_progress(), Progress::Unfinished);
        assert_eq!(reader.next(&mut second, MAX, None), Ok(Some(text("one"))));
        assert_eq!(reader.next(&mut second, MAX, None), Ok(None));
        assert_eq!(reader.note_progress(), Progress::Begun);
        let mut last = last;
        assert_eq!(reader.next(&mut last, MAX, None), Ok(Some(text("two"))));
        assert!(matches!(
            reader.next(&mut last, MAX, None),
            Ok(Some(Incoming::Ping(_)))
        ));
        assert_eq!(reader.note_progress(), Progress::Between);
    }

    #[test]
    fn a_claimed_length_reserves_nothing() {
        let mut reader = MessageReader::default();
        let mut bytes = frame(0x82, &vec![0; MAX]);
        bytes.truncate(14);
        assert_eq!(reader.next(&mut &mut bytes[..], MAX, None), Ok(None));
        assert!(reader.held_len() < 400, "{}", reader.held_len());
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes there")]
    fn one_byte_fragments_never_hold_more_than_the_bound_and_a_little() {
        let mut reader = MessageReader::default();
        let mut first = frame(0x01, b"x");
        assert_eq!(reader.next(&mut &mut first[..], MAX, None), Ok(None));
        for _ in 1..MAX {
            let mut bytes = frame(0x00, b"x");
            assert_eq!(reader.next(&mut &mut bytes[..], MAX, None), Ok(None));
            assert!(reader.held_len() <= MAX + 4096);
        }
        let mut one_more = frame(0x00, b"x");
        assert_eq!(
            reader.next(&mut &mut one_more[..], MAX, None),
            Err(ProtocolError::MessageTooBig)
        );
    }
}
