//! The parts of one connection from the client's side, each a step that waits for as little as it can: asking for the upgrade, its
//! answer, the close frame, its answer. Between the steps, other connections have theirs.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};

use socket2::{Domain, Socket, Type};

use super::swarm::PATIENCE;
use super::wire::{CLOSE, Header, NORMAL_CLOSE, UPGRADE_REQUEST, client_frame};

const RESPONSE_MAX: usize = 4 * 1024;
const CLOSE_ANSWER_LEN: usize = 2 + NORMAL_CLOSE.len();

/// Connects and asks for the upgrade without waiting for the answer.
pub(crate) fn ask(addr: SocketAddr) -> io::Result<TcpStream> {
    ask_over(TcpStream::connect(addr)?)
}

/// Like [`ask`], from an address of the caller's choice.
pub(crate) fn ask_from(source: Ipv4Addr, addr: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddrV4::new(source, 0).into())?;
    socket.connect(&addr.into())?;
    ask_over(socket.into())
}

fn ask_over(mut socket: TcpStream) -> io::Result<TcpStream> {
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.write_all(UPGRADE_REQUEST)?;
    Ok(socket)
}

/// Reads the `101`; nothing may follow it, since nobody sends a message yet.
pub(crate) fn read_response(socket: &mut TcpStream) -> io::Result<()> {
    let mut response = [0; RESPONSE_MAX];
    let mut len = 0;
    while !response[..len].ends_with(b"\r\n\r\n") {
        match socket.read(&mut response[len..])? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            more => len += more,
        }
    }
    if response.starts_with(b"HTTP/1.1 101 ") {
        Ok(())
    } else {
        Err(io::Error::other(String::from_utf8_lossy(&response[..len])))
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
