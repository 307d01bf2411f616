//! The client's address, where a proxy that is trusted tells it: in `X-Forwarded-For` or, where that is missing, in
//! `Forwarded` (RFC 7239).
//!
//! Each proxy adds the address that it was asked from at the right. So the list is read from the right, as long as
//! the address read last is that of a trusted proxy, which alone makes the one before it true. Whatever is not
//! understood ends it: what a client sent itself stands further left, and cannot hide what a proxy added.

use std::net::{IpAddr, SocketAddr};

use super::Request;

/// How many members of the list are looked at, from the right.
pub const HOPS_MAX: usize = 32;

const X_FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED: &str = "forwarded";

/// The address of the client on whose behalf a trusted proxy sends `request`, with port 0 where the proxy does not say
/// it: the last one, from the right, that only trusted ones stand behind. `None` if the proxy names nobody.
pub fn client(request: &Request<'_>, is_trusted: impl Fn(IpAddr) -> bool) -> Option<SocketAddr> {
    let has_list = request.values(X_FORWARDED_FOR).next().is_some();
    if has_list {
        let items = request.values(X_FORWARDED_FOR).rev();
        let items = items.flat_map(|line| line.rsplit(|&byte| byte == b','));
        walk(items, parse_addr, is_trusted)
    } else {
        let elements = request
            .values(FORWARDED)
            .rev()
            .flat_map(elements_from_right);
        walk(elements, parse_element, is_trusted)
    }
}

/// The last good address, from the right, that only trusted ones stand behind. An empty item is none (RFC 9110 §5.6.1).
fn walk<'a>(
    items: impl Iterator<Item = &'a [u8]>,
    parse: impl Fn(&'a [u8]) -> Option<SocketAddr>,
    is_trusted: impl Fn(IpAddr) -> bool,
) -> Option<SocketAddr> {
    let items = items.take(HOPS_MAX).map(<[u8]>::trim_ascii);
    let mut client = None;
    for item in items.filter(|item| !item.is_empty()) {
        let Some(addr) = parse(item) else {
            break;
        };
        client = Some(addr);
        if !is_trusted(addr.ip()) {
            break;
        }
    }
    client
}

/// The members of a `Forwarded` line, from its right end: what a client put an open quote in front of is still found.
fn elements_from_right(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut left = Some(line);
    std::iter::from_fn(move || {
        let line = left?;
        let mut is_quoted = false;
        for (place, byte) in line.iter().enumerate().rev() {
            let (before, from) = line.split_at(place);
            match byte {
                b'"' if !is_escaped(before) => is_quoted = !is_quoted,
                b',' if !is_quoted => {
                    left = Some(before);
                    return from.get(1..);
                }
                _ => {}
            }
        }
        left.take()
    })
}

/// Whether a character is escaped by what stands before it.
fn is_escaped(before: &[u8]) -> bool {
    let slashes = before.iter().rev().take_while(|&&byte| byte == b'\\');
    slashes.count() % 2 == 1
}

/// The address in a member of `Forwarded`: the value of its only `for`. Any other value may be quoted and then hold
/// anything: a client chooses the host that a proxy names beside it. The address itself has no escapes.
fn parse_element(element: &[u8]) -> Option<SocketAddr> {
    let mut found = None;
    for pair in pairs(element) {
        let equals = pair.iter().position(|&byte| byte == b'=')?;
        let (name, value) = pair.split_at(equals);
        if !name.trim_ascii().eq_ignore_ascii_case(b"for") {
            continue;
        }
        if found.is_some() {
            return None;
        }
        let value = value.get(1..)?.trim_ascii();
        let unquoted = value.strip_prefix(b"\"");
        let unquoted = unquoted.map(|value| value.strip_suffix(b"\""));
        found = Some(parse_addr(unquoted.unwrap_or(Some(value))?)?);
    }
    found
}

/// The pairs of a member of `Forwarded`: a semicolon in quotes ends none.
fn pairs(element: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    element.split(move |&byte| {
        is_quoted ^= byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        byte == b';' && !is_quoted
    })
}

/// An address with or without a port, in any form that proxies use: `unknown` and `_hidden` are none. A port may be
/// hidden (RFC 7239 §6).
fn parse_addr(text: &[u8]) -> Option<SocketAddr> {
    let text = str::from_utf8(text).ok()?;
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(SocketAddr::new(ip.to_canonical(), 0));
    }
    let (ip, port): (IpAddr, &str) = match text.strip_prefix('[') {
        Some(rest) => {
            let (ip, port) = rest.split_once(']')?;
            (IpAddr::V6(ip.parse().ok()?), port)
        }
        None => {
            let (ip, port) = text.split_at(text.find(':')?);
            (IpAddr::V4(ip.parse().ok()?), port)
        }
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => 0,
        Some(port) => parse_port(port)?,
        None => return None,
    };
    Some(SocketAddr::new(ip.to_canonical(), port))
}

