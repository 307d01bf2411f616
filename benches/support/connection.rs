//! The parts of one connection from the client's side, each a step that waits for as little as it can: the request, its
//! answer, the close frame, its answer. Between the steps, other connections have theirs.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};

use memchr::memmem;
use socket2::{Domain, Socket, Type};

use super::swarm::PATIENCE;
use super::wire::{CLOSE, Header, NORMAL_CLOSE, client_frame};

const CHUNK_LEN: usize = 4 * 1024;
const HEAD_END: &[u8] = b"\r\n\r\n";
const CLOSE_ANSWER_LEN: usize = 2 + NORMAL_CLOSE.len();

/// Connects and sends `request` without waiting for the answer.
pub(crate) fn ask(addr: SocketAddr, request: &[u8]) -> io::Result<TcpStream> {
    ask_over(TcpStream::connect(addr)?, request)
}

/// Like [`ask`], from an address of the caller's choice.
pub(crate) fn ask_from(
    source: Ipv4Addr,
    addr: SocketAddr,
    request: &[u8],
) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddrV4::new(source, 0).into())?;
    socket.connect(&addr.into())?;
    ask_over(socket.into(), request)
}

fn ask_over(mut socket: TcpStream, request: &[u8]) -> io::Result<TcpStream> {
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.write_all(request)?;
    Ok(socket)
}

/// What a request was answered.
pub(crate) struct Answer {
    pub(crate) head: String,
    /// What came behind the head.
    pub(crate) rest: Vec<u8>,
}

/// Reads the head of an answer, whose status must be `status`, and what came with it.
pub(crate) fn read_head(socket: &mut TcpStream, status: u16) -> io::Result<Answer> {
    let mut response = Vec::new();
    let head_len = loop {
        let mut chunk = [0; CHUNK_LEN];
        match socket.read(&mut chunk)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            len => response.extend_from_slice(&chunk[..len]),
        }
        if let Some(at) = memmem::find(&response, HEAD_END) {
            break at + HEAD_END.len();
        }
    };
    let rest = response.split_off(head_len);
    let head = String::from_utf8_lossy(&response).into_owned();
    if head.starts_with(&format!("HTTP/1.1 {status} ")) {
        Ok(Answer { head, rest })
    } else {
        Err(io::Error::other(head))
    }
}

/// Reads the `101`; nothing may follow it, since nobody sends a message yet.
pub(crate) fn read_response(socket: &mut TcpStream) -> io::Result<()> {
    match read_head(socket, 101)?.rest.as_slice() {
        [] => Ok(()),
        more => Err(io::Error::other(String::from_utf8_lossy(more))),
    }
}

/// Begins a normal close.
pub(crate) fn send_close(socket: &mut TcpStream) -> io::Result<()> {
    socket.write_all(&client_frame(CLOSE, &NORMAL_CLOSE))
}

/// Reads the answer to [`send_close`], which repeats the code, and not a byte more.
pub(crate) fn read_close_answer(socket: &mut TcpStream) -> io::Result<()> {
    let mut answer = [0; CLOSE_ANSWER_LEN];
    socket.read_exact(&mut answer)?;
    match Header::decode(&answer) {
        Some(header) if header.is_close() && answer.ends_with(&NORMAL_CLOSE) => Ok(()),
        _ => Err(io::Error::other(format!("no close frame: {answer:02x?}"))),
    }
}
