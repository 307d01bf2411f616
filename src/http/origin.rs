//! Which pages may use this server: the origin that a browser names for a page, against the host that was asked and
//! the list of origins (RFC 6455 §10.2, Fetch Metadata).
//!
//! Other programs than browsers name no origin, and are not kept out by it: tokens are for them.

use super::Request;
use super::status::Refusal;

/// How much of an origin or a host is shown in the log, in bytes.
const SHOWN_MAX: usize = 80;

/// What stands in a listed origin for one or more labels; the dot that follows it is the parent's.
const WILDCARD: char = '*';

/// Why a request may be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access<'a> {
    /// It comes from a page of this origin, which is listed: the page may read the answer.
    Listed(&'a [u8]),
    /// It comes from the server's own page, from the user, or from no browser.
    Own,
}

impl<'a> Access<'a> {
    /// The listed origin, whose pages may read the answer.
    pub fn listed_origin(self) -> Option<&'a [u8]> {
        match self {
            Self::Listed(origin) => Some(origin),
            Self::Own => None,
        }
    }
}

/// Decides whether a request may come from where it comes from.
///
/// An origin in `allowed_origins` may, without regard to case; `*` allows all, and `https://*.example.com` all whose host
/// has one or more labels before `example.com`, as in a content security policy. Otherwise the browser's own word
/// counts where it has one: `Sec-Fetch-Site`, which no page can set and no proxy that changes `Host` makes wrong. Else
/// the origin's host must be the host that was asked.
///
/// # Errors
/// [`Refusal::ForeignOrigin`] for pages of other origins, and for an `Origin` or `Sec-Fetch-Site` that is repeated.
pub fn check<'a, 'l>(
    request: &Request<'a>,
    allowed_origins: impl Iterator<Item = &'l str>,
) -> Result<Access<'a>, Refusal> {
    let origin = at_most_one(request, "origin")?;
    let site = at_most_one(request, "sec-fetch-site")?;
    if is_listed(origin, allowed_origins) {
        return Ok(origin.map_or(Access::Own, Access::Listed));
    }
    let is_own = match (site, origin) {
        (Some(site), _) => site == b"same-origin" || site == b"none",
        (None, Some(origin)) => is_same_host(origin, request.host()),
        (None, None) => true,
    };
    match is_own {
        true => Ok(Access::Own),
        false => Err(Refusal::ForeignOrigin),
    }
}

/// The origin of a request, if it is listed: for answers that any page would get, errors and preflights, which
/// pages of a listed origin may read.
pub fn find_listed<'a, 'l>(
    request: &Request<'a>,
    allowed_origins: impl Iterator<Item = &'l str>,
) -> Option<&'a [u8]> {
    request
        .only_value("origin")
        .filter(|origin| is_listed(Some(origin), allowed_origins))
}

/// What a refused origin and the host that was asked looked like, for the log.
pub fn describe(request: &Request<'_>) -> String {
    let shown = |bytes: &[u8]| {
        let part = bytes.get(..SHOWN_MAX).unwrap_or(bytes);
        part.escape_ascii().to_string()
    };
    let page = match (
        request.values("origin").next(),
        request.values("sec-fetch-site").next(),
    ) {
        (None, Some(site)) => format!("a page (Sec-Fetch-Site: {})", shown(site)),
        (origin, _) => format!("a page of origin \"{}\"", shown(origin.unwrap_or_default())),
    };
    format!(
        "{page} may not connect to host \"{}\" (--allow-origin)",
        shown(request.host())
    )
}

/// The value of a field that a browser sends once, if at all.
fn at_most_one<'a>(request: &Request<'a>, name: &str) -> Result<Option<&'a [u8]>, Refusal> {
    match request.values(name).count() {
        0 => Ok(None),
        _ => request
            .only_value(name)
            .map(Some)
            .ok_or(Refusal::ForeignOrigin),
    }
}

fn is_listed<'l>(
    origin: Option<&[u8]>,
    mut allowed_origins: impl Iterator<Item = &'l str>,
) -> bool {
    allowed_origins
        .any(|allowed| allowed == "*" || origin.is_some_and(|origin| is_meant(origin, allowed)))
}

/// Whether an entry of the list means this origin.
fn is_meant(origin: &[u8], allowed: &str) -> bool {
    let Some((scheme, parent)) = allowed.split_once(WILDCARD) else {
        return origin.eq_ignore_ascii_case(allowed.as_bytes());
    };
    let labels_len = origin.len().checked_sub(scheme.len() + parent.len());
    let Some((start, rest)) = origin.split_at_checked(scheme.len()) else {
        return false;
    };
    let Some((labels, end)) = labels_len.and_then(|len| rest.split_at_checked(len)) else {
        return false;
    };
    // Every label ends with the dot before the next one, the last with the dot that the parent begins with.
    let is_label = |label: &[u8]| {
        let is_name_byte = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
        !label.is_empty() && label.iter().all(is_name_byte)
    };
    start.eq_ignore_ascii_case(scheme.as_bytes())
        && end.eq_ignore_ascii_case(parent.as_bytes())
        && labels.split(|&byte| byte == b'.').all(is_label)
}

