//! The floor: the least that a chat on epoll can do for the same bytes on the wire. One read per client that sent something, one
//! frame for the messages of a turn, one `send` of the same bytes per member; a close frame is answered and the socket closed, with
//! no shutdown and no further read. No checks, no timers, no pings, no origin, no limits but one: a backlog of [`BACKLOG_MAX`].
//! It is no server to use; it is the practical limit that the others are measured against.

use std::collections::HashMap;
use std::io;
use std::net::TcpListener;
use std::ops::Range;
use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send, sockopt};

use super::poller::{INPUT, INPUT_AND_ROOM, Poller};
use super::server::announce;
use super::wire::{CLOSE, HEADER_MAX, Header, TEXT, apply_mask, server_header, upgrade_response};

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

/// What belongs to one descriptor; where it is empty, as it mostly is, it costs nothing.
type ByDescriptor<T> = HashMap<usize, T>;

struct Floor {
    poller: Poller,
    listener: OwnedFd,
    /// Accepted, but the request was not there yet.
    waiting: ByDescriptor<OwnedFd>,
    /// The array that a broadcast walks.
    members: Vec<OwnedFd>,
    /// Where a descriptor stands in `members`.
    place: Vec<u32>,
    /// The start of a frame whose end has not arrived.
    halves: ByDescriptor<Vec<u8>>,
    /// What a full socket did not take.
    backlog: ByDescriptor<Vec<u8>>,
    input: Vec<u8>,
    response: Vec<u8>,
    /// The messages of this turn, behind room for a header.
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
            response: Vec::new(),
            batch: vec![0; HEADER_MAX],
        })
    }

    fn turn(&mut self) -> io::Result<()> {
        for index in 0..self.poller.wait(None)? {
            let Some(ready) = self.poller.ready(index) else {
                continue;
            };
            let fd = ready.token;
            if fd == descriptor(&self.listener) {
                self.accept()?;
            } else if let Some(socket) = take(&mut self.waiting, fd) {
                let answered = self.answer(&socket);
                self.keep(socket, answered);
            } else {
                self.read(fd, ready.has_ended);
                if ready.has_room {
                    self.drain(fd);
                }
            }
        }
        self.broadcast()
    }

    fn accept(&mut self) -> io::Result<()> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        while let Ok(socket) = accept_with(&self.listener, flags) {
            // Watched only once its request was read, so that this is no edge any more.
            let answered = self.answer(&socket);
            if matches!(answered, Ok(()) | Err(Errno::AGAIN)) {
                self.poller.add(&socket, descriptor(&socket), INPUT)?;
            }
            self.keep(socket, answered);
        }
        Ok(())
    }

    /// Answers the request if it is there, as it mostly is at once; a request in pieces is not supported.
    fn answer(&mut self, socket: &OwnedFd) -> Result<(), Errno> {
        let (len, _) = recv(socket, &mut self.input, RecvFlags::empty())?;
        upgrade_response(&self.input[..len], &mut self.response).ok_or(Errno::PROTO)?;
        send(socket, &self.response, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    fn keep(&mut self, socket: OwnedFd, answered: Result<(), Errno>) {
        match answered {
            Ok(()) => self.join(socket),
            Err(Errno::AGAIN) => drop(self.waiting.insert(descriptor(&socket), socket)),
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
        take(&mut self.halves, fd);
        take(&mut self.backlog, fd);
    }

    fn place_of(&self, fd: usize) -> Option<usize> {
        let place = usize::try_from(*self.place.get(fd)?).ok()?;
        (place < self.members.len()).then_some(place)
    }

    /// Reads until a short read, which says that no more is there; an end is looked for only where one was reported.
    fn read(&mut self, fd: usize, has_ended: bool) {
        loop {
            let Some(member) = self.place_of(fd).and_then(|place| self.members.get(place)) else {
                return;
            };
            let kept = take(&mut self.halves, fd).unwrap_or_default();
            self.input[..kept.len()].copy_from_slice(&kept);
            match recv(member, &mut self.input[kept.len()..], RecvFlags::empty()) {
                Ok((1.., len)) => {
                    let filled = kept.len() + len;
                    let frames = append_texts(&mut self.input[..filled], &mut self.batch);
                    if let Some(answer) = frames.close_answer {
                        // Whether it is taken or not, the client is gone.
                        let _ = send(member, &self.input[answer], SendFlags::NOSIGNAL);
                        return self.leave(fd);
                    }
                    if frames.len < filled {
                        self.halves
                            .insert(fd, self.input[frames.len..filled].to_vec());
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

    fn broadcast(&mut self) -> io::Result<()> {
        let len = self.batch.len() - HEADER_MAX;
        if len == 0 {
            return Ok(());
        }
        // Every message has its separator behind it; the frame does without the last.
        let header = server_header(TEXT, len - 1);
        let header = header.as_bytes();
        let start = HEADER_MAX - header.len();
        self.batch[start..HEADER_MAX].copy_from_slice(header);
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
                let fd = descriptor(member);
                self.backlog.insert(fd, frame[sent..].to_vec());
                // Room is waited for only where it is needed.
                self.poller.change(member, fd, INPUT_AND_ROOM)?;
            }
        }
        self.batch.truncate(HEADER_MAX);
        self.drop_laggards();
        Ok(())
    }

    /// Offers a client that fell behind what it is owed.
    fn drain(&mut self, fd: usize) {
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

/// Takes what belongs to `fd`, without hashing where nothing belongs to anybody.
fn take<T>(map: &mut ByDescriptor<T>, fd: usize) -> Option<T> {
    if map.is_empty() {
        None
    } else {
        map.remove(&fd)
    }
}

/// What stood at the start of some input.
struct Frames {
    /// The bytes that whole frames took.
    len: usize,
    /// Where the answer to a close frame stands in the input.
    close_answer: Option<Range<usize>>,
}

/// Unmasks the whole frames at the start of `input` into `batch`, each with a `\n` behind it, up to a close frame. That one
/// is answered with its own payload, for which it is unmasked where it is.
fn append_texts(input: &mut [u8], batch: &mut Vec<u8>) -> Frames {
    let mut len = 0;
    let mut close_answer = None;
    while close_answer.is_none()
        && let Some(header) = Header::decode(&input[len..])
    {
        let start = len + header.header_len;
        let end = start + header.payload_len;
        let key = header.key.unwrap_or_default();
        let Some(payload) = input.get_mut(start..end) else {
            break;
        };
        if header.is_text() {
            let text_start = batch.len();
            batch.extend_from_slice(payload);
            apply_mask(&mut batch[text_start..], key);
            batch.push(b'\n');
        } else if header.is_close() {
            apply_mask(payload, key);
            let answer = server_header(CLOSE, header.payload_len);
            let answer = answer.as_bytes();
            // There is room: a client's header is longer by its key.
            let answer_start = start - answer.len();
            input[answer_start..start].copy_from_slice(answer);
            close_answer = Some(answer_start..end);
        }
        len = end;
    }
    Frames { len, close_answer }
}
