//! Which hosts requests may be for.
//!
//! A page of a foreign name that resolves to this machine (DNS rebinding) comes from its own server, as far as its
//! browser knows. What gives it away is the name in its requests.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Hosts that stood in one list.
#[derive(Debug, Clone)]
pub struct Hosts(pub(super) Vec<AllowedHost>);

/// A host that requests may be for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHost {
    name: HostName,
    /// The only port; any one if none is named.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostName {
    /// In lower case, without a dot at its end.
    Name(String),
    Address(IpAddr),
}

/// The ports that a browser leaves out, of `http` and `https`.
const DEFAULT_PORTS: [u16; 2] = [80, 443];

impl AllowedHost {
    fn parse(text: &str) -> Option<Self> {
        let (name, port) = split(text)?;
        let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let name = match address(name) {
            Some(address) => HostName::Address(address),
            None if !name.is_empty() && name.bytes().all(is_name_byte) => {
                HostName::Name(name.to_ascii_lowercase())
            }
            None => return None,
        };
        Some(Self { name, port })
    }

    /// Whether a request is for this host, as it names the host: without regard to case, to a dot at the name's end, and
    /// to how an address is written. A port that is left out may be either scheme's.
    pub fn is_meant(&self, host: &[u8]) -> bool {
        let Some((name, port)) = str::from_utf8(host).ok().and_then(split) else {
            return false;
        };
        let is_name = match &self.name {
            HostName::Name(allowed) => name.eq_ignore_ascii_case(allowed),
            HostName::Address(allowed) => address(name) == Some(*allowed),
        };
        let is_port = self.port.is_none_or(|allowed| match port {
            Some(port) => port == allowed,
            None => DEFAULT_PORTS.contains(&allowed),
        });
        is_name && is_port
    }
}

/// The name without a dot at its end, and the port if there is one. A colon without a port is as none.
fn split(host: &str) -> Option<(&str, Option<u16>)> {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port),
        _ => (host, ""),
    };
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = match port {
        "" => None,
        _ if is_number => Some(port.parse().ok()?),
        _ => return None,
    };
    Some((name.strip_suffix('.').unwrap_or(name), port))
}

/// An IPv4 address, or an IPv6 address in brackets.
fn address(name: &str) -> Option<IpAddr> {
    let inner = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    match inner {
        Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => name.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

/// Hosts, separated by commas; spaces around them and a comma behind the last do not matter.
pub(super) fn parse_hosts(text: &str) -> Result<Hosts, String> {
    let list = text.trim();
    let list = list.strip_suffix(',').unwrap_or(list);
    let hosts = list.split(',').map(|host| AllowedHost::parse(host.trim()));
    hosts.collect::<Option<_>>().map(Hosts).ok_or_else(|| {
        "a host is written NAME or NAME:PORT, an IPv6 address in brackets, as in [::1]:8080"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses_with_or_without_a_port() {
        for text in [
            "chat.example",
            "localhost:8080",
            "a_b",
            "127.0.0.1",
            "[::1]:8080",
        ] {
            assert!(parse_hosts(text).is_ok(), "{text}");
        }
        for text in [
            "",
            ",",
            "a,,b",
            ":8080",
            "::1",
            "[::1",
            "[]",
            "[a]",
            "a:b",
            "a:65536",
            "a/b",
            "*",
            "*.example.com",
            "http://a",
            "a b",
            ".",
            "b\u{fc}cher",
        ] {
            assert!(parse_hosts(text).is_err(), "{text:?}");
        }
        let hosts = parse_hosts(" a , b:1 ,").expect("a list");
        assert_eq!(hosts.0.len(), 2);
    }

    fn is_meant(allowed: &str, host: &str) -> bool {
        let allowed = AllowedHost::parse(allowed).expect(allowed);
        allowed.is_meant(host.as_bytes())
    }

    #[test]
    fn a_host_is_compared_as_a_name_or_as_an_address() {
        for (allowed, host) in [
            ("chat.example", "chat.example"),
            ("chat.example", "CHAT.Example:8080"),
            ("Chat.Example.", "chat.example"),
            ("chat.example", "chat.example."),
            ("chat.example", "chat.example.:80"),
            ("chat.example", "chat.example:"),
            ("chat.example:8080", "chat.example:8080"),
            ("chat.example:8080", "chat.example:08080"),
            ("chat.example:80", "chat.example"),
            ("chat.example:443", "chat.example"),
            ("127.0.0.1", "127.0.0.1:8080"),
            ("[::1]", "[0:0:0:0:0:0:0:1]:8080"),
            ("[2001:DB8::1]:80", "[2001:db8::1]"),
        ] {
            assert!(is_meant(allowed, host), "{allowed} {host}");
        }
        for (allowed, host) in [
            ("chat.example", ""),
            ("chat.example", ":80"),
            ("chat.example", "example"),
            ("chat.example", "a.chat.example"),
            ("chat.example", "xchat.example"),
            ("chat.example", "chat.example.evil.example"),
            ("chat.example", "chat.example.."),
            ("chat.example:8080", "chat.example"),
            ("chat.example:8080", "chat.example:80"),
            ("chat.example:8080", "chat.example:80801"),
            ("chat.example", "chat.example:65536"),
            ("127.0.0.1", "127.0.0.2"),
            ("127.0.0.1", "[::ffff:127.0.0.1]"),
            ("[::1]", "::1"),
            ("[::1]", "[::2]"),
            ("[::1]", "127.0.0.1"),
        ] {
            assert!(!is_meant(allowed, host), "{allowed} {host}");
        }
    }
}
