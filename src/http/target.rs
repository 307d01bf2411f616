//! The target of a request and the host it names (RFC 9112 §3.2, RFC 9110 §7.2).

use super::status::Refusal;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// The authority, in absolute form.
    pub(super) authority: Option<&'a str>,
    /// The path, without the query, or `*`.
    pub(super) path: &'a str,
    /// What stands behind the first `?`; empty where there is none.
    pub(super) query: &'a str,
}

impl<'a> Target<'a> {
    /// Parses the target of a request with this method.
    ///
    /// # Errors
    /// A target that has none of the four forms, or one that does not belong to the method.
    pub(super) fn parse(method: &str, target: &'a str) -> Result<Self, Refusal> {
        // Only a proxy opens tunnels (RFC 9110 §9.3.6).
        if method == "CONNECT" {
            return Err(Refusal::MalformedTarget);
        }
        // A fragment is never sent (RFC 9110 §4.2.5).
        if target.contains('#') {
            return Err(Refusal::MalformedTarget);
        }
        // A question about the server as a whole (RFC 9112 §3.2.4).
        if target == "*" && method == "OPTIONS" {
            return Ok(Self {
                authority: None,
                path: target,
                query: "",
            });
        }
        let (authority, behind) = match split_scheme(target) {
            Some(rest) => {
                let (authority, behind) =
                    rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
                (Some(authority), behind)
            }
            None => (None, target),
        };
        let (path, query) = behind.split_once('?').unwrap_or((behind, ""));
        match (authority, path) {
            // RFC 9110 §4.2.1: what names no host is no target.
            (Some(authority), _) if !is_authority(authority) => Err(Refusal::MalformedTarget),
            (Some(_), "") => Ok(Self {
                authority,
                path: "/",
                query,
            }),
            _ if path.starts_with('/') => Ok(Self {
                authority,
                path,
                query,
            }),
            _ => Err(Refusal::MalformedTarget),
        }
    }
}

/// What stands behind `http://` or `https://`.
fn split_scheme(target: &str) -> Option<&str> {
    // As nearly all targets do.
    if target.starts_with('/') {
        return None;
    }
    let (scheme, rest) = target.split_once("://")?;
    let is_http = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    is_http.then_some(rest)
}

/// Whether this names a host. User and password, which some write before it, are no part of what is sent
/// (RFC 9110 §4.2.4).
fn is_authority(authority: &str) -> bool {
    is_host(authority.as_bytes()) && !authority.is_empty() && !authority.starts_with(':')
}

/// Whether a `Host` value is `uri-host [":" port]`, where the host may be empty (RFC 9110 §7.2, RFC 3986 §3.2.2).
pub(super) fn is_host(value: &[u8]) -> bool {
    let is_literal = value.starts_with(b"[");
    let host_len = match is_literal {
        true => value.iter().position(|&byte| byte == b']').map(|at| at + 1),
        false => value.iter().position(|&byte| byte == b':'),
    };
    let (host, port) = value.split_at(host_len.unwrap_or(value.len()));
    let is_good_host = match host {
        [b'[', address @ .., b']'] => {
            !address.is_empty()
                && address
                    .iter()
                    .all(|&byte| is_name_byte(byte) || byte == b':')
        }
        _ => host.iter().all(|&byte| is_name_byte(byte)),
    };
    let is_good_port = match port {
        [] => true,
        [b':', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    is_good_host && is_good_port
}

/// Whether a byte may stand in a registered name (RFC 3986 §3.2.2).
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_give_their_authority_their_path_and_their_query() {
        for (target, authority, path, query) in [
            ("/", None, "/", ""),
            ("/?", None, "/", ""),
            ("/ws?room=1", None, "/ws", "room=1"),
            ("/?http://a", None, "/", "http://a"),
            ("/a?b?c=/d", None, "/a", "b?c=/d"),
            ("//a/b", None, "//a/b", ""),
            ("http://host/ws?x", Some("host"), "/ws", "x"),
            ("HTTPS://host:1", Some("host:1"), "/", ""),
            ("http://host?x", Some("host"), "/", "x"),
            ("http://[::1]:8080/a", Some("[::1]:8080"), "/a", ""),
        ] {
            let expected = Target {
                authority,
                path,
                query,
            };
            assert_eq!(Target::parse("GET", target), Ok(expected), "{target}");
        }
    }

    #[test]
    fn targets_of_no_form_are_refused() {
        for target in [
            "",
            "*",
            "ws",
            "?x",
            "host:80",
            "ftp://host/",
            "http:/host",
            "http://",
            "http:///",
            "http://?x",
            "http://:80/",
            "http://user@host/",
            "http://host:port/",
            "/a#b",
            "http://host#b",
        ] {
            let refused = Err(Refusal::MalformedTarget);
            assert_eq!(Target::parse("GET", target), refused, "{target}");
        }
    }

    #[test]
    fn only_options_asks_about_the_server_and_connect_is_for_proxies() {
        assert!(Target::parse("OPTIONS", "*").is_ok_and(|target| target.path == "*"));
        assert!(Target::parse("OPTIONS", "/").is_ok());
        assert_eq!(
            Target::parse("OPTIONS", "*x"),
            Err(Refusal::MalformedTarget)
        );
        for target in ["host:443", "/", "*"] {
            assert_eq!(
                Target::parse("CONNECT", target),
                Err(Refusal::MalformedTarget)
            );
        }
    }

    #[test]
    fn hosts_are_names_or_addresses_with_or_without_a_port() {
        for host in [
            "",
            ":",
            ":80",
            "a",
            "a:",
            "a:80",
            "a.example",
            "127.0.0.1:8080",
            "[::1]",
            "[::1]:80",
            "[v1.a:b]",
            "a_b",
            "%61",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            "a/b",
            "a b",
            "a:b",
            "a:80:80",
            "::1",
            "[::1",
            "[]",
            "[::1]80",
            "a@b",
            "a?b",
            "\"a\"",
            "b\u{fc}cher",
            "[::1]:x",
            "a, b:80,",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }
}
