//! Request bodies: [`BodyReader`] collects one, by its length or chunk by chunk (RFC 9112 §6 and §7.1).
//!
//! What a peer announces reserves nothing: memory grows with what came, up to the bound. What surrounds the chunks is
//! skipped and bounded as well, so that a body cannot be spun out for ever without reaching its own bound.

use std::mem;

use super::status::Refusal;
use crate::percent::hex_digit;

/// The most digits of a chunk's size. A 64-bit one has no more.
const SIZE_DIGITS_MAX: u8 = 16;
/// The longest line before a chunk, in bytes, with its extensions and its end.
pub const CHUNK_LINE_MAX: usize = 256;
/// How much may follow the last chunk, in bytes.
pub const TRAILERS_MAX: usize = 8 * 1024;
/// How much may surround chunks, in bytes, however little they hold.
pub const CHUNK_OVERHEAD_FREE: usize = 4 * 1024;
/// How much more may surround chunks, for each byte in them. Chunks of one byte need 5: `1`, two line ends.
pub const CHUNK_OVERHEAD_PER_BYTE: usize = 8;

/// How the end of a request's body is told (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    /// There is no body, or an empty one.
    None,
    /// It has so many bytes; `u64::MAX` stands for that and more.
    Known(u64),
    /// It comes in chunks, and the last one ends it.
    Chunked,
}

/// Collects one body that arrives in pieces.
#[derive(Debug)]
pub struct BodyReader {
    body: Vec<u8>,
    /// The most bytes that the body may have.
    max: usize,
    /// Bytes around the chunks so far, trailers aside.
    overhead_len: usize,
    /// Bytes of the current line around a chunk, or of all trailers.
    part_len: usize,
    place: Place,
}

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The body itself, without chunks.
    Plain { left: u64 },
    /// The size of a chunk.
    Size { size: u64, digits: u8 },
    /// White space between the size and its first extension.
    Blank { size: u64 },
    /// The extensions of a chunk, which mean nothing here.
    Extension { size: u64 },
    /// The line feed that ends the line of the size.
    SizeLineFeed { size: u64 },
    /// The chunk's data.
    Data { left: u64 },
    /// The line end behind the data.
    DataEnd,
    /// The line feed of that line end.
    DataLineFeed,
    /// The first byte of a trailer, or of the empty line that ends the body.
    TrailerStart,
    /// A trailer field, which means nothing here.
    Trailer,
    /// The line feed that ends a trailer.
    TrailerLineFeed,
    /// The line feed of the empty line.
    LastLineFeed,
    /// Nothing: the body has ended.
    End,
}

impl BodyReader {
    /// A reader of a body of at most `max` bytes.
    ///
    /// # Errors
    /// [`Refusal::BodyTooLarge`] for a length above `max`.
    pub fn new(length: BodyLength, max: usize) -> Result<Self, Refusal> {
        let (place, max) = match length {
            BodyLength::None => (Place::End, 0),
            BodyLength::Known(left) => match usize::try_from(left) {
                Ok(len) if len <= max => (Place::Plain { left }, len),
                _ => return Err(Refusal::BodyTooLarge),
            },
            BodyLength::Chunked => (Place::Size { size: 0, digits: 0 }, max),
        };
        Ok(Self {
            body: Vec::new(),
            max,
            overhead_len: 0,
            part_len: 0,
            place,
        })
    }