fn parse_port(port: &str) -> Option<u16> {
    let is_hidden_char = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match port.strip_prefix('_') {
        Some(hidden) => {
            let is_hidden = !hidden.is_empty() && hidden.chars().all(is_hidden_char);
            is_hidden.then_some(0)
        }
        None => {
            let is_plain = port.bytes().all(|byte| byte.is_ascii_digit());
            port.parse().ok().filter(|_| is_plain)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::header_storage;

    /// Who is found in a request with these lines, where 10.0.0.0/8 and fd00::/8 are trusted.
    fn found(lines: &[&str]) -> Option<String> {
        let is_trusted = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => ip.octets()[0] == 10,
            IpAddr::V6(ip) => ip.octets()[0] == 0xfd,
        };
        let head = format!(
            "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n",
            lines.join("\r\n")
        );
        let mut storage = header_storage();
        let request = Request::parse(head.as_bytes(), &mut storage).expect("a good request");
        client(&request, is_trusted).map(|addr| addr.to_string())
    }

    fn assert_found(name: &str, value: &str, expected: &str) {
        let expected = (!expected.is_empty()).then(|| expected.to_owned());
        assert_eq!(
            found(&[&format!("{name}: {value}")]),
            expected,
            "{name}: {value}"
        );
    }

    #[test]
    fn the_first_one_from_the_right_that_is_not_trusted_is_the_client() {
        for (value, expected) in [
            ("192.0.2.1", "192.0.2.1:0"),
            ("192.0.2.1, 10.0.0.1", "192.0.2.1:0"),
            ("192.0.2.1,10.0.0.1,10.0.0.2", "192.0.2.1:0"),
            ("198.51.100.1, 192.0.2.1, 10.0.0.1", "192.0.2.1:0"),
            ("10.0.0.1, 192.0.2.1", "192.0.2.1:0"),
            ("10.0.0.2, 10.0.0.1", "10.0.0.2:0"),
            ("2001:db8::1, fd00::1", "[2001:db8::1]:0"),
            ("\t192.0.2.1 \t,  10.0.0.1 ", "192.0.2.1:0"),
            (", 192.0.2.1,, ,10.0.0.1 ,", "192.0.2.1:0"),
            ("::ffff:10.0.0.1", "10.0.0.1:0"),
            ("192.0.2.1, ::ffff:10.0.0.1", "192.0.2.1:0"),
            ("", ""),
            (",", ""),
        ] {
            assert_found("X-Forwarded-For", value, expected);
        }
    }

    #[test]
    fn addresses_are_written_in_many_ways() {
        for (value, expected) in [
            ("192.0.2.1:8080", "192.0.2.1:8080"),
            ("192.0.2.1:_x.y-z", "192.0.2.1:0"),
            ("2001:DB8::1", "[2001:db8::1]:0"),
            ("[2001:db8::1]", "[2001:db8::1]:0"),
            ("[2001:db8::1]:8080", "[2001:db8::1]:8080"),
            ("[::ffff:192.0.2.1]:1", "192.0.2.1:1"),
        ] {
            assert_found("X-Forwarded-For", value, expected);
            assert_found("Forwarded", &format!("for=\"{value}\""), expected);
        }
    }

    #[test]
    fn what_is_no_address_ends_the_walk_at_the_last_good_one() {
        for bad in [
            "unknown",
            "_hidden",
            "localhost",
            "192.0.2.256",
            "192.0.2.1:",
            "192.0.2.1:65536",
            "192.0.2.1:+1",
            "192.0.2.1:_",
            "192.0.2.1:_\u{e4}",
            "192.0.2.1 10.0.0.9",
            "[192.0.2.1]",
            "[2001:db8::1",
            "[2001:db8::1]8080",
            "[2001:db8::1]:x",
            "fe80::1%eth0",
            "\u{e4}",
        ] {
            for (name, open, close) in [("X-Forwarded-For", "", ""), ("Forwarded", "for=\"", "\"")]
            {
                let field = |ip: &str| format!("{open}{ip}{close}");
                assert_found(name, &field(bad), "");
                let list = ["192.0.2.7", bad, "10.0.0.1"].map(field);
                assert_found(name, &list.join(", "), "10.0.0.1:0");
            }
        }
    }

    #[test]
    fn all_lines_are_one_list() {
        let both = ["X-Forwarded-For: 192.0.2.1", "x-forwarded-for: 10.0.0.1"];
        assert_eq!(found(&both), Some("192.0.2.1:0".to_owned()));
        let both = ["Forwarded: for=192.0.2.1", "Forwarded: for=10.0.0.1"];
        assert_eq!(found(&both), Some("192.0.2.1:0".to_owned()));
    }

    #[test]
    fn the_other_field_counts_where_the_first_is_missing() {
        assert_eq!(found(&[]), None);
        let both = ["Forwarded: for=192.0.2.1", "X-Forwarded-For: 192.0.2.2"];
        assert_eq!(found(&both), Some("192.0.2.2:0".to_owned()));
        let both = ["Forwarded: for=192.0.2.1", "X-Forwarded-For: nonsense"];
        assert_eq!(found(&both), None);
    }

    #[test]
    fn members_of_forwarded_are_pairs() {
        for (value, expected) in [
            ("for=192.0.2.1", "192.0.2.1:0"),
            ("For=192.0.2.1", "192.0.2.1:0"),
            ("proto=https;for=192.0.2.1;by=10.0.0.1", "192.0.2.1:0"),
            ("for = 192.0.2.1 ; proto = https", "192.0.2.1:0"),
            ("for=\"192.0.2.1\"", "192.0.2.1:0"),
            ("for=192.0.2.1;by=\"a,b\", for=10.0.0.1", "192.0.2.1:0"),
            (
                "for=192.0.2.1;by=\"a\\\",\\\\\", for=10.0.0.1",
                "192.0.2.1:0",
            ),
            (
                "for=192.0.2.1,for=10.0.0.1;host=\"x, for=192.0.2.9\"",
                "192.0.2.1:0",
            ),
            ("for=192.0.2.1;host=\"a;b\"", "192.0.2.1:0"),
            ("host=\"a\\\";b\";for=192.0.2.1", "192.0.2.1:0"),
            ("for=192.0.2.1;host=\";for=192.0.2.9\"", "192.0.2.1:0"),
            ("by=10.0.0.1", ""),
            ("for", ""),
            ("for=", ""),
            ("=192.0.2.1", ""),
            ("for=192.0.2.1;for=192.0.2.1", ""),
            ("for=192.0.2.1;", ""),
            ("for=\"192.0.2.1", ""),
            ("for=192.0.2.1\"", ""),
            ("for=\"", ""),
            ("for=\"\"192.0.2.1\"\"", ""),
            ("for=\"\\192.0.2.1\"", ""),
            ("192.0.2.1", ""),
        ] {
            assert_found("Forwarded", value, expected);
        }
    }

    #[test]
    fn a_quote_that_a_client_left_open_hides_nothing_that_a_proxy_added() {
        for sent in [
            "for=\"x",
            "for=\"",
            "\"",
            "for=192.0.2.9;by=\"\\",
            "for=\"x\\\"",
        ] {
            assert_found(
                "Forwarded",
                &format!("{sent}, for=192.0.2.1"),
                "192.0.2.1:0",
            );
            let quoted = format!("{sent}, for=\"[2001:db8::1]:80\", for=10.0.0.1");
            assert_found("Forwarded", &quoted, "[2001:db8::1]:80");
        }
    }

    #[test]
    fn so_many_hops_are_looked_at_and_no_more() {
        let list = |count: usize| {
            let hops: Vec<String> = (0..count)
                .rev()
                .map(|hop| format!("10.0.0.{hop}"))
                .collect();
            format!("192.0.2.1, {}", hops.join(", "))
        };
        assert_found("X-Forwarded-For", &list(HOPS_MAX - 1), "192.0.2.1:0");
        let last = format!("10.0.0.{}:0", HOPS_MAX - 1);
        assert_found("X-Forwarded-For", &list(HOPS_MAX), &last);
        let list = |count| {
            list(count)
                .replace("10.", "for=10.")
                .replace("192.", "for=192.")
        };
        assert_found("Forwarded", &list(HOPS_MAX - 1), "192.0.2.1:0");
        assert_found("Forwarded", &list(HOPS_MAX), &last);
        let empty = format!("192.0.2.1{}", ",".repeat(HOPS_MAX));
        assert_found("X-Forwarded-For", &empty, "");
    }
}
