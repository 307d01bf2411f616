//! Compressed messages as another implementation makes and reads them: `flate2`, one message at a time (RFC 7692).

#![allow(dead_code, reason = "each test uses a part of this module")]

use std::cell::RefCell;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use super::inflate::inflate;
use super::wire::{TEXT, frame};

/// The bit that marks a compressed message in its first frame (RFC 7692 §6).
pub(crate) const RSV1: u8 = 0x40;
/// The first byte of a compressed text in one frame.
pub(crate) const DEFLATED_TEXT: u8 = TEXT | RSV1;
/// The offer that browsers make.
pub(crate) const DEFLATE_OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate";
/// The largest window, in bits.
pub(crate) const WINDOW_MAX: u8 = 15;
/// What every compressed message leaves out at its end (RFC 7692 §7.2.1).
const FLUSH_END: &[u8] = b"\x00\x00\xff\xff";
/// The server's level by default.
const LEVEL: u32 = 3;

thread_local! {
    // Making one takes longer than most messages do.
    static COMPRESS: RefCell<Compress> = RefCell::new(Compress::new(Compression::new(LEVEL), false));
    static DECOMPRESS: RefCell<Decompress> = RefCell::new(Decompress::new(false));
}

/// The payload of a compressed message.
pub(crate) fn deflate(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 8 + 64);
    let flushed = COMPRESS.with_borrow_mut(|state| {
        state.reset();
        state.compress_vec(text, &mut out, FlushCompress::Sync)
    });
    flushed.expect("there is room");
    let payload = out.strip_suffix(FLUSH_END);
    payload.expect("a flush ends so").to_vec()
}

/// A client's compressed text in one frame.
pub(crate) fn deflated_text(text: &str) -> Vec<u8> {
    frame(DEFLATED_TEXT, &deflate(text.as_bytes()))
}

/// What a compressed message holds for a peer that looks back no further than a window of so many bits; `None` if it
/// cannot be inflated so.
pub(crate) fn try_inflate(payload: &[u8], window_bits: u8) -> Option<Vec<u8>> {
    let input = [payload, FLUSH_END].concat();
    let text = DECOMPRESS.with_borrow_mut(|state| inflate_all(&input, state))?;
    // It takes the largest window, whatever it is told.
    let fits = window_bits == WINDOW_MAX
        || inflate(&input, 1 << window_bits).is_some_and(|again| again == text);
    fits.then_some(text)
}

/// What whole data hold.
fn inflate_all(input: &[u8], state: &mut Decompress) -> Option<Vec<u8>> {
    state.reset(false);
    let mut text = Vec::new();
    loop {
        let mut piece = [0; 1024];
        let rest = input.get(usize::try_from(state.total_in()).ok()?..)?;
        let before = state.total_out();
        state
            .decompress(rest, &mut piece, FlushDecompress::Sync)
            .ok()?;
        let len = usize::try_from(state.total_out() - before).ok()?;
        text.extend(piece.iter().take(len));
        if len < piece.len() {
            break;
        }
    }
    (state.total_in() == input.len() as u64).then_some(text)
}

/// The text of a server's message: of one that is compressed, which it may be for a peer with a window.
pub(crate) fn text_of(first: u8, payload: Vec<u8>, window_bits: Option<u8>) -> String {
    let bytes = match (first, window_bits) {
        (TEXT, _) => payload,
        (DEFLATED_TEXT, Some(bits)) => {
            try_inflate(&payload, bits).expect("data that fit the window")
        }
        _ => unreachable!("a frame that begins with {first:#x}: {payload:?}"),
    };
    String::from_utf8(bytes).expect("text is UTF-8")
}

/// The window that an answer to a handshake agrees on, if it does.
pub(crate) fn agreed_window(extensions: Option<&str>) -> Option<u8> {
    let mut words = extensions?.split("; ");
    assert_eq!(words.next(), Some("permessage-deflate"));
    assert_eq!(words.next(), Some("server_no_context_takeover"));
    assert_eq!(words.next(), Some("client_no_context_takeover"));
    let bits = words.next().map_or(WINDOW_MAX, |word| {
        let bits = word.strip_prefix("server_max_window_bits=").expect(word);
        bits.parse().expect(word)
    });
    assert_eq!(words.next(), None);
    Some(bits)
}

/// The same by the whole head of the answer.
pub(crate) fn agreed_window_of(head: &str) -> Option<u8> {
    let field = |line: &'_ str| {
        line.strip_prefix("Sec-WebSocket-Extensions: ")
            .map(str::to_owned)
    };
    agreed_window(head.lines().find_map(field).as_deref())
}
