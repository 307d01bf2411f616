//! Any `X-Forwarded-For` and `Forwarded` lines against a naive parser: one that looks at every comma, and asks the
//! standard library for addresses.
//!
//! Each line is a field's value; one that begins with `F` is `Forwarded`'s.
#![no_main]

use std::net::{IpAddr, SocketAddr};

use fanfare::http::forwarded::{HOPS_MAX, client};
use fanfare::http::{Request, header_storage};
use libfuzzer_sys::fuzz_target;

/// An address, with or without a port.
fn address(text: &str) -> Option<SocketAddr> {
    let canonical = |ip: IpAddr, port| Some(SocketAddr::new(ip.to_canonical(), port));
    if text.contains('%') {
        return None;
    }
    if let Some((host, hidden)) = text.rsplit_once(":_") {
        let is_hidden = |c: char| c.is_ascii_alphanumeric() || ['.', '_', '-'].contains(&c);
        if !hidden.is_empty() && hidden.chars().all(is_hidden) {
            let addr: SocketAddr = format!("{host}:0").parse().ok()?;
            return canonical(addr.ip(), 0);
        }
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    if let Some(Ok(ip)) = bare.map(str::parse) {
        return canonical(IpAddr::V6(ip), 0);
    }
    if let Ok(ip) = text.parse() {
        return canonical(ip, 0);
    }
    let addr: SocketAddr = text.parse().ok()?;
    canonical(addr.ip(), addr.port())
}

/// The places of the quotes that are not escaped.
fn quotes(line: &str) -> Vec<usize> {
    let mut is_escaped = vec![false];
    for byte in line.bytes() {
        is_escaped.push(byte == b'\\' && !is_escaped[is_escaped.len() - 1]);
    }
    let places = line.match_indices('"').map(|(place, _)| place);
    places.filter(|&place| !is_escaped[place]).collect()
}

/// The parts between commas, from the right. A comma is one if an even number of quotes stands behind it.
fn split(line: &str, has_quotes: bool) -> Vec<&str> {
    let quotes = quotes(line);
    let quotes_behind = |place| quotes.iter().filter(|&&quote| quote > place).count();
    let mut parts = Vec::new();
    let mut end = line.len();
    for (place, _) in line.match_indices(',').rev() {
        if !has_quotes || quotes_behind(place) % 2 == 0 {
            parts.push(&line[place + 1..end]);
            end = place;
        }
    }
    parts.push(&line[..end]);
    parts
}

/// The parts between semicolons, each of which has an even number of quotes before it.
fn pairs(text: &str) -> Option<Vec<(&str, &str)>> {
    let quotes = quotes(text);
    let mut ends: Vec<usize> = text.match_indices(';').map(|(place, _)| place).collect();
    ends.retain(|&end| quotes.iter().filter(|&&quote| quote < end).count() % 2 == 0);
    ends.push(text.len());
    let mut start = 0;
    let parts = ends.into_iter().map(|end| {
        let part = &text[start..end];
        start = end + 1;
        part.split_once('=')
    });
    parts.collect()
}

fn element(text: &str) -> Option<SocketAddr> {
    let pairs = pairs(text)?;
    let mut values = pairs
        .iter()
        .filter(|(name, _)| name.trim_matches(BLANK).eq_ignore_ascii_case("for"));
    let (Some((_, value)), None) = (values.next(), values.next()) else {
        return None;
    };
    let value = value.trim_matches(BLANK);
    match value.len() >= 2 && value.starts_with('"') && value.ends_with('"') {
        true => address(&value[1..value.len() - 1]),
        false => address(value),
    }
}

const BLANK: [char; 5] = [' ', '\t', '\r', '\n', '\x0c'];

fn is_trusted(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.octets()[3] % 2 == 1,
        IpAddr::V6(ip) => ip.octets()[15] % 2 == 1,
    }
}

fn naive(lines: &[(bool, String)]) -> Option<SocketAddr> {
    let is_forwarded = lines.iter().all(|(is_forwarded, _)| *is_forwarded);
    let lines = lines.iter().rev().filter(|(is, _)| *is == is_forwarded);
    let parts = lines.flat_map(|(_, line)| split(line, is_forwarded));
    let mut found = None;
    for part in parts.take(HOPS_MAX) {
        let part = part.trim_matches(BLANK);
        if part.is_empty() {
            continue;
        }
        let addr = if is_forwarded {
            element(part)
        } else {
            address(part)
        };
        let Some(addr) = addr else { break };
        found = Some(addr);
        if !is_trusted(addr.ip()) {
            break;
        }
    }
    found
}

fuzz_target!(|input: &str| {
    let lines: Vec<(bool, String)> = input
        .split('\n')
        .filter(|line| !line.is_empty())
        .map(|line| match line.strip_prefix('F') {
            Some(rest) => (true, rest.trim_matches(BLANK).to_owned()),
            None => (false, line.trim_matches(BLANK).to_owned()),
        })
        .collect();
    let mut head = "GET / HTTP/1.1\r\nHost: a\r\n".to_owned();
    for (is_forwarded, line) in &lines {
        let name = if *is_forwarded {
            "Forwarded"
        } else {
            "X-Forwarded-For"
        };
        head += &format!("{name}: {line}\r\n");
    }
    head += "\r\n";
    let mut storage = header_storage();
    // What no field may have is refused before anybody looks at it.
    let Ok(request) = Request::parse(head.as_bytes(), &mut storage) else {
        return;
    };
    assert_eq!(client(&request, is_trusted), naive(&lines), "{lines:?}");
});
