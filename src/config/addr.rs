//! How the address to listen on is written.

/// `HOST:PORT`, or `:PORT` for all interfaces; a bare `PORT` means the latter and is turned into it.
pub(super) fn parse_addr(text: &str) -> Result<String, String> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let addr = match is_number {
        true => format!(":{text}"),
        false => text.to_owned(),
    };
    let Some((host, port)) = addr.rsplit_once(':') else {
        return Err("it has no port; write it HOST:PORT, or :PORT for all interfaces".to_owned());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_port() {
        for addr in [":0", "localhost:65535", "[::1]:80", "127.0.0.1:8080"] {
            assert_eq!(parse_addr(addr), Ok(addr.to_owned()));
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
        assert_eq!(parse_addr("8080"), Ok(":8080".to_owned()));
        assert_eq!(parse_addr("0"), Ok(":0".to_owned()));
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
}
