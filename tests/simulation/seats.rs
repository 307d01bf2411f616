//! Who has a seat: a model of the two limits on clients, so that a `503` is never taken on trust.

use std::net::IpAddr;

use crate::player::Player;
use crate::simulation::Simulation;

/// What shares a limit: an IPv4 address, or a /64 of IPv6.
pub(crate) fn place(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_bits().into(),
        IpAddr::V6(ip) => ip.to_bits() >> 64,
    }
}

impl Simulation {
    /// The places of those who have a seat.
    pub(crate) fn seated(&self) -> Vec<u128> {
        self.players
            .iter()
            .chain([&self.witness])
            .filter(|it| it.is_refused == Some(false) && !it.peer.is_closed())
            .map(|it| it.place)
            .collect()
    }

    /// Notes who got a seat in a turn that began with these. They came in the order of their numbers, and
    /// nobody left before all had come. Those whose registration fails have theirs until the end of the turn.
    pub(crate) fn seat_newcomers(&mut self, mut seated: Vec<u128>) {
        let mut newcomers: Vec<&mut Player> = self
            .players
            .iter_mut()
            .chain([&mut self.witness])
            .filter(|it| it.is_refused.is_none() && it.peer.is_accepted())
            .collect();
        newcomers.sort_unstable_by_key(|it| it.number);
        for newcomer in newcomers {
            let neighbours = seated.iter().filter(|it| **it == newcomer.place).count();
            // Without a setting an address may have a hundred, which are never there.
            let is_crowded = self
                .config
                .network
                .max_clients_per_ip
                .is_some_and(|max| neighbours >= max);
            let is_refused = is_crowded || seated.len() >= self.client_limit;
            newcomer.is_refused = Some(is_refused);
            if !is_refused {
                seated.push(newcomer.place);
            }
        }
    }
}
