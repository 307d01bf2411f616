//! A broker of a test's own: `redis-server` or `valkey-server`, or what `FANFARE_BROKER` names, on a free port.

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;

use crate::common::folder::Folder;
use crate::common::program::{find_program, free_port};
use crate::common::{eventually, signal};
use crate::resp::{Reply, Resp};

/// Another process may take a port before the broker does.
const START_ATTEMPTS: usize = 5;

/// Told once, not by each test.
static SKIPPED: Once = Once::new();

/// How a broker runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It keeps nothing when it ends.
    Memory,
    /// Its append-only file is written before each answer.
    AppendOnly,
    /// The only server of a cluster, which refuses commands with keys of several slots.
    Cluster,
}

/// A running broker, ended when the test is over.
pub(crate) struct Broker {
    program: PathBuf,
    kind: Kind,
    /// More settings, as on its command line.
    settings: Vec<String>,
    folder: Folder,
    port: u16,
    child: Child,
}

impl Broker {
    /// Starts a broker; `None` where its program is not installed, which is an error if it is required.
    pub(crate) fn start(kind: Kind) -> Option<Self> {
        Self::start_with(kind, &[])
    }

    /// The same with more settings, as on its command line.
    pub(crate) fn start_with(kind: Kind, settings: &[&str]) -> Option<Self> {
        let Some(program) = find_broker() else {
            let is_required = env::var_os("FANFARE_REQUIRE_BROKER").is_some_and(|it| it == "1");
            assert!(!is_required, "redis-server is required and missing");
            SKIPPED.call_once(tell_that_it_is_missing);
            return None;
        };
        let settings: Vec<_> = settings.iter().map(ToString::to_string).collect();
        let folder = Folder::new();
        let started = (0..START_ATTEMPTS).find_map(|_| {
            let port = free_port();
            let child = spawn(&program, kind, &settings, &folder, port)?;
            Some((port, child))
        });
        let (port, child) = started.expect("the broker starts");
        Some(Self {
            program,
            kind,
            settings,
            folder,
            port,
            child,
        })
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        addr(self.port)
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn connect(&self) -> Resp {
        Resp::connect(self.addr())
    }

    /// It starts again without the settings that it was started with.
    pub(crate) fn forget_settings(&mut self) {
        self.settings.clear();
    }

    /// Sends it a signal by its short name, such as `STOP`.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Ends it at once, as a crash does.
    pub(crate) fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again at the same address, after [`kill`](Self::kill).
    pub(crate) fn start_again(&mut self) {
        let Self {
            program,
            settings,
            folder,
            ..
        } = self;
        let child = spawn(program, self.kind, settings, folder, self.port);
        self.child = child.expect("the broker starts again");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

fn tell_that_it_is_missing() {
    let line = "\n*** NO redis-server FOUND: what needs a real broker is NOT tested.\n\n";
    // Past the test harness, which would keep it to itself.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// `None` if the broker ends instead of listening.
fn spawn(
    program: &Path,
    kind: Kind,
    settings: &[String],
    folder: &Folder,
    port: u16,
) -> Option<Child> {
    let log = File::create(folder.file("log")).expect("it can be written");
    let mut command = Command::new(program);
    command
        .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
        .args(["--save", "", "--dir"])
        .arg(folder.path());
    match kind {
        Kind::Memory => {}
        Kind::AppendOnly => {
            command.args(["--appendonly", "yes", "--appendfsync", "always"]);
        }
        Kind::Cluster => {
            let bus = free_port().to_string();
            command.args(["--cluster-enabled", "yes", "--cluster-port", &bus]);
        }
    }
    let mut child = command
        .args(settings)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(Stdio::null())
        .spawn()
        .expect("the broker starts");
    let listens = eventually("the broker listens or ends", || {
        match child.try_wait().expect("it is our child") {
            Some(_) => Some(false),
            None => (has_port(folder) && is_loaded(port)).then_some(true),
        }
    });
    listens.then_some(child)
}

/// Whether it has got the port, which another process may have. Its log says so.
fn has_port(folder: &Folder) -> bool {
    let log = fs::read_to_string(folder.file("log")).unwrap_or_default();
    log.contains("Ready to accept connections")
}

/// Whether it answers, if only that it wants a password, and not that it still reads its file.
fn is_loaded(port: u16) -> bool {
    let is_there = TcpStream::connect(addr(port)).is_ok();
    is_there
        && match Resp::connect(addr(port)).ask(&["PING"]) {
            Reply::Error(line) => line.starts_with("NOAUTH"),
            reply => reply == Reply::Text("PONG".to_owned()),
        }
}

fn addr(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn find_broker() -> Option<PathBuf> {
    let named = env::var_os("FANFARE_BROKER").map(PathBuf::from);
    named.or_else(|| {
        ["redis-server", "valkey-server"]
            .into_iter()
            .find_map(find_program)
    })
}