    /// Takes bytes from the front of `input`, up to the end of the body.
    ///
    /// `Ok(None)`: all of `input` is consumed and more is needed. Otherwise this is the whole body, decoded, and what
    /// stands behind it stays in `input`. A reader that has returned a body or an error is done with.
    ///
    /// # Errors
    /// [`Refusal::BodyTooLarge`] once the chunks announce more than the bound, [`Refusal::MalformedChunk`] for what
    /// RFC 9112 §7.1 does not describe (a bare line feed or carriage return among it),
    /// [`Refusal::ChunkOverhead`] beyond [`CHUNK_LINE_MAX`] for one line, [`TRAILERS_MAX`], or
    /// [`CHUNK_OVERHEAD_FREE`] and [`CHUNK_OVERHEAD_PER_BYTE`].
    pub fn next(&mut self, input: &mut &mut [u8]) -> Result<Option<Vec<u8>>, Refusal> {
        loop {
            self.place = match self.place {
                Place::End | Place::Plain { left: 0 } => {
                    return Ok(Some(mem::take(&mut self.body)));
                }
                _ if input.is_empty() => return Ok(None),
                Place::Plain { left } => Place::Plain {
                    left: self.take_data(left, input),
                },
                Place::Data { left } => match self.take_data(left, input) {
                    0 => Place::DataEnd,
                    left => Place::Data { left },
                },
                place => self.take_overhead(place, input)?,
            };
        }
    }

    /// How many bytes are known to come that belong to the body: so much may be read without reading past its end.
    pub fn left(&self) -> usize {
        match self.place {
            Place::Plain { left } | Place::Data { left } => {
                usize::try_from(left).unwrap_or(usize::MAX)
            }
            _ => 0,
        }
    }

    /// How much memory holds the part of the body that has come, in bytes. It never exceeds the bound.
    pub fn buffer_len(&self) -> usize {
        self.body.capacity()
    }

    /// Takes at most `left` bytes of the body; returns how many are left then.
    fn take_data(&mut self, left: u64, input: &mut &mut [u8]) -> u64 {
        let len = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
        let (taken, rest) = mem::take(input).split_at_mut(len);
        *input = rest;
        let body_len = self.body.len() + len;
        if body_len > self.body.capacity() {
            // Doubling alone could reserve nearly twice the bound.
            let capacity = (2 * self.body.capacity()).max(body_len).min(self.max);
            self.body.reserve_exact(capacity - self.body.len());
        }
        self.body.extend_from_slice(taken);
        left - len as u64
    }

    /// Takes what surrounds chunks, up to data or the end; returns the place that was reached.
    fn take_overhead(&mut self, from: Place, input: &mut &mut [u8]) -> Result<Place, Refusal> {
        let mut place = from;
        let mut len = 0;
        for &byte in input.iter() {
            len += 1;
            self.count_overhead(place, byte)?;
            place = place.after(byte).ok_or(Refusal::MalformedChunk)?;
            match place {
                Place::Data { left } if left > (self.max - self.body.len()) as u64 => {
                    return Err(Refusal::BodyTooLarge);
                }
                Place::Data { .. } | Place::End => break,
                _ => {}
            }
        }
        *input = mem::take(input).split_at_mut(len).1;
        Ok(place)
    }

    /// Counts one byte of what surrounds chunks.
    fn count_overhead(&mut self, place: Place, byte: u8) -> Result<(), Refusal> {
        self.part_len += 1;
        if place.is_trailer() {
            return match self.part_len > TRAILERS_MAX {
                true => Err(Refusal::ChunkOverhead),
                false => Ok(()),
            };
        }
        self.overhead_len += 1;
        let for_data = self.body.len().saturating_mul(CHUNK_OVERHEAD_PER_BYTE);
        let overhead_max = for_data.saturating_add(CHUNK_OVERHEAD_FREE);
        if self.part_len > CHUNK_LINE_MAX || self.overhead_len > overhead_max {
            return Err(Refusal::ChunkOverhead);
        }
        if byte == b'\n' {
            self.part_len = 0;
        }
        Ok(())
    }
}

