//! A connection: the server's end, which does as scripted, and the peer's.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;

use fanfare::client::Stream;
use fanfare::http::route::Role;
use fanfare::id::ClientId;

use super::{decode_frames, find, masked_frame};

/// Both ends of a connection.
#[derive(Debug)]
pub struct Socket {
    /// Reads and writes are short only at the end of what there is, as epoll's sockets are; `read_max`
    /// and `write_max` say nothing then.
    pub short_means_blocked: bool,
    /// Bytes on their way to the server, and how many a read gives at most.
    pub(super) inbound: VecDeque<u8>,
    pub read_max: usize,
    /// What the server wrote, how many bytes the socket still takes, and how many at once.
    pub outbound: Vec<u8>,
    pub room: usize,
    pub write_max: usize,
    /// Errors for the next calls.
    pub read_errors: VecDeque<io::Error>,
    pub write_errors: VecDeque<io::Error>,
    pub peer_has_shut: bool,
    pub server_has_shut: bool,
    pub server_has_closed: bool,
    /// How often the server called, whether or not a byte moved.
    pub reads: usize,
    pub writes: usize,
    /// Edges not announced yet.
    pub(super) is_read_edge: bool,
    pub(super) is_write_edge: bool,
    /// Whether the server wants to know of room.
    pub(super) is_output_watched: bool,
    /// A write was refused, so that room is worth an edge.
    pub(super) is_write_blocked: bool,
    pub(super) addr: SocketAddr,
    pub(super) role: Role,
    /// How many bytes all sockets of the world took.
    pub(super) sent_len: Rc<Cell<u64>>,
    pub(super) is_accepted: bool,
    pub(super) id: Option<ClientId>,
}

impl Socket {
    /// Whether a read would not block.
    pub(super) fn is_readable(&self) -> bool {
        !self.inbound.is_empty() || self.peer_has_shut || !self.read_errors.is_empty()
    }

    /// Whether room is to be announced.
    pub(super) fn has_write_edge(&self) -> bool {
        self.is_output_watched && self.is_write_edge
    }
}

/// The server's end.
#[derive(Debug)]
pub struct ScriptedStream(pub(super) Rc<RefCell<Socket>>);

impl Drop for ScriptedStream {
    fn drop(&mut self) {
        self.0.borrow_mut().server_has_closed = true;
    }
}

impl Stream for ScriptedStream {
    fn short_means_blocked(&self) -> bool {
        self.0.borrow().short_means_blocked
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.0.borrow_mut().server_has_shut = true;
        Ok(())
    }
}

impl Read for ScriptedStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut socket = self.0.borrow_mut();
        socket.reads += 1;
        if let Some(error) = socket.read_errors.pop_front() {
            return Err(error);
        }
        if socket.inbound.is_empty() {
            return if socket.peer_has_shut {
                Ok(0)
            } else {
                Err(ErrorKind::WouldBlock.into())
            };
        }
        let mut len = buffer.len().min(socket.inbound.len());
        if !socket.short_means_blocked {
            len = len.min(socket.read_max);
        }
        for (place, byte) in buffer.iter_mut().zip(socket.inbound.drain(..len)) {
            *place = byte;
        }
        Ok(len)
    }
}

impl Write for ScriptedStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut socket = self.0.borrow_mut();
        assert!(!socket.server_has_shut, "nothing is written after the end");
        socket.writes += 1;
        if let Some(error) = socket.write_errors.pop_front() {
            return Err(error);
        }
        let mut len = bytes.len().min(socket.room);
        if !socket.short_means_blocked {
            len = len.min(socket.write_max);
        } else if len < bytes.len() {
            socket.is_write_blocked = true;
        }
        if len == 0 {
            socket.is_write_blocked = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        socket.room -= len;
        socket.sent_len.update(|sent_len| sent_len + len as u64);
        socket.outbound.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A peer's end of a connection.
#[derive(Debug, Clone)]
pub struct Peer(pub Rc<RefCell<Socket>>);

impl Peer {
    pub fn socket(&self) -> RefMut<'_, Socket> {
        self.0.borrow_mut()
    }

    pub fn send(&self, bytes: &[u8]) {
        let mut socket = self.socket();
        socket.inbound.extend(bytes);
        socket.is_read_edge = true;
    }

    pub fn say(&self, text: &str) {
        self.send(&masked_frame(0x81, text.as_bytes()));
    }

    /// Ends the peer's side of the stream.
    pub fn shut(&self) {
        let mut socket = self.socket();
        socket.peer_has_shut = true;
        socket.is_read_edge = true;
    }

    pub fn reset(&self) {
        let mut socket = self.socket();
        socket.inbound.clear();
        socket
            .read_errors
            .push_back(ErrorKind::ConnectionReset.into());
        socket.is_read_edge = true;
    }

    /// How many bytes the socket takes from now on.
    pub fn set_room(&self, room: usize) {
        let mut socket = self.socket();
        socket.room = room;
        if room > 0 && socket.is_write_blocked {
            socket.is_write_blocked = false;
            socket.is_write_edge = true;
        }
    }

    /// Room appears, and the kernel has not said so yet.
    pub fn set_room_silently(&self, room: usize) {
        self.socket().room = room;
    }

    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.socket().outbound)
    }

    /// The same, so many bytes at most.
    pub fn take_up_to(&self, len: usize) -> Vec<u8> {
        let mut socket = self.socket();
        let len = len.min(socket.outbound.len());
        socket.outbound.drain(..len).collect()
    }

    /// The frames received since the last call; the answer to the upgrade is passed over.
    pub fn take_frames(&self) -> Vec<(u8, Vec<u8>)> {
        let bytes = self.take();
        let frames = bytes.strip_prefix(b"HTTP/1.1 101").map_or(&bytes[..], |_| {
            let end = find(&bytes, b"\r\n\r\n").expect("the answer has an end");
            &bytes[end + 4..]
        });
        decode_frames(frames)
    }

    /// The lines of chat received since the last call, whatever frames they came in.
    pub fn take_lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (first, payload) in self.take_frames() {
            if first == 0x81 {
                let text = String::from_utf8(payload).expect("the server sends UTF-8");
                lines.extend(text.split('\n').map(ToOwned::to_owned));
            }
        }
        lines
    }

    /// How many bytes wait to be read by the server.
    pub fn unread_len(&self) -> usize {
        self.socket().inbound.len()
    }

    pub fn is_accepted(&self) -> bool {
        self.socket().is_accepted
    }

    /// Whether it was accepted, and its socket is watched: where that fails it is closed.
    pub fn is_registered(&self) -> bool {
        self.socket().id.is_some()
    }

    pub fn is_output_watched(&self) -> bool {
        self.socket().is_output_watched
    }

    /// Whether the server has something for a socket that takes nothing.
    pub fn is_blocked(&self) -> bool {
        self.socket().is_write_blocked
    }

    pub fn is_closed(&self) -> bool {
        self.socket().server_has_closed
    }
}
