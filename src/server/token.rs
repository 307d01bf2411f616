//! What a readiness token means, and the only way from ids to tokens and back.

use mio::Token;

use crate::backplane::Line;
use crate::config::LISTENERS_MAX;
use crate::http::route::Role;
use crate::id::ClientId;

/// Signals. The tokens below are the listeners': those of the public, then those of the admin.
pub(super) const SIGNALS: Token = Token(2 * LISTENERS_MAX);

/// The two connections to the broker, and what tells that its name was looked up.
const BROKER_APPEND: Token = Token(SIGNALS.0 + 1);
const BROKER_READ: Token = Token(SIGNALS.0 + 2);
pub(super) const BROKER_LOOKUP: Token = Token(SIGNALS.0 + 3);

/// Ids of clients are numbers from 2^32 on, which leaves the others to the server itself.
const _: () = assert!(usize::BITS == 64, "a token holds an id of 64 bits");

/// The token of a listener, by its place among the listeners of its role.
pub(super) fn listener_token(role: Role, place: usize) -> Token {
    debug_assert!(place < LISTENERS_MAX, "a listener beyond the bound");
    match role {
        Role::Public => Token(place),
        Role::Admin => Token(LISTENERS_MAX + place),
    }
}

/// The role and the place of the listener that has this token.
pub(super) fn listener_of(token: Token) -> Option<(Role, usize)> {
    match token.0 {
        place if place < LISTENERS_MAX => Some((Role::Public, place)),
        admin if admin < SIGNALS.0 => Some((Role::Admin, admin - LISTENERS_MAX)),
        _ => None,
    }
}

/// The token of a connection to the broker.
pub(super) fn broker_token(line: Line) -> Token {
    match line {
        Line::Append => BROKER_APPEND,
        Line::Read => BROKER_READ,
    }
}

/// The connection to the broker that has this token.
pub(super) fn broker_line_of(token: Token) -> Option<Line> {
    match token {
        BROKER_APPEND => Some(Line::Append),
        BROKER_READ => Some(Line::Read),
        _ => None,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "asserted above")]
pub(super) fn token_of(id: ClientId) -> Token {
    Token(id.to_bits() as usize)
}

pub(super) fn id_of(token: Token) -> Option<ClientId> {
    ClientId::from_bits(token.0 as u64)
}
