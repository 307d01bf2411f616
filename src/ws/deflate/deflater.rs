//! The one compressor.

use flate2::{Compress, Compression, FlushCompress};

use super::{FLUSH_END, Window};

/// The form of an empty message (RFC 7692 §7.2.3.6).
const EMPTY: &[u8] = &[0x00];
/// A scratch buffer that grew beyond this is not kept.
const SCRATCH_KEPT_MAX: usize = 512 * 1024;

/// Compresses messages, each by itself. Its memory, about 300 KiB, is taken when the first message comes.
#[derive(Debug)]
pub struct Deflater {
    level: u32,
    state: Option<Compress>,
    out: Vec<u8>,
}

impl Deflater {
    /// A compressor of a level from 1, the fastest, to 9.
    pub fn new(level: u32) -> Self {
        Self {
            level,
            state: None,
            out: Vec::new(),
        }
    }

    /// The payload of the compressed message (RFC 7692 §7.2.1), which may be longer than `text`.
    pub fn deflate(&mut self, text: &[u8]) -> &[u8] {
        self.deflate_within(Window::MAX, text)
    }

    /// The same for a peer with such a window. A longer text is compressed in pieces of that length, each by itself:
    /// nothing then looks back farther.
    pub fn deflate_within(&mut self, window: Window, text: &[u8]) -> &[u8] {
        if text.is_empty() {
            return EMPTY;
        }
        let (piece_len, flush) = match window.fits(text.len()) {
            true => (text.len(), FlushCompress::Sync),
            // After a full flush no byte before it is found again.
            false => (window.reach(), FlushCompress::Full),
        };
        let level = Compression::new(self.level);
        let state = self
            .state
            .get_or_insert_with(|| Compress::new(level, false));
        state.reset();
        self.out.clear();
        self.out.shrink_to(SCRATCH_KEPT_MAX);
        self.out.reserve(text.len() / 2 + 64);
        for piece in text.chunks(piece_len) {
            push_deflated(state, piece, flush, &mut self.out);
        }
        self.out.strip_suffix(FLUSH_END).unwrap_or(&self.out)
    }
}

/// Appends what a piece becomes, up to the end of the flush.
fn push_deflated(state: &mut Compress, piece: &[u8], flush: FlushCompress, out: &mut Vec<u8>) {
    let mut rest = piece;
    loop {
        if out.len() == out.capacity() {
            out.reserve(out.len());
        }
        let before = state.total_in();
        // In this mode it fails only where no progress is possible, which room in the buffer is.
        let _ = state.compress_vec(rest, out, flush);
        let taken = usize::try_from(state.total_in() - before).unwrap_or(rest.len());
        rest = rest.get(taken..).unwrap_or_default();
        // All is out when the buffer is not full.
        if out.len() < out.capacity() {
            return;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use flate2::{Decompress, FlushDecompress};

    use super::*;

    /// The text of a compressed message, of at most so many bytes (RFC 7692 §7.2.2).
    pub(crate) fn inflate(deflated: &[u8], len_max: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(len_max + 1);
        let input = [deflated, FLUSH_END].concat();
        let mut state = Decompress::new(false);
        let inflated = state.decompress_vec(&input, &mut out, FlushDecompress::Sync);
        inflated.expect("good data");
        assert_eq!(state.total_in(), input.len() as u64);
        out
    }

    #[test]
    fn a_message_is_the_data_of_a_sync_flush_without_its_end() {
        let mut deflater = Deflater::new(6);
        for _ in 0..2 {
            // RFC 7692 §7.2.3.1, and again: nothing is left of the first.
            assert_eq!(deflater.deflate(b"Hello"), b"\xf2\x48\xcd\xc9\xc9\x07\x00");
            assert_eq!(deflater.deflate(b""), b"\x00");
        }
    }

    #[test]
    fn in_a_small_window_nothing_is_found_again_that_lies_before_it() {
        let mut deflater = Deflater::new(6);
        let text: Vec<u8> = (0..=255).cycle().take(3_000).collect();
        let all = deflater.deflate(&text).len();
        for bits in [8, 9, 11] {
            let window = Window::new(bits).expect("there is such a one");
            let within = deflater.deflate_within(window, &text).to_vec();
            assert!(inflate(&within, text.len()) == text, "{bits}");
            assert!(within.len() > all, "{bits}");
            let pieces = text.chunks(1 << bits).map(|piece| {
                let piece = deflater.deflate(piece);
                [piece, FLUSH_END].concat()
            });
            let pieces = pieces.collect::<Vec<_>>().concat();
            assert_eq!(Some(&within[..]), pieces.strip_suffix(FLUSH_END), "{bits}");
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes there")]
    fn what_was_deflated_is_the_same_when_inflated() {
        let mut state = 1_u64;
        let mut noise = |_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        };
        for level in [1, 3, 6, 9] {
            let mut deflater = Deflater::new(level);
            for len in [1, 63, 64, 65, 1_000, 65_536, 300_000] {
                for text in [vec![b'x'; len], (0..len).map(&mut noise).collect()] {
                    let deflated = deflater.deflate(&text).to_vec();
                    assert!(inflate(&deflated, len) == text, "{level} {len}");
                }
            }
        }
    }
}
