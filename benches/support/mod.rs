//! What the socket benches share: the servers under test as child processes, and the swarm of clients that loads them.

pub(crate) mod client;
pub(crate) mod clock;
pub(crate) mod connection;
pub(crate) mod deflated;
pub(crate) mod floor;
pub(crate) mod format;
pub(crate) mod id;
pub(crate) mod inflater;
pub(crate) mod journal;
pub(crate) mod json;
pub(crate) mod laggard;
pub(crate) mod machine;
pub(crate) mod message;
pub(crate) mod numbered;
pub(crate) mod poller;
pub(crate) mod procfs;
pub(crate) mod rival;
pub(crate) mod scan;
pub(crate) mod server;
pub(crate) mod speaker;
pub(crate) mod swarm;
pub(crate) mod tally;
pub(crate) mod text;
pub(crate) mod wire;

use std::io;

/// Turns this process into a server if it was started as one; returns only when it was not.
pub(crate) fn serve_if_child() -> io::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some(server::FLOOR) => floor::run(),
        Some(server::RIVAL) => rival::run(),
        _ => Ok(()),
    }
}
