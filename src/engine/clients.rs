//! The slab of all clients, and what the engine keeps beside each.

use std::num::NonZeroU32;

use slab::Slab;

use crate::client::Client;
use crate::http::route::Role;
use crate::http::status::Refusal;
use crate::id::ClientId;
use crate::time::Entry;

/// A client and the engine's marks on it.
#[derive(Debug)]
pub(super) struct Slot<S> {
    pub(super) client: Client<S>,
    generation: NonZeroU32,
    /// Where the deadlines list it.
    pub(super) entry: Entry,
    /// On the to-do lists, so as not to be put there twice.
    pub(super) is_listed_readable: bool,
    pub(super) is_listed_writable: bool,
    pub(super) lateness: Lateness,
    pub(super) admission: Admission,
}

/// What a client may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// What the public may.
    Public,
    /// The same, once it is known from which address it comes: until then it counts for none.
    Unnamed,
    /// What those may who operate the server.
    Admin,
    /// Nothing: it takes one of the places of clients that are refused for want of a seat.
    Refused(Refusal),
}

impl Admission {
    pub(super) fn role(self) -> Role {
        match self {
            Self::Public | Self::Unnamed | Self::Refused(_) => Role::Public,
            Self::Admin => Role::Admin,
        }
    }
}

/// How a client stands with a deadline that bytes which lie unread may have met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lateness {
    /// No such deadline has passed.
    OnTime,
    /// One has passed, and the client waits for its turn to be read.
    Waiting,
    /// One has passed, and the client was read since.
    Read,
}

/// What an idle client costs, besides 8 bytes among the members and 4 in the deadlines. A socket is as large as a
/// number in release builds; the slab adds nothing.
const _: () = assert!(size_of::<Slot<i32>>() <= 104);
const _: () = assert!(size_of::<Option<Slot<i32>>>() == size_of::<Slot<i32>>());

/// All clients. Every look-up checks the generation, so that a stale id finds nobody.
#[derive(Debug)]
pub(super) struct Clients<S> {
    slab: Slab<Slot<S>>,
    next_generation: NonZeroU32,
}

impl<S> Clients<S> {
    pub(super) fn new() -> Self {
        Self {
            slab: Slab::new(),
            next_generation: NonZeroU32::MIN,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    /// The id that the next client gets.
    fn next_id(&self) -> ClientId {
        let slot = u32::try_from(self.slab.vacant_key());
        let slot = slot.expect("descriptors are fewer than 32 bits count");
        ClientId::new(slot, self.next_generation)
    }

    /// Adds a client.
    pub(super) fn insert(&mut self, client: Client<S>, admission: Admission) -> ClientId {
        let id = self.next_id();
        self.slab.insert(Slot {
            client,
            generation: id.generation(),
            entry: Entry::NONE,
            is_listed_readable: false,
            is_listed_writable: false,
            lateness: Lateness::OnTime,
            admission,
        });
        self.next_generation = self
            .next_generation
            .checked_add(1)
            .unwrap_or(NonZeroU32::MIN);
        id
    }

    #[inline]
    pub(super) fn get(&self, id: ClientId) -> Option<&Slot<S>> {
        let slot = self.slab.get(id.slot() as usize)?;
        (slot.generation == id.generation()).then_some(slot)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: ClientId) -> Option<&mut Slot<S>> {
        let slot = self.slab.get_mut(id.slot() as usize)?;
        (slot.generation == id.generation()).then_some(slot)
    }

    /// The client that is in a slot now.
    pub(super) fn at(&self, slot: u32) -> Option<ClientId> {
        let found = self.slab.get(slot as usize)?;
        Some(ClientId::new(slot, found.generation))
    }

    pub(super) fn remove(&mut self, id: ClientId) -> Option<Slot<S>> {
        self.get(id)?;
        self.slab.try_remove(id.slot() as usize)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ClientId, &Client<S>)> {
        self.slab.iter().map(|(key, slot)| {
            let key = u32::try_from(key).unwrap_or(u32::MAX);
            (ClientId::new(key, slot.generation), &slot.client)
        })
    }

    pub(super) fn ids(&self) -> Vec<ClientId> {
        self.iter().map(|(id, _)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::config::Config;
    use crate::time::Tick;

    #[test]
    fn an_id_that_outlives_its_client_finds_nobody() {
        let client = || {
            let addr = SocketAddr::from(([127, 0, 0, 1], 1));
            Client::new((), addr.into(), Tick::START, &Config::default())
        };
        let mut clients = Clients::new();
        let first = clients.insert(client(), Admission::Public);
        assert!(clients.remove(first).is_some());
        let second = clients.insert(client(), Admission::Public);
        assert_eq!(first.slot(), second.slot());
        assert!(clients.get(first).is_none() && clients.get_mut(first).is_none());
        assert!(clients.remove(first).is_none());
        assert!(clients.get(second).is_some());
        assert_eq!(clients.ids(), [second]);
    }
}
