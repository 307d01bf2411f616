//! Where the broker is, and who asks there: `redis://USER:PASSWORD@HOST:PORT/DB`.
//!
//! No error shows any of the text: what was meant as the password may stand anywhere in it.

use std::fmt;
use std::net::Ipv6Addr;

use super::secret::Secret;
use super::setting::HIDDEN;
use crate::percent;

const SCHEME: &str = "redis://";
/// Where brokers listen if nothing else is said.
const DEFAULT_PORT: u16 = 6379;
/// The longest name of a host, in bytes (RFC 1035 §2.3.4).
const HOST_LEN_MAX: usize = 253;

/// The address of a broker. It is shown without its user and password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerUrl {
    /// A name or an address; an IPv6 address without its brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// None for the broker's default user.
    pub user: Option<String>,
    /// None where the broker asks for none.
    pub password: Option<Secret>,
    /// The number of the database.
    pub db: u32,
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Reads `redis://[USER:PASSWORD@]HOST[:PORT][/DB]`.
pub(super) fn parse_broker_url(text: &str) -> Result<BrokerUrl, String> {
    let (credentials, addr, db) = split(text)?;
    let (user, password) = credentials.map_or(Ok((None, None)), parse_credentials)?;
    let (host, port) = parse_host_port(addr)?;
    Ok(BrokerUrl {
        host,
        port,
        user,
        password,
        db: db.map_or(Ok(0), parse_db)?,
    })
}

/// The same text with what hides the password in its place.
pub(super) fn without_password(text: &str) -> String {
    let credentials = match split(text) {
        Ok((Some(credentials), ..)) => credentials,
        Ok((None, ..)) => return text.to_owned(),
        Err(_) => return HIDDEN.to_owned(),
    };
    let user = credentials.split(':').next().unwrap_or_default();
    let rest = text.rsplit('@').next().unwrap_or_default();
    format!("{SCHEME}{user}:{HIDDEN}@{rest}")
}

/// Whether a text is what [`without_password`] made.
pub(super) fn is_without_password(text: &str) -> bool {
    text == HIDDEN || text.contains(&format!(":{HIDDEN}@"))
}

/// The credentials, the address, the database, as they are written.
type Parts<'a> = (Option<&'a str>, &'a str, Option<&'a str>);

fn split(text: &str) -> Result<Parts<'_>, String> {
    let Some(rest) = text.strip_prefix(SCHEME) else {
        return Err(match text.starts_with("rediss://") {
            true => "TLS to the broker is not supported; use redis:// over a private network or a tunnel".to_owned(),
            false => "write it redis://USER:PASSWORD@HOST:PORT/DB, of which only redis://HOST is needed".to_owned(),
        });
    };
    let encode = "in the user and the password, write each of / ? # @ : percent-encoded, as in %2F";
    if rest.contains(['?', '#']) || rest.matches('@').count() > 1 {
        return Err(format!("it has no parameters; {encode}"));
    }
    let (credentials, place) = match rest.split_once('@') {
        Some((credentials, place)) => (Some(credentials), place),
        None => (None, rest),
    };
    if credentials.is_some_and(|credentials| credentials.contains('/')) {
        return Err(encode.to_owned());
    }
    let (addr, db) = match place.split_once('/') {
        Some((addr, db)) => (addr, Some(db)),
        None => (place, None),
    };
    Ok((credentials, addr, db.filter(|db| !db.is_empty())))
}

fn parse_credentials(text: &str) -> Result<(Option<String>, Option<Secret>), String> {
    let Some((user, password)) = text.split_once(':') else {
        return Err(
            "before the @ stands USER:PASSWORD, or :PASSWORD for the default user".to_owned(),
        );
    };
    if password.is_empty() {
        return Err("the password is empty; leave out what stands before the host, with the @, to send none".to_owned());
    }
    if password.contains(':') {
        return Err("in the user and the password, write : as %3A".to_owned());
    }
    let decode = |text| {
        percent::decode(text).ok_or("in the user and the password, a % begins two digits, as in %25 for %, and the bytes are UTF-8")
    };
    let (user, password) = (decode(user)?, decode(password)?);
    let user = Some(user.into_owned()).filter(|user| !user.is_empty());
    Ok((user, Some(Secret::from(&*password))))
}

fn parse_host_port(addr: &str) -> Result<(String, u16), String> {
    let (host, port) = match addr.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (addr, None),
    };
    let host = match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(host) if host.parse::<Ipv6Addr>().is_ok() => host,
        None if host.contains(':') => {
            return Err("an IPv6 address stands in brackets, as in redis://[::1]:6379".to_owned());
        }
        None if is_name(host) => host,
        _ => return Err("the host is neither a name nor an address".to_owned()),
    };
    let port = port.map_or(Some(DEFAULT_PORT), |port| {
        let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
        port.parse().ok().filter(|&port| is_number && port > 0)
    });
    match port {
        Some(port) => Ok((host.to_owned(), port)),
        None => Err("the port must be a number from 1 to 65535".to_owned()),
    }
}

