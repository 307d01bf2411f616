//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455 §9.1). No extension is spoken here, so that whatever is
//! offered well is declined; what breaks the grammar fails the handshake.

/// Whether the lines of the field are a list of at least one extension, each with its parameters.
///
/// ```
/// use fanfare::ws::extensions::is_valid;
/// assert!(is_valid([&b"permessage-deflate; client_max_window_bits"[..], b"x; a=\"b\""]));
/// assert!(!is_valid([&b"permessage-deflate; =15"[..]]));
/// ```
pub fn is_valid<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> bool {
    let mut count = 0;
    for line in lines {
        let mut rest = Rest(line);
        loop {
            rest.skip_spaces();
            // Empty members of a list count as nothing (RFC 9110 §5.6.1).
            if !rest.take_byte(b',') && !rest.0.is_empty() {
                if !rest.take_extension() {
                    return false;
                }
                count += 1;
            }
            if rest.0.is_empty() {
                break;
            }
        }
    }
    count > 0
}

/// What has not been looked at yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    /// Takes `token *( ";" parameter )`; the next member, or the end, has to follow.
    fn take_extension(&mut self) -> bool {
        if !self.take_token() {
            return false;
        }
        self.skip_spaces();
        while self.take_byte(b';') {
            self.skip_spaces();
            if !self.take_parameter() {
                return false;
            }
            self.skip_spaces();
        }
        self.0.is_empty() || self.0.starts_with(b",")
    }

    /// Takes `token [ "=" ( token | quoted-string ) ]`.
    fn take_parameter(&mut self) -> bool {
        if !self.take_token() {
            return false;
        }
        self.skip_spaces();
        if !self.take_byte(b'=') {
            return true;
        }
        self.skip_spaces();
        self.take_token() || self.take_quoted_token()
    }

    fn take_token(&mut self) -> bool {
        let is_other = |&byte: &u8| !is_token_byte(byte);
        let len = self.0.iter().position(is_other).unwrap_or(self.0.len());
        self.0 = self.0.split_at(len).1;
        len > 0
    }

    /// Takes a quoted string whose content, without its escapes, is a token.
    fn take_quoted_token(&mut self) -> bool {
        let mut len = 0;
        if !self.take_byte(b'"') {
            return false;
        }
        while !self.take_byte(b'"') {
            // The byte behind a backslash stands for itself.
            self.take_byte(b'\\');
            match self.0.split_first() {
                Some((&byte, rest)) if is_token_byte(byte) => self.0 = rest,
                _ => return false,
            }
            len += 1;
        }
        len > 0
    }

    fn take_byte(&mut self, byte: u8) -> bool {
        match self.0.split_first() {
            Some((&first, rest)) if first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    fn skip_spaces(&mut self) {
        while self.take_byte(b' ') || self.take_byte(b'\t') {}
    }
}

/// Whether a byte may stand in a token (RFC 9110 §5.6.2).
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_extensions_with_parameters_are_valid() {
        for line in [
            "foo",
            "foo; bar",
            "foo;bar=1;baz=\"2\"",
            "foo; bar = 1",
            "foo; bar=\"a\\b\"",
            "foo, bar;x, foo",
            ", foo ,, bar ,",
            " foo\t;\tbar ",
            "permessage-deflate; client_max_window_bits; server_max_window_bits=10",
            "x-webkit-deflate-frame",
        ] {
            assert!(is_valid([line.as_bytes()]), "{line}");
        }
        assert!(is_valid([&b"foo"[..], b"bar; x"]));
        assert!(is_valid([&b""[..], b"bar"]));
    }

    #[test]
    fn what_breaks_the_grammar_is_not_valid() {
        for line in [
            "",
            " ",
            ",",
            ";",
            "foo;",
            "foo;;bar",
            "foo; =1",
            "foo; bar=",
            "foo; bar=,",
            "foo; bar=\"\"",
            "foo; bar=\"a",
            "foo; bar=\"a b\"",
            "foo; bar=\"a\\",
            "foo; bar=\"a\"b",
            "foo bar",
            "foo=1",
            "f@o",
            "\"foo\"",
            "foo, b(r",
        ] {
            assert!(!is_valid([line.as_bytes()]), "{line}");
        }
        assert!(!is_valid([&b"foo"[..], b"b@r"]));
        assert!(!is_valid([]));
    }
}
