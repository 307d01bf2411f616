//! What a readiness token means, and the only way from ids to tokens and back.

use mio::Token;

use crate::config::LISTENERS_MAX;
use crate::id::ClientId;

/// Signals. The tokens below are the listeners'.
pub(super) const SIGNALS: Token = Token(LISTENERS_MAX);

/// Ids of clients are numbers from 2^32 on, which leaves the others to the server itself.
const _: () = assert!(usize::BITS == 64, "a token holds an id of 64 bits");

/// The token of a listener, by its place among the listeners.
pub(super) fn listener_token(place: usize) -> Token {
    debug_assert!(place < LISTENERS_MAX, "a listener beyond the bound");
    Token(place)
}

/// The place of the listener that has this token.
pub(super) fn listener_place(token: Token) -> Option<usize> {
    (token.0 < LISTENERS_MAX).then_some(token.0)
}

#[expect(clippy::cast_possible_truncation, reason = "asserted above")]
pub(super) fn token_of(id: ClientId) -> Token {
    Token(id.to_bits() as usize)
}

pub(super) fn id_of(token: Token) -> Option<ClientId> {
    ClientId::from_bits(token.0 as u64)
}
