//! Programs of others: their output is read while they run, and lines may be sent to them.

#![allow(
    clippy::panic,
    reason = "a test fails at what a program should have said"
)]

use std::env;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use super::Capture;

/// Where a program is that is installed. Servers are where only administrators look for programs.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

/// A port of the loopback interface that nobody has yet, for programs that cannot pick one themselves.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
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
