//! A TCP proxy between a browser and the server: it can serve under a path prefix, fall silent as a broken
//! path does, forget connections as a NAT does, and cut them.
//!
//! Its threads end with their connections, and all of them when the proxy is dropped.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

use crate::common::eventually;

pub(crate) struct Proxy {
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    path: Arc<Path>,
}

/// What is between the two sides.
struct Path {
    server: SocketAddr,
    prefix: &'static str,
    /// The host that the server sees, if it is not the one that the browser asked.
    host: Option<&'static str>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_silent: bool,
    holds_answers: bool,
    is_stopped: bool,
    /// Every connection so far.
    connections: Vec<Connection>,
    /// The targets of the requests that came.
    requests: Vec<String>,
}

struct Connection {
    sides: [TcpStream; 2],
    is_websocket: bool,
    is_forgotten: bool,
}

#[derive(Clone, Copy)]
enum Direction {
    Requests,
    Answers,
}

impl Proxy {
    pub(crate) fn start(server: SocketAddr) -> Self {
        Self::start_with(server, "", None)
    }

    /// A proxy that serves under `prefix` what the server has at its root, and nothing else.
    pub(crate) fn start_under(server: SocketAddr, prefix: &'static str) -> Self {
        Self::start_with(server, prefix, None)
    }

    /// A proxy that does not pass on the host that the browser asked.
    pub(crate) fn start_as(server: SocketAddr, host: &'static str) -> Self {
        Self::start_with(server, "", Some(host))
    }

    fn start_with(server: SocketAddr, prefix: &'static str, host: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let path = Arc::new(Path {
            server,
            prefix,
            host,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let accepting = Arc::clone(&path);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if accepting.lock().is_stopped {
                    return;
                }
                accepting.connect(client);
            }
        });
        Self { addr, path }
    }

    /// Nothing passes any more, and new connections are accepted and never answered.
    pub(crate) fn silence(&self) {
        self.path.lock().is_silent = true;
    }

    /// Nothing passes any more from the server to its clients.
    pub(crate) fn hold_answers(&self) {
        self.path.lock().holds_answers = true;
    }

    /// What was held up passes now, but for what was forgotten.
    pub(crate) fn restore(&self) {
        let mut state = self.path.lock();
        state.is_silent = false;
        state.holds_answers = false;
        drop(state);
        self.path.changed.notify_all();
    }

    /// Nothing passes any more on the WebSockets that there are; neither side is told. New ones work.
    pub(crate) fn forget_websockets(&self) {
        for connection in &mut self.path.lock().connections {
            connection.is_forgotten |= connection.is_websocket;
        }
    }

    /// Cuts the connections that there are.
    pub(crate) fn cut(&self) {
        for connection in &self.path.lock().connections {
            shut(&connection.sides);
        }
    }

    /// Waits until `count` requests for `target` have come since the start.
    pub(crate) fn wait_for_requests(&self, target: &str, count: usize) {
        eventually(target, || (self.requests(target) >= count).then_some(()));
    }

    /// How many requests for `target` have come.
    pub(crate) fn requests(&self, target: &str) -> usize {
        let state = self.path.lock();
        state.requests.iter().filter(|it| *it == target).count()
    }

    /// The targets of all requests, in their order.
    pub(crate) fn all_requests(&self) -> Vec<String> {
        self.path.lock().requests.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.path.lock().is_stopped = true;
        self.path.changed.notify_all();
        self.cut();
        // Wakes the thread that accepts. If nobody listens, it has ended.
        let _ = TcpStream::connect(self.addr);
    }
}

impl Path {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics under the lock")
    }

    fn connect(self: &Arc<Self>, client: TcpStream) {
        // A server that is gone refuses; the client finds its connection closed.
        let Ok(server) = TcpStream::connect(self.server) else {
            return;
        };
        let copy = |stream: &TcpStream| stream.try_clone().expect("a descriptor");
        let id = {
            let mut state = self.lock();
            state.connections.push(Connection {
                sides: [copy(&client), copy(&server)],
                is_websocket: false,
                is_forgotten: false,
            });
            state.connections.len() - 1
        };
        let (path, from, to) = (Arc::clone(self), copy(&server), copy(&client));
        thread::spawn(move || path.carry(id, Direction::Answers, from, to));
        let path = Arc::clone(self);
        thread::spawn(move || {
            if path.carry_requests(id, &client, &server) {
                path.carry(id, Direction::Requests, client, server);
            }
        });
    }

    /// Carries request heads without the prefix until one of them upgrades. False if there is nothing more.
    fn carry_requests(&self, id: usize, mut from: &TcpStream, mut to: &TcpStream) -> bool {
        let mut input = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            while let Some(end) = input.windows(4).position(|end| end == b"\r\n\r\n") {
                let behind = input.split_off(end + 4);
                let head = String::from_utf8(input).expect("a browser's head is text");
                input = behind;
                let target = head.split(' ').nth(1).expect("a target").to_owned();
                self.lock().requests.push(target.clone());
                self.changed.notify_all();
                let Some(rest) = target.strip_prefix(self.prefix) else {
                    let answer =
                        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                    let _ = from.write_all(answer);
                    shut([from, to]);
                    return false;
                };
                let mut head = head.replacen(&target, rest, 1);
                if let Some(host) = self.host {
                    let address = from.local_addr().expect("an address");
                    head = head.replacen(&format!("Host: {address}"), &format!("Host: {host}"), 1);
                }
                let is_websocket = head.to_ascii_lowercase().contains("\r\nupgrade: websocket");
                // Before the answer can come, after which a test may want it forgotten.
                self.lock().connections[id].is_websocket = is_websocket;
                if !self.wait_to_pass(id, Direction::Requests)
                    || to.write_all(head.as_bytes()).is_err()
                {
                    return false;
                }
                if is_websocket {
                    return to.write_all(&input).is_ok();
                }
            }
            match from.read(&mut buffer) {
                Ok(len @ 1..) => input.extend_from_slice(&buffer[..len]),
                _ => {
                    self.end(id, Direction::Requests, to);
                    return false;
                }
            }
        }
    }

    fn carry(&self, id: usize, direction: Direction, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = [0; 4096];
        while let Ok(len @ 1..) = from.read(&mut buffer) {
            if !self.wait_to_pass(id, direction) || to.write_all(&buffer[..len]).is_err() {
                return;
            }
        }
        self.end(id, direction, &to);
    }

    /// The end of one side passes like everything else.
    fn end(&self, id: usize, direction: Direction, to: &TcpStream) {
        if self.wait_to_pass(id, direction) {
            // It may have ended as well.
            let _ = to.shutdown(Shutdown::Write);
        }
    }

    /// Waits as long as the path is silent. False if nothing is to pass any more.
    fn wait_to_pass(&self, id: usize, direction: Direction) -> bool {
        let is_held = |state: &mut State| match direction {
            Direction::Requests => state.is_silent,
            Direction::Answers => state.is_silent || state.holds_answers,
        };
        let state = self
            .changed
            .wait_while(self.lock(), |state| is_held(state) && !state.is_stopped)
            .expect("no thread panics under the lock");
        !state.is_stopped && !state.connections[id].is_forgotten
    }
}

/// Ends both sides. One that has ended already is as well.
fn shut<'a>(sides: impl IntoIterator<Item = &'a TcpStream>) {
    for side in sides {
        let _ = side.shutdown(Shutdown::Both);
    }
}