/// Whether `origin` (scheme, host, port) names `host`, where a scheme's default port may be left out.
fn is_same_host(origin: &[u8], host: &[u8]) -> bool {
    let origin = origin.to_ascii_lowercase();
    let host = host.to_ascii_lowercase();
    let (authority, default_port) = if let Some(authority) = origin.strip_prefix(b"http://") {
        (authority, &b":80"[..])
    } else if let Some(authority) = origin.strip_prefix(b"https://") {
        (authority, &b":443"[..])
    } else {
        return false;
    };
    let without_port = |name: &[u8]| name.strip_suffix(default_port).unwrap_or(name).to_vec();
    !host.is_empty() && without_port(authority) == without_port(&host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http;

    #[test]
    fn a_wildcard_stands_for_one_or_more_labels() {
        for (allowed, origin, is_expected) in [
            ("https://*.example.com", "https://a.example.com", true),
            ("https://*.example.com", "https://a.b.example.com", true),
            ("https://*.example.com", "HTTPS://A-1.Example.COM", true),
            (
                "https://*.example.com",
                "https://xn--bcher-kva.example.com",
                true,
            ),
            ("https://*.example.com", "https://example.com", false),
            ("https://*.example.com", "https://.example.com", false),
            ("https://*.example.com", "https://a..example.com", false),
            ("https://*.example.com", "https://.a.example.com", false),
            ("https://*.example.com", "https://evilexample.com", false),
            ("https://*.example.com", "https://a.evilexample.com", false),
            ("https://*.example.com", "https://a.example.com.evil", false),
            ("https://*.example.com", "https://a.example.com:8443", false),
            ("https://*.example.com", "https://a.example.com:443", false),
            ("https://*.example.com", "http://a.example.com", false),
            (
                "https://*.example.com",
                "https://evil.com/.example.com",
                false,
            ),
            (
                "https://*.example.com",
                "https://evil.com#.example.com",
                false,
            ),
            ("https://*.example.com", "https://me@a.example.com", false),
            ("https://*.example.com", "https://evil:1.example.com", false),
            ("https://*.example.com", "https://*.example.com", false),
            ("https://*.example.com", "https://", false),
            ("https://*.example.com", "", false),
            (
                "https://*.example.com:8443",
                "https://a.example.com:8443",
                true,
            ),
            ("https://*.example.com:8443", "https://a.example.com", false),
            (
                "https://*.example.com:8443",
                "https://a.example.com:18443",
                false,
            ),
        ] {
            assert_eq!(
                is_meant(origin.as_bytes(), allowed),
                is_expected,
                "{allowed} {origin}"
            );
        }
    }

    /// The decision about a request to `chat.example:8080` with these fields: `Ok` holds the listed origin, if any.
    fn check_fields(fields: &[&str], allowed: &[&str]) -> Result<Option<String>, Refusal> {
        let mut head = String::from("POST /room HTTP/1.1\r\nHost: chat.example:8080\r\n");
        for field in fields {
            head += &format!("{field}\r\n");
        }
        check_head(&format!("{head}\r\n"), allowed)
    }

    fn check_head(head: &str, allowed: &[&str]) -> Result<Option<String>, Refusal> {
        let mut storage = http::header_storage();
        let request = Request::parse(head.as_bytes(), &mut storage).expect("a good request");
        let access = check(&request, allowed.iter().copied())?;
        let listed = access.listed_origin();
        assert_eq!(find_listed(&request, allowed.iter().copied()), listed);
        Ok(listed.map(|origin| String::from_utf8_lossy(origin).into_owned()))
    }

    const FOREIGN: Result<Option<String>, Refusal> = Err(Refusal::ForeignOrigin);

    #[test]
    fn pages_of_the_same_host_may_and_foreign_ones_only_if_listed() {
        let origin =
            |origin: &str, allowed: &[&str]| check_fields(&[&format!("Origin: {origin}")], allowed);
        assert_eq!(origin("http://chat.example:8080", &[]), Ok(None));
        assert_eq!(origin("HTTPS://CHAT.example:8080", &[]), Ok(None));
        for foreign in [
            "http://chat.example",
            "http://chat.example:80801",
            "http://evil.example:8080",
            "http://chat.example:8080.evil.example",
            "null",
            "",
            "chat.example:8080",
        ] {
            assert_eq!(origin(foreign, &[]), FOREIGN, "{foreign}");
            assert_eq!(
                origin(foreign, &["https://a.example"]),
                FOREIGN,
                "{foreign}"
            );
            assert_eq!(
                origin(foreign, &["*"]),
                Ok(Some(foreign.into())),
                "{foreign}"
            );
        }
        for (listed, allowed) in [
            (
                "https://a.example",
                &["https://a.example", "https://b.example"][..],
            ),
            (
                "https://b.example",
                &["https://a.example", "https://b.example"],
            ),
            ("https://A.example", &["https://a.example"]),
            ("http://chat.example:8080", &["http://chat.example:8080"]),
            ("null", &["null"]),
            ("file://", &["file://"]),
        ] {
            assert_eq!(origin(listed, allowed), Ok(Some(listed.into())), "{listed}");
        }
        assert_eq!(origin("http://a.example", &["https://a.example"]), FOREIGN);
        assert_eq!(
            origin("https://a.example:1", &["https://a.example"]),
            FOREIGN
        );
    }

    #[test]
    fn the_browsers_word_counts_before_the_host_and_after_the_list() {
        let own = "Origin: http://chat.example:8080";
        let foreign = "Origin: https://a.example";
        let listed = Ok(Some("https://a.example".into()));
        for site in ["same-origin", "none"] {
            let site = format!("Sec-Fetch-Site: {site}");
            assert_eq!(check_fields(&[&site], &[]), Ok(None), "{site}");
            assert_eq!(check_fields(&[&site, own], &[]), Ok(None), "{site}");
            // A proxy has put its own host in.
            assert_eq!(check_fields(&[&site, foreign], &[]), Ok(None), "{site}");
        }
        for site in [
            "same-site",
            "cross-site",
            "",
            "Same-Origin",
            "none ,",
            "same-origin, none",
            "nones",
        ] {
            let site = format!("Sec-Fetch-Site: {site}");
            assert_eq!(check_fields(&[&site], &[]), FOREIGN, "{site}");
            assert_eq!(
                check_fields(&[&site], &["https://a.example"]),
                FOREIGN,
                "{site}"
            );
            assert_eq!(check_fields(&[&site, own], &[]), FOREIGN, "{site}");
            assert_eq!(check_fields(&[&site, foreign], &[]), FOREIGN, "{site}");
            assert_eq!(
                check_fields(&[&site, foreign], &["https://a.example"]),
                listed,
                "{site}"
            );
            // All pages may, those too that are not named.
            assert_eq!(check_fields(&[&site], &["*"]), Ok(None), "{site}");
        }
    }

    #[test]
    fn what_is_no_browser_may() {
        assert_eq!(check_fields(&[], &[]), Ok(None));
        assert_eq!(check_fields(&[], &["https://a.example"]), Ok(None));
        assert_eq!(check_fields(&[], &["*"]), Ok(None));
    }

    #[test]
    fn repeated_fields_are_refused_whatever_is_listed() {
        for field in ["Origin: http://chat.example:8080", "Sec-Fetch-Site: none"] {
            assert_eq!(check_fields(&[field], &[]), Ok(None), "{field}");
            let mut storage = http::header_storage();
            let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n{field}\r\n\r\n");
            let request = Request::parse(head.as_bytes(), &mut storage).expect("a good request");
            let refused = Err(Refusal::ForeignOrigin);
            assert_eq!(check(&request, [].into_iter()), refused, "{field}");
            assert_eq!(check(&request, ["*"].into_iter()), refused, "{field}");
            assert_eq!(find_listed(&request, ["*"].into_iter()), None, "{field}");
        }
    }

    #[test]
    fn a_refused_origin_is_described_escaped_and_cut() {
        let long = "x".repeat(100);
        let head = format!("GET /ws HTTP/1.1\r\nHost: {long}\r\nOrigin: http://\u{e4}\"\r\n\r\n");
        let mut storage = http::header_storage();
        let request = Request::parse(head.as_bytes(), &mut storage).expect("a good request");
        let shown = describe(&request);
        assert!(
            shown.contains(r#"origin "http://\xc3\xa4\"" may"#),
            "{shown}"
        );
        let host = "x".repeat(80);
        let end = format!("may not connect to host \"{host}\" (--allow-origin)");
        assert!(shown.ends_with(&end), "{shown}");
        let head = "GET /ws HTTP/1.1\r\nHost: a\r\nSec-Fetch-Site: cross-site\r\n\r\n";
        let mut storage = http::header_storage();
        let request = Request::parse(head.as_bytes(), &mut storage).expect("a good request");
        let begin = "a page (Sec-Fetch-Site: cross-site) may not connect to host \"a\"";
        assert!(describe(&request).starts_with(begin));
    }

    #[test]
    fn a_target_that_names_a_host_stands_for_the_host_header() {
        let may = |target: &str| {
            let fields = "Host: evil.example\r\nOrigin: http://evil.example";
            check_head(&format!("GET {target} HTTP/1.1\r\n{fields}\r\n\r\n"), &[])
        };
        assert_eq!(may("/ws"), Ok(None));
        assert_eq!(may("http://evil.example/ws"), Ok(None));
        assert_eq!(may("http://a.example/ws"), FOREIGN);
    }

    #[test]
    fn the_default_port_of_a_scheme_may_be_left_out_on_either_side() {
        let same = |origin: &str, host: &str| is_same_host(origin.as_bytes(), host.as_bytes());
        assert!(same("http://a", "a:80"));
        assert!(same("http://a:80", "a"));
        assert!(same("https://a:443", "a"));
        assert!(same("https://a", "A:443"));
        assert!(same("http://[::1]:8080", "[::1]:8080"));
        assert!(!same("https://a", "a:80"));
        assert!(!same("http://a:443", "a"));
        assert!(!same("http://", ""));
    }
}
