//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455 §9.1), whatever the extensions mean. What breaks it fails
//! the handshake.
//!
//! One parser walks it, extension by extension. It keeps no copy: the parameters are walked again by those who
//! want them.

/// An extension as it stands in the list: its name, and parameters that follow the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extension<'a> {
    /// The token before the parameters.
    pub name: &'a [u8],
    parameters: &'a [u8],
}

/// A parameter of an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// The token before the `=`, if there is one.
    pub name: &'a [u8],
    /// The value, if it has one.
    pub value: Option<Value<'a>>,
}

/// The value of a parameter: a token, which may have been sent in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value<'a>(&'a [u8]);

/// The list breaks the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// Whether the lines of the field are a list of at least one extension, each with its parameters.
///
/// ```
/// use fanfare::ws::extensions::is_valid;
/// assert!(is_valid([&b"permessage-deflate; client_max_window_bits"[..], b"x; a=\"b\""]));
/// assert!(!is_valid([&b"permessage-deflate; =15"[..]]));
/// ```
pub fn is_valid<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> bool {
    let mut extensions = extensions(lines).peekable();
    extensions.peek().is_some() && extensions.all(|extension| extension.is_ok())
}

/// The extensions in the lines of the field, in their order. What follows an error in its line is not looked at.
pub fn extensions<'a>(
    lines: impl IntoIterator<Item = &'a [u8]>,
) -> impl Iterator<Item = Result<Extension<'a>, Malformed>> {
    lines.into_iter().flat_map(|line| {
        let mut rest = Rest(line);
        std::iter::from_fn(move || {
            let extension = rest.take_member()?;
            if extension.is_none() {
                rest = Rest(&[]);
            }
            Some(extension.ok_or(Malformed))
        })
    })
}

impl<'a> Extension<'a> {
    /// The parameters, in their order.
    pub fn parameters(&self) -> impl Iterator<Item = Parameter<'a>> + use<'a> {
        let mut rest = Rest(self.parameters);
        std::iter::from_fn(move || rest.take_parameter())
    }
}

impl Value<'_> {
    /// The bytes of the token. No token has a backslash, so that each is an escape: the byte behind it stands for
    /// itself.
    pub fn bytes(&self) -> impl Iterator<Item = u8> {
        self.0.iter().copied().filter(|&byte| byte != b'\\')
    }
}

/// What has not been looked at yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    /// Takes the next extension of the list: `None` at its end, `Some(None)` where the grammar is broken.
    fn take_member(&mut self) -> Option<Option<Extension<'a>>> {
        // Empty members of a list count as nothing (RFC 9110 §5.6.1).
        self.skip_spaces();
        while self.take_byte(b',') {
            self.skip_spaces();
        }
        (!self.0.is_empty()).then(|| self.take_extension())
    }

    /// Takes `token *( ";" parameter )`; the next member, or the end, has to follow.
    fn take_extension(&mut self) -> Option<Extension<'a>> {
        let name = self.take_token()?;
        self.skip_spaces();
        let parameters = self.0;
        while self.0.starts_with(b";") {
            self.take_parameter()?;
        }
        let parameters = parameters.get(..parameters.len() - self.0.len())?;
        let is_whole = self.0.is_empty() || self.0.starts_with(b",");
        is_whole.then_some(Extension { name, parameters })
    }

    /// Takes `";" token [ "=" ( token | quoted-string ) ]` and the spaces behind it.
    fn take_parameter(&mut self) -> Option<Parameter<'a>> {
        if !self.take_byte(b';') {
            return None;
        }
        self.skip_spaces();
        let name = self.take_token()?;
        self.skip_spaces();
        let mut value = None;
        if self.take_byte(b'=') {
            self.skip_spaces();
            value = Some(match self.take_byte(b'"') {
                true => self.take_quoted()?,
                false => Value(self.take_token()?),
            });
            self.skip_spaces();
        }
        Some(Parameter { name, value })
    }

    fn take_token(&mut self) -> Option<&'a [u8]> {
        let is_other = |&byte: &u8| !is_token_byte(byte);
        let len = self.0.iter().position(is_other).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(len);
        self.0 = rest;
        (!token.is_empty()).then_some(token)
    }

    /// Takes what follows a quote, up to the next: without its escapes it has to be a token.
    fn take_quoted(&mut self) -> Option<Value<'a>> {
        let begin = self.0;
        while !self.0.starts_with(b"\"") {
            self.take_byte(b'\\');
            let (&byte, rest) = self.0.split_first()?;
            if !is_token_byte(byte) {
                return None;
            }
            self.0 = rest;
        }
        let quoted = begin.get(..begin.len() - self.0.len())?;
        self.take_byte(b'"');
        (!quoted.is_empty()).then_some(Value(quoted))
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

    #[test]
    fn names_and_values_are_told_without_quotes_and_escapes() {
        let told = |line: &'static str| {
            let mut told = Vec::new();
            for extension in extensions([line.as_bytes()]) {
                let Ok(extension) = extension else {
                    told.push(String::from("malformed"));
                    continue;
                };
                let mut words = String::from_utf8_lossy(extension.name).into_owned();
                for parameter in extension.parameters() {
                    words += &format!(" {}", String::from_utf8_lossy(parameter.name));
                    if let Some(value) = parameter.value {
                        let value = value.bytes().collect();
                        words += &format!("={}", String::from_utf8(value).expect("a token"));
                    }
                }
                told.push(words);
            }
            told
        };
        assert_eq!(told("a"), ["a"]);
        assert_eq!(told(",a ;b ; c = 1,, d;e=\"2\""), ["a b c=1", "d e=2"]);
        assert_eq!(told("a;b=\"\\1\\5\";b"), ["a b=15 b"]);
        assert_eq!(told("a, b;, c"), ["a", "malformed"]);
        assert_eq!(told(""), [""; 0]);
    }
}
