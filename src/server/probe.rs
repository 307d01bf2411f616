//! Asks a running server whether it lives, as those do that watch it: one request, of which only the status counts.

use std::io::{self, ErrorKind, Read, Write};
use std::net::ToSocketAddrs;
use std::time::Duration;

use socket2::{SockAddr, Socket, Type};

use super::clock::Deadline;
use crate::config::{Addr, DEFAULT_ADDR, NetworkSettings};

/// How long it may take until the status has come. Looking up a name is not counted.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// How many bytes are enough for a status.
const STATUS_LEN: usize = "HTTP/1.1 200 ".len();
const DEFAULT_PATH: &str = "/healthz";

/// Where a server is asked, and for what.
#[derive(Debug, PartialEq, Eq)]
pub struct Target {
    place: Place,
    host: String,
    path: String,
    /// What stands before the request.
    header: &'static str,
}

/// The PROXY header of those who speak for nobody else.
const PROXY_HEADER: &str = "PROXY UNKNOWN\r\n";

#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// A host and a port.
    Tcp(String),
    /// The path of a socket.
    Unix(String),
}

impl Target {
    /// Reads `http://HOST`, `http://HOST:PORT`, the same with a path, or `unix:/PATH`.
    ///
    /// # Errors
    /// A line that says what can be read.
    pub fn from_url(url: &str) -> Result<Self, String> {
        if let Some(path) = url.strip_prefix("unix:") {
            return Ok(Self::unix(path));
        }
        let Some(rest) = url.strip_prefix("http://") else {
            return Err("write it http://HOST:PORT/PATH or unix:/PATH".to_owned());
        };
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if host.is_empty() || !is_plain(host) || !is_plain(path) {
            return Err("the host or the path is malformed".to_owned());
        }
        let has_port = host
            .rsplit_once(':')
            .is_some_and(|(_, port)| !port.contains(']'));
        Ok(Self {
            place: Place::Tcp(match has_port {
                true => host.to_owned(),
                false => format!("{host}:80"),
            }),
            host: host.to_owned(),
            path: match path {
                "" => DEFAULT_PATH.to_owned(),
                path => path.to_owned(),
            },
            header: "",
        })
    }

    /// Where a server with these settings is watched: the admin address, or else the first of the others, which may
    /// require a PROXY header.
    pub fn of(network: &NetworkSettings) -> Self {
        if let Some(addr) = &network.admin_addr {
            return Self::at(addr);
        }
        let addr = network.addr.first();
        Self {
            header: if network.proxy_protocol {
                PROXY_HEADER
            } else {
                ""
            },
            ..addr.map_or_else(|| Self::tcp(DEFAULT_ADDR), Self::at)
        }
    }

    fn at(addr: &Addr) -> Self {
        match addr {
            Addr::Unix(path) => Self::unix(&path.to_string_lossy()),
            Addr::Tcp(addr) => Self::tcp(addr),
        }
    }

    fn tcp(addr: &str) -> Self {
        let addr = match addr.starts_with(':') {
            true => format!("localhost{addr}"),
            false => addr.to_owned(),
        };
        Self {
            host: addr.clone(),
            place: Place::Tcp(addr),
            path: DEFAULT_PATH.to_owned(),
            header: "",
        }
    }

    fn unix(path: &str) -> Self {
        Self {
            place: Place::Unix(path.to_owned()),
            host: "localhost".to_owned(),
            path: DEFAULT_PATH.to_owned(),
            header: "",
        }
    }

