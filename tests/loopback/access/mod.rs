//! Who may listen and publish: tokens of every kind, hosts, and that nothing shows a secret.

mod expiry;
mod hosts;
mod readme;
mod secrets;
mod settings;
mod tokens;

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::common::token::mint;

pub(crate) const HOST: &str = "Host: chat.example";
pub(crate) const PUBLISH: &str = "publish-token-of-the-tests";
pub(crate) const LISTEN: &str = "listen-token-of-the-tests";

/// The time of day, in seconds since 1970.
pub(crate) fn unix_seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("it is after 1970").as_secs()
}

/// A token that is good for an hour, in these rooms.
pub(crate) fn token(rooms: &Value, may_say: bool) -> String {
    mint(&json!({"exp": unix_seconds() + 3600, "rooms": rooms, "say": may_say}))
}

/// The field that shows a token.
pub(crate) fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}
