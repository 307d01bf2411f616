//! Numbers in the bytes of a peer, read strictly: digits, no sign but where one may be, no leading zeros.

/// A number without a sign.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    match digits {
        [] | [b'0', _, ..] => None,
        _ => digits.iter().try_fold(0_u64, |number, digit| {
            let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
            number.checked_mul(10)?.checked_add(digit)
        }),
    }
}

/// A number that may be negative.
pub(super) fn signed(digits: &[u8]) -> Option<i64> {
    match digits {
        [b'-', magnitude @ ..] => {
            let magnitude = number(magnitude).filter(|magnitude| *magnitude > 0)?;
            0_i64.checked_sub_unsigned(magnitude)
        }
        _ => number(digits)?.try_into().ok(),
    }
}

/// Splits at the first occurrence of a byte.
pub(super) fn split_once(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = memchr::memchr(at, bytes)?;
    let (before, rest) = bytes.split_at_checked(place)?;
    Some((before, rest.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits_without_leading_zeros() {
        for (digits, expected) in [
            ("0", Some(0)),
            ("10", Some(10)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("", None),
            ("00", None),
            ("01", None),
            ("+1", None),
            ("1 ", None),
            ("-1", None),
        ] {
            assert_eq!(number(digits.as_bytes()), expected, "{digits}");
        }
        for (digits, expected) in [
            ("-9223372036854775808", Some(i64::MIN)),
            ("-9223372036854775809", None),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("-0", None),
            ("-", None),
            ("--1", None),
        ] {
            assert_eq!(signed(digits.as_bytes()), expected, "{digits}");
        }
    }

    #[test]
    fn a_text_is_split_at_the_first_of_several() {
        assert_eq!(split_once(b"a b c", b' '), Some((&b"a"[..], &b"b c"[..])));
        assert_eq!(split_once(b"a ", b' '), Some((&b"a"[..], &b""[..])));
        assert_eq!(split_once(b"a", b' '), None);
    }
}
