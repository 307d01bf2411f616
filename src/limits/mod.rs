//! How many clients come from where, so that no one place takes all the seats.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

/// Whoever shares a place shares its limit: an IPv4 address, or a /64 of IPv6, which is what one
/// subscriber is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    V4(Ipv4Addr),
    V6([u16; 4]),
}

impl Place {
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

/// Counts clients by place.
#[derive(Debug)]
pub struct Addresses {
    counts: HashMap<Place, usize>,
    max: usize,
    counts_loopback: bool,
}

impl Addresses {
    /// At most `max` clients a place. Where loopback does not count, it has no limit.
    pub fn new(max: usize, counts_loopback: bool) -> Self {
        Self {
            counts: HashMap::new(),
            max,
            counts_loopback,
        }
    }

    /// Lets one more client in from `address`, if its place has room.
    pub fn enter(&mut self, address: IpAddr) -> bool {
        if self.is_free(address) {
            return true;
        }
        let count = self.counts.entry(Place::of(address)).or_default();
        if *count >= self.max {
            return false;
        }
        *count += 1;
        true
    }

    /// Gives back the seat of a client that [`Addresses::enter`] let in.
    pub fn leave(&mut self, address: IpAddr) {
        let place = Place::of(address);
        if !self.is_free(address)
            && let Some(count) = self.counts.get_mut(&place)
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&place);
            }
        }
    }

    fn is_free(&self, address: IpAddr) -> bool {
        !self.counts_loopback && address.to_canonical().is_loopback()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(addresses: &mut Addresses, address: &str) -> bool {
        addresses.enter(address.parse().expect("an address"))
    }

    #[test]
    fn a_place_has_so_many_seats_and_gets_them_back() {
        let mut addresses = Addresses::new(2, true);
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
        let mut addresses = Addresses::new(1, true);
        assert!(enter(&mut addresses, "2001:db8:0:1::1"));
        assert!(!enter(&mut addresses, "2001:db8:0:1:ffff::2"));
        assert!(enter(&mut addresses, "2001:db8:0:2::1"));
    }

    #[test]
    fn loopback_may_be_left_out() {
        let mut free = Addresses::new(1, false);
        let mut counted = Addresses::new(1, true);
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
    fn nothing_is_remembered_of_those_who_left() {
        let mut addresses = Addresses::new(5, true);
        for last in 0..200 {
            let address = IpAddr::from([192, 0, 2, last]);
            assert!(addresses.enter(address));
            addresses.leave(address);
        }
        assert!(addresses.counts.is_empty());
    }
}
