//! What a readiness token means, and the only way from ids to tokens and back.

use mio::Token;

use crate::id::ClientId;

/// The listener.
pub(super) const LISTENER: Token = Token(0);
/// Signals.
pub(super) const SIGNALS: Token = Token(1);

/// Ids of clients are numbers from 2^32 on, which leaves the others to the server itself.
const _: () = assert!(usize::BITS == 64, "a token holds an id of 64 bits");

#[expect(clippy::cast_possible_truncation, reason = "asserted above")]
pub(super) fn token_of(id: ClientId) -> Token {
    Token(id.to_bits() as usize)
}

pub(super) fn id_of(token: Token) -> Option<ClientId> {
    ClientId::from_bits(token.0 as u64)
}
