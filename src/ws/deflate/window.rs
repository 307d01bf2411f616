//! How far back a peer can look while it inflates.

/// The size of a peer's window: `server_max_window_bits` (RFC 7692 §7.1.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window(u8);

impl Window {
    /// The largest one, which a peer has that names none. Compressed data never look back further.
    pub const MAX: Self = Self(15);
    /// The smallest one.
    pub const MIN: Self = Self(8);

    /// A window of 2 to the power of `bits` bytes, if there may be such a one.
    pub fn new(bits: u8) -> Option<Self> {
        (Self::MIN.0..=Self::MAX.0)
            .contains(&bits)
            .then_some(Self(bits))
    }

    /// The exponent.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// How many bytes a peer with it can look back.
    pub fn reach(self) -> usize {
        1 << self.0
    }

    /// Whether a peer can inflate any compressed form of a text of this length: nothing looks back beyond its
    /// beginning.
    #[inline]
    pub fn fits(self, text_len: usize) -> bool {
        self == Self::MAX || text_len <= self.reach()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_from_256_to_32768_bytes() {
        assert_eq!((Window::new(7), Window::new(16)), (None, None));
        assert_eq!(Window::new(8), Some(Window::MIN));
        assert_eq!(Window::new(15), Some(Window::MAX));
        assert!(Window::MIN.fits(256) && !Window::MIN.fits(257));
        assert!(Window(14).fits(16_384) && !Window(14).fits(16_385));
        assert!(Window::MAX.fits(usize::MAX));
    }
}
