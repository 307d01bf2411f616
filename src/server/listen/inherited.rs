//! Sockets that the service manager has bound and passed on (systemd's LISTEN_FDS, see its manual page
//! `sd_listen_fds`). They listen all the while, so that a restart refuses nobody.
//!
//! `listenfd` takes `LISTEN_FDS` and `LISTEN_PID` out of the environment and marks each descriptor to be closed when
//! another program is run. `LISTEN_FDNAMES` stays, which nobody gets to see: the server runs no other program.

use std::io::{self, ErrorKind};
use std::os::unix;
use std::{env, net};

use listenfd::ListenFd;
use mio::net::{TcpListener, UnixListener};
use socket2::SockRef;

use super::listener::{ListenSocket, Listener};
use super::tcp;
use crate::config::{Config, LISTENERS_MAX};
use crate::http::route::Role;

/// The name of the admin sockets (`FileDescriptorName=` of a socket unit).
const ADMIN_NAME: &str = "admin";

/// Takes all sockets that this process was started with.
pub(super) fn take(config: &Config) -> io::Result<Vec<(Role, Listener)>> {
    let mut descriptors = ListenFd::from_env();
    let count = descriptors.len();
    if count > LISTENERS_MAX {
        return Err(invalid(format!(
            "LISTEN_FDS: {count} sockets are passed on, and at most {LISTENERS_MAX} can be used"
        )));
    }
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut taken = Vec::with_capacity(count);
    for place in 0..count {
        let name = names.next().unwrap_or_default();
        let socket = take_one(&mut descriptors, place, config)
            .map_err(|error| explain(place, name, &error))?;
        let role = match name {
            ADMIN_NAME => Role::Admin,
            _ => Role::Public,
        };
        taken.push((role, Listener::new(socket)));
    }
    Ok(taken)
}

fn take_one(descriptors: &mut ListenFd, place: usize, config: &Config) -> io::Result<ListenSocket> {
    if let Ok(Some(socket)) = descriptors.take_tcp_listener(place) {
        return adopt_tcp(socket, config);
    }
    if let Ok(Some(socket)) = descriptors.take_unix_listener(place) {
        return adopt_unix(socket, config);
    }
    Err(invalid("it is no stream socket of TCP or Unix"))
}

fn adopt_tcp(socket: net::TcpListener, config: &Config) -> io::Result<ListenSocket> {
    check_listens(&SockRef::from(&socket))?;
    socket.set_nonblocking(true)?;
    // Without them clients are served as well, only later or longer.
    let _ = tcp::set_options(&SockRef::from(&socket), config);
    Ok(ListenSocket::Tcp(TcpListener::from_std(socket)))
}

fn adopt_unix(socket: unix::net::UnixListener, config: &Config) -> io::Result<ListenSocket> {
    check_listens(&SockRef::from(&socket))?;
    socket.set_nonblocking(true)?;
    Ok(ListenSocket::Unix {
        _file: None,
        listener: UnixListener::from_std(socket),
        send_buffer: config.network.send_buffer,
    })
}

/// Where the kernel does not tell, the first accept does.
#[cfg(not(target_os = "linux"))]
fn check_listens(_: &SockRef<'_>) -> io::Result<()> {
    Ok(())
}

#[cfg(target_os = "linux")]
fn check_listens(socket: &SockRef<'_>) -> io::Result<()> {
    match socket.is_listener()? {
        true => Ok(()),
        false => Err(invalid("it does not listen")),
    }
}

fn invalid(line: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, line.into())
}

fn explain(place: usize, name: &str, error: &io::Error) -> io::Error {
    let number = place + 1;
    let line = format!(
        "LISTEN_FDS: socket {number} ({name:?}) cannot be used: {error}; a socket unit needs ListenStream= and Accept=no"
    );
    io::Error::new(error.kind(), line)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// They are the socket's own: a second handle, such as systemd's, tells of them.
    #[test]
    fn a_tcp_socket_gets_the_options_that_it_would_have_been_bound_with() {
        let mut config = Config::default();
        config.network.send_buffer = Some(32 * 1024);
        let theirs = net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let ours = theirs.try_clone().expect("a second handle");
        adopt_tcp(ours, &config).expect("it listens");
        let socket = SockRef::from(&theirs);
        assert!(socket.nonblocking().expect("an option"));
        assert!(socket.tcp_nodelay().expect("an option"));
        let len = socket.send_buffer_size().expect("an option");
        assert!((32 * 1024..=64 * 1024).contains(&len), "{len}");
        #[cfg(target_os = "linux")]
        assert_eq!(
            socket.tcp_user_timeout().expect("an option"),
            Some(config.timeouts.user_timeout())
        );
    }

    #[test]
    fn a_unix_socket_does_not_block_either() {
        let path = env::temp_dir().join(format!("fanfare-fd-{}.sock", std::process::id()));
        let theirs = unix::net::UnixListener::bind(&path).expect("a path");
        let ours = theirs.try_clone().expect("a second handle");
        adopt_unix(ours, &Config::default()).expect("it listens");
        assert!(SockRef::from(&theirs).nonblocking().expect("an option"));
        assert!(path.exists(), "its file is not ours");
        std::fs::remove_file(path).expect("it is there");
    }
}
