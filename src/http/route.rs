//! Which resource a request means, and whether it has the method.

use super::page::Asset;
use super::response::ROOM_METHODS;
use super::room_name;
use crate::config::Config;

/// Whom a listener serves, and so what may be asked for there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everybody.
    Public,
    /// Those who operate the server.
    Admin,
}

/// What a request asks for. A room is meant by its name; the default room's is empty.
#[derive(Debug)]
pub enum Route<'a> {
    /// A file of the page.
    Page(&'static Asset),
    /// The limits that a page has to know.
    Limits,
    /// Whether the server lives.
    Health,
    /// Whether new clients may be sent to it.
    Readiness,
    /// All counters.
    Metrics,
    /// To listen and talk to a room over a WebSocket.
    WebSocket(&'a str),
    /// To listen to a room by server-sent events.
    Events(&'a str),
    /// To publish in a room.
    Publish(&'a str),
    /// What a page of another origin may do with a room (CORS preflight).
    Preflight,
    /// To talk to itself over a WebSocket.
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

impl<'a> Route<'a> {
    /// The route of a request to a listener of this role.
    pub fn of(role: Role, method: &str, path: &'a str, config: &Config) -> Self {
        let is_get = method == "GET";
        let is_read = is_get || method == "HEAD";
        let watched = match path {
            "/healthz" => Some(Self::Health),
            "/readyz" => Some(Self::Readiness),
            "/metrics" if role == Role::Admin => Some(Self::Metrics),
            _ => None,
        };
        match (watched, role) {
            (Some(watched), _) if is_read => return watched,
            (Some(_), _) => return Self::MethodNotAllowed(READ_METHODS),
            (None, Role::Admin) => return Self::NotFound,
            (None, Role::Public) => {}
        }
        if let Some(room) = room_of(path, "/ws") {
            return match is_get {
                true => Self::WebSocket(room),
                false => Self::MethodNotAllowed(WEBSOCKET_METHODS),
            };
        }
        if let Some(room) = room_of(path, "/room") {
            return match method {
                "GET" | "HEAD" => Self::Events(room),
                "POST" => Self::Publish(room),
                "OPTIONS" => Self::Preflight,
                _ => Self::MethodNotAllowed(ROOM_METHODS),
            };
        }
        match path {
            "/echo" if is_get && config.chat.echo => Self::Echo,
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

/// The name of the room that a path means: the path itself is the default room's, and a name follows a slash.
fn room_of<'a>(path: &'a str, root: &str) -> Option<&'a str> {
    match path.strip_prefix(root)? {
        "" => Some(""),
        rest => rest
            .strip_prefix('/')
            .filter(|name| !name.is_empty() && room_name::is_valid(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_the_last_part_of_a_path() {
        let golden = [
            ("/ws", Some("")),
            ("/ws/lobby", Some("lobby")),
            ("/ws/a.b_c~d-9", Some("a.b_c~d-9")),
            ("/ws/", None),
            ("/ws/.", None),
            ("/ws/a/", None),
            ("/ws/a/b", None),
            ("/ws/%61", None),
            ("/wsx", None),
            ("/room", None),
        ];
        for (path, name) in golden {
            assert_eq!(room_of(path, "/ws"), name, "{path}");
        }
    }

    #[test]
    fn each_method_of_a_room_has_its_meaning() {
        let config = Config::default();
        let route = |method, path| Route::of(Role::Public, method, path, &config);
        assert!(matches!(route("GET", "/ws/a"), Route::WebSocket("a")));
        assert!(matches!(
            route("HEAD", "/ws"),
            Route::MethodNotAllowed("GET")
        ));
        assert!(matches!(route("GET", "/room"), Route::Events("")));
        assert!(matches!(route("HEAD", "/room/a"), Route::Events("a")));
        assert!(matches!(route("POST", "/room/a"), Route::Publish("a")));
        assert!(matches!(route("OPTIONS", "/room"), Route::Preflight));
        let put = route("PUT", "/room");
        assert!(matches!(
            put,
            Route::MethodNotAllowed("GET, HEAD, POST, OPTIONS")
        ));
        assert!(matches!(route("POST", "/room/"), Route::NotFound));
    }

    #[test]
    fn what_is_for_the_public_is_not_on_the_admin_address() {
        let config = Config::default();
        for path in ["/", "/ws", "/ws/a", "/room", "/echo", "/limits.json", "*"] {
            let route = |role| Route::of(role, "GET", path, &config);
            assert!(matches!(route(Role::Admin), Route::NotFound), "{path}");
            let is_public = !matches!(route(Role::Public), Route::NotFound);
            assert_eq!(is_public, path != "/echo", "{path}");
        }
    }
}
