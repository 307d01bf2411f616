//! Both connections against listeners of the tests' own, and a backplane that does as it is told.

mod lookup;

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use mio::{Events, Poll};
use socket2::{Domain, SockRef, Socket, Type};

use super::super::clock::Deadline;
use super::super::token::{BROKER_LOOKUP, broker_line_of};
use super::*;

/// How long a test waits for what must happen. Only a failure takes so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a connection is for, as a test wants it, and what it was told.
#[derive(Default)]
struct Script {
    wants_connection: bool,
    is_connected: bool,
    is_given_up: bool,
    refuses_bytes: bool,
    /// No more bytes are wanted once some have come.
    takes_one_read: bool,
    lost: Option<String>,
    received: Vec<u8>,
    unsent: VecDeque<u8>,
}

#[derive(Default)]
struct Scripts {
    append: Script,
    read: Script,
}

impl Scripts {
    fn of(&self, line: Line) -> &Script {
        match line {
            Line::Append => &self.append,
            Line::Read => &self.read,
        }
    }

    fn of_mut(&mut self, line: Line) -> &mut Script {
        match line {
            Line::Append => &mut self.append,
            Line::Read => &mut self.read,
        }
    }
}

impl Protocol for Scripts {
    fn wants_connection(&mut self, line: Line) -> bool {
        let script = self.of_mut(line);
        let wants = std::mem::take(&mut script.wants_connection);
        script.is_given_up &= !wants;
        wants
    }

    fn note_connected(&mut self, line: Line) {
        self.of_mut(line).is_connected = true;
    }

    fn note_lost(&mut self, line: Line, reason: &str) {
        let script = self.of_mut(line);
        assert_eq!(script.lost, None, "it is lost once");
        script.lost = Some(reason.to_owned());
    }

    fn receive(&mut self, line: Line, bytes: &[u8]) {
        let script = self.of_mut(line);
        script.received.extend(bytes);
        script.refuses_bytes |= script.takes_one_read;
    }

    fn wants_bytes(&self, line: Line) -> bool {
        !self.of(line).refuses_bytes
    }

    fn unsent(&self, line: Line) -> &[u8] {
        self.of(line).unsent.as_slices().0
    }

    fn note_sent(&mut self, line: Line, len: usize) {
        self.of_mut(line).unsent.drain(..len);
    }

    fn is_given_up(&self, line: Line) -> bool {
        self.of(line).is_given_up
    }
}

/// The loop of the server, as far as the broker is concerned.
struct Scene {
    poll: Poll,
    broker: Broker,
    scripts: Scripts,
}

impl Scene {
    fn new(host: &str, port: u16) -> Self {
        let poll = Poll::new().expect("a poll");
        let waker = Waker::new(poll.registry(), BROKER_LOOKUP).expect("a waker");
        let url = BrokerUrl {
            host: host.to_owned(),
            port,
            user: None,
            password: None,
            db: 0,
        };
        Self {
            broker: Broker::new(&url, Arc::new(waker)),
            poll,
            scripts: Scripts::default(),
        }
    }

    /// To this listener, with a connection that is to be opened.
    fn to(listener: &TcpListener) -> Self {
        let addr = listener.local_addr().expect("an address");
        let mut scene = Self::new(&addr.ip().to_string(), addr.port());
        scene.scripts.append.wants_connection = true;
        scene
    }

    fn turn(&mut self) {
        self.broker
            .before_turn(&mut self.scripts, self.poll.registry());
        self.broker
            .after_turn(&mut self.scripts, self.poll.registry());
    }

    /// Turns until there is what a test waits for. The poll is entered as the server enters it.
    fn turn_until(&mut self, what: &str, is_there: impl Fn(&Scripts) -> bool) {
        let deadline = Deadline::after(PATIENCE);
        let mut events = Events::with_capacity(16);
        self.turn();
        while !is_there(&self.scripts) {
            let left = deadline.left().expect(what);
            let wait = match self.broker.has_input(&self.scripts) {
                true => Duration::ZERO,
                false => left,
            };
            self.poll.poll(&mut events, Some(wait)).expect("a poll");
            for event in &events {
                if let Some(line) = broker_line_of(event.token()) {
                    self.broker.note_ready(line, event);
                }
            }
            self.turn();
        }
    }

