//! The floor: the least that a chat on epoll can do for the same bytes on the wire. One read per client that sent something, one
//! frame (or one run of events) for the messages of a turn, one `send` of the same bytes per member; a close frame is answered and
//! the socket closed, with no shutdown and no further read. It has what the contract puts on the wire: rooms by path, ids, events,
//! requests that publish; compression, once per turn. No checks, no timers, no pings, no origin, no history, no limits but one: what
//! is kept for a client that does not read.
//! It is no server to use; it is the practical limit that the others are measured against.

mod backlog;
mod deflater;
mod descriptor;
mod request;
mod room;

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send, sockopt};
use socket2::{Domain, Socket, Type};

use super::poller::{INPUT, Poller};
use super::server::announce;
use backlog::Backlog;
use deflater::Deflater;
use descriptor::{ByDescriptor, descriptor, take};
use request::{Request, Taken, take_frames, take_posts};
use room::{Kind, Room};

const LISTEN_BACKLOG: i32 = 4096;
const INPUT_LEN: usize = 256 * 1024;

/// Serves on a port of its own choice until it is killed. The second argument, if there is one, says how many milliseconds the
/// messages of a room wait for more.
pub(crate) fn run() -> io::Result<()> {
    let listener = listen()?;
    announce(listener.local_addr()?)?;
    let linger_ms = std::env::args().nth(2).and_then(|ms| ms.parse().ok());
    let linger = Duration::from_millis(linger_ms.unwrap_or_default());
    let mut floor = Floor::new(listener.into(), linger)?;
    loop {
        floor.turn()?;
    }
}

fn listen() -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(LISTEN_BACKLOG)?;
    // Accepted sockets inherit it, which saves a call for each.
    sockopt::set_tcp_nodelay(&socket, true)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Where a descriptor stands.
#[derive(Clone, Copy)]
struct Seat {
    room: u32,
    place: u32,
    kind: Kind,
}

struct Floor {
    poller: Poller,
    listener: OwnedFd,
    /// Accepted, but the request was not there yet.
    waiting: ByDescriptor<OwnedFd>,
    rooms: Vec<Room>,
    names: HashMap<Vec<u8>, u32>,
    /// By descriptor.
    seats: Vec<Option<Seat>>,
    /// The rooms with something new.
    news: Vec<u32>,
    linger: Duration,
    /// When it is sent.
    due: Option<Instant>,
    /// The start of a frame or a request whose end has not arrived.
    halves: ByDescriptor<Vec<u8>>,
    backlog: Backlog,
    deflater: Deflater,
    input: Vec<u8>,
    response: Vec<u8>,
}

impl Floor {
    fn new(listener: OwnedFd, linger: Duration) -> io::Result<Self> {
        let poller = Poller::new()?;
        poller.add(&listener, descriptor(&listener), INPUT)?;
        Ok(Self {
            poller,
            listener,
            waiting: HashMap::new(),
            rooms: Vec::new(),
            names: HashMap::new(),
            seats: Vec::new(),
            news: Vec::new(),
            linger,
            due: None,
            halves: HashMap::new(),
            backlog: Backlog::default(),
            deflater: Deflater::new(),
            input: vec![0; INPUT_LEN],
            response: Vec::new(),
        })
    }

    fn turn(&mut self) -> io::Result<()> {
        let timeout = self
            .due
            .map(|due| due.saturating_duration_since(Instant::now()));
        for index in 0..self.poller.wait(timeout)? {
            let Some(ready) = self.poller.ready(index) else {
                continue;
            };
            let fd = ready.token;
            if fd == descriptor(&self.listener) {
                self.accept()?;
            } else if let Some(socket) = take(&mut self.waiting, fd) {
                self.admit(socket, true)?;
            } else {
                self.read(fd, ready.has_ended);
                if ready.has_room
                    && let Some(member) = member(&self.rooms, &self.seats, fd)
                {
                    self.backlog.drain(fd, member);
                }
            }
        }
        if self.news.is_empty() || self.is_lingering() {
            return Ok(());
        }
        self.broadcast()
    }

    /// Whether what is new waits for more.
    fn is_lingering(&mut self) -> bool {
        if self.linger.is_zero() {
            return false;
        }
        let now = Instant::now();
        let due = *self.due.get_or_insert(now + self.linger);
        if now >= due {
            self.due = None;
        }
        now < due
    }

