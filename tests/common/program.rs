//! Programs of others: their output is read while they run, and lines may be sent to them.

#![allow(
    clippy::panic,
    reason = "a test fails at what a program should have said"
)]

use std::env;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::Capture;

/// Where a program is that is installed. Servers are where only administrators look for programs.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

/// Where no kernel takes a port that it picks itself, so that nobody else gets one in the meantime.
const PORTS: Range<u32> = 10_000..30_000;

/// A port of the loopback interface that nobody has yet, for programs that cannot pick one themselves. No other test gets
/// it.
pub(crate) fn free_port() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    // Tests that run in several processes at once begin at different ports.
    let first = std::process::id().wrapping_mul(997);
    let ports = PORTS.map(|_| {
        let place = first.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + place % (PORTS.end - PORTS.start);
        u16::try_from(port).expect("it is below 65,536")
    });
    let mut free = ports.filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    free.next().expect("a free port")
}

/// A program that runs, ended when the test is over.
pub(crate) struct Program {
    child: Child,
    stdin: ChildStdin,
    stdout: Capture,
}

impl Program {
    /// A `curl` that prints what comes as it comes.
    pub(crate) fn curl(arguments: &[&str]) -> Self {
        let mut command = Command::new("curl");
        command.args(["-sN"]).args(arguments);
        Self::spawn(command)
    }

    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is such a program");
        let stdout = Capture::of(child.stdout.take().expect("stdout is piped"));
        let stdin = child.stdin.take().expect("stdin is piped");
        Self {
            child,
            stdin,
            stdout,
        }
    }

    /// Waits for the line of the output with this number, from 0.
    pub(crate) fn line(&self, index: usize) -> Option<String> {
        self.stdout.nth(index)
    }

    /// Waits for a line of the output that holds `part`.
    pub(crate) fn expect_line(&self, part: &str) -> String {
        let found = self.stdout.wait_for(|line| line.contains(part));
        found.unwrap_or_else(|| panic!("no line of the program's holds {part}"))
    }

    /// Sends a line to its input.
    pub(crate) fn say(&mut self, line: &str) {
        let said = self.stdin.write_all(format!("{line}\n").as_bytes());
        said.expect("the program listens");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
