//! The servers under test, each a child process on a core of its own, and what the kernel says that they used.

use std::fmt;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use super::machine::Cores;
use super::procfs::{self, Cpu};

/// The hidden first argument that turns a bench into one of its own servers.
pub(super) const FLOOR: &str = "__floor";
pub(super) const RIVAL: &str = "__rival";

/// After this the server's counters are read as they are.
const SETTLE_MAX: Duration = Duration::from_secs(1);
const SETTLE_STEP: Duration = Duration::from_millis(2);

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Fanfare,
    Floor,
    Rival,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Fanfare, Self::Floor, Self::Rival];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fanfare => "fanfare",
            Self::Floor => "floor",
            Self::Rival => "rival",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Tells the parent that `addr` accepts, in the words of the real server.
pub(crate) fn announce(addr: SocketAddr) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "bench listening on http://{addr}/")?;
    stdout.flush()
}

/// How servers are started.
#[derive(Clone, Copy)]
pub(crate) struct Launch<'a> {
    pub(crate) cores: Option<Cores>,
    pub(crate) fanfare_flags: &'a [&'a str],
    /// The command of a server that takes the built-in rival's place.
    pub(crate) rival: Option<&'a str>,
}

impl Launch<'_> {
    fn command(&self, kind: Kind) -> io::Result<Command> {
        let mut command = match (kind, self.rival) {
            (Kind::Fanfare, _) => Command::new(env!("CARGO_BIN_EXE_fanfare")),
            (Kind::Rival, Some(rival)) => {
                let mut words = rival.split_whitespace();
                let mut command = Command::new(words.next().unwrap_or_default());
                command.args(words);
                return Ok(command);
            }
            (Kind::Floor | Kind::Rival, _) => Command::new(std::env::current_exe()?),
        };
        match kind {
            Kind::Fanfare => command
                .args(["--addr", "127.0.0.1:0", "--log", "error"])
                .args(self.fanfare_flags),
            Kind::Floor => command.arg(FLOOR),
            Kind::Rival => command.arg(RIVAL),
        };
        Ok(command)
    }
}

/// A running server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) addr: SocketAddr,
}

impl Server {
    /// Starts a server and waits until it accepts.
    pub(crate) fn start(kind: Kind, launch: Launch<'_>) -> io::Result<Self> {
        let mut command = launch.command(kind)?;
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        Cores::enter_server(launch.cores)?;
        let child = command.spawn();
        Cores::enter_swarm(launch.cores)?;
        let mut server = Self {
            child: child?,
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        server.addr = server.read_addr()?;
        Ok(server)
    }

    fn read_addr(&mut self) -> io::Result<SocketAddr> {
        let mut line = String::new();
        if let Some(stdout) = self.child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let addr = line
            .split_once("http://")
            .and_then(|(_, addr)| addr.trim_end().strip_suffix('/'));
        addr.and_then(|addr| addr.parse().ok()).ok_or_else(|| {
            io::Error::other(format!("a server did not say where it listens: {line:?}"))
        })
    }

    /// Waits until the server sleeps, so that its counters are exact, and reads them.
    pub(crate) fn settled_cpu(&self) -> io::Result<Cpu> {
        let deadline = Instant::now() + SETTLE_MAX;
        let mut before = self.cpu()?;
        loop {
            thread::sleep(SETTLE_STEP);
            let now = self.cpu()?;
            if now.total == before.total || Instant::now() > deadline {
                return Ok(now);
            }
            before = now;
        }
    }

    /// Processor time so far.
    pub(crate) fn cpu(&self) -> io::Result<Cpu> {
        Cpu::of(self.child.id())
    }

    /// Bytes of memory that are resident.
    pub(crate) fn resident(&self) -> io::Result<u64> {
        procfs::resident(self.child.id())
    }

    /// Bytes of memory that were resident at most.
    pub(crate) fn resident_peak(&self) -> io::Result<u64> {
        procfs::resident_peak(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
