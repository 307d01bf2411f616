//! A client that reads a little now and then, and joins again when the server drops it, so that a room has its laggards for as
//! long as it is loaded. It never waits for anything, since that would make the rest of the swarm wait.

use std::io::{self, Read as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use memchr::memmem;

use super::connection::ask;
use super::scan::{Counted, Scan};

/// It reads at most [`INPUT_LEN`] bytes, once in so long: at a flood far less than is sent to it.
pub(crate) const PAUSE: Duration = Duration::from_millis(200);
const INPUT_LEN: usize = 32 * 1024;
const HEAD_END: &[u8] = b"\r\n\r\n";

pub(crate) enum Laggard {
    /// Dropped by the server.
    Away,
    /// Connected again; the answer to its request was not read yet.
    Joining,
    Member(Scan),
}

impl Laggard {
    /// Asks to join again; the answer is read as little by little as all the rest.
    pub(crate) fn rejoin(&mut self, addr: SocketAddr) -> io::Result<TcpStream> {
        let socket = ask(addr)?;
        socket.set_nonblocking(true)?;
        *self = Self::Joining;
        Ok(socket)
    }

    /// Reads once. An end is not looked for here: it is an event.
    pub(crate) fn read(
        &mut self,
        mut socket: &TcpStream,
        input: &mut [u8],
        message_len: usize,
    ) -> Counted {
        let Ok(len) = socket.read(&mut input[..INPUT_LEN]) else {
            return Counted::default();
        };
        let input = &input[..len];
        match self {
            Self::Away => Counted::default(),
            Self::Joining => {
                let Some(head_len) = memmem::find(input, HEAD_END) else {
                    return Counted::default();
                };
                let mut scan = Scan::default();
                let counted = scan.feed(&input[head_len + HEAD_END.len()..], message_len);
                *self = Self::Member(scan);
                counted
            }
            Self::Member(scan) => scan.feed(input, message_len),
        }
    }
}
