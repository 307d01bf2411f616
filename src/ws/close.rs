//! How a connection ends (RFC 6455 §7): close codes, the rules a peer can break, and the one table
//! between them.

use std::fmt;

use super::frame::{self, CONTROL_PAYLOAD_MAX, Opcode};

/// The close codes this server sends of its own accord (RFC 6455 §7.4.1, and 1012 and 1013 of the IANA registry).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum CloseCode {
    /// The purpose of the connection is fulfilled.
    Normal = 1000,
    /// The server is shutting down.
    GoingAway = 1001,
    /// The peer broke the protocol.
    Protocol = 1002,
    /// The peer sent a type of data that this endpoint does not take.
    Unsupported = 1003,
    /// A text message, or a close reason, is not UTF-8; a compressed message cannot be inflated.
    InvalidPayload = 1007,
    /// The peer broke a rule of this server, not of the protocol.
    Policy = 1008,
    /// A message is larger than this server takes.
    TooBig = 1009,
    /// The server restarts; the peer may come back.
    Restart = 1012,
    /// The server cannot do its work for a while; the peer may come back.
    TryAgainLater = 1013,
}

/// A rule that a peer broke. One variant per rule; [`ProtocolError::close_code`] says how it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProtocolError {
    /// RSV1, RSV2 or RSV3 is set and no extension that was negotiated sets it there (§5.2).
    ReservedBits,
    /// Opcodes 3 to 7 and 11 to 15 are reserved (§5.2).
    ReservedOpcode,
    /// A client's frame must be masked (§5.1).
    Unmasked,
    /// A length must use the fewest bytes that hold it (§5.2).
    NonMinimalLength,
    /// The most significant bit of a 64-bit length must be 0 (§5.2).
    LengthOverflow,
    /// A control frame must not be fragmented (§5.5).
    FragmentedControl,
    /// A control frame carries at most 125 bytes (§5.5).
    OversizedControl,
    /// A continuation frame came while no message was unfinished (§5.4).
    UnexpectedContinuation,
    /// A new message began before the last one was finished (§5.4).
    UnfinishedMessage,
    /// A close frame's payload is empty or holds at least a 2-byte code (§5.5.1).
    TruncatedCloseCode,
    /// A code that must not appear in a close frame (§7.4).
    InvalidCloseCode,
    /// A close frame's reason is not UTF-8 (§5.5.1).
    InvalidCloseReason,
    /// A text message is not UTF-8 (§8.1).
    InvalidUtf8,
    /// A compressed message cannot be inflated (RFC 7692 §7.2.2).
    InvalidDeflate,
    /// A binary message came where only text is understood.
    BinaryNotText,
    /// A message is longer than the configured bound.
    MessageTooBig,
}

impl ProtocolError {
    /// The close code that answers this error (RFC 6455 §7.4.1).
    pub fn close_code(self) -> CloseCode {
        match self {
            Self::ReservedBits
            | Self::ReservedOpcode
            | Self::Unmasked
            | Self::NonMinimalLength
            | Self::LengthOverflow
            | Self::FragmentedControl
            | Self::OversizedControl
            | Self::UnexpectedContinuation
            | Self::UnfinishedMessage
            | Self::TruncatedCloseCode
            | Self::InvalidCloseCode => CloseCode::Protocol,
            Self::InvalidCloseReason | Self::InvalidUtf8 | Self::InvalidDeflate => {
                CloseCode::InvalidPayload
            }
            Self::BinaryNotText => CloseCode::Unsupported,
            Self::MessageTooBig => CloseCode::TooBig,
        }
    }
}

