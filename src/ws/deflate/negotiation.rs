//! Which offer of the extension is accepted, and the answer to it (RFC 7692 §5.1, §7.1).

use super::Window;
use crate::ws::extensions::{self, Extension, Value};

/// The name of the extension. Like those of its parameters it is compared byte for byte: the RFCs call them
/// tokens and say nothing of their case, browsers write them so and take no other answer.
const NAME: &str = "permessage-deflate";
const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

/// What was agreed upon: messages may be compressed, each by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreement {
    /// How far back the peer can look.
    pub window: Window,
    /// Whether the peer asked for it; only then may the answer name it (§7.1.2.1).
    names_window: bool,
}

/// Accepts the first offer, in the lines of `Sec-WebSocket-Extensions`, that is as it should be.
///
/// An offer with a parameter that is unknown, that comes twice or whose value is not a legal one is declined
/// (§7.1), and the next one is looked at. Nothing behind a break of the grammar is accepted.
///
/// ```
/// use fanfare::ws::deflate::negotiate;
/// let offers = b"permessage-deflate; server_max_window_bits=7, permessage-deflate; server_max_window_bits=10";
/// let agreement = negotiate([&offers[..]]).expect("the second one is good");
/// assert_eq!(agreement.window.bits(), 10);
/// ```
pub fn negotiate<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Option<Agreement> {
    extensions::extensions(lines)
        .map_while(Result::ok)
        .filter(|extension| extension.name == NAME.as_bytes())
        .find_map(|offer| accept(&offer))
}

impl Agreement {
    /// Appends the value of the answer's `Sec-WebSocket-Extensions`.
    ///
    /// No side keeps a window, offered or not (§7.1.1). `client_max_window_bits` is never answered: all peers may
    /// use the largest window, since one inflater serves them all.
    pub fn push_to(&self, answer: &mut Vec<u8>) {
        for word in [
            NAME,
            "; ",
            SERVER_NO_CONTEXT_TAKEOVER,
            "; ",
            CLIENT_NO_CONTEXT_TAKEOVER,
        ] {
            answer.extend_from_slice(word.as_bytes());
        }
        if self.names_window {
            let parameter = format!("; {SERVER_MAX_WINDOW_BITS}={}", self.window.bits());
            answer.extend_from_slice(parameter.as_bytes());
        }
    }
}

fn accept(offer: &Extension<'_>) -> Option<Agreement> {
    let mut server_window = None;
    let mut client_window = None;
    let mut server_takeover = None;
    let mut client_takeover = None;
    for parameter in offer.parameters() {
        let name = std::str::from_utf8(parameter.name).ok()?;
        match (name, parameter.value) {
            (SERVER_NO_CONTEXT_TAKEOVER, None) => set_once(&mut server_takeover, ())?,
            (CLIENT_NO_CONTEXT_TAKEOVER, None) => set_once(&mut client_takeover, ())?,
            (SERVER_MAX_WINDOW_BITS, Some(value)) => set_once(&mut server_window, window(value)?)?,
            (CLIENT_MAX_WINDOW_BITS, None) => set_once(&mut client_window, Window::MAX)?,
            (CLIENT_MAX_WINDOW_BITS, Some(value)) => set_once(&mut client_window, window(value)?)?,
            _ => return None,
        }
    }
    Some(Agreement {
        window: server_window.unwrap_or(Window::MAX),
        names_window: server_window.is_some(),
    })
}

/// `None` where the parameter came before.
fn set_once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

