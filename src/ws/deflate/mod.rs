//! Compressed messages (permessage-deflate, RFC 7692), server role, without context takeover: every message stands
//! alone, so that no connection owns a compressor or a window, and one compressed form serves all readers.

mod deflater;
mod inflater;
mod negotiation;
#[cfg(test)]
mod tests;
mod window;

pub use deflater::Deflater;
#[cfg(test)]
pub(crate) use deflater::tests::inflate;
pub use inflater::{Inflater, deflated_max};
pub use negotiation::{Agreement, negotiate};
pub use window::Window;

/// What a sync flush ends with: an empty block without compression, whose length a message leaves out
/// (RFC 7692 §7.2.1).
const FLUSH_END: &[u8] = &[0x00, 0x00, 0xff, 0xff];
