//! Room names: the last part of a path.

/// The longest name, in bytes.
pub const NAME_LEN_MAX: usize = 64;

/// Whether a room may have this name: 1 to 64 of RFC 3986's unreserved characters, and not one of the two
/// names by which a path means another (RFC 3986 §5.2.4). The empty name is the default room's.
pub fn is_valid(name: &str) -> bool {
    name.len() <= NAME_LEN_MAX
        && !matches!(name, "." | "..")
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'~' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unreserved_characters() {
        let longest = "x".repeat(NAME_LEN_MAX);
        for name in ["", "lobby", "a", "A.b_c~d-9", "...", ".a", &longest] {
            assert!(is_valid(name), "{name}");
        }
        let longer = "x".repeat(NAME_LEN_MAX + 1);
        for name in [
            ".", "..", "a/b", "a b", "%41", "a%20", "\u{e9}", "a:b", "a\n", &longer,
        ] {
            assert!(!is_valid(name), "{name}");
        }
    }
}
