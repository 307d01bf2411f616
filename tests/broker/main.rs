//! What needs a broker: the scripts, against a real server.

mod broker;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/resp.rs"]
mod resp;
mod scene;
mod scripts;