impl Place {
    /// Where one more byte leads around chunks; `None` where it must not stand (RFC 9112 §7.1).
    fn after(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Size { digits: 1.., size }, b'\r') => Self::SizeLineFeed { size },
            (Self::Size { digits: 1.., size } | Self::Blank { size }, b' ' | b'\t') => {
                Self::Blank { size }
            }
            (Self::Size { digits: 1.., size } | Self::Blank { size }, b';') => {
                Self::Extension { size }
            }
            (Self::Size { size, digits }, _) if digits < SIZE_DIGITS_MAX => Self::Size {
                size: size << 4 | u64::from(hex_digit(byte)?),
                digits: digits + 1,
            },
            (Self::Extension { size }, b'\r') => Self::SizeLineFeed { size },
            // Not even in a quoted string may a line feed stand: others end the line there.
            (Self::Extension { .. }, b'\n') => return None,
            (Self::Extension { size }, _) => Self::Extension { size },
            (Self::SizeLineFeed { size: 0 }, b'\n') => Self::TrailerStart,
            (Self::SizeLineFeed { size }, b'\n') => Self::Data { left: size },
            (Self::DataEnd, b'\r') => Self::DataLineFeed,
            (Self::DataLineFeed, b'\n') => Self::Size { size: 0, digits: 0 },
            (Self::TrailerStart, b'\r') => Self::LastLineFeed,
            (Self::LastLineFeed, b'\n') => Self::End,
            (Self::Trailer, b'\r') => Self::TrailerLineFeed,
            (Self::TrailerLineFeed, b'\n') => Self::TrailerStart,
            (Self::TrailerStart | Self::Trailer, b'\n') => return None,
            (Self::TrailerStart | Self::Trailer, _) => Self::Trailer,
            _ => return None,
        })
    }

    /// Whether the last chunk has been seen.
    fn is_trailer(self) -> bool {
        matches!(
            self,
            Self::TrailerStart | Self::Trailer | Self::TrailerLineFeed | Self::LastLineFeed
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 64;
    const BEHIND: &[u8] = b"GET / HTTP/1.1\r\n";

    /// Feeds the pieces; returns the body and how many bytes stand behind it, or the refusal.
    fn read<'a>(
        length: BodyLength,
        max: usize,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Option<(Vec<u8>, usize)>, Refusal> {
        let mut reader = BodyReader::new(length, max)?;
        let mut body = None;
        let mut behind = 0;
        for piece in pieces {
            if body.is_some() {
                behind += piece.len();
                continue;
            }
            let mut piece = piece.to_vec();
            let mut input = &mut piece[..];
            body = reader.next(&mut input)?;
            assert!(reader.buffer_len() <= max);
            let left = match body {
                Some(_) => 0,
                None => reader.left(),
            };
            assert!(left <= max, "{left} bytes are left");
            assert!(
                body.is_some() || input.is_empty(),
                "what is needed is taken"
            );
            behind += input.len();
        }
        Ok(body.map(|body| (body, behind)))
    }

    fn read_every_way(
        length: BodyLength,
        max: usize,
        bytes: &[u8],
    ) -> Result<Option<(Vec<u8>, usize)>, Refusal> {
        let whole = read(length, max, [bytes]);
        assert_eq!(read(length, max, bytes.chunks(1)), whole, "byte by byte");
        for cut in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            assert_eq!(read(length, max, [head, tail]), whole, "cut at {cut}");
        }
        whole
    }

    fn read_chunks(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, Refusal> {
        read_every_way(BodyLength::Chunked, MAX, bytes)
    }

    #[test]
    fn a_body_of_known_length_ends_there() {
        for len in [0, 1, 5, MAX] {
            let body = vec![b'x'; len];
            let length = BodyLength::Known(len as u64);
            let bytes = [&body, BEHIND].concat();
            let expected = Ok(Some((body.clone(), BEHIND.len())));
            assert_eq!(read_every_way(length, MAX, &bytes), expected);
            if let Some((_, part)) = body.split_last() {
                assert_eq!(read_every_way(length, MAX, part), Ok(None));
            }
        }
        let none = read_every_way(BodyLength::None, MAX, BEHIND);
        assert_eq!(none, Ok(Some((vec![], BEHIND.len()))));
        assert_eq!(read(BodyLength::None, 0, [&b""[..]]), Ok(Some((vec![], 0))));
    }

    #[test]
    fn a_length_over_the_bound_is_refused_before_anything_came() {
        let refused = |length| BodyReader::new(length, MAX).err();
        assert_eq!(refused(BodyLength::Known(MAX as u64)), None);
        for len in [MAX as u64 + 1, u64::from(u32::MAX) + 1, u64::MAX] {
            let refusal = refused(BodyLength::Known(len));
            assert_eq!(refusal, Some(Refusal::BodyTooLarge), "{len}");
        }
        assert!(BodyReader::new(BodyLength::Known(0), 0).is_ok());
        assert!(BodyReader::new(BodyLength::Chunked, 0).is_ok());
    }

    #[test]
    fn chunks_are_decoded_and_what_surrounds_them_is_skipped() {
        for (bytes, body) in [
            (&b"0\r\n\r\n"[..], &b""[..]),
            (b"000\r\n\r\n", b""),
            (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
            (b"1\r\na\r\n02\r\nbc\r\n0\r\n\r\n", b"abc"),
            (
                b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
                b"01234567890123456789",
            ),
            (b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n"),
            (b"0000000000000001\r\na\r\n0000000000000000\r\n\r\n", b"a"),
            (b"1;a\r\nx\r\n0;b=c\r\n\r\n", b"x"),
            (b"1;\r\nx\r\n0\r\n\r\n", b"x"),
            (b"1 \t;a=\"b;\\\"\xff\" ; c\r\nx\r\n0 ;\r\n\r\n", b"x"),
            (b"1\r\nx\r\n0\r\nA: b\r\nContent-Length: 5\r\n\r\n", b"x"),
            (b"0\r\n0\r\n\r\n", b""),
        ] {
            let shown = bytes.escape_ascii().to_string();
            let all = [bytes, BEHIND].concat();
            let expected = Ok(Some((body.to_vec(), BEHIND.len())));
            assert_eq!(read_chunks(&all), expected, "{shown}");
            for end in 0..bytes.len() {
                let part = &bytes[..end];
                assert_eq!(
                    read(BodyLength::Chunked, MAX, [part]),
                    Ok(None),
                    "{shown} {end}"
                );
            }
        }
    }

    #[test]
    fn malformed_chunks_are_refused() {
        for bytes in [
            &b"\r\n"[..],
            b"\n",
            b" 1\r\n",
            b";a\r\n",
            b"g\r\n",
            b"-1\r\n",
            b"+1\r\n",
            b"0x1\r\n",
            b"1 \r\n",
            b"1 1\r\n",
            b"1,\r\n",
            b"1\n",
            b"1\ra",
            b"1\r\r\n",
            b"1;a\n",
            b"1;a\rb",
            b"1;\"\n\"\r\n",
            b"00000000000000001\r\n",
            b"10000000000000000\r\n",
            b"1\r\nab",
            b"1\r\na\n",
            b"1\r\na\r\r",
            b"1\r\na1",
            b"2\r\na\r\n\r\n1",
            b"1\r\na\r\n\r\n",
            b"0\n",
            b"0\r\n\n",
            b"0\r\n\ra",
            b"0\r\nA: b\n",
            b"0\r\nA: b\rc",
            b"0\r\nA: b\r\n\n",
        ] {
            let shown = bytes.escape_ascii();
            assert_eq!(read_chunks(bytes), Err(Refusal::MalformedChunk), "{shown}");
        }
    }

    #[test]
    fn chunks_may_reach_the_bound_and_not_pass_it() {
        let whole = |len: usize| format!("{len:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(len));
        let expected = Ok(Some((vec![b'x'; MAX], 0)));
        assert_eq!(read_chunks(whole(MAX).as_bytes()), expected);
        let over = Err(Refusal::BodyTooLarge);
        assert_eq!(read_chunks(whole(MAX + 1).as_bytes()), over);
        // Already the announcement is refused.
        assert_eq!(read_chunks(format!("{:x}\r\n", MAX + 1).as_bytes()), over);
        assert_eq!(read_chunks(b"ffffffffffffffff\r\n"), over);
        assert_eq!(read_chunks(format!("{:x}\r", MAX + 1).as_bytes()), Ok(None));
        let singles = |count| "1\r\nx\r\n".repeat(count);
        let end = "0\r\n\r\n";
        assert_eq!(read_chunks((singles(MAX) + end).as_bytes()), expected);
        assert_eq!(read_chunks(singles(MAX + 1).as_bytes()), over);
        let refused = read_every_way(BodyLength::Chunked, 0, b"1\r\n");
        assert_eq!(refused, Err(Refusal::BodyTooLarge));
    }

    #[test]
    fn a_line_before_a_chunk_and_the_trailers_are_bounded() {
        let line = |len: usize| format!("1;{}\r\nx\r\n", "e".repeat(len - 4));
        let trailers = |len: usize| format!("0\r\n{}\r\n\r\n", "t".repeat(len - 4));
        let read = |text: String| {
            let whole = read(BodyLength::Chunked, MAX, [text.as_bytes()]);
            let cut = read(BodyLength::Chunked, MAX, text.as_bytes().chunks(1));
            assert_eq!(cut, whole, "byte by byte");
            whole
        };
        let body = Ok(Some((vec![b'x'], 0)));
        assert_eq!(read(line(CHUNK_LINE_MAX) + &trailers(TRAILERS_MAX)), body);
        let refused = Err(Refusal::ChunkOverhead);
        assert_eq!(read(line(CHUNK_LINE_MAX + 1)), refused);
        assert_eq!(read(trailers(TRAILERS_MAX + 1)), refused);
        let short_lines = "t:\r\n".repeat(TRAILERS_MAX / 4);
        assert_eq!(read(format!("0\r\n{short_lines}\r\n")), refused);
    }

    #[test]
    fn what_surrounds_chunks_is_bounded_by_what_they_hold() {
        let read = |text: &str, max| read(BodyLength::Chunked, max, [text.as_bytes()]);
        // However small the chunks, extensions apart.
        let len = 10_000;
        let singles = "1\r\nx\r\n".repeat(len) + "0\r\n\r\n";
        assert_eq!(read(&singles, len), Ok(Some((vec![b'x'; len], 0))));
        let extended = format!("1;{}\r\nx\r\n", "e".repeat(96));
        // Of the 102 bytes around each, 8 are for its data; the rest comes off what is free.
        let few = CHUNK_OVERHEAD_FREE / 94;
        assert_eq!(read(&extended.repeat(few), len), Ok(None));
        let many = extended.repeat(few + 2);
        assert_eq!(read(&many, len), Err(Refusal::ChunkOverhead));
    }

    #[test]
    fn memory_grows_with_what_came_up_to_the_bound() {
        let mut reader = BodyReader::new(BodyLength::Known(1000), 1000).expect("within the bound");
        assert!(size_of_val(&reader) <= 80);
        assert_eq!(reader.buffer_len(), 0);
        for taken in 1..1000 {
            assert_eq!(reader.next(&mut &mut [b'x'][..]), Ok(None));
            assert!((taken..=2 * taken).contains(&reader.buffer_len()));
            assert!(reader.buffer_len() <= 1000);
        }
        let body = reader.next(&mut &mut [b'x'][..]);
        assert!(body.is_ok_and(|body| body.is_some_and(|body| body.capacity() == 1000)));
        let mut reader = BodyReader::new(BodyLength::Chunked, 1000).expect("a bound");
        assert_eq!(reader.next(&mut &mut b"".to_vec()[..]), Ok(None));
        assert_eq!(reader.next(&mut &mut b"3e8\r\n".to_vec()[..]), Ok(None));
        assert_eq!(reader.buffer_len(), 0);
    }
}
