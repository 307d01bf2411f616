//! Why the broker is away, in words for the log.

use std::borrow::Cow;
use std::fmt;

use super::scanner::BadReply;

/// The longest reason that is shown, in bytes.
const REASON_MAX: usize = 200;

/// Why a connection is no longer used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lost {
    reason: Cow<'static, str>,
    /// A reply was too large: the next one should be asked to be smaller.
    pub(super) is_too_large: bool,
}

impl Lost {
    pub(super) fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reason: reason.into(),
            is_too_large: false,
        }
    }

    pub(super) fn unexpected() -> Self {
        Self::new("a reply is not the one that was asked for")
    }

    /// An error reply.
    pub(super) fn error(error: &[u8]) -> Self {
        Self::new(format!("the broker answers: {}", shown(error)))
    }

    /// An error reply to a login. What follows its first word may repeat the password.
    pub(super) fn login(error: &[u8]) -> Self {
        let code = shown(Self::code(error));
        Self::new(format!(
            "the broker refuses user, password or database: {code}"
        ))
    }

    /// The first word of an error reply.
    pub(super) fn code(error: &[u8]) -> &[u8] {
        error.split(|byte| *byte == b' ').next().unwrap_or_default()
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl From<BadReply> for Lost {
    fn from(bad: BadReply) -> Self {
        Self {
            reason: bad.to_string().into(),
            is_too_large: bad == BadReply::TooLarge,
        }
    }
}

/// The beginning of a text, as far as a terminal may show it.
fn shown(text: &[u8]) -> String {
    let text = text.get(..REASON_MAX).unwrap_or(text);
    text.escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_short_and_can_be_shown() {
        let shown = |error: &[u8]| Lost::error(error).to_string();
        assert_eq!(
            shown(b"LOADING a\x1b[1m"),
            "the broker answers: LOADING a\\x1b[1m"
        );
        assert_eq!(shown(&[b'x'; REASON_MAX + 1]).len(), REASON_MAX + 20);
    }

    #[test]
    fn a_refused_login_does_not_repeat_the_password() {
        let error = b"ERR unknown command 'AUTH', with args beginning with: 'hunter2'";
        let lost = Lost::login(error).to_string();
        assert_eq!(lost, "the broker refuses user, password or database: ERR");
    }
}
