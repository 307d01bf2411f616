//! RFC 6455's rules for frame headers, said once more and in another way.

/// Whether the first bytes break a rule of RFC 6455 §5.2 to §5.5 for frames of a client.
pub fn is_forbidden(input: &[u8]) -> bool {
    let byte = |at: usize| input.get(at).copied();
    let number = |len: usize| {
        input
            .get(2..2 + len)
            .map(|bytes| bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
    };
    let first = byte(0).unwrap_or(0x81);
    let second = byte(1).unwrap_or(0x80);
    let is_control = first & 0x08 != 0;
    first & 0x70 != 0
        || matches!(first & 0x0f, 3..=7 | 11..=15)
        || second & 0x80 == 0
        || (is_control && (first & 0x80 == 0 || second & 0x7f > 125))
        || (second & 0x7f == 126 && number(2).is_some_and(|len| len < 126))
        || (second & 0x7f == 127 && number(8).is_some_and(|len| len < 0x1_0000 || len >> 63 == 1))
}
