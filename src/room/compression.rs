//! Which batches are compressed, and by what.

use crate::observe::CompressionCounts;
use crate::ws::deflate::Deflater;

/// The compressor that all rooms share, and how it is used.
#[derive(Debug)]
pub struct Compression {
    /// The compressor itself.
    pub deflater: Deflater,
    len_min: usize,
    /// How many bytes were compressed, and to how many.
    pub counts: CompressionCounts,
}

impl Compression {
    /// Compression at a level from 1 to 9, of texts of at least `len_min` bytes.
    pub fn new(level: u32, len_min: usize) -> Self {
        Self {
            deflater: Deflater::new(level),
            len_min,
            counts: CompressionCounts::default(),
        }
    }

    /// The text compressed; `None` where it is too short, or does not become shorter.
    pub(super) fn deflate(&mut self, text: &[u8]) -> Option<&[u8]> {
        if text.len() < self.len_min {
            return None;
        }
        let deflated = self.deflater.deflate(text);
        if deflated.len() >= text.len() {
            return None;
        }
        self.counts.input_len += text.len() as u64;
        self.counts.output_len += deflated.len() as u64;
        Some(deflated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_or_does_not_shrink_is_not_compressed() {
        let mut compression = Compression::new(6, 20);
        assert_eq!(compression.deflate(&[b'x'; 19]), None);
        assert!(compression.deflate(&[b'x'; 20]).is_some());
        let input_len = compression.counts.input_len;
        assert_eq!(input_len, 20);
        assert!(compression.counts.output_len < 10);
        let noise: Vec<u8> = (0..=255).collect();
        assert_eq!(compression.deflate(&noise), None);
        assert_eq!(compression.counts.input_len, input_len);
    }
}
