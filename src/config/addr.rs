//! How an address to listen on is written.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::bounds::UNIX_PATH_MAX;

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addr {
    /// `HOST:PORT`, or `:PORT` for all interfaces.
    Tcp(String),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// What stands before the path of a Unix socket.
const UNIX_PREFIX: &str = "unix:";

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => f.write_str(addr),
            Self::Unix(path) => write!(f, "{UNIX_PREFIX}{}", path.display()),
        }
    }
}

/// `HOST:PORT`, or `:PORT` for all interfaces; a bare `PORT` means the latter and is turned into it; or
/// `unix:/PATH`.
pub(super) fn parse_addr(text: &str) -> Result<Addr, String> {
    let text = text.trim();
    match text.strip_prefix(UNIX_PREFIX) {
        Some(path) => parse_path(path).map(Addr::Unix),
        None => parse_tcp(text).map(Addr::Tcp),
    }
}

fn parse_path(path: &str) -> Result<PathBuf, String> {
    if !path.starts_with('/') {
        return Err("a socket's path begins with /, as in unix:/run/fanfare.sock".to_owned());
    }
    if path.contains(char::is_control) {
        return Err("a socket's path has no control characters".to_owned());
    }
    let path = PathBuf::from(path);
    let len = path.as_os_str().as_bytes().len();
    if len > UNIX_PATH_MAX {
        return Err(format!(
            "a socket's path is at most {UNIX_PATH_MAX} bytes long, and this one has {len}; choose a shorter one"
        ));
    }
    Ok(path)
}

fn parse_tcp(text: &str) -> Result<String, String> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let addr = match is_number {
        true => format!(":{text}"),
        false => text.to_owned(),
    };
    let Some((host, port)) = addr.rsplit_once(':') else {
        return Err(
            "it has no port; write it HOST:PORT, or :PORT for all interfaces, or unix:/PATH"
                .to_owned(),
        );
    };
    if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) {
        return Err("an IPv6 address stands in brackets, as in [::1]:8080".to_owned());
    }
    check_port(port)?;
    Ok(addr)
}

fn check_port(port: &str) -> Result<(), String> {
    if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("the port must be a number, as in :8080".to_owned());
    }
    match port.parse::<u16>() {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("a port is at most {}", u16::MAX)),
    }
}

/// The permissions of a file, as `chmod` takes them in digits.
pub(super) fn parse_mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8);
    match mode {
        Ok(mode) if mode <= 0o777 && !text.starts_with('+') => Ok(mode),
        _ => Err("it must be octal, from 0 to 777, as in 660".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(addr: &str) -> Addr {
        Addr::Tcp(addr.to_owned())
    }

    #[test]
    fn an_address_has_a_port() {
        for addr in [":0", "localhost:65535", "[::1]:80", "127.0.0.1:8080"] {
            assert_eq!(parse_addr(addr), Ok(tcp(addr)));
            assert_eq!(parse_addr(&format!(" {addr} ")), Ok(tcp(addr)));
        }
        for addr in ["", "localhost", "127.0.0.1"] {
            let line = parse_addr(addr).expect_err(addr);
            assert!(line.starts_with("it has no port"), "{line}");
        }
        for addr in [":", "localhost:http", "[::1]", ":-1", ":+1"] {
            assert!(parse_addr(addr).is_err(), "{addr}");
        }
    }

    #[test]
    fn a_bare_port_means_all_interfaces() {
        assert_eq!(parse_addr("8080"), Ok(tcp(":8080")));
        assert_eq!(parse_addr("0"), Ok(tcp(":0")));
    }

    #[test]
    fn a_port_that_is_too_large_is_told_the_largest() {
        for addr in ["65536", ":99999", "localhost:65536"] {
            let line = "a port is at most 65535".to_owned();
            assert_eq!(parse_addr(addr), Err(line), "{addr}");
        }
    }

    #[test]
    fn an_ipv6_address_stands_in_brackets() {
        for addr in ["::1", "::1:8080", "[::1]80:80"] {
            let line = parse_addr(addr).expect_err(addr);
            assert!(line.contains("[::1]:8080"), "{line}");
        }
    }

    #[test]
    fn a_unix_socket_has_a_whole_path() {
        for path in ["/run/fanfare.sock", "/a b:80", "/\u{e9}"] {
            let addr = format!("unix:{path}");
            assert_eq!(parse_addr(&addr), Ok(Addr::Unix(path.into())));
            assert_eq!(Addr::Unix(path.into()).to_string(), addr);
        }
        for addr in ["unix:", "unix:a.sock", "unix:@a", "unix:/a\nb", "unix:/\0"] {
            assert!(parse_addr(addr).is_err(), "{addr:?}");
        }
    }

    #[test]
    fn the_path_of_a_unix_socket_has_a_bound_in_bytes() {
        let path = |len| format!("/{}", "x".repeat(len - 1));
        let longest = path(UNIX_PATH_MAX);
        let parsed = parse_addr(&format!("unix:{longest}"));
        assert_eq!(parsed, Ok(Addr::Unix(longest.into())));
        let too_long = path(UNIX_PATH_MAX + 1);
        let line = parse_addr(&format!("unix:{too_long}")).expect_err("a byte too long");
        assert!(
            line.contains(&format!("at most {UNIX_PATH_MAX} bytes")),
            "{line}"
        );
        assert!(parse_path(&"/\u{e9}".repeat(UNIX_PATH_MAX / 2)).is_err());
    }

    #[test]
    fn a_mode_is_octal() {
        for (text, mode) in [("660", 0o660), ("0600", 0o600), ("777", 0o777), ("0", 0)] {
            assert_eq!(parse_mode(text), Ok(mode));
        }
        for text in ["", "1000", "668", "rw", "-1", "+7", "0o660"] {
            assert!(parse_mode(text).is_err(), "{text}");
        }
    }
}
