//! How the broker is reached and what is kept there.

use std::fmt;
use std::time::Duration;

use crate::config::Secret;

/// The settings of the backplane.
#[derive(Clone)]
pub struct Settings {
    /// The broker's host and port, for the log.
    pub address: String,
    /// Who logs in; without a user it is the broker's default one.
    pub user: Option<String>,
    /// With what; without a password nobody logs in.
    pub password: Option<Secret>,
    /// The database that is selected.
    pub db: u32,
    /// What the names of all keys begin with, between braces.
    pub prefix: String,
    /// How long a message may wait to be appended.
    pub wait: Duration,
    /// About how many entries the stream keeps.
    pub entries: u64,
    /// The longest message, in bytes.
    pub message_max: usize,
    /// How old history may be that is filled at the start; `None`: nothing is filled.
    pub history_age: Option<Duration>,
}

/// The user and the password are not shown.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("address", &self.address)
            .field("db", &self.db)
            .field("prefix", &self.prefix)
            .field("wait", &self.wait)
            .field("entries", &self.entries)
            .field("message_max", &self.message_max)
            .field("history_age", &self.history_age)
            .finish_non_exhaustive()
    }
}