    fn expect_lost(&mut self) -> String {
        self.turn_until("it is lost", |it| it.append.lost.is_some());
        self.scripts.append.lost.take().expect("it is lost")
    }
}

fn listener() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port")
}

fn accept(listener: &TcpListener) -> std::net::TcpStream {
    let (peer, _) = listener.accept().expect("a connection");
    peer.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    peer
}

/// A port that is taken, so that no other test gets it, and where nobody listens.
struct Deserted(Socket);

impl Deserted {
    fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        socket.bind(&any.into()).expect("a free port");
        Self(socket)
    }

    fn addr(&self) -> SocketAddr {
        let addr = self.0.local_addr().expect("an address");
        addr.as_socket().expect("it is TCP")
    }
}

/// A connected scene, and the broker's side of the append connection.
fn connected() -> (Scene, std::net::TcpStream) {
    let listener = listener();
    let mut scene = Scene::to(&listener);
    scene.turn_until("it connects", |it| it.append.is_connected);
    (scene, accept(&listener))
}

#[test]
fn nothing_is_opened_that_is_not_wanted() {
    let listener = listener();
    let mut scene = Scene::to(&listener);
    scene.scripts.append.wants_connection = false;
    scene.turn();
    listener.set_nonblocking(true).expect("an option");
    assert!(listener.accept().is_err());
}

#[test]
fn what_is_unsent_goes_out_and_what_comes_in_is_received() {
    let (mut scene, mut peer) = connected();
    scene.scripts.append.unsent.extend(b"PING\r\n");
    scene.turn();
    let mut sent = [0; 6];
    peer.read_exact(&mut sent).expect("it was sent");
    assert_eq!(&sent, b"PING\r\n");
    peer.write_all(b"+PONG\r\n").expect("it is read");
    scene.turn_until("an answer", |it| it.append.received.len() == 7);
    assert_eq!(scene.scripts.append.received, b"+PONG\r\n");
    assert_eq!(scene.scripts.read.received, b"");
}

#[test]
fn small_commands_are_sent_at_once() {
    let (scene, _peer) = connected();
    let Connection::Open { stream, .. } = &scene.broker.append else {
        unreachable!("it is connected")
    };
    assert!(stream.nodelay().expect("an option"));
}

#[test]
fn both_connections_are_driven() {
    let listener = listener();
    let mut scene = Scene::to(&listener);
    scene.turn_until("one connects", |it| it.append.is_connected);
    scene.scripts.read.wants_connection = true;
    scene.turn_until("the other connects", |it| it.read.is_connected);
    let (mut append, mut read) = (accept(&listener), accept(&listener));
    append.write_all(b"a").expect("it is read");
    read.write_all(b"r").expect("it is read");
    scene.turn_until("both", |it| {
        !it.append.received.is_empty() && !it.read.received.is_empty()
    });
    assert_eq!(scene.scripts.append.received, b"a");
    assert_eq!(scene.scripts.read.received, b"r");
}

#[test]
fn what_the_socket_does_not_take_goes_out_when_it_does() {
    let (mut scene, mut peer) = connected();
    let len = 16 * 1024 * 1024;
    scene.scripts.append.unsent = vec![b'x'; len].into();
    scene.turn();
    assert!(!scene.scripts.append.unsent.is_empty(), "more than fits");
    let reader = std::thread::spawn(move || {
        let mut read = vec![0; len];
        peer.read_exact(&mut read).map(|()| read)
    });
    scene.turn_until("all is sent", |it| it.append.unsent.is_empty());
    let read = reader.join().expect("it ends").expect("all of it");
    assert!(read.iter().all(|&byte| byte == b'x'));
}

