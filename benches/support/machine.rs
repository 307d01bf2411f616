//! The machine under the benches: which cores are used, how many sockets it allows, and the line that names it in tables.

use std::fs;
use std::io;
use std::process::Command;
use std::thread;

use rustix::process::{Resource, getrlimit, setpriority_process};
use rustix::thread::{CpuSet, gettid, sched_getaffinity, sched_setaffinity};

/// Descriptors that a process needs beside its clients' sockets.
const DESCRIPTORS_SPARE: usize = 100;
/// The best niceness.
const PRIORITY_MAX: i32 = -20;

/// One core for the server and another for the swarm, if there are two.
#[derive(Clone, Copy)]
pub(crate) struct Cores {
    server: usize,
    swarm: usize,
    /// For clients whose latency counts while the swarm is busy.
    pair: Option<usize>,
}

impl Cores {
    /// The last two cores this process may use: interrupts tend to go to the first ones. `None` if there is only one.
    pub(crate) fn pick() -> Option<Self> {
        let allowed = sched_getaffinity(None).ok()?;
        let mut cores = (0..CpuSet::MAX_CPU)
            .rev()
            .filter(|core| allowed.is_set(*core));
        Some(Self {
            server: cores.next()?,
            swarm: cores.next()?,
            pair: cores.next(),
        })
    }

    /// Binds this thread, and what it starts from now on, to the server's core.
    pub(crate) fn enter_server(cores: Option<Self>) -> io::Result<()> {
        cores.map_or(Ok(()), |cores| pin(cores.server))
    }

    /// Binds this thread to the swarm's core.
    pub(crate) fn enter_swarm(cores: Option<Self>) -> io::Result<()> {
        cores.map_or(Ok(()), |cores| pin(cores.swarm))
    }

    /// Binds this thread to a third core. Where there is none, it goes before the swarm on its core, if that is allowed.
    pub(crate) fn enter_pair(cores: Option<Self>) -> io::Result<()> {
        let Some(core) = cores.and_then(|cores| cores.pair) else {
            // Without the privilege the swarm makes it a little late at times.
            let _ = setpriority_process(Some(gettid()), PRIORITY_MAX);
            return Ok(());
        };
        pin(core)
    }
}

fn pin(core: usize) -> io::Result<()> {
    let mut only = CpuSet::new();
    only.set(core);
    Ok(sched_setaffinity(None, &only)?)
}

/// How many sockets for clients the descriptor limit allows to a process; the servers inherit the same limit.
pub(crate) fn descriptors_max() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit)
        .unwrap_or(usize::MAX)
        .saturating_sub(DESCRIPTORS_SPARE)
}

/// One line for tables and captions: processor, kernel, commit.
pub(crate) fn describe() -> String {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = kernel.trim();
    format!(
        "{}, {cores} cores, Linux {kernel}, commit {}",
        processor(),
        commit()
    )
}

fn processor() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let name = model
        .and_then(|line| line.split_once(": "))
        .map(|(_, name)| name);
    name.unwrap_or("unknown processor").to_owned()
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    git(&["describe", "--always", "--dirty"]).unwrap_or_else(|| "unknown".to_owned())
}