    fn accept(&mut self) -> io::Result<()> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        while let Ok(socket) = accept_with(&self.listener, flags) {
            self.admit(socket, false)?;
        }
        Ok(())
    }

    /// Answers the request if it is there, as it mostly is at once; a first request in pieces is not supported.
    fn admit(&mut self, socket: OwnedFd, is_watched: bool) -> io::Result<()> {
        let fd = descriptor(&socket);
        match recv(&socket, &mut self.input, RecvFlags::empty()) {
            Ok((_, len)) => {
                // Where it asks for nothing that is to be had, it is closed.
                let _ = self.answer(socket, len, is_watched);
            }
            Err(Errno::AGAIN) => {
                if !is_watched {
                    self.poller.add(&socket, fd, INPUT)?;
                }
                self.waiting.insert(fd, socket);
            }
            Err(_) => {}
        }
        Ok(())
    }

    /// Answers the request at the start of the input. A socket is watched only after that, so that the request is no edge any more.
    fn answer(&mut self, socket: OwnedFd, len: usize, is_watched: bool) -> Option<()> {
        let input = &self.input[..len];
        let request = Request::parse(input)?;
        let kind = request.kind;
        let index = match self.names.get(request.room) {
            Some(index) => *index,
            None => {
                let index = u32::try_from(self.rooms.len()).ok()?;
                self.rooms.push(Room::new());
                self.names.insert(request.room.to_vec(), index);
                index
            }
        };
        let room = self.rooms.get(index as usize)?;
        request.answer(input, room, &mut self.response)?;
        if room.is_listed {
            // It would get what was published before it came.
            self.offer(index).ok()?;
        }
        if kind != Kind::Publisher {
            send(&socket, &self.response, SendFlags::NOSIGNAL).ok()?;
        }
        let fd = descriptor(&socket);
        if !is_watched {
            self.poller.add(&socket, fd, INPUT).ok()?;
        }
        self.join(socket, kind, index);
        if kind == Kind::Publisher {
            self.take_input(fd, len);
        }
        Some(())
    }

    fn join(&mut self, socket: OwnedFd, kind: Kind, index: u32) {
        let fd = descriptor(&socket);
        let Some(room) = self.rooms.get_mut(index as usize) else {
            return;
        };
        let members = &mut room.audience_mut(kind).members;
        if self.seats.len() <= fd {
            self.seats.resize(fd + 1, None);
        }
        self.seats[fd] = Some(Seat {
            room: index,
            place: u32::try_from(members.len()).unwrap_or(u32::MAX),
            kind,
        });
        members.push(socket);
    }

    fn leave(&mut self, fd: usize) {
        let Some(seat) = self.seats.get_mut(fd).and_then(Option::take) else {
            return;
        };
        let room = &mut self.rooms[seat.room as usize];
        let members = &mut room.audience_mut(seat.kind).members;
        members.swap_remove(seat.place as usize);
        if let Some(moved) = members.get(seat.place as usize) {
            self.seats[descriptor(moved)] = Some(seat);
        }
        take(&mut self.halves, fd);
        self.backlog.forget(fd);
    }

    /// Reads until a short read, which says that no more is there; an end is looked for only where one was reported.
    fn read(&mut self, fd: usize, has_ended: bool) {
        loop {
            let kept = take(&mut self.halves, fd).unwrap_or_default();
            self.input[..kept.len()].copy_from_slice(&kept);
            let Some(member) = member(&self.rooms, &self.seats, fd) else {
                return;
            };
            match recv(member, &mut self.input[kept.len()..], RecvFlags::empty()) {
                Ok((1.., len)) => {
                    let filled = kept.len() + len;
                    if !self.take_input(fd, filled) {
                        return self.leave(fd);
                    }
                    if filled < self.input.len() && !has_ended {
                        return;
                    }
                }
                Err(Errno::AGAIN) => return,
                Ok(_) | Err(_) => return self.leave(fd),
            }
        }
    }

    /// Publishes what is whole at the start of the input, answers what wants an answer, and keeps the rest; whether more may come.
    fn take_input(&mut self, fd: usize, filled: usize) -> bool {
        let Some(seat) = self.seats.get(fd).copied().flatten() else {
            return false;
        };
        let room = &mut self.rooms[seat.room as usize];
        let input = &mut self.input[..filled];
        self.response.clear();
        let taken = match seat.kind {
            Kind::Plain | Kind::V1 | Kind::Deflated => take_frames(input, room, &mut self.response),
            Kind::Publisher => take_posts(input, room, &mut self.response),
            Kind::Events => Taken {
                len: filled,
                is_last: false,
            },
        };
        if taken.len < filled {
            self.halves
                .insert(fd, self.input[taken.len..filled].to_vec());
        }
        if !self.response.is_empty() {
            let members = &room.audience(seat.kind).members;
            // A client that takes no answer is one that left.
            let _ = send(
                &members[seat.place as usize],
                &self.response,
                SendFlags::NOSIGNAL,
            );
        }
        if !room.is_listed && room.has_news() {
            room.is_listed = true;
            self.news.push(seat.room);
        }
        !taken.is_last
    }

    fn broadcast(&mut self) -> io::Result<()> {
        let mut news = std::mem::take(&mut self.news);
        for index in news.drain(..) {
            self.offer(index)?;
        }
        self.news = news;
        for fd in self.backlog.laggards() {
            self.leave(fd);
        }
        Ok(())
    }

    /// Sends what is new in a room to all who listen there.
    fn offer(&mut self, index: u32) -> io::Result<()> {
        let Self {
            rooms,
            poller,
            backlog,
            deflater,
            ..
        } = self;
        let room = &mut rooms[index as usize];
        room.is_listed = false;
        let mut result = Ok(());
        room.broadcast(deflater, |members, bytes| {
            result = backlog.deliver(members, bytes, poller);
        });
        result
    }
}

fn member<'a>(rooms: &'a [Room], seats: &[Option<Seat>], fd: usize) -> Option<&'a OwnedFd> {
    let seat = (*seats.get(fd)?)?;
    let room = rooms.get(seat.room as usize)?;
    room.audience(seat.kind).members.get(seat.place as usize)
}