fn is_name(host: &str) -> bool {
    (1..=HOST_LEN_MAX).contains(&host.len())
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

fn parse_db(text: &str) -> Result<u32, String> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let db = text.parse().ok().filter(|_| is_number);
    db.ok_or_else(|| {
        "the database behind the host must be a number, as in redis://HOST/0".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (String, Option<String>, Option<String>, u32) {
        let url = parse_broker_url(text).expect(text);
        let password = url.password.as_ref();
        let password = password.map(|it| String::from_utf8(it.bytes().to_vec()).expect("UTF-8"));
        (url.to_string(), url.user, password, url.db)
    }

    #[test]
    fn a_broker_has_a_host_and_perhaps_a_port_credentials_and_a_database() {
        for (text, addr, user, password, db) in [
            ("redis://a", "a:6379", None, None, 0),
            ("redis://a/", "a:6379", None, None, 0),
            ("redis://a.b-c_d:1/15", "a.b-c_d:1", None, None, 15),
            ("redis://127.0.0.1:65535", "127.0.0.1:65535", None, None, 0),
            ("redis://[::1]", "[::1]:6379", None, None, 0),
            (
                "redis://[2001:db8::1]:7/1",
                "[2001:db8::1]:7",
                None,
                None,
                1,
            ),
            ("redis://:p@a", "a:6379", None, Some("p"), 0),
            ("redis://u:p@[::1]:1/2", "[::1]:1", Some("u"), Some("p"), 2),
            (
                "redis://u%3A:%40%2f%25%3a@a",
                "a:6379",
                Some("u:"),
                Some("@/%:"),
                0,
            ),
            (
                "redis://%C3%BC:p+%20@a",
                "a:6379",
                Some("\u{fc}"),
                Some("p+ "),
                0,
            ),
        ] {
            let expected = (
                addr.to_owned(),
                user.map(Into::into),
                password.map(Into::into),
                db,
            );
            assert_eq!(parsed(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_of_a_broker_is_refused_in_words_that_show_nothing_of_it() {
        for (text, words) in [
            ("", "write it redis://"),
            ("geheim", "write it redis://"),
            ("geheim:6379", "write it redis://"),
            ("Redis://geheim", "write it redis://"),
            ("unix:///geheim", "write it redis://"),
            ("rediss://geheim:geheim@geheim", "TLS to the broker"),
            ("redis://", "neither a name nor an address"),
            ("redis:///geheim", "neither a name nor an address"),
            ("redis://:6379", "neither a name nor an address"),
            ("redis://ge heim", "neither a name nor an address"),
            ("redis://geheim\n", "neither a name nor an address"),
            ("redis://[geheim]", "neither a name nor an address"),
            ("redis://[1.2.3.4]", "neither a name nor an address"),
            ("redis://[::1]geheim", "in brackets"),
            ("redis://::1", "in brackets"),
            ("redis://::1:6379", "in brackets"),
            ("redis://geheim:", "from 1 to 65535"),
            ("redis://geheim:0", "from 1 to 65535"),
            ("redis://geheim:+1", "from 1 to 65535"),
            ("redis://geheim:65536", "from 1 to 65535"),
            ("redis://user:geheim", "from 1 to 65535"),
            ("redis://a/geheim", "the database"),
            ("redis://a/-1", "the database"),
            ("redis://a/+1", "the database"),
            ("redis://a/1/", "the database"),
            ("redis://a/4294967296", "the database"),
            ("redis://@a", "stands USER:PASSWORD"),
            ("redis://geheim@a", "stands USER:PASSWORD"),
            ("redis://:@a", "the password is empty"),
            ("redis://geheim:@a", "the password is empty"),
            ("redis://u:geheim:geheim@a", "%3A"),
            ("redis://u:geh/eim@a", "percent-encoded"),
            ("redis://u:geh@eim@a", "percent-encoded"),
            ("redis://u:geh?eim@a", "percent-encoded"),
            ("redis://u:geh#eim@a", "percent-encoded"),
            ("redis://a?db=geheim", "no parameters"),
            ("redis://u:geheim%@a", "%25"),
            ("redis://u:geheim%4@a", "%25"),
            ("redis://%zz:geheim@a", "%25"),
            ("redis://u:geheim%ff@a", "UTF-8"),
        ] {
            let line = parse_broker_url(text).expect_err(text);
            assert!(line.contains(words), "{text:?}: {line}");
            assert!(!line.contains("geh") && !line.contains("eim"), "{line}");
            assert_eq!(line.lines().count(), 1, "{line}");
        }
    }

    #[test]
    fn a_host_name_has_a_bound() {
        let url = |len| format!("redis://{}", "x".repeat(len));
        assert!(parse_broker_url(&url(HOST_LEN_MAX)).is_ok());
        assert!(parse_broker_url(&url(HOST_LEN_MAX + 1)).is_err());
    }

    #[test]
    fn the_password_is_hidden_and_nothing_else() {
        for (text, shown) in [
            ("redis://a:1/2", "redis://a:1/2"),
            ("redis://u:geheim@a:1/2", "redis://u:***@a:1/2"),
            ("redis://:geheim@[::1]", "redis://:***@[::1]"),
            ("redis://u:geh@eim@a", "***"),
            ("geheim", "***"),
        ] {
            assert_eq!(without_password(text), shown);
            assert_eq!(is_without_password(shown), shown != text, "{shown}");
        }
        let url = parse_broker_url("redis://u:geheim@a").expect("it is good");
        assert!(!format!("{url} {url:?}").contains("geheim"));
    }
}
