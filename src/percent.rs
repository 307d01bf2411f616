//! Percent-encoding (RFC 3986 §2.1), as queries and the URLs of settings use it.

use std::borrow::Cow;

/// Decodes a text. None where a `%` does not begin two digits, or where the result is not UTF-8. A `+` is a plus.
pub fn decode(text: &str) -> Option<Cow<'_, str>> {
    let Some((plain, _)) = text.split_once('%') else {
        return Some(Cow::Borrowed(text));
    };
    let mut decoded = Vec::with_capacity(text.len());
    decoded.extend_from_slice(plain.as_bytes());
    let mut rest = text.bytes().skip(plain.len());
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'%' => hex_digit(rest.next()?)? << 4 | hex_digit(rest.next()?)?,
            _ => byte,
        });
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

/// The value of a hexadecimal digit, of either case.
pub fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}