/// A number from 8 to 15, without leading zeros (§7.1.2).
fn window(value: Value<'_>) -> Option<Window> {
    let mut bytes = value.bytes();
    let bits = match (bytes.next()?, bytes.next(), bytes.next()) {
        (digit @ b'0'..=b'9', None, _) => digit - b'0',
        (b'1', Some(digit @ b'0'..=b'9'), None) => 10 + digit - b'0',
        _ => return None,
    };
    Window::new(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parameters of the answer behind the two that always stand there; `None` where nothing fits.
    fn answer(lines: &[&str]) -> Option<String> {
        let agreement = negotiate(lines.iter().map(|line| line.as_bytes()))?;
        let mut answer = Vec::new();
        agreement.push_to(&mut answer);
        let answer = String::from_utf8(answer).expect("it is ASCII");
        let begin = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        let rest = answer.strip_prefix(begin).expect("no side keeps a window");
        assert_eq!(agreement.names_window, !rest.is_empty());
        Some(rest.to_owned())
    }

    /// One offer by its parameters, and the bits of the window that it gets.
    fn bits(parameters: &str) -> Option<u8> {
        let line = format!("permessage-deflate{parameters}");
        negotiate([line.as_bytes()]).map(|agreement| agreement.window.bits())
    }

    #[test]
    fn a_browsers_offer_is_accepted() {
        let line = "permessage-deflate; client_max_window_bits";
        assert_eq!(answer(&[line]).as_deref(), Some(""));
    }

    #[test]
    fn the_window_is_named_only_where_the_offer_names_it() {
        for (parameters, named) in [
            ("", ""),
            ("; client_max_window_bits=9", ""),
            ("; server_max_window_bits=8", "; server_max_window_bits=8"),
            ("; server_max_window_bits=15", "; server_max_window_bits=15"),
        ] {
            let line = format!("permessage-deflate{parameters}");
            assert_eq!(answer(&[&line]).as_deref(), Some(named), "{parameters}");
        }
    }

    /// A good offer's parameters, the bits of the window it gets, and the parameters of one a step away that is
    /// declined.
    const RULES: &str = r#"
                                                    | 15 | ; unknown
        ; server_no_context_takeover                | 15 | ; server_no_context_takeover=1
        ; server_no_context_takeover                | 15 | ; Server_no_context_takeover
        ; server_no_context_takeover                | 15 | ; server_no_context_takeover; server_no_context_takeover
        ; client_no_context_takeover                | 15 | ; client_no_context_takeover=true
        ; client_no_context_takeover                | 15 | ; client_no_context_takeover; client_no_context_takeover
        ; server_max_window_bits=8                  | 8  | ; server_max_window_bits=7
        ; server_max_window_bits=9                  | 9  | ; server_max_window_bits=09
        ; server_max_window_bits=10                 | 10 | ; server_max_window_bits=1
        ; server_max_window_bits=15                 | 15 | ; server_max_window_bits=16
        ; server_max_window_bits=15                 | 15 | ; server_max_window_bits=150
        ; server_max_window_bits=15                 | 15 | ; server_max_window_bits=15a
        ; server_max_window_bits=15                 | 15 | ; server_max_window_bits=+15
        ; server_max_window_bits=12                 | 12 | ; server_max_window_bits=99999999999999999999
        ; server_max_window_bits=12                 | 12 | ; server_max_window_bits
        ; server_max_window_bits=12                 | 12 | ; server_max_window_bits=12; server_max_window_bits=12
        ; server_max_window_bits="11"               | 11 | ; server_max_window_bits="16"
        ; server_max_window_bits="\1\1"             | 11 | ; server_max_window_bits="\1\1\1"
        ; client_max_window_bits=8                  | 15 | ; client_max_window_bits=7
        ; client_max_window_bits=15                 | 15 | ; client_max_window_bits=16
        ; client_max_window_bits                    | 15 | ; client_max_window_bits=0
        ; client_max_window_bits                    | 15 | ; client_max_window_bits; client_max_window_bits=15
        ; client_max_window_bits; server_max_window_bits=9 | 9 | ; client_max_window_bits; server_max_window_bits
    "#;

    #[test]
    fn each_rule_declines_an_offer_and_accepts_its_neighbour() {
        let rules = RULES.lines().filter(|line| !line.trim().is_empty());
        for rule in rules {
            let mut columns = rule.split('|').map(str::trim);
            let mut column = || columns.next().expect("a row has three columns");
            let accepted = column();
            let bits_of_it = column().parse().expect("a number");
            assert_eq!(bits(accepted), Some(bits_of_it), "{accepted}");
            assert_eq!(bits(column()), None, "{rule}");
        }
    }

    #[test]
    fn the_first_good_offer_wins_over_all_lines() {
        let good = "permessage-deflate; server_max_window_bits=9";
        let bad = "permessage-deflate; server_max_window_bits=99";
        let other = "x-webkit-deflate-frame; no_context_takeover";
        let second = "permessage-deflate; server_max_window_bits=10";
        for lines in [
            &[&format!("{good}, {second}")[..]][..],
            &[&format!("{bad}, {other}, {good}, {second}")],
            &[bad, other, good, second],
            &["", &format!(",, {other} ,{good}")],
        ] {
            assert_eq!(
                answer(lines).as_deref(),
                Some("; server_max_window_bits=9"),
                "{lines:?}"
            );
        }
        let hundred = vec![bad; 100].join(", ");
        assert_eq!(answer(&[&hundred]), None);
        assert!(answer(&[&hundred, good]).is_some());
        for lines in [
            &[][..],
            &[other],
            &["Permessage-Deflate"],
            &["a;, permessage-deflate"],
            &["a;", good],
        ] {
            assert_eq!(answer(lines), None, "{lines:?}");
        }
    }
}
