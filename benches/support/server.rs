//! The servers under test, each a child process on a core of its own, and what the kernel counted for them.

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use super::machine::Cores;
use super::procfs::{self, Cpu};

/// The hidden first argument that turns a bench into one of its own servers.
pub(super) const FLOOR: &str = "__floor";
pub(super) const RIVAL: &str = "__rival";

/// After this the server's counters are read as they are.
const SETTLE_MAX: Duration = Duration::from_secs(1);
/// How long a server may take to notice that all its clients are gone.
const CLOSES_MAX: Duration = Duration::from_secs(30);
/// What a server has open beside its clients' sockets, at the most.
const OTHER_DESCRIPTORS: usize = 20;
const SETTLE_STEP: Duration = Duration::from_millis(2);

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Fanfare,
    /// Another build of fanfare.
    Baseline,
    Floor,
    Rival,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Fanfare, Self::Baseline, Self::Floor, Self::Rival];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fanfare => "fanfare",
            Self::Baseline => "baseline",
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

/// Announces to the parent that `addr` accepts, in the words of the real server.
pub(crate) fn announce(addr: SocketAddr) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "bench listening on http://{addr}/")?;
    stdout.flush()
}

/// Which servers take part, the same for every bench.
#[derive(Args)]
pub(crate) struct Choice {
    /// Run only this server; may be repeated
    #[arg(long, value_name = "NAME")]
    server: Vec<Kind>,
    /// Run this fanfare as well, with the same flags, such as an older build
    #[arg(long, value_name = "PATH", required_if_eq("server", "baseline"))]
    baseline: Option<PathBuf>,
    /// Run this command, split at spaces, as the rival: a chat on /ws that prints http://HOST:PORT/
    #[arg(long, value_name = "COMMAND")]
    rival: Option<String>,
}

impl Choice {
    /// Whether the rival is one of the caller's, so that it may know what the benches' own does not.
    pub(crate) fn has_own_rival(&self) -> bool {
        self.rival.is_some()
    }

    /// The servers that take part, in the order of the tables.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = Kind> {
        let is_possible = |kind: &Kind| *kind != Kind::Baseline || self.baseline.is_some();
        let is_wanted = |kind: &Kind| self.server.is_empty() || self.server.contains(kind);
        let kinds = Kind::ALL.into_iter();
        kinds.filter(move |kind| is_possible(kind) && is_wanted(kind))
    }
}

/// How servers are started.
#[derive(Clone, Copy)]
pub(crate) struct Launch<'a> {
    pub(crate) cores: Option<Cores>,
    pub(crate) fanfare_flags: &'a [&'a str],
    pub(crate) needs: Needs,
    pub(crate) choice: &'a Choice,
}

/// What a case needs of a server; nothing but its own ways by default.
#[derive(Clone, Copy, Default)]
pub(crate) struct Needs {
    /// How long a room's messages wait for more.
    pub(crate) linger_ms: Option<u32>,
    /// How long a message may be.
    pub(crate) message_max: Option<usize>,
    /// Whether to compress for clients that offer it.
    pub(crate) deflates: bool,
}

impl Launch<'_> {
    fn command(&self, kind: Kind) -> io::Result<Command> {
        let Choice {
            baseline, rival, ..
        } = self.choice;
        match (kind, baseline, rival) {
            (Kind::Baseline, Some(path), _) => Ok(self.fanfare(path.as_os_str())),
            (Kind::Fanfare | Kind::Baseline, ..) => {
                Ok(self.fanfare(OsStr::new(env!("CARGO_BIN_EXE_fanfare"))))
            }
            (Kind::Floor, ..) => {
                let mut command = own_server(FLOOR)?;
                command.args(self.needs.linger_ms.map(|ms| ms.to_string()));
                Ok(command)
            }
            (Kind::Rival, _, None) => own_server(RIVAL),
            (Kind::Rival, _, Some(rival)) => {
                let mut words = rival.split_whitespace();
                let mut command = Command::new(words.next().unwrap_or_default());
                command.args(words);
                Ok(command)
            }
        }
    }

    fn fanfare(&self, program: &OsStr) -> Command {
        let mut command = Command::new(program);
        command
            .args(["--addr", "127.0.0.1:0", "--log", "error"])
            .args(self.fanfare_flags);
        let Needs {
            linger_ms,
            message_max,
            deflates,
        } = self.needs;
        if let Some(ms) = linger_ms {
            command.args(["--linger".to_owned(), format!("{ms}ms")]);
        }
        if let Some(len) = message_max {
            command.args(["--max-message".to_owned(), format!("{len}B")]);
        }
        command.args(deflates.then_some("--deflate"));
        command
    }
}

/// This very bench, as the server of that name.
fn own_server(name: &str) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(name);
    Ok(command)
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
            io::Error::other(format!("a server did not print where it listens: {line:?}"))
        })
    }

    /// Waits until the server sleeps, so that its counters are exact, and reads them.
    pub(crate) fn settled_cpu(&self) -> io::Result<Cpu> {
        let deadline = Instant::now() + SETTLE_MAX;
        let mut before = self.cpu()?;
        loop {
            thread::sleep(SETTLE_STEP);
            let now = self.cpu()?;
            let has_settled = now.total == before.total && procfs::sleeps(self.child.id())?;
            if has_settled || Instant::now() > deadline {
                return Ok(now);
            }
            before = now;
        }
    }

    /// Waits until the server has closed all but `sockets` of its sockets, more or less.
    pub(crate) fn wait_for_closes(&self, sockets: usize) -> io::Result<()> {
        let deadline = Instant::now() + CLOSES_MAX;
        while procfs::descriptors(self.child.id())? > sockets + OTHER_DESCRIPTORS {
            if Instant::now() > deadline {
                return Err(io::Error::other("a server keeps connections that were cut"));
            }
            thread::sleep(SETTLE_STEP);
        }
        Ok(())
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
