//! What the loopback tests share: the real server as a child process, raw sockets that can say what
//! polite clients cannot, and a polite client.
//!
//! Everything here waits for an event and gives up after [`PATIENCE`]; nothing waits for time to pass.

#![allow(dead_code, reason = "each test file uses a part of this module")]
#![allow(clippy::print_stderr, reason = "a failed test shows the server's log")]

pub(crate) mod deflate;
pub(crate) mod folder;
pub(crate) mod inflate;
pub(crate) mod peer;
pub(crate) mod program;
pub(crate) mod rooms;
pub(crate) mod token;
pub(crate) mod wire;

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use tungstenite::WebSocket;
use tungstenite::protocol::WebSocketConfig;

pub(crate) use peer::Peer;

/// How long a test waits for what must happen. Only a failure takes so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running server, killed when the test is over.
pub(crate) struct Server {
    child: Child,
    /// Where it listens, the first address of several.
    pub(crate) addr: SocketAddr,
    /// The one line on its standard output.
    pub(crate) announcement: String,
    stdout: Capture,
    stderr: Capture,
}

impl Server {
    /// Starts a server on a free port of the loopback interface.
    pub(crate) fn start(flags: &[&str]) -> Self {
        let mut command = fanfare();
        command.args(["--addr", "127.0.0.1:0"]).args(flags);
        Self::spawn(command)
    }

    /// Starts a server as `command` says, and waits until it accepts connections.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the server starts");
        let stdout = Capture::of(child.stdout.take().expect("stdout is piped"));
        // A test may have put something worse than a pipe there.
        let stderr = child.stderr.take();
        let stderr = stderr.map_or_else(|| Capture::of(std::io::empty()), Capture::of);
        let announcement = stdout.wait_for(|line| line.contains("listening on"));
        let announcement = announcement.unwrap_or_else(|| {
            let _ = child.kill();
            format!("no announcement; {}", stderr.all().join("\n"))
        });
        let addr = announcement
            .split_once("http://")
            .and_then(|(_, rest)| rest.split_once('/'))
            .and_then(|(addr, _)| addr.parse().ok())
            .expect(&announcement);
        Self {
            child,
            addr,
            announcement,
            stdout,
            stderr,
        }
    }

    /// Where the admin is served over TCP, by the announcement.
    pub(crate) fn admin_addr(&self) -> SocketAddr {
        let admin = self.announcement.split_once(", admin on http://");
        let addr = admin.and_then(|(_, url)| url.strip_suffix('/')?.parse().ok());
        addr.expect(&self.announcement)
    }

    /// A raw connection to the admin.
    pub(crate) fn connect_admin(&self) -> Peer {
        Peer::connect(self.admin_addr())
    }

    /// A raw connection on which nothing has been said.
    pub(crate) fn connect(&self) -> Peer {
        Peer::connect(self.addr)
    }

    /// Finds the server full: a request is answered with 503.
    pub(crate) fn expect_no_seat(&self) {
        let mut peer = self.connect();
        peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        peer.expect_refusal(503);
    }

    /// A raw connection that has joined the chat.
    pub(crate) fn join(&self) -> Peer {
        self.connect().upgraded("/ws")
    }

    /// A raw connection to `/echo`, which the server must offer.
    pub(crate) fn echo(&self) -> Peer {
        self.connect().upgraded("/echo")
    }

    /// A raw connection that has joined the chat, and whose socket takes in little before it is read.
    pub(crate) fn join_with_small_buffer(&self) -> Peer {
        Peer::connect_with_small_buffer(self.addr).upgraded("/ws")
    }

    /// The independent client.
    pub(crate) fn polite(&self, path: &str) -> WebSocket<TcpStream> {
        let stream = TcpStream::connect(self.addr).expect("the server accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        let url = format!("ws://{}{path}", self.addr);
        let config = WebSocketConfig::default()
            .max_message_size(None)
            .max_frame_size(None);
        let (socket, _) = tungstenite::client::client_with_config(url, stream, Some(config))
            .expect("the server upgrades");
        socket
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its short name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Stops the process, until it is sent `CONT`.
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
        eventually("the process stops", || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()));
            stat.expect("it is there").contains(") T ").then_some(())
        });
    }

    /// Waits until the server has ended by itself.
    pub(crate) fn wait_for_exit(&mut self) -> ExitStatus {
        wait_for_exit(&mut self.child)
    }

    /// Waits for a line of the log that holds all `parts`.
    pub(crate) fn wait_for_log(&self, parts: &[&str]) {
        let found = self
            .stderr
            .wait_for(|line| parts.iter().all(|part| line.contains(part)));
        assert!(found.is_some(), "no line of the log holds {parts:?}");
    }

    /// Waits until so many lines of the log hold all `parts`.
    pub(crate) fn wait_for_log_lines(&self, parts: &[&str], count: usize) {
        let is_one = |line: &&String| parts.iter().all(|part| line.contains(part));
        eventually("lines of the log", || {
            let lines = &lock(&self.stderr.0.0).lines;
            (lines.iter().filter(is_one).count() >= count).then_some(())
        });
    }

    /// All lines on standard output and standard error; the server must have ended.
    pub(crate) fn output(&self) -> (Vec<String>, Vec<String>) {
        (self.stdout.all(), self.stderr.all())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the server's log:\n{}", self.stderr.all().join("\n"));
        }
    }
}

