//! A client that reads a little now and then, and leaves and joins again after a while. A server that drops it cannot let it know:
//! the end stands behind megabytes in the kernel that it never gets to. By joining anew, a room has its laggards for as long as
//! it is loaded. It never waits for anything, since that would make the rest of the swarm wait.

use std::io::{self, Read as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use memchr::memmem;

use super::connection::ask;
use super::scan::{Counted, Scan};
use super::wire::UPGRADE_REQUEST;

/// It reads at most [`INPUT_LEN`] bytes, once in so long: at a flood far less than is sent to it.
pub(crate) const PAUSE: Duration = Duration::from_millis(200);
const INPUT_LEN: usize = 32 * 1024;
/// Two seconds: at a flood enough to fill what the kernel holds for it, and then the server's queue.
const READS_PER_STAY: usize = 10;
const HEAD_END: &[u8] = b"\r\n\r\n";

pub(crate) struct Laggard {
    stage: Stage,
    reads: usize,
}

enum Stage {
    /// The server ended the connection.
    Away,
    /// Connected again; the answer to its request was not read yet.
    Joining,
    Member(Scan),
}

impl Laggard {
    /// A member that has joined. Laggards of different `number` leave at different times.
    pub(crate) fn new(number: usize) -> Self {
        Self {
            stage: Stage::Member(Scan::default()),
            reads: number % READS_PER_STAY,
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        !matches!(self.stage, Stage::Away)
    }

    /// The server ended the connection.
    pub(crate) fn lose(&mut self) {
        self.stage = Stage::Away;
    }

    /// Whether it is time for another connection.
    pub(crate) fn wants_to_rejoin(&self) -> bool {
        self.reads >= READS_PER_STAY || !self.is_connected()
    }

    /// Asks to join on a new connection; the answer is read as little by little as all the rest.
    pub(crate) fn rejoin(&mut self, addr: SocketAddr) -> io::Result<TcpStream> {
        let socket = ask(addr, UPGRADE_REQUEST)?;
        socket.set_nonblocking(true)?;
        self.stage = Stage::Joining;
        self.reads = 0;
        Ok(socket)
    }

    /// Reads once. An end is not looked for here: it is an event.
    pub(crate) fn read(
        &mut self,
        mut socket: &TcpStream,
        input: &mut [u8],
        message_len: usize,
    ) -> Counted {
        self.reads += 1;
        let Ok(len) = socket.read(&mut input[..INPUT_LEN]) else {
            return Counted::default();
        };
        let input = &input[..len];
        let counted = match &mut self.stage {
            Stage::Away => Counted::default(),
            Stage::Joining => {
                let Some(head_len) = memmem::find(input, HEAD_END) else {
                    return Counted::default();
                };
                let mut scan = Scan::default();
                let counted = scan.feed(&input[head_len + HEAD_END.len()..], message_len);
                self.stage = Stage::Member(scan);
                counted
            }
            Stage::Member(scan) => scan.feed(input, message_len),
        };
        Counted {
            bytes: len as u64,
            ..counted
        }
    }
}