#[test]
fn a_turn_reads_a_bounded_part_and_the_next_one_goes_on() {
    let (mut scene, mut peer) = connected();
    let len = 2 * READ_LEN_PER_TURN;
    let writer = std::thread::spawn(move || {
        peer.write_all(&vec![b'x'; len]).expect("it is read");
        peer
    });
    let mut largest = 0;
    let deadline = Deadline::after(PATIENCE);
    while scene.scripts.append.received.len() < len {
        let before = scene.scripts.append.received.len();
        let wanted = before + 1;
        scene.turn_until("more", |it| it.append.received.len() >= wanted);
        largest = largest.max(scene.scripts.append.received.len() - before);
        deadline.left().expect("all of it");
    }
    assert!(largest <= READ_LEN_PER_TURN, "{largest}");
    drop(writer.join().expect("it ends"));
}

#[test]
fn what_is_not_wanted_stays_in_the_socket_and_is_read_later_without_an_announcement() {
    let (mut scene, mut peer) = connected();
    peer.write_all(b"early").expect("there is room");
    scene.scripts.append.refuses_bytes = true;
    scene.scripts.read.wants_connection = true;
    // Whatever else happens.
    scene.turn_until("another one connects or not", |it| {
        it.read.is_connected || it.read.lost.is_some()
    });
    assert_eq!(scene.scripts.append.received, b"");
    assert!(!scene.broker.has_input(&scene.scripts));
    scene.scripts.append.refuses_bytes = false;
    assert!(scene.broker.has_input(&scene.scripts));
    scene.turn_until("it is read", |it| it.append.received == b"early");
}

#[test]
#[cfg(target_os = "linux")]
fn after_a_short_read_nothing_is_tried_before_it_is_announced() {
    let (mut scene, mut peer) = connected();
    // At first an end may have been announced with the connection, so that only an empty read tells.
    scene.turn();
    assert!(!scene.broker.has_input(&scene.scripts));
    scene.scripts.append.takes_one_read = true;
    peer.write_all(b"+OK\r\n").expect("there is room");
    scene.turn_until("it is read", |it| !it.append.received.is_empty());
    scene.scripts.append.refuses_bytes = false;
    assert!(!scene.broker.has_input(&scene.scripts));
    peer.write_all(b"+OK\r\n").expect("there is room");
    scene.turn_until("the next one", |it| it.append.received.len() == 10);
}

#[test]
fn a_connection_that_is_given_up_is_reset_and_opened_anew() {
    let listener = listener();
    let mut scene = Scene::to(&listener);
    scene.turn_until("it connects", |it| it.append.is_connected);
    let mut first = accept(&listener);
    scene.scripts.append.is_given_up = true;
    scene.scripts.append.unsent.extend(b"of the next one");
    scene.turn();
    // What the system has not sent would arrive even so, were it not reset.
    let ended = first
        .read(&mut [0; 1])
        .expect_err("it does not end as usual");
    assert_eq!(ended.kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(scene.scripts.append.lost, None, "who gave it up knows it");
    scene.scripts.append.is_connected = false;
    scene.scripts.append.wants_connection = true;
    scene.turn_until("it connects again", |it| it.append.unsent.is_empty());
    let mut sent = [0; 15];
    accept(&listener)
        .read_exact(&mut sent)
        .expect("it was sent");
    assert_eq!(&sent, b"of the next one");
}

#[test]
fn why_a_connection_is_lost_is_told_in_plain_words() {
    let deserted = Deserted::new();
    let addr = deserted.addr();
    let mut scene = Scene::new(&addr.ip().to_string(), addr.port());
    scene.scripts.append.wants_connection = true;
    assert_eq!(scene.expect_lost(), "connection refused");
    let (mut scene, peer) = connected();
    drop(peer);
    assert_eq!(scene.expect_lost(), "the broker closed the connection");
    // What came before the end is received.
    let (mut scene, mut peer) = connected();
    peer.write_all(b"-ERR max number of clients reached\r\n")
        .expect("there is room");
    drop(peer);
    scene.expect_lost();
    assert!(scene.scripts.append.received.ends_with(b"reached\r\n"));
    let (mut scene, peer) = connected();
    SockRef::from(&peer)
        .set_linger(Some(Duration::ZERO))
        .expect("an option");
    drop(peer);
    assert_eq!(scene.expect_lost(), "the connection was cut");
}
