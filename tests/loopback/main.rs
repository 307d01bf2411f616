//! The binary over loopback sockets: the protocol, the chat, the timeouts, the page, starting and ending.

mod assets;
mod browser;
mod chat;
#[path = "../common/mod.rs"]
mod common;
mod http;
mod lifecycle;
mod page;
mod proxies;
mod proxy;
mod rfc;
mod timeouts;
mod websocket;
