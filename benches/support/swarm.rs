//! A crowd of clients on one thread, lighter than any server: one epoll, one buffer for all, one read per wake-up. Most clients only
//! count: all messages have one length, so a frame header tells how many lines its payload holds, joined or not; where messages
//! have ids, those are followed as well. A few, the observers, read every line, check that none is missing or out of order, and
//! hand it to the load for its latency.

use std::io::{self, ErrorKind, Read as _};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::client::{Client, Role, Seat};
use super::clock::Clock;
use super::connection::{ask, read_head};
use super::format::Format;
use super::inflater::SharedInflater;
use super::laggard::{self, Laggard};
use super::message::{Filler, Line, Messages, Texts};
use super::poller::{INPUT, Poller};
use super::scan::Counted;
use super::tally::{Books, Tally};

/// Connections whose requests travel together; below the servers' listen backlogs.
const CONNECTING_MAX: usize = 64;
const INPUT_LEN: usize = 256 * 1024;
/// A server that neither answers nor takes what is sent for this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Clients of one server.
pub(crate) struct Swarm {
    pub(crate) clock: Clock,
    addr: SocketAddr,
    poller: Poller,
    clients: Vec<Client>,
    books: Books,
    input: Vec<u8>,
    inflater: SharedInflater,
    messages: Messages,
    outgoing: Vec<u8>,
    message_len: usize,
    laggards_read_at: Instant,
}

impl Swarm {
    /// No clients yet; messages will be `message_len` bytes long. A single room is the server's default room.
    pub(crate) fn new(addr: SocketAddr, rooms: usize, message_len: usize) -> io::Result<Self> {
        let texts = Texts::new(message_len, Filler::Letters);
        Ok(Self {
            clock: Clock::start(),
            addr,
            poller: Poller::new()?,
            clients: Vec::new(),
            books: Books::new(rooms),
            input: vec![0; INPUT_LEN],
            messages: Messages::new(&texts),
            inflater: SharedInflater::new(texts),
            outgoing: Vec::new(),
            message_len,
            laggards_read_at: Instant::now(),
        })
    }

    /// Fills all messages so; only before the first client.
    pub(crate) fn fill_with(&mut self, filler: Filler) {
        let texts = Texts::new(self.message_len, filler);
        self.messages = Messages::new(&texts);
        self.inflater = SharedInflater::new(texts);
    }

    /// Connects a client for each of `seats`; only before the first message.
    pub(crate) fn join(&mut self, seats: &[Seat]) -> io::Result<()> {
        for together in seats.chunks(CONNECTING_MAX) {
            let ask = |seat: &Seat| ask(self.addr, &seat.format.request(&self.room_name(*seat)));
            let asking = together.iter().map(ask).collect::<io::Result<Vec<_>>>()?;
            for (seat, socket) in together.iter().zip(asking) {
                self.clients
                    .push(Client::new(socket, *seat, self.message_len));
                self.books.add_reader(seat.room);
                self.admit(self.clients.len() - 1)?;
            }
        }
        Ok(())
    }

    /// Reads the answer to the request of `client` and watches it from then on.
    fn admit(&mut self, index: usize) -> io::Result<()> {
        let Client {
            socket, role, seat, ..
        } = &mut self.clients[index];
        if let Some(socket) = socket {
            let answer = read_head(socket, seat.format.status())?;
            if seat.format == Format::Deflated && self.inflater.agree(&answer.head).is_none() {
                return Err(io::Error::other("a server does not agree to compress"));
            }
            let inflater = &mut self.inflater;
            let counted = role.feed(&answer.rest, self.message_len, inflater, |_| ());
            self.take_count(index, counted);
        }
        if let Some(socket) = &self.clients[index].socket {
            socket.set_nonblocking(true)?;
            self.poller.add(socket, index, INPUT)?;
        }
        Ok(())
    }

    fn room_name(&self, seat: Seat) -> String {
        if self.books.room_count() > 1 {
            format!("/r{}", seat.room)
        } else {
            String::new()
        }
    }

    /// Cuts all connections, as a network does that fails.
    pub(crate) fn cut(&mut self) -> io::Result<()> {
        for socket in self.clients.iter_mut().filter_map(|it| it.socket.take()) {
            SockRef::from(&socket).set_linger(Some(Duration::ZERO))?;
        }
        Ok(())
    }

    /// Connects all clients that were cut, `at_once` at a time, each where it was or, if `fresh`, anew. Between the groups it reads
    /// what has arrived.
    pub(crate) fn rejoin(&mut self, fresh: bool, at_once: usize) -> io::Result<()> {
        for first in (0..self.clients.len()).step_by(at_once) {
            let group = first..self.clients.len().min(first + at_once);
            for index in group.clone() {
                let client = &mut self.clients[index];
                if !client.role.is_reading() {
                    continue;
                }
                let mut query = String::new();
                if let Role::Numbered(numbered) = &mut client.role {
                    numbered.restart(fresh);
                    if let Some(id) = numbered.position() {
                        query = format!("?since={}", String::from_utf8_lossy(id.text().as_bytes()));
                    }
                }
                let request = client.seat.format.request(&query);
                client.socket = Some(ask(self.addr, &request)?);
            }
            for index in group {
                self.admit(index)?;
            }
            self.poll(Duration::ZERO, |_, _, _| ())?;
        }
        Ok(())
    }

