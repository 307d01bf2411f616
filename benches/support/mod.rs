//! What the socket benches share: the servers under test as child processes, and the swarm of clients that loads them.

pub(crate) mod floor;
pub(crate) mod journal;
pub(crate) mod machine;
pub(crate) mod peer;
pub(crate) mod poller;
pub(crate) mod procfs;
pub(crate) mod scan;
pub(crate) mod server;
pub(crate) mod swarm;
pub(crate) mod text;
pub(crate) mod wire;
