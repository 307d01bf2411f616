//! The floor's compressor: one for all, with fanfare's own settings, so that both send the same bytes.

use fanfare::config::Config;
use flate2::{Compress, Compression, FlushCompress};

use super::super::wire::{HEADER_MAX, RSV1, TEXT};
use super::room::put_header;

/// Of the end of a sync flush, which a message leaves out.
const FLUSH_END_LEN: usize = 4;

pub(super) struct Deflater {
    state: Compress,
    len_min: usize,
    /// Of the last text, behind room for a header.
    frame: Vec<u8>,
}

impl Deflater {
    pub(super) fn new() -> Self {
        let settings = Config::default().compression;
        Self {
            state: Compress::new(Compression::new(settings.deflate_level), false),
            len_min: settings.deflate_min,
            frame: Vec::new(),
        }
    }

    /// The frame of a text; `None` where it is short or does not shrink.
    pub(super) fn frame(&mut self, text: &[u8]) -> Option<&[u8]> {
        if text.len() < self.len_min {
            return None;
        }
        self.state.reset();
        self.frame.clear();
        self.frame.resize(HEADER_MAX, 0);
        // What does not fit does not shrink.
        self.frame.reserve(text.len() + FLUSH_END_LEN);
        let flush = FlushCompress::Sync;
        self.state.compress_vec(text, &mut self.frame, flush).ok()?;
        let end = self.frame.len() - FLUSH_END_LEN;
        (end - HEADER_MAX < text.len()).then(|| put_header(RSV1 | TEXT, &mut self.frame[..end]))
    }
}
