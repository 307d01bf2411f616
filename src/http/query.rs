//! The query of a target: parameters by name (RFC 3986 §3.4 and §2.1).
//!
//! A parameter is looked at only when it is asked for. So what a resource does not know cannot break a request, and
//! nothing is decoded twice.

use std::borrow::Cow;

use super::status::Refusal;
use crate::percent::decode;

/// The most digits of a number. A 64-bit one has no more.
const DIGITS_MAX: usize = 20;

/// What stands behind the `?` of a target.
///
/// ```
/// # fn main() -> Result<(), fanfare::http::status::Refusal> {
/// use fanfare::http::Query;
///
/// let query = Query::new("last=20&lines=1&token=a%2Bb");
/// assert_eq!(query.number("last")?, Some(20));
/// assert_eq!(query.switch("lines")?, Some(true));
/// assert_eq!(query.text("token")?.as_deref(), Some("a+b"));
/// assert_eq!(query.text("since")?, None);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Query<'a> {
    raw: &'a str,
}

impl<'a> Query<'a> {
    /// The parameters of a query as it was sent, without its `?`.
    pub fn new(raw: &'a str) -> Self {
        Self { raw }
    }

    /// The value of a parameter, percent-decoded; empty where it has none. Of a repeated parameter the first counts.
    ///
    /// A `+` is itself: that it stands for a space is a rule of forms alone.
    ///
    /// # Errors
    /// `400` where a `%` is not followed by two hexadecimal digits, or what comes out is not UTF-8.
    pub fn text(self, name: &str) -> Result<Option<Cow<'a, str>>, Refusal> {
        // As it mostly is; only the empty name is in it.
        if self.raw.is_empty() && !name.is_empty() {
            return Ok(None);
        }
        let found = self
            .raw
            .split('&')
            .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
            .find(|(sent, _)| is_called(sent, name));
        match found {
            None => Ok(None),
            Some((_, value)) => decode(value).map(Some).ok_or(Refusal::MalformedQuery),
        }
    }

    /// The value of a parameter that is a number; one above `u64::MAX` counts as that.
    ///
    /// # Errors
    /// `400` for anything but 1 to 20 digits.
    pub fn number(self, name: &str) -> Result<Option<u64>, Refusal> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let digits = text.as_bytes();
        let is_number =
            (1..=DIGITS_MAX).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
        if !is_number {
            return Err(Refusal::MalformedQuery);
        }
        // What digits alone can break is the range.
        Ok(Some(text.parse().unwrap_or(u64::MAX)))
    }

    /// The value of a parameter that is `0` or `1`.
    ///
    /// # Errors
    /// `400` for anything else.
    pub fn switch(self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.text(name)?.as_deref() {
            None => Ok(None),
            Some("0") => Ok(Some(false)),
            Some("1") => Ok(Some(true)),
            Some(_) => Err(Refusal::MalformedQuery),
        }
    }
}