    pub(crate) fn tally(&self) -> Tally {
        self.books.tally
    }

    pub(crate) fn message_len(&self) -> usize {
        self.message_len
    }

    /// Counts from here on, as if nothing had been sent or received.
    pub(crate) fn forget_counts(&mut self) {
        self.books.forget();
        self.clients.iter_mut().for_each(|client| client.lines = 0);
    }

    /// Lets `client` read every line from now on; only before the first message.
    pub(crate) fn observe(&mut self, client: usize) {
        if let Some(client) = self.clients.get_mut(client) {
            client.observe();
        }
    }

    /// Makes `client` the laggard of that number; only before the first message.
    pub(crate) fn lag(&mut self, client: usize, number: usize) {
        if let Some(client) = self.clients.get_mut(client) {
            client.role = Role::Laggard(Laggard::new(number));
            self.books.remove_reader(client.seat.room, 0);
        }
    }

    /// Whether `client` reads and is still connected.
    pub(crate) fn is_reading(&self, client: usize) -> bool {
        self.clients
            .get(client)
            .is_some_and(|client| client.role.is_reading())
    }

    /// Whether every reader that is still there has had every message.
    pub(crate) fn is_complete(&self) -> bool {
        self.books.is_complete()
    }

    /// How far the lines that readers had are from those that they should have had, all readers that are still there together.
    pub(crate) fn losses(&self) -> u64 {
        let readers = self
            .clients
            .iter()
            .filter(|client| client.role.is_reading());
        readers
            .map(|client| self.books.losses(client.seat.room, client.lines))
            .sum()
    }

    /// Sends `lines` from `client`, all in one write; they wait in the swarm while the socket is full.
    pub(crate) fn send(
        &mut self,
        client: usize,
        lines: impl Iterator<Item = Line>,
    ) -> io::Result<()> {
        self.outgoing.clear();
        let mut count = 0;
        for line in lines {
            self.messages.append(line, &mut self.outgoing);
            count += 1;
        }
        let Some(client) = self.clients.get_mut(client) else {
            return Ok(());
        };
        client.send(&self.outgoing)?;
        let room = client.seat.room;
        self.note_sent(room, count);
        Ok(())
    }

    /// Every reader in `room` is to get so many messages more.
    pub(crate) fn note_sent(&mut self, room: usize, messages: u64) {
        self.books.note_sent(room, messages);
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

    /// Reads until every reader has every message, or until nothing has arrived for `silence_max`.
    pub(crate) fn wait_until_complete(&mut self, silence_max: Duration) -> io::Result<()> {
        while !self.is_complete() && self.poll(silence_max, |_, _, _| ())? > 0 {}
        Ok(())
    }

    fn read(&mut self, index: usize, has_ended: bool, on_line: &mut impl FnMut(usize, Line, u32)) {
        let clock = self.clock;
        while let Some(client) = self.clients.get_mut(index)
            && client.role.is_reading()
            && let Some(socket) = &mut client.socket
        {
            let input = match socket.read(&mut self.input) {
                Ok(len @ 1..) => &self.input[..len],
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Ok(_) | Err(_) => return self.lose(index),
            };
            let at_us = if client.role.is_observer() {
                clock.now_us()
            } else {
                0
            };
            let inflater = &mut self.inflater;
            let counted = client.role.feed(input, self.message_len, inflater, |line| {
                on_line(index, line, at_us);
            });
            let is_short = input.len() < INPUT_LEN;
            self.take_count(index, counted);
            // A short read says that nothing more is there, but not whether that is the end.
            if is_short && !has_ended {
                break;
            }
        }
        let client = self.clients.get(index);
        if has_ended && client.is_some_and(|client| client.role.is_connected_laggard()) {
            self.lose(index);
        }
    }

    fn take_count(&mut self, index: usize, counted: Counted) {
        self.clients[index].lines += counted.lines;
        self.books.note_received(counted, true);
    }

    /// Each laggard reads once, or joins again.
    fn read_as_laggards(&mut self) -> io::Result<()> {
        for (index, client) in self.clients.iter_mut().enumerate() {
            let Role::Laggard(laggard) = &mut client.role else {
                continue;
            };
            if laggard.wants_to_rejoin() {
                let socket = laggard.rejoin(self.addr)?;
                self.poller.add(&socket, index, INPUT)?;
                client.socket = Some(socket);
            } else if let Some(socket) = &client.socket {
                let counted = laggard.read(socket, &mut self.input, self.message_len);
                self.books.note_received(counted, false);
            }
        }
        Ok(())
    }

    fn lose(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index) else {
            return;
        };
        if client.role.is_reading() {
            self.books.remove_reader(client.seat.room, client.lines);
        }
        self.books.tally.disconnects += 1;
        if let Role::Laggard(laggard) = &mut client.role {
            laggard.lose();
        } else {
            client.role = Role::Gone;
        }
        if let Some(socket) = &client.socket {
            // The server hung up first, so there may be nothing left to shut down.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}