impl ProtocolError {
    /// The broken rule in words, as the log and the close frame show it.
    pub fn words(self) -> &'static str {
        match self {
            Self::ReservedBits => "a reserved bit is set",
            Self::ReservedOpcode => "the opcode is reserved",
            Self::Unmasked => "the frame is not masked",
            Self::NonMinimalLength => "the length is not in its shortest form",
            Self::LengthOverflow => "the length exceeds 63 bits",
            Self::FragmentedControl => "the control frame is fragmented",
            Self::OversizedControl => "the control frame exceeds 125 bytes",
            Self::UnexpectedContinuation => "the continuation continues nothing",
            Self::UnfinishedMessage => "a message began inside another",
            Self::TruncatedCloseCode => "the close code is one byte",
            Self::InvalidCloseCode => "the close code must not be sent",
            Self::InvalidCloseReason => "the close reason is not UTF-8",
            Self::InvalidUtf8 => "the text is not UTF-8",
            Self::InvalidDeflate => "the compressed data is invalid",
            Self::BinaryNotText => "the binary message is not text",
            Self::MessageTooBig => "the message is larger than --max-message",
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl std::error::Error for ProtocolError {}

/// The most words that fit beside a code, in bytes (RFC 6455 §5.5).
pub const CLOSE_WORDS_MAX: usize = CONTROL_PAYLOAD_MAX - 2;

/// A close frame with a code and the reason in words, which are cut at [`CLOSE_WORDS_MAX`].
pub fn encode_close(code: CloseCode, words: &'static str) -> Vec<u8> {
    let mut payload = (code as u16).to_be_bytes().to_vec();
    payload.extend(words.bytes().take(CLOSE_WORDS_MAX));
    let mut bytes = Vec::new();
    frame::encode_frame(Opcode::Close, &payload, &mut bytes);
    bytes
}

/// The answer to a peer's close frame: its own code, if it gave one (RFC 6455 §5.5.1).
pub fn encode_answer(code: Option<u16>) -> Vec<u8> {
    let mut bytes = Vec::new();
    match code {
        Some(code) => frame::encode_frame(Opcode::Close, &code.to_be_bytes(), &mut bytes),
        None => frame::encode_frame(Opcode::Close, b"", &mut bytes),
    }
    bytes
}

/// Whether `code` may appear in a close frame (RFC 6455 §7.4 and the IANA registry of close codes).
///
/// 1004 is reserved, 1005, 1006 and 1015 stand for what was never sent; 1016 to 2999 are not assigned.
pub fn is_valid_on_wire(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Reads a close frame's payload: the peer's code, or `None` where it gave none (RFC 6455 §5.5.1).
///
/// # Errors
/// A payload of one byte, a code that must not travel, a reason that is not UTF-8.
pub fn decode_close(payload: &[u8]) -> Result<Option<u16>, ProtocolError> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() {
            Ok(None)
        } else {
            Err(ProtocolError::TruncatedCloseCode)
        };
    };
    let code = u16::from_be_bytes(*code);
    if !is_valid_on_wire(code) {
        return Err(ProtocolError::InvalidCloseCode);
    }
    if std::str::from_utf8(reason).is_err() {
        return Err(ProtocolError::InvalidCloseReason);
    }
    Ok(Some(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_with_a_meaning_on_the_wire_is_valid_on_wire() {
        let refused = [
            0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
        ];
        let accepted = [
            1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999,
            4000, 4999,
        ];
        for code in refused {
            assert!(!is_valid_on_wire(code), "{code}");
            assert_eq!(
                decode_close(&u16::to_be_bytes(code)),
                Err(ProtocolError::InvalidCloseCode)
            );
        }
        for code in accepted {
            assert!(is_valid_on_wire(code), "{code}");
            assert_eq!(decode_close(&u16::to_be_bytes(code)), Ok(Some(code)));
        }
    }

    #[test]
    fn a_close_without_payload_has_no_code_and_one_byte_is_refused() {
        assert_eq!(decode_close(b""), Ok(None));
        assert_eq!(
            decode_close(b"\x03"),
            Err(ProtocolError::TruncatedCloseCode)
        );
    }

    #[test]
    fn a_reason_must_be_utf8() {
        assert_eq!(decode_close(b"\x03\xe8gr\xc3\xbcn"), Ok(Some(1000)));
        assert_eq!(
            decode_close(b"\x03\xe8gr\xfcn"),
            Err(ProtocolError::InvalidCloseReason)
        );
    }

    #[test]
    fn every_code_this_server_sends_is_valid_on_wire() {
        for code in [
            CloseCode::Normal,
            CloseCode::GoingAway,
            CloseCode::Protocol,
            CloseCode::Unsupported,
            CloseCode::InvalidPayload,
            CloseCode::Policy,
            CloseCode::TooBig,
            CloseCode::Restart,
            CloseCode::TryAgainLater,
        ] {
            assert!(is_valid_on_wire(code as u16), "{code:?}");
        }
    }
}
