//! Where a peer is, in as few bytes as it takes.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// A peer's address and port, or those of the client that a proxy speaks for; port 0 where the proxy does not say it.
/// IPv4 addresses are held in their IPv6 form, and scopes are left out.
///
/// A peer on a Unix socket has the address [`PeerAddr::UNIX`], which is in the network that the setting
/// `--trusted-proxy unix` stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddr {
    ip: [u8; 16],
    port: [u8; 2],
}

impl PeerAddr {
    /// A peer that came over a Unix socket. It has no address: neither has a peer that came over TCP this one.
    pub const UNIX: Self = Self {
        ip: [0; 16],
        port: [0; 2],
    };

    /// The address without the port.
    pub fn ip(self) -> IpAddr {
        Ipv6Addr::from(self.ip).to_canonical()
    }

    /// The address with the port.
    pub fn socket_addr(self) -> SocketAddr {
        SocketAddr::new(self.ip(), u16::from_be_bytes(self.port))
    }
}

impl From<SocketAddr> for PeerAddr {
    fn from(addr: SocketAddr) -> Self {
        let ip = match addr.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        Self {
            ip: ip.octets(),
            port: addr.port().to_be_bytes(),
        }
    }
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::UNIX {
            return f.pad("unix");
        }
        match self.socket_addr() {
            addr if addr.port() == 0 => addr.ip().fmt(f),
            addr => addr.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families_are_shown_as_they_are_written() {
        for text in ["192.0.2.1:80", "[2001:db8::1]:65535", "[::1]:1"] {
            let addr: SocketAddr = text.parse().expect("an address");
            assert_eq!(PeerAddr::from(addr).to_string(), text);
            assert_eq!(PeerAddr::from(addr).ip(), addr.ip());
        }
        let unknown_port: SocketAddr = "[2001:db8::1]:0".parse().expect("an address");
        assert_eq!(PeerAddr::from(unknown_port).to_string(), "2001:db8::1");
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:80".parse().expect("an address");
        assert_eq!(PeerAddr::from(mapped).to_string(), "192.0.2.1:80");
    }

    #[test]
    fn a_peer_without_an_address_is_shown_as_such() {
        assert_eq!(PeerAddr::UNIX.to_string(), "unix");
        assert!(PeerAddr::UNIX.ip().is_unspecified());
    }
}
