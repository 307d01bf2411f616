//! A crowd of clients on one thread, lighter than any server: one epoll, one buffer for all, one read per wake-up. Most clients only
//! count: all messages have one length, so a frame header tells how many lines its payload holds, joined or not. A few, the
//! observers, read every line, check that none is missing or out of order, and hand it to the load for its latency.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::connection::{ask, read_response};
use super::laggard::{self, Laggard};
use super::poller::{INPUT, Poller};
use super::scan::{Counted, Observer, Scan};
use super::wire::{Line, Messages};

/// Connections whose requests travel together; below the servers' listen backlogs.
const CONNECTING_MAX: usize = 64;
const INPUT_LEN: usize = 256 * 1024;
/// A server that neither answers nor takes what is sent for this long has failed.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// The microseconds since a swarm began, as its messages carry them.
#[derive(Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn now_us(self) -> u32 {
        self.at_us(Instant::now())
    }

    pub(crate) fn at_us(self, moment: Instant) -> u32 {
        // A swarm does not live for the 71 minutes after which this wraps.
        let since = moment.saturating_duration_since(self.0);
        u32::try_from(since.as_micros()).unwrap_or(u32::MAX)
    }
}

/// Clients of one server.
pub(crate) struct Swarm {
    pub(crate) clock: Clock,
    addr: SocketAddr,
    poller: Poller,
    clients: Vec<Client>,
    input: Vec<u8>,
    messages: Messages,
    outgoing: Vec<u8>,
    message_len: usize,
    laggards_read_at: Instant,
    tally: Tally,
}

/// What went wrong, and what went right, since the swarm began.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Lines that arrived, at whatever client.
    pub(crate) lines: u64,
    /// Lines that arrived at clients which are still there.
    pub(crate) lines_of_readers: u64,
    /// Clients that are still there and read all that comes.
    pub(crate) readers: u64,
    /// Connections that the server ended.
    pub(crate) disconnects: u64,
    /// Frames that are no whole number of messages, and lines that an observer could not read or missed.
    pub(crate) damaged: u64,
}

struct Client {
    socket: TcpStream,
    lines: u64,
    role: Role,
}

enum Role {
    Counter(Scan),
    Observer(Box<Observer>),
    Laggard(Laggard),
    Gone,
}

impl Role {
    fn is_reading(&self) -> bool {
        matches!(self, Self::Counter(_) | Self::Observer(_))
    }

    fn is_connected_laggard(&self) -> bool {
        matches!(self, Self::Laggard(laggard) if laggard.is_connected())
    }
}

impl Swarm {
    /// Connects `clients` to `/ws` at `addr`; messages will be `message_len` bytes long.
    pub(crate) fn connect(
        addr: SocketAddr,
        clients: usize,
        message_len: usize,
    ) -> io::Result<Self> {
        let mut swarm = Self {
            clock: Clock(Instant::now()),
            addr,
            poller: Poller::new()?,
            clients: Vec::with_capacity(clients),
            input: vec![0; INPUT_LEN],
            messages: Messages::new(message_len),
            outgoing: Vec::new(),
            message_len,
            laggards_read_at: Instant::now(),
            tally: Tally::default(),
        };
        swarm.grow(clients)?;
        Ok(swarm)
    }