    /// Asks once.
    ///
    /// # Errors
    /// A line that says why the answer is not 200.
    pub fn probe(&self) -> Result<(), String> {
        let reason = match self.ask(&Deadline::after(PROBE_TIMEOUT)) {
            Ok(status) => match code_of(status) {
                Some(200) => return Ok(()),
                Some(code) => format!("status {code}"),
                None => "this is not HTTP".to_owned(),
            },
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => "no answer in time".to_owned(),
                ErrorKind::UnexpectedEof => "no answer".to_owned(),
                _ => error.to_string(),
            },
        };
        let path = &self.path;
        Err(match &self.place {
            Place::Tcp(_) => format!("http://{}{path}: {reason}", self.host),
            Place::Unix(socket) => format!("unix:{socket}, {path}: {reason}"),
        })
    }

    fn ask(&self, deadline: &Deadline) -> io::Result<[u8; STATUS_LEN]> {
        let mut stream = connect(&self.addrs()?, deadline)?;
        stream.set_write_timeout(Some(deadline.left()?))?;
        let Self {
            host, path, header, ..
        } = self;
        let request =
            format!("{header}GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut status = [0; STATUS_LEN];
        let mut rest = &mut status[..];
        while !rest.is_empty() {
            stream.set_read_timeout(Some(deadline.left()?))?;
            match stream.read(rest) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => rest = rest.split_at_mut(len).1,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(status)
    }

    fn addrs(&self) -> io::Result<Vec<SockAddr>> {
        Ok(match &self.place {
            Place::Tcp(addr) => addr.to_socket_addrs()?.map(SockAddr::from).collect(),
            Place::Unix(path) => vec![SockAddr::unix(path)?],
        })
    }
}

/// Connects to the first of these addresses that takes the connection.
fn connect(addrs: &[SockAddr], deadline: &Deadline) -> io::Result<Socket> {
    let mut refused = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for addr in addrs {
        let socket = Socket::new(addr.domain(), Type::STREAM, None)?;
        match socket.connect_timeout(addr, deadline.left()?) {
            Ok(()) => return Ok(socket),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// The code of an answer that begins so, if it is one.
fn code_of(status: [u8; STATUS_LEN]) -> Option<u16> {
    let (code, [b' ' | b'\r']) = status
        .strip_prefix(b"HTTP/1.")?
        .get(2..)?
        .split_last_chunk()?
    else {
        return None;
    };
    let is_number = code.iter().all(u8::is_ascii_digit);
    let code = is_number.then(|| str::from_utf8(code).ok())??;
    code.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn tcp(addr: &str, host: &str, path: &str) -> Target {
        Target {
            place: Place::Tcp(addr.to_owned()),
            host: host.to_owned(),
            path: path.to_owned(),
            header: "",
        }
    }

    #[test]
    fn a_url_names_a_host_perhaps_a_port_and_perhaps_a_path() {
        for (url, addr, host, path) in [
            ("http://a", "a:80", "a", "/healthz"),
            ("http://a:1", "a:1", "a:1", "/healthz"),
            ("http://a:1/", "a:1", "a:1", "/"),
            ("http://a/readyz", "a:80", "a", "/readyz"),
            ("http://[::1]/b/c", "[::1]:80", "[::1]", "/b/c"),
            ("http://[::1]:9", "[::1]:9", "[::1]:9", "/healthz"),
        ] {
            assert_eq!(Target::from_url(url), Ok(tcp(addr, host, path)), "{url}");
        }
        assert_eq!(Target::from_url("unix:/a"), Ok(Target::unix("/a")));
        for url in [
            "",
            "a:1",
            "https://a",
            "http://",
            "http:///a",
            "http://a/b c",
            "http://a\r\n",
        ] {
            assert!(Target::from_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_server_is_asked_at_its_admin_address_or_the_first_of_the_others() {
        let mut network = Config::default().network;
        let localhost = tcp("localhost:8080", "localhost:8080", "/healthz");
        assert_eq!(Target::of(&network), localhost);
        network.addr = vec![Addr::Tcp("[::1]:1".to_owned()), Addr::Tcp(":2".to_owned())];
        assert_eq!(Target::of(&network), tcp("[::1]:1", "[::1]:1", "/healthz"));
        network.admin_addr = Some(Addr::Unix("/a".into()));
        assert_eq!(Target::of(&network), Target::unix("/a"));
    }
}
