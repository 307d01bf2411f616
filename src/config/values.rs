//! How the values of settings are written: counts, sizes with their unit, times with theirs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use bytesize::ByteSize;
use ipnet::{IpNet, Ipv4Net};
use tracing::level_filters::LevelFilter;

use super::bounds::WAIT_MIN;
use super::network::{Networks, Origins};

/// A number of things, at least one.
pub(super) fn parse_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("it must be at least 1".to_owned()),
        Ok(count) => Ok(count),
        Err(_) => Err("it must be a whole number".to_owned()),
    }
}

/// A number of things; zero is one too.
pub(super) fn parse_number(text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|_| "it must be a whole number, at most 4294967295".to_owned())
}

/// A number of things a second; zero is one too.
pub(super) fn parse_rate(text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|_| "it must be a whole number, at most 4294967295, or 0 for no limit".to_owned())
}

/// A level of compression.
pub(super) fn parse_level(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(level) if (1..=9).contains(&level) => Ok(level),
        _ => Err("it must be from 1 to 9".to_owned()),
    }
}

/// A size in bytes, from 1 B to below 4 GiB.
pub(super) fn parse_len(text: &str) -> Result<usize, String> {
    let size: ByteSize = text
        .parse()
        .map_err(|_| "it must be a size, such as 512B, 64KiB or 1MiB".to_owned())?;
    match usize::try_from(size.as_u64()) {
        Ok(0) => Err("it must be at least 1B".to_owned()),
        Ok(len) if len <= u32::MAX as usize => Ok(len),
        _ => Err("it must be below 4GiB".to_owned()),
    }
}

/// A time that the server can tell from no time at all.
pub(super) fn parse_wait(text: &str) -> Result<Duration, String> {
    match parse_drain(text) {
        Ok(wait) if wait < WAIT_MIN => Err(format!(
            "it must be at least {}",
            humantime::format_duration(WAIT_MIN)
        )),
        parsed => parsed,
    }
}

/// A time; none at all is one too.
pub(super) fn parse_drain(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "it must be a time, such as 500ms, 10s or 2min".to_owned())
}

/// Origins, separated by commas.
pub(super) fn parse_origins(text: &str) -> Result<Origins, String> {
    parse_list(text, parse_origin).map(Origins)
}

/// Networks, separated by commas.
pub(super) fn parse_networks(text: &str) -> Result<Networks, String> {
    parse_list(text, parse_network).map(Networks)
}

/// Spaces around the members of a list and a comma behind the last do not matter.
fn parse_list<T>(text: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    let list = text.trim();
    let list = list.strip_suffix(',').unwrap_or(list);
    list.split(',').map(|member| parse(member.trim())).collect()
}

/// A network, or an address as a network of its own. IPv4 in its IPv6 form is IPv4.
fn parse_network(text: &str) -> Result<IpNet, String> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => Some(address.into()),
        // The address that peers without one have.
        Err(_) if text == "unix" => Some(IpAddr::from(Ipv6Addr::UNSPECIFIED).into()),
        Err(_) => text.parse::<IpNet>().ok(),
    };
    let network = network.ok_or(
        "it must be a network such as 10.0.0.0/8 or fd00::/8, an address, or unix for Unix sockets",
    )?;
    Ok(as_ipv4(network).unwrap_or(network).trunc())
}

/// The IPv4 network that lies within `::ffff:0:0/96`.
fn as_ipv4(network: IpNet) -> Option<IpNet> {
    let IpAddr::V4(address) = network.addr().to_canonical() else {
        return None;
    };
    let mapped_len = Ipv6Addr::BITS - 32;
    let len = match network {
        IpNet::V4(_) => u32::from(network.prefix_len()),
        IpNet::V6(_) => u32::from(network.prefix_len()).checked_sub(mapped_len)?,
    };
    Ipv4Net::new(address, u8::try_from(len).ok()?)
        .ok()
        .map(Into::into)
}

/// An origin as browsers write it, without the port that the scheme implies, or `*`. The first label of its host may be
/// `*`, which stands for one or more. Local files and sandboxed
/// frames have the origins `null` and `file://`.
///
/// What no browser ever sends would allow nobody, so it is refused.
fn parse_origin(text: &str) -> Result<String, String> {
    if matches!(text, "*" | "null" | "file://") {
        return Ok(text.to_owned());
    }
    let origin = text.to_ascii_lowercase();
    let origin = normal_origin(origin.strip_suffix('/').unwrap_or(&origin));
    origin.ok_or_else(|| {
        "no page has this origin; write it like https://example.com, without a path, https://*.example.com for all \
         below it, null or file:// for local files, or * for all"
            .to_owned()
    })
}

