//! Which resource a request means, and whether it has the method.

use super::Request;
use super::page::Asset;
use crate::config::Config;

/// What a request asks for.
#[derive(Debug)]
pub enum Route {
    /// A file of the page.
    Page(&'static Asset),
    /// The limits that a page has to know.
    Limits,
    /// To join the chat.
    Chat,
    /// To talk to itself.
    Echo,
    /// What methods the server has (RFC 9110 §9.3.7).
    Options,
    /// A resource that does not have the method; it has these.
    MethodNotAllowed(&'static str),
    /// No resource.
    NotFound,
}

/// The methods of what can be read.
pub const READ_METHODS: &str = "GET, HEAD";
/// The method that opens a WebSocket (RFC 6455 §4.1).
const WEBSOCKET_METHODS: &str = "GET";

impl Route {
    /// The route of a request.
    pub fn of(request: &Request<'_>, config: &Config) -> Self {
        let is_get = request.method == "GET";
        let is_read = is_get || request.method == "HEAD";
        match request.path {
            "/ws" if is_get => Self::Chat,
            "/echo" if is_get && config.chat.echo => Self::Echo,
            "/ws" => Self::MethodNotAllowed(WEBSOCKET_METHODS),
            "/echo" if config.chat.echo => Self::MethodNotAllowed(WEBSOCKET_METHODS),
            "/limits.json" if is_read => Self::Limits,
            "/limits.json" => Self::MethodNotAllowed(READ_METHODS),
            "*" => Self::Options,
            path => match Asset::find(path) {
                Some(asset) if is_read => Self::Page(asset),
                Some(_) => Self::MethodNotAllowed(READ_METHODS),
                None => Self::NotFound,
            },
        }
    }
}