/// Whether a name as it was sent is `name`. One that cannot be decoded is no name that is asked for.
fn is_called(sent: &str, name: &str) -> bool {
    decode(sent).is_some_and(|decoded| decoded == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MALFORMED: Refusal = Refusal::MalformedQuery;

    fn text(raw: &str, name: &str) -> Result<Option<String>, Refusal> {
        let value = Query::new(raw).text(name)?;
        Ok(value.map(Cow::into_owned))
    }

    #[test]
    fn a_parameter_is_found_by_its_name_and_the_first_counts() {
        for (raw, value) in [
            ("", None),
            ("a=1", Some("1")),
            ("a=1&a=2", Some("1")),
            ("a&a=2", Some("")),
            ("a=&a=2", Some("")),
            ("b=1&a=2", Some("2")),
            ("&&a=2&", Some("2")),
            ("a=1=2", Some("1=2")),
            ("a==", Some("=")),
            ("a=?/:@", Some("?/:@")),
            ("=a", None),
            ("A=1", None),
            ("aa=1", None),
            ("a =1", None),
            ("b=a=1", None),
            ("a;b=1", None),
            ("%61=1", Some("1")),
            ("%61=1&a=2", Some("1")),
            ("a=2&%61=1", Some("2")),
        ] {
            assert_eq!(text(raw, "a"), Ok(value.map(str::to_owned)), "{raw}");
        }
        assert_eq!(text("%3D=1&%26=2", "="), Ok(Some("1".into())));
        assert_eq!(text("%3D=1&%26=2", "&"), Ok(Some("2".into())));
        // A name that is asked for is not decoded.
        assert_eq!(text("%41=1", "%41"), Ok(None));
        assert_eq!(text("%2541=1", "%41"), Ok(Some("1".into())));
    }

    #[test]
    fn values_are_percent_decoded_once_and_a_plus_is_a_plus() {
        for (raw, value) in [
            ("a=%41", "A"),
            ("a=%c3%a4%C3%A4", "ää"),
            ("a=ä%c3%a4", "ää"),
            ("a=x%20y", "x y"),
            ("a=x+y", "x+y"),
            ("a=x%2By", "x+y"),
            ("a=%2541", "%41"),
            ("a=%26b%3D1", "&b=1"),
            ("a=%00%7f", "\0\u{7f}"),
            ("a=%f0%9f%8e%ba", "🎺"),
        ] {
            assert_eq!(text(raw, "a"), Ok(Some(value.into())), "{raw}");
        }
        assert!(matches!(
            Query::new("a=b").text("a"),
            Ok(Some(Cow::Borrowed("b")))
        ));
    }

    #[test]
    fn a_malformed_value_is_refused_where_it_is_asked_for() {
        for raw in [
            "a=%",
            "a=%4",
            "a=%4g",
            "a=%g4",
            "a=%%41",
            "a=%+1",
            "a=% 1",
            "a=%ä",
            "a=x%",
            "a=%41%4",
            "a=%4&b",
            "a=%ff",
            "a=%c3",
            "a=%c3x",
            "a=%c0%80",
            "a=%ed%a0%80",
            "a=%f5%80%80%80",
        ] {
            assert_eq!(text(raw, "a"), Err(MALFORMED), "{raw}");
            assert_eq!(Query::new(raw).number("a"), Err(MALFORMED), "{raw}");
            assert_eq!(Query::new(raw).switch("a"), Err(MALFORMED), "{raw}");
            assert_eq!(text(raw, "z"), Ok(None), "{raw}");
            let second = format!("a=1&{raw}");
            assert_eq!(text(&second, "a"), Ok(Some("1".into())), "{raw}");
        }
        assert_eq!(text("%6=1&a=2&%ff=3", "a"), Ok(Some("2".into())));
    }

    #[test]
    fn a_number_is_1_to_20_digits_and_saturates() {
        for (raw, number) in [
            ("n=0", 0),
            ("n=1", 1),
            ("n=007", 7),
            ("n=%31%32", 12),
            ("n=00000000000000000001", 1),
            ("n=18446744073709551614", u64::MAX - 1),
            ("n=18446744073709551615", u64::MAX),
            ("n=18446744073709551616", u64::MAX),
            ("n=99999999999999999999", u64::MAX),
        ] {
            assert_eq!(Query::new(raw).number("n"), Ok(Some(number)), "{raw}");
        }
        assert_eq!(Query::new("m=1").number("n"), Ok(None));
        for raw in [
            "n",
            "n=",
            "n=+1",
            "n=-1",
            "n= 1",
            "n=1 ",
            "n=1.0",
            "n=0x1",
            "n=1e3",
            "n=a",
            "n=1,000",
            "n=%2B1",
            "n=٣",
            "n=%00",
            "n=000000000000000000001",
            "n=184467440737095516150",
        ] {
            assert_eq!(Query::new(raw).number("n"), Err(MALFORMED), "{raw}");
        }
    }

    #[test]
    fn a_switch_is_0_or_1() {
        let switch = |raw| Query::new(raw).switch("s");
        assert_eq!(switch("s=0"), Ok(Some(false)));
        assert_eq!(switch("s=1"), Ok(Some(true)));
        assert_eq!(switch("s=%31&s=x"), Ok(Some(true)));
        assert_eq!(switch("t=1"), Ok(None));
        for raw in [
            "s", "s=", "s=2", "s=00", "s=01", "s=10", "s=true", "s=on", "s= 1", "s=1=1",
        ] {
            assert_eq!(switch(raw), Err(MALFORMED), "{raw}");
        }
    }

    #[test]
    fn a_query_cut_anywhere_has_the_values_that_are_left() {
        let raw = "since=k3v9-41&token=%c3%a4";
        for cut in 0..=raw.len() {
            let (part, _) = raw.split_at(cut);
            let since = match cut {
                0..=4 => None,
                5 => Some(""),
                6..=13 => part.get(6..),
                _ => Some("k3v9-41"),
            };
            assert_eq!(text(part, "since"), Ok(since.map(str::to_owned)), "{cut}");
            let token = match cut {
                0..=18 => Ok(None),
                19 | 20 => Ok(Some(String::new())),
                26 => Ok(Some("ä".to_owned())),
                _ => Err(MALFORMED),
            };
            assert_eq!(text(part, "token"), token, "{cut}");
        }
    }
}