fn normal_origin(origin: &str) -> Option<String> {
    let (scheme, authority) = origin.split_once("://")?;
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse::<u16>().ok()?)),
        _ => (authority, None),
    };
    // A wildcard has a parent, and stands for names alone.
    let (wildcard, host) = match host.strip_prefix("*.") {
        Some(parent) if parent.parse::<Ipv4Addr>().is_err() && !parent.starts_with(['[', '.']) => {
            ("*.", parent)
        }
        Some(_) => return None,
        None => ("", host),
    };
    let is_ipv6 = host.starts_with('[') && host.ends_with(']');
    let is_strange = |c: char| !c.is_ascii_graphic() || r"*/\?#@".contains(c);
    let is_host =
        !host.is_empty() && (is_ipv6 || !host.contains(':')) && !host.contains(is_strange);
    let is_scheme = !scheme.is_empty() && !scheme.contains(is_strange);
    if !is_scheme || !is_host {
        return None;
    }
    match (scheme, port) {
        (_, None) | ("http", Some(80)) | ("https", Some(443)) => {
            Some(format!("{scheme}://{wildcard}{host}"))
        }
        (_, Some(port)) => Some(format!("{scheme}://{wildcard}{host}:{port}")),
    }
}

/// What to log. A word that is no level would be taken for the name of a module that says nothing, and so
/// a slip would silence the server.
pub(super) fn parse_filter(text: &str) -> Result<String, String> {
    let is_level = |part: &str| !part.is_empty() && part.parse::<LevelFilter>().is_ok();
    let makes_sense = |part: &str| is_level(part) || part.contains(['=', '[']);
    if text.split(',').all(makes_sense) {
        Ok(text.to_owned())
    } else {
        Err(
            "it must be a level (off, error, warn, info, debug, trace), or a filter such as \
             fanfare=debug"
                .to_owned(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_whole_and_not_zero() {
        assert_eq!(parse_count("1"), Ok(1));
        assert_eq!(parse_count("18446744073709551615"), Ok(usize::MAX));
        for text in ["0", "-1", "1.5", "", "many", "18446744073709551616"] {
            assert!(parse_count(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_rate_may_be_zero_but_has_no_unit() {
        assert_eq!(parse_rate("0"), Ok(0));
        assert_eq!(parse_rate("4294967295"), Ok(u32::MAX));
        for text in ["5M", "-1", "", "4294967296"] {
            let line = parse_rate(text).expect_err(text);
            assert!(line.starts_with("it must be a whole number"), "{line}");
        }
    }

    #[test]
    fn a_level_is_one_digit_and_not_zero() {
        assert_eq!((parse_level("1"), parse_level("9")), (Ok(1), Ok(9)));
        for text in ["0", "10", "-1", "", "best"] {
            assert!(parse_level(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_drain_may_be_zero_but_has_a_unit() {
        assert_eq!(parse_drain("0s"), Ok(Duration::ZERO));
        assert_eq!(parse_drain("1h 1ms"), Ok(Duration::from_millis(3_600_001)));
        for text in ["abc", "5", "", "-1s"] {
            let line = parse_drain(text).expect_err(text);
            assert!(line.starts_with("it must be a time"), "{line}");
        }
    }

    #[test]
    fn a_wait_is_not_shorter_than_the_grain_of_the_deadlines() {
        assert_eq!(WAIT_MIN, crate::time::TICK);
        assert_eq!(parse_wait("100ms"), Ok(WAIT_MIN));
        assert_eq!(parse_wait("2min"), Ok(Duration::from_secs(120)));
        for text in ["99ms", "1ns", "0s"] {
            let line = "it must be at least 100ms".to_owned();
            assert_eq!(parse_wait(text), Err(line), "{text}");
        }
        assert!(parse_wait("10").is_err());
    }

    #[test]
    fn sizes_are_above_nothing_and_below_four_gibibytes() {
        for (text, len) in [
            ("1", 1),
            ("512B", 512),
            ("64KiB", 65_536),
            ("1 MiB", 1_048_576),
            ("4294967295B", u32::MAX as usize),
        ] {
            assert_eq!(parse_len(text), Ok(len), "{text}");
        }
        for text in ["0", "0B", "4GiB", "-1B", "", "huge", "512 apples"] {
            assert!(parse_len(text).is_err(), "{text}");
        }
    }

    #[test]
    fn origins_are_written_as_browsers_write_them() {
        for (text, origin) in [
            ("*", "*"),
            ("null", "null"),
            ("file://", "file://"),
            ("https://example.com", "https://example.com"),
            ("HTTPS://Example.com/", "https://example.com"),
            ("https://example.com:443", "https://example.com"),
            ("http://example.com:80/", "http://example.com"),
            ("http://example.com:443", "http://example.com:443"),
            ("https://example.com:80", "https://example.com:80"),
            ("http://localhost:08080", "http://localhost:8080"),
            ("https://*.Example.com", "https://*.example.com"),
            ("https://*.example.com:443/", "https://*.example.com"),
            ("https://*.example.com:8443", "https://*.example.com:8443"),
            ("http://[::1]", "http://[::1]"),
            ("http://[::1]:80", "http://[::1]"),
            ("chrome-extension://abcdef", "chrome-extension://abcdef"),
        ] {
            assert_eq!(parse_origin(text).as_deref(), Ok(origin), "{text}");
        }
    }

    #[test]
    fn lists_of_origins_may_have_spaces_and_a_comma_at_the_end() {
        let origins = |text| parse_origins(text).map(|origins| origins.0);
        let both = ["https://a.example", "null"]
            .map(ToOwned::to_owned)
            .to_vec();
        for text in ["https://a.example,null", " https://a.example , null ,"] {
            assert_eq!(origins(text), Ok(both.clone()), "{text}");
        }
        for text in ["", ",", "null,,null", "null null"] {
            assert!(origins(text).is_err(), "{text}");
        }
    }

    #[test]
    fn networks_have_a_length_or_are_one_address() {
        let networks = |text| parse_networks(text).map(|networks| networks.0);
        let shown = |text| {
            let networks = networks(text).expect(text);
            networks.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        for (text, expected) in [
            ("10.0.0.0/8", &["10.0.0.0/8"][..]),
            ("10.1.2.3/8", &["10.0.0.0/8"]),
            ("192.0.2.1", &["192.0.2.1/32"]),
            ("fd00::/8,::1", &["fd00::/8", "::1/128"]),
            (" 127.0.0.1 , ::1 ,", &["127.0.0.1/32", "::1/128"]),
            ("0.0.0.0/0,::/0", &["0.0.0.0/0", "::/0"]),
            ("::ffff:10.0.0.0/104", &["10.0.0.0/8"]),
            ("::ffff:192.0.2.1", &["192.0.2.1/32"]),
            ("::ffff:0:0/95", &["::fffe:0:0/95"]),
            ("unix", &["::/128"]),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
        for text in [
            "",
            ",",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "10.0.0.0/",
            "proxy",
            "::1,,::2",
        ] {
            assert!(networks(text).is_err(), "{text}");
        }
    }

    #[test]
    fn origins_that_no_page_can_have_are_refused() {
        for text in [
            "",
            "example.com",
            "://example.com",
            "https://",
            "https:///",
            "https://:8080",
            "https://example.com//",
            "https://example.com/chat",
            "https://example.com?a",
            "https://*",
            "https://*.",
            "https://*..example.com",
            "https://*.*.example.com",
            "https://a.*.example.com",
            "https://a*.example.com",
            "https://*example.com",
            "https://*.1.2.3.4",
            "https://*.[::1]",
            "*://a.example.com",
            "*.example.com",
            "https://example.com:*",
            "https://example.com:",
            "https://example.com:65536",
            "https://me@example.com",
            "https://b\u{fc}cher.example",
            "http://::1",
            " https://example.com",
        ] {
            assert!(parse_origin(text).is_err(), "{text}");
        }
    }

    #[test]
    fn filters_are_made_of_levels_and_of_what_a_level_is_set_for() {
        for text in [
            "off",
            "Info",
            "fanfare=debug",
            "warn,fanfare=trace",
            "[span]",
            "info,[x]=warn",
        ] {
            assert_eq!(parse_filter(text).as_deref(), Ok(text));
        }
        for text in [
            "",
            ",",
            "info,",
            "inof",
            "fanfare",
            "info,fanfare",
            "warn fanfare=trace,x",
        ] {
            assert!(parse_filter(text).is_err(), "{text}");
        }
    }
}
