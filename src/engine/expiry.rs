//! Tokens that expire, and the connections that end with them.
//!
//! Only a client whose token expires has an entry. It stays when the client leaves: its id then finds nobody.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Engine;
use crate::access::Grant;
use crate::client::Stream;
use crate::config::EXPIRIES_PER_TURN;
use crate::id::ClientId;
use crate::observe::CloseReason;
use crate::time::Tick;
use crate::ws::close::CloseCode;

/// How many entries there may be besides two for each client, before those of clients that left are removed.
const STALE_MAX: usize = 64;

/// When the tokens of clients expire, by the time of day.
#[derive(Debug, Default)]
pub(super) struct Expiries {
    /// The second since 1970 and the bits of the client's id, the earliest first.
    heap: BinaryHeap<Reverse<(u64, u64)>>,
}

impl Expiries {
    /// Adds a client with what its token allows, if it expires.
    #[inline]
    pub(super) fn insert(&mut self, grant: Grant, id: ClientId) {
        if let Some(unix_seconds) = grant.expires {
            self.heap.push(Reverse((unix_seconds, id.to_bits())));
        }
    }

    /// Takes the next client whose token has expired; it may have left.
    fn pop(&mut self, unix_seconds: u64) -> Option<ClientId> {
        self.heap.peek().filter(|next| next.0.0 <= unix_seconds)?;
        let Reverse((_, bits)) = self.heap.pop()?;
        ClientId::from_bits(bits)
    }

    /// When the next one expires, if the time of day goes on as it should. What part of the second that is has passed is
    /// not known, so within the last second it is looked at every tick.
    pub(super) fn next_due(&self, now: Tick, unix_seconds: u64) -> Option<Tick> {
        let Reverse((next, _)) = self.heap.peek()?;
        Some(match next.saturating_sub(unix_seconds) {
            // Left over by the last turn.
            0 => now,
            1 => now.next(),
            left => now.plus_seconds(u32::try_from(left - 1).unwrap_or(u32::MAX)),
        })
    }
}

impl<S: Stream> Engine<S> {
    /// Closes those whose tokens have expired, before anything more is read from them.
    pub(super) fn close_expired(&mut self) {
        for _ in 0..EXPIRIES_PER_TURN {
            let Some(id) = self.expiries.pop(self.date.unix_seconds()) else {
                break;
            };
            self.close(id, CloseCode::Policy, CloseReason::TokenExpired);
        }
        let clients = &self.clients;
        let heap = &mut self.expiries.heap;
        if heap.len() > 2 * clients.len() + STALE_MAX {
            heap.retain(|Reverse((_, bits))| {
                ClientId::from_bits(*bits).is_some_and(|id| clients.get(id).is_some())
            });
        }
    }

    /// How many entries there are of tokens that expire.
    pub fn expiry_count(&self) -> usize {
        self.expiries.heap.len()
    }
}
