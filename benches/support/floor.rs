//! The floor: the least that a chat on epoll can do. One read a client that has something, one frame for what was said in a turn,
//! one `send` of the same bytes a member. No checks, no timers, no pings, no origin, no limits but one: a backlog of [`BACKLOG_MAX`].
//! It is no server to use; it is the practical limit that the others are measured against.

use std::collections::HashMap;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send, sockopt};

use super::poller::{INPUT, INPUT_AND_ROOM, Poller};
use super::server::announce;
use super::wire::{HEADER_MAX, Header, server_header, upgrade_response};

const INPUT_LEN: usize = 256 * 1024;
/// What a client that does not read may make the floor keep, so that a bench with laggards does not eat the machine.
const BACKLOG_MAX: usize = 1024 * 1024;

/// Serves on a port of its own choice until it is killed.
pub(crate) fn run() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    // Accepted sockets inherit it, which saves a call for each.
    sockopt::set_tcp_nodelay(&listener, true)?;
    listener.set_nonblocking(true)?;
    announce(listener.local_addr()?)?;
    let mut floor = Floor::new(listener.into())?;
    loop {
        floor.turn()?;
    }
}

struct Floor {
    poller: Poller,
    listener: OwnedFd,
    /// Accepted, but the request was not there yet. By descriptor.
    waiting: HashMap<usize, OwnedFd>,
    /// Who is told: the array that a broadcast walks.
    members: Vec<OwnedFd>,
    /// Where a descriptor stands in `members`.
    place: Vec<u32>,
    /// The start of a frame whose end has not arrived. By descriptor.
    halves: HashMap<usize, Vec<u8>>,
    /// What a full socket did not take. By descriptor.
    backlog: HashMap<usize, Vec<u8>>,
    input: Vec<u8>,
    /// What was said in this turn, behind room for a header.
    batch: Vec<u8>,
}

impl Floor {
    fn new(listener: OwnedFd) -> io::Result<Self> {
        let poller = Poller::new()?;
        poller.add(&listener, descriptor(&listener), INPUT)?;
        Ok(Self {
            poller,
            listener,
            waiting: HashMap::new(),
            members: Vec::new(),
            place: Vec::new(),
            halves: HashMap::new(),
            backlog: HashMap::new(),
            input: vec![0; INPUT_LEN],
            batch: vec![0; HEADER_MAX],
        })
    }

    fn turn(&mut self) -> io::Result<()> {
        for index in 0..self.poller.wait(None)? {
            let Some((fd, ended)) = self.poller.ready(index) else {
                continue;
            };
            if fd == descriptor(&self.listener) {
                self.accept()?;
            } else if let Some(socket) = self.waiting.remove(&fd) {
                self.upgrade(socket);
            } else {
                self.read(fd, ended);
                self.drain(fd);
            }
        }
        self.broadcast();
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        while let Ok(socket) = accept_with(&self.listener, flags) {
            self.poller
                .add(&socket, descriptor(&socket), INPUT_AND_ROOM)?;
            self.upgrade(socket);
        }
        Ok(())
    }

    /// Answers the request if it is there; a request in pieces is not worth the floor's while.
    fn upgrade(&mut self, socket: OwnedFd) {
        let fd = descriptor(&socket);
        match recv(&socket, &mut self.input, RecvFlags::empty()) {
            Ok((len, _)) => {
                let Some(response) = self.input.get(..len).and_then(upgrade_response) else {
                    return;
                };
                if send(&socket, response.as_bytes(), SendFlags::NOSIGNAL).is_ok() {
                    self.join(socket);
                }
            }
            Err(Errno::AGAIN) => drop(self.waiting.insert(fd, socket)),
            Err(_) => {}
        }
    }

    fn join(&mut self, socket: OwnedFd) {
        let fd = descriptor(&socket);
        if self.place.len() <= fd {
            self.place.resize(fd + 1, u32::MAX);
        }
        if let Some(place) = self.place.get_mut(fd) {
            *place = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        }
        self.members.push(socket);
    }

    fn leave(&mut self, fd: usize) {
        let Some(place) = self.place_of(fd) else {
            return;
        };
        self.members.swap_remove(place);
        if let Some(moved) = self.members.get(place) {
            let moved = descriptor(moved);
            self.place[moved] = self.place[fd];
        }
        self.place[fd] = u32::MAX;
        self.halves.remove(&fd);
        self.backlog.remove(&fd);
    }

