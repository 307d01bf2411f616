//! The binary over loopback sockets: the protocol, the chat, the timeouts, the page, starting and ending.

mod access;
mod admin;
mod assets;
mod balancer;
mod bodies;
mod broker_settings;
mod browser;
mod chat;
mod clients;
#[path = "../common/mod.rs"]
mod common;
mod deflate;
#[cfg(target_os = "linux")]
mod deploy;
mod drain;
mod forwarded;
mod health;
mod http;
mod lifecycle;
mod listeners;
#[path = "../common/openmetrics.rs"]
mod openmetrics;
mod origins;
mod page;
mod protocol_doc;
mod proxied;
mod proxies;
mod proxy;
mod publish;
mod queries;
#[path = "../common/random.rs"]
mod random;
mod replay;
mod resume;
mod rfc;
mod rooms;
mod sandbox;
mod settings;
mod signals;
mod slow;
mod sse;
mod statuses;
#[cfg(target_os = "linux")]
mod systemd;
mod timeouts;
mod v1;
mod websocket;
