//! What needs a broker: the scripts, and servers that share it, against a real one.

mod broker;
mod brokers;
#[path = "../common/mod.rs"]
mod common;
mod deploys;
mod failing;
mod failover;
mod load;
mod losses;
mod many;
mod node;
mod nodes;
#[path = "../common/openmetrics.rs"]
mod openmetrics;
mod partition;
mod proxy;
#[path = "../common/random.rs"]
mod random;
mod record;
#[path = "../common/resp.rs"]
mod resp;
mod scene;
mod scripts;
mod sizes;