    fn place_of(&self, fd: usize) -> Option<usize> {
        let place = usize::try_from(*self.place.get(fd)?).ok()?;
        (place < self.members.len()).then_some(place)
    }

    /// Reads until a short read, which says that no more is there; only then can an end be told from a pause.
    fn read(&mut self, fd: usize, ended: bool) {
        loop {
            let Some(member) = self.place_of(fd).and_then(|place| self.members.get(place)) else {
                return;
            };
            let kept = self.halves.remove(&fd).unwrap_or_default();
            self.input[..kept.len()].copy_from_slice(&kept);
            match recv(member, &mut self.input[kept.len()..], RecvFlags::empty()) {
                Ok((1.., len)) => {
                    let filled = kept.len() + len;
                    let used = append_texts(&self.input[..filled], &mut self.batch);
                    if used < filled {
                        self.halves.insert(fd, self.input[used..filled].to_vec());
                    }
                    if filled < self.input.len() && !ended {
                        return;
                    }
                }
                Err(Errno::AGAIN) => return,
                Ok(_) | Err(_) => return self.leave(fd),
            }
        }
    }

    fn broadcast(&mut self) {
        let len = self.batch.len() - HEADER_MAX;
        if len == 0 {
            return;
        }
        // Every message has its separator behind it; the frame does without the last.
        let header = server_header(len - 1);
        let start = HEADER_MAX - header.len();
        self.batch[start..HEADER_MAX].copy_from_slice(&header);
        let frame = &self.batch[start..HEADER_MAX + len - 1];
        for member in &self.members {
            if !self.backlog.is_empty()
                && let Some(owed) = self.backlog.get_mut(&descriptor(member))
            {
                owed.extend_from_slice(frame);
                continue;
            }
            let sent = send(member, frame, SendFlags::NOSIGNAL).unwrap_or(0);
            if sent < frame.len() {
                self.backlog
                    .insert(descriptor(member), frame[sent..].to_vec());
            }
        }
        self.batch.truncate(HEADER_MAX);
        self.drop_laggards();
    }

    /// Offers a client that fell behind what it is owed.
    fn drain(&mut self, fd: usize) {
        if self.backlog.is_empty() {
            return;
        }
        let Some(member) = self.place_of(fd).and_then(|place| self.members.get(place)) else {
            return;
        };
        let Some(owed) = self.backlog.get_mut(&fd) else {
            return;
        };
        let sent = send(member, owed, SendFlags::NOSIGNAL).unwrap_or(0);
        owed.drain(..sent);
        if owed.is_empty() {
            self.backlog.remove(&fd);
        }
    }

    fn drop_laggards(&mut self) {
        if self.backlog.is_empty() {
            return;
        }
        let too_late = self
            .backlog
            .iter()
            .filter(|(_, owed)| owed.len() > BACKLOG_MAX);
        for fd in too_late.map(|(fd, _)| *fd).collect::<Vec<_>>() {
            self.leave(fd);
        }
    }
}

fn descriptor(socket: &OwnedFd) -> usize {
    // A descriptor that is open is never negative.
    usize::try_from(socket.as_raw_fd()).unwrap_or(usize::MAX)
}

/// Unmasks the whole frames at the start of `input` into `batch`, each with a `\n` behind it; returns how many bytes they took.
fn append_texts(input: &[u8], batch: &mut Vec<u8>) -> usize {
    let mut used = 0;
    while let Some(header) = Header::decode(&input[used..]) {
        let start = used + header.header_len;
        let Some(payload) = input.get(start..start + header.payload_len) else {
            break;
        };
        if header.is_text() {
            let said = batch.len();
            batch.extend_from_slice(payload);
            unmask(&mut batch[said..], header.key.unwrap_or_default());
            batch.push(b'\n');
        }
        used = start + header.payload_len;
    }
    used
}

fn unmask(payload: &mut [u8], key: [u8; 4]) {
    let wide = u64::from_ne_bytes([
        key[0], key[1], key[2], key[3], key[0], key[1], key[2], key[3],
    ]);
    let (chunks, rest) = payload.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}
