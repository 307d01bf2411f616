//! Ids of clients.

/// A client's place in the slab. It is used again after the client has left, so whoever holds one
/// across turns must be ready to find nobody, or somebody else, there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub usize);
