//! The payload of a message that is not whole yet: checked and kept piece by piece, in memory that grows
//! with the bytes that came and hardly past the bound on messages.

use super::close::ProtocolError;
use super::utf8;

/// What has come of a message, unmasked.
#[derive(Debug)]
pub enum Payload {
    /// The valid text so far, and the beginning of a character that was cut.
    Text {
        /// Whole characters only.
        text: String,
        /// The state between two pieces.
        decoder: utf8::Decoder,
    },
    /// Any bytes.
    Binary(Vec<u8>),
}

impl Payload {
    /// The beginning of a text or of a binary message.
    pub fn new(is_text: bool) -> Self {
        if is_text {
            Self::Text {
                text: String::new(),
                decoder: utf8::Decoder::default(),
            }
        } else {
            Self::Binary(Vec::new())
        }
    }

    /// How many bytes have come.
    pub fn received_len(&self) -> usize {
        match self {
            Self::Text { text, decoder } => text.len() + decoder.pending_len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// The bytes held, as capacity.
    pub fn held_len(&self) -> usize {
        match self {
            Self::Text { text, .. } => text.capacity(),
            Self::Binary(bytes) => bytes.capacity(),
        }
    }

    /// Appends a piece. The caller has seen that all pieces together stay within `message_max` bytes.
    ///
    /// # Errors
    /// The piece makes the text invalid, whatever may follow.
    pub fn push(&mut self, piece: &[u8], message_max: usize) -> Result<(), ProtocolError> {
        match self {
            Self::Text { text, decoder } => {
                // The piece may complete a character of which up to three bytes wait.
                let growth = growth(text.len(), text.capacity(), piece.len() + 3, message_max);
                text.reserve_exact(growth);
                decoder
                    .push(piece, text)
                    .map_err(|_| ProtocolError::InvalidUtf8)
            }
            Self::Binary(bytes) => {
                push_bytes(bytes, piece, message_max);
                Ok(())
            }
        }
    }

    /// Whether the message may end here, rather than within a character.
    pub fn is_complete(&self) -> bool {
        match self {
            Self::Text { decoder, .. } => decoder.is_complete(),
            Self::Binary(_) => true,
        }
    }
}

/// Appends a piece to bytes that stay within `len_max`, and so does their capacity.
pub(super) fn push_bytes(bytes: &mut Vec<u8>, piece: &[u8], len_max: usize) {
    let growth = growth(bytes.len(), bytes.capacity(), piece.len(), len_max);
    bytes.reserve_exact(growth);
    bytes.extend_from_slice(piece);
}

/// How many bytes to reserve so that `more` fit: doubling, but never past `len_max` unless needed.
///
/// The standard growth would overshoot the bound by up to its double.
fn growth(len: usize, capacity: usize, more: usize, len_max: usize) -> usize {
    let needed = len + more;
    if needed <= capacity {
        return 0;
    }
    needed.max(len_max.min(2 * capacity)) - len
}