/// The program, with pipes, without the settings of whoever runs the tests, and talkative.
pub(crate) fn fanfare() -> Command {
    prepared(Command::new(env!("CARGO_BIN_EXE_fanfare")))
}

/// The same, started by another program, whose arguments these are.
pub(crate) fn fanfare_under(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).arg(env!("CARGO_BIN_EXE_fanfare"));
    prepared(command)
}

fn prepared(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("FANFARE_") {
            command.env_remove(name);
        }
    }
    command
        .env("FANFARE_LOG", "debug")
        .env("FANFARE_LOG_FORMAT", "text")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Sends a process a signal by its short name, such as `TERM`.
pub(crate) fn signal(pid: u32, name: &str) {
    let status = Command::new("sh")
        .args(["-c", &format!("kill -{name} {pid}")])
        .status()
        .expect("there is a shell");
    assert!(status.success(), "kill -{name}");
}

/// Runs a program that is to end by itself: its exit code, and the lines of its two outputs.
pub(crate) fn run(mut command: Command) -> (Option<i32>, Vec<String>, Vec<String>) {
    let mut child = command.spawn().expect("the program starts");
    let stdout = Capture::of(child.stdout.take().expect("stdout is piped"));
    let stderr = Capture::of(child.stderr.take().expect("stderr is piped"));
    let status = wait_for_exit(&mut child);
    (status.code(), stdout.all(), stderr.all())
}

/// Expects the program to end at once with this code and one line of explanation, which it gives back.
pub(crate) fn assert_fails(command: Command, code: i32) -> String {
    let what = format!("{command:?}");
    let (status, stdout, stderr) = run(command);
    assert_eq!(status, Some(code), "{what}: {stderr:?}");
    assert!(stdout.is_empty(), "{what}: {stdout:?}");
    assert_eq!(stderr.len(), 1, "{what}: {stderr:?}");
    stderr.concat()
}

/// Asks again and again until there is an answer. For what announces itself to nobody.
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "it never happened: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn wait_for_exit(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().expect("it is our child") {
            return status;
        }
        if Instant::now() > deadline {
            // No test may leave a process behind.
            let _ = child.kill();
            let _ = child.wait();
        }
        assert!(Instant::now() < deadline, "the program does not end");
        thread::sleep(Duration::from_millis(10));
    }
}

/// The lines of a pipe, read as they come, so that the writer never blocks.
struct Capture(Arc<(Mutex<Lines>, Condvar)>);

#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    is_at_end: bool,
}

impl Capture {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let shared = Arc::new((Mutex::new(Lines::default()), Condvar::new()));
        let capture = Self(Arc::clone(&shared));
        thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                lock(&shared.0).lines.push(line);
                shared.1.notify_all();
            }
            lock(&shared.0).is_at_end = true;
            shared.1.notify_all();
        });
        capture
    }

    /// The first line that is `wanted`; `None` if the pipe ends, or patience does, before it comes.
    fn wait_for(&self, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let found = |lines: &Lines| lines.lines.iter().find(|line| wanted(line)).cloned();
        let (mutex, changed) = &*self.0;
        let (lines, _) = changed
            .wait_timeout_while(lock(mutex), PATIENCE, |lines| {
                !lines.is_at_end && found(lines).is_none()
            })
            .expect("no reader panics");
        found(&lines)
    }

    /// The line with this number, from 0; `None` if the pipe ends, or patience does, before it comes.
    fn nth(&self, index: usize) -> Option<String> {
        let (mutex, changed) = &*self.0;
        let (lines, _) = changed
            .wait_timeout_while(lock(mutex), PATIENCE, |lines| {
                !lines.is_at_end && lines.lines.len() <= index
            })
            .expect("no reader panics");
        lines.lines.get(index).cloned()
    }

    /// All lines; waits for the end of the pipe.
    fn all(&self) -> Vec<String> {
        let (mutex, changed) = &*self.0;
        let (lines, _) = changed
            .wait_timeout_while(lock(mutex), PATIENCE, |lines| !lines.is_at_end)
            .expect("no reader panics");
        lines.lines.clone()
    }
}

fn lock(mutex: &Mutex<Lines>) -> MutexGuard<'_, Lines> {
    mutex.lock().expect("no reader panics")
}