    /// Connects more clients, until there are `clients` in all.
    pub(crate) fn grow(&mut self, clients: usize) -> io::Result<()> {
        while self.clients.len() < clients {
            let together = CONNECTING_MAX.min(clients - self.clients.len());
            let asking = (0..together)
                .map(|_| ask(self.addr))
                .collect::<io::Result<Vec<_>>>()?;
            for mut socket in asking {
                read_response(&mut socket)?;
                socket.set_nonblocking(true)?;
                self.poller.add(&socket, self.clients.len(), INPUT)?;
                self.clients.push(Client {
                    socket,
                    lines: 0,
                    role: Role::Counter(Scan::default()),
                });
                self.tally.readers += 1;
            }
        }
        Ok(())
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// Lets `client` read every line from now on; only before the first message.
    pub(crate) fn observe(&mut self, client: usize) {
        if let Some(client) = self.clients.get_mut(client) {
            client.role = Role::Observer(Box::default());
        }
    }

    /// Makes `client` the laggard of that number; only before the first message.
    pub(crate) fn lag(&mut self, client: usize, number: usize) {
        if let Some(client) = self.clients.get_mut(client) {
            client.role = Role::Laggard(Laggard::new(number));
            self.tally.readers -= 1;
        }
    }

    /// Whether `client` reads and is still connected.
    pub(crate) fn is_reading(&self, client: usize) -> bool {
        self.clients
            .get(client)
            .is_some_and(|client| client.role.is_reading())
    }

    /// Lines that readers which are still there should have had but did not, if `sent` messages were sent in all.
    pub(crate) fn losses(&self, sent: u64) -> u64 {
        let readers = self
            .clients
            .iter()
            .filter(|client| client.role.is_reading());
        readers
            .map(|client| sent.saturating_sub(client.lines))
            .sum()
    }

    /// Sends `lines` from `client`, all in one write; they wait in the swarm while the socket is full.
    pub(crate) fn send(
        &mut self,
        client: usize,
        lines: impl Iterator<Item = Line>,
    ) -> io::Result<()> {
        self.outgoing.clear();
        for line in lines {
            self.messages.append(line, &mut self.outgoing);
        }
        let Some(client) = self.clients.get_mut(client) else {
            return Ok(());
        };
        let deadline = Instant::now() + PATIENCE;
        let mut rest = self.outgoing.as_slice();
        while !rest.is_empty() {
            match client.socket.write(rest) {
                Ok(taken) => rest = &rest[taken..],
                Err(error)
                    if error.kind() == ErrorKind::WouldBlock && Instant::now() < deadline =>
                {
                    thread::yield_now();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(error),
                // The server is gone or hung up; the next wait reports it.
                Err(_) => return Ok(()),
            }
        }
        Ok(())
    }

    /// Waits for input and reads what there is; `on_line` gets every line that an observer received: the client, the line, and the microseconds then.
    /// Returns how many clients had anything.
    pub(crate) fn poll(
        &mut self,
        timeout: Duration,
        mut on_line: impl FnMut(usize, Line, u32),
    ) -> io::Result<usize> {
        if self.laggards_read_at.elapsed() >= laggard::PAUSE {
            self.laggards_read_at = Instant::now();
            self.read_as_laggards()?;
        }
        let count = self.poller.wait(Some(timeout))?;
        for index in 0..count {
            if let Some(ready) = self.poller.ready(index) {
                self.read(ready.token, ready.has_ended, &mut on_line);
            }
        }
        Ok(count)
    }

    fn read(&mut self, index: usize, has_ended: bool, on_line: &mut impl FnMut(usize, Line, u32)) {
        let Some(client) = self.clients.get_mut(index) else {
            return;
        };
        while client.role.is_reading() {
            let input = match client.socket.read(&mut self.input) {
                Ok(len @ 1..) => &self.input[..len],
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Ok(_) | Err(_) => return self.lose(index),
            };
            let counted = match &mut client.role {
                Role::Counter(scan) => scan.feed(input, self.message_len),
                Role::Observer(observer) => {
                    let at_us = self.clock.now_us();
                    observer.feed(input, |line| on_line(index, line, at_us))
                }
                Role::Laggard(_) | Role::Gone => Counted::default(),
            };
            client.lines += counted.lines;
            self.tally.lines += counted.lines;
            self.tally.lines_of_readers += counted.lines;
            self.tally.damaged += counted.damaged;
            // A short read says that nothing more is there, but not whether that is the end.
            if input.len() < INPUT_LEN && !has_ended {
                break;
            }
        }
        if has_ended && client.role.is_connected_laggard() {
            self.lose(index);
        }
    }

    /// Each laggard reads once, or joins again.
    fn read_as_laggards(&mut self) -> io::Result<()> {
        for (index, client) in self.clients.iter_mut().enumerate() {
            let Role::Laggard(laggard) = &mut client.role else {
                continue;
            };
            if laggard.wants_to_rejoin() {
                client.socket = laggard.rejoin(self.addr)?;
                self.poller.add(&client.socket, index, INPUT)?;
                continue;
            }
            let counted = laggard.read(&client.socket, &mut self.input, self.message_len);
            self.tally.lines += counted.lines;
            self.tally.damaged += counted.damaged;
        }
        Ok(())
    }

    fn lose(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index) else {
            return;
        };
        if client.role.is_reading() {
            self.tally.readers -= 1;
            self.tally.lines_of_readers -= client.lines;
        }
        self.tally.disconnects += 1;
        if let Role::Laggard(laggard) = &mut client.role {
            laggard.lose();
        } else {
            client.role = Role::Gone;
        }
        // The server hung up first, so there may be nothing left to shut down.
        let _ = client.socket.shutdown(Shutdown::Both);
    }
}
