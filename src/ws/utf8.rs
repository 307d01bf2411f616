//! UTF-8 that arrives in pieces (RFC 6455 §8.1, RFC 3629).
//!
//! The first bad byte is refused when it arrives, even where it stands in the middle of a character
//! whose first bytes came long before. Only the bytes of a character cut in two are held, at most three.
//! Whole pieces are validated by `simdutf8`, which is ten times as fast as the standard library where a
//! text of a hundred bytes or more is not ASCII (`cargo bench --bench frame -- validate`).

use std::str;

use simdutf8::compat;

/// The bytes are not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidUtf8;

/// Decodes a stream of bytes into text, piece by piece.
#[derive(Debug, Default, Clone)]
pub struct Decoder {
    /// The first bytes of a character that is not whole yet.
    pending: [u8; 4],
    pending_len: usize,
}

impl Decoder {
    /// Appends the text in `input` to `text`; a character cut off at the end waits for the next call.
    ///
    /// # Errors
    /// `input` holds a byte that no UTF-8 text can have at that place. What follows is then undefined.
    pub fn push(&mut self, input: &[u8], text: &mut String) -> Result<(), InvalidUtf8> {
        let input = self.complete_pending(input, text)?;
        match compat::from_utf8(input) {
            Ok(whole) => text.push_str(whole),
            Err(error) => {
                if error.error_len().is_some() {
                    return Err(InvalidUtf8);
                }
                let (valid, cut) = input.split_at(error.valid_up_to());
                text.push_str(compat::from_utf8(valid).map_err(|_| InvalidUtf8)?);
                for &byte in cut {
                    self.hold(byte);
                }
            }
        }
        Ok(())
    }

    /// The bytes held of a character that is not whole yet, at most three.
    pub fn pending_len(&self) -> usize {
        self.pending_len
    }

    /// Whether the text may end here: no character is cut in two.
    pub fn is_complete(&self) -> bool {
        self.pending_len == 0
    }

    /// Feeds the character that is not whole yet, byte by byte, and returns what is left of `input`.
    fn complete_pending<'a>(
        &mut self,
        mut input: &'a [u8],
        text: &mut String,
    ) -> Result<&'a [u8], InvalidUtf8> {
        while self.pending_len > 0
            && let Some((&byte, rest)) = input.split_first()
        {
            input = rest;
            let pending = self.hold(byte);
            match str::from_utf8(pending) {
                Ok(character) => {
                    text.push_str(character);
                    self.pending_len = 0;
                }
                // None: still a beginning of a valid character.
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(InvalidUtf8),
            }
        }
        Ok(input)
    }

    /// Appends a byte to the unfinished character; a valid beginning has at most three, so a fourth fits.
    fn hold(&mut self, byte: u8) -> &[u8] {
        if let Some(place) = self.pending.get_mut(self.pending_len) {
            *place = byte;
            self.pending_len += 1;
        }
        self.pending.get(..self.pending_len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `input` in pieces cut at `cuts`; returns the text, or the number of pieces accepted.
    fn decode(pieces: &[&[u8]]) -> Result<String, usize> {
        let mut decoder = Decoder::default();
        let mut text = String::new();
        for (i, piece) in pieces.iter().enumerate() {
            decoder.push(piece, &mut text).map_err(|_| i)?;
        }
        if decoder.is_complete() {
            Ok(text)
        } else {
            Err(pieces.len())
        }
    }

    const VALID: [&str; 6] = [
        "",
        "Hello",
        "κόσμε",
        "\u{10ffff}\u{0}\u{7ff}",
        "añ€😀",
        "\u{feff}x",
    ];

    const INVALID: [&[u8]; 12] = [
        b"\x80",
        b"\xc0\xaf",
        b"\xc1\xbf",
        b"\xe0\x80\xaf",
        b"\xed\xa0\x80",
        b"\xf0\x80\x80\xaf",
        b"\xf4\x90\x80\x80",
        b"\xf5",
        b"\xff",
        b"ab\xce\xbazz\xfe",
        b"\xe2\x28\xa1",
        b"\xf0\x9f\x98x",
    ];

    #[test]
    fn valid_text_is_the_same_whole_split_anywhere_and_byte_by_byte() {
        for text in VALID {
            let bytes = text.as_bytes();
            assert_eq!(decode(&[bytes]).as_deref(), Ok(text));
            for cut in 0..=bytes.len() {
                let (head, tail) = bytes.split_at(cut);
                assert_eq!(decode(&[head, tail]).as_deref(), Ok(text), "cut at {cut}");
            }
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(decode(&single).as_deref(), Ok(text));
        }
    }

    #[test]
    fn invalid_text_is_refused_at_its_first_bad_byte_however_it_is_cut() {
        for bytes in INVALID {
            let bad = first_bad_byte(bytes);
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(decode(&single), Err(bad), "{bytes:x?}");
            for cut in 0..=bytes.len() {
                let (head, tail) = bytes.split_at(cut);
                let expected = if bad < cut { 0 } else { 1 };
                assert_eq!(
                    decode(&[head, tail]),
                    Err(expected),
                    "{bytes:x?} cut at {cut}"
                );
            }
        }
    }

    #[test]
    fn text_that_ends_inside_a_character_is_not_complete() {
        for bytes in [&b"\xce"[..], b"a\xe2\x82", b"\xf0\x9f\x98"] {
            assert_eq!(decode(&[bytes]), Err(1), "{bytes:x?}");
        }
    }

    /// The place of the byte after which no continuation can make `bytes` valid.
    fn first_bad_byte(bytes: &[u8]) -> usize {
        (0..bytes.len())
            .find(|&i| {
                matches!(str::from_utf8(&bytes[..=i]), Err(error) if error.error_len().is_some())
            })
            .expect("the sample is invalid")
    }
}
