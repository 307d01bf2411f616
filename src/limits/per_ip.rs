//! How many clients are connected from each address, so that no one address takes all the seats.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

/// What shares a limit: an IPv4 address, or a /64 of IPv6, which is what one subscriber is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum AddressKey {
    V4(Ipv4Addr),
    V6([u16; 4]),
}

impl AddressKey {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

/// Counts clients by address.
#[derive(Debug)]
pub struct PerIpLimit {
    counts: HashMap<AddressKey, usize>,
    max: usize,
    counts_loopback: bool,
    /// Addresses that have no limit.
    free: Vec<IpNet>,
}

impl PerIpLimit {
    /// At most `max` clients per address. Where loopback does not count, it has no limit; those without an address,
    /// who came over a Unix socket, never have one.
    pub fn new(max: usize, counts_loopback: bool) -> Self {
        Self {
            counts: HashMap::new(),
            max,
            counts_loopback,
            free: Vec::new(),
        }
    }

    /// The same, but that the addresses in these networks have no limit: those of proxies, whose clients are counted
    /// by their own.
    pub fn without(mut self, free: impl Iterator<Item = IpNet>) -> Self {
        self.free.extend(free);
        self
    }

    /// Whether nobody is counted.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Lets one more client in from `address`, unless its limit is reached.
    pub fn enter(&mut self, address: IpAddr) -> bool {
        if self.is_free(address) {
            return true;
        }
        let count = self.counts.entry(AddressKey::of(address)).or_default();
        if *count >= self.max {
            return false;
        }
        *count += 1;
        true
    }

    /// Gives back the seat of a client that [`PerIpLimit::enter`] let in.
    pub fn leave(&mut self, address: IpAddr) {
        let key = AddressKey::of(address);
        if !self.is_free(address)
            && let Some(count) = self.counts.get_mut(&key)
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&key);
            }
        }
    }

    fn is_free(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let is_free_loopback = !self.counts_loopback && address.is_loopback();
        address.is_unspecified()
            || is_free_loopback
            || self.free.iter().any(|network| network.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(addresses: &mut PerIpLimit, address: &str) -> bool {
        addresses.enter(address.parse().expect("an address"))
    }

    #[test]
    fn an_address_has_so_many_seats_and_gets_them_back() {
        let mut addresses = PerIpLimit::new(2, true);
        assert!(enter(&mut addresses, "192.0.2.1"));
        assert!(enter(&mut addresses, "::ffff:192.0.2.1"));
        assert!(!enter(&mut addresses, "192.0.2.1"));
        assert!(enter(&mut addresses, "192.0.2.2"));
        addresses.leave("192.0.2.1".parse().expect("an address"));
        assert!(enter(&mut addresses, "192.0.2.1"));
        assert!(!enter(&mut addresses, "192.0.2.1"));
    }

    #[test]
    fn ipv6_is_counted_by_64_bits() {
        let mut addresses = PerIpLimit::new(1, true);
        assert!(enter(&mut addresses, "2001:db8:0:1::1"));
        assert!(!enter(&mut addresses, "2001:db8:0:1:ffff::2"));
        assert!(enter(&mut addresses, "2001:db8:0:2::1"));
    }

    #[test]
    fn loopback_may_be_left_out() {
        let mut free = PerIpLimit::new(1, false);
        let mut counted = PerIpLimit::new(1, true);
        for address in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            for _ in 0..3 {
                assert!(enter(&mut free, address));
            }
            counted.leave(address.parse().expect("an address"));
        }
        assert!(free.counts.is_empty());
        assert!(enter(&mut counted, "::1"));
        assert!(!enter(&mut counted, "::1"));
    }

    #[test]
    fn those_without_an_address_have_no_limit() {
        let mut addresses = PerIpLimit::new(1, true);
        for _ in 0..3 {
            assert!(enter(&mut addresses, "::"));
        }
        addresses.leave("::".parse().expect("an address"));
        assert!(addresses.counts.is_empty());
    }

    #[test]
    fn networks_may_be_left_out() {
        let networks =
            ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().expect("a network"));
        let mut addresses = PerIpLimit::new(1, true).without(networks.into_iter());
        for address in ["10.0.0.1", "::ffff:10.0.0.1", "fd00::1"] {
            for _ in 0..3 {
                assert!(enter(&mut addresses, address));
            }
        }
        assert!(addresses.is_empty());
        assert!(enter(&mut addresses, "11.0.0.1"));
        assert!(!enter(&mut addresses, "11.0.0.1"));
    }

    #[test]
    fn nothing_is_remembered_of_clients_that_left() {
        let mut addresses = PerIpLimit::new(5, true);
        for last in 0..200 {
            let address = IpAddr::from([192, 0, 2, last]);
            assert!(addresses.enter(address));
            addresses.leave(address);
        }
        assert!(addresses.counts.is_empty());
    }
}
