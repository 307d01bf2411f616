//! Signals where the server is the first process of a container, and the format of the log by what reads it.

#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Command;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;

use crate::common::wire::TEXT;
use crate::common::{Server, eventually, fanfare, fanfare_under, signal};

/// The first process of a PID namespace gets no signal that it has no handler for, as in a container.
#[test]
fn the_first_process_of_a_container_obeys_signals() {
    let unshare = ["--pid", "--fork", "--kill-child"];
    let can = Command::new("unshare").args(unshare).arg("true").output();
    if !can.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: unshare makes no PID namespace here");
        return;
    }
    for name in ["TERM", "INT"] {
        let mut command = fanfare_under("unshare", &unshare);
        command.args(["--addr", "127.0.0.1:0"]);
        let mut server = Server::spawn(command);
        let unshare = server.pid();
        let first = eventually("the server is the child of unshare", || {
            let path = format!("/proc/{unshare}/task/{unshare}/children");
            fs::read_to_string(path).ok()?.trim().parse().ok()
        });
        assert_eq!(namespace_pid(first), 1);
        let mut member = server.join();
        signal(first, "HUP");
        server.wait_for_log(&["the settings were read anew"]);
        member.say("hello");
        member.expect_frame(TEXT, b"hello");
        signal(first, name);
        member.expect_close(1001);
        drop(member);
        assert_eq!(server.wait_for_exit().code(), Some(0));
    }
}

/// The id of a process in its own namespace.
fn namespace_pid(pid: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("NSpid:"));
    let last = line.and_then(|line| line.split_whitespace().next_back());
    last.expect("Linux tells").parse().expect("a number")
}

#[test]
fn a_log_that_a_program_reads_is_json() {
    let mut command = fanfare();
    command
        .env_remove("FANFARE_LOG_FORMAT")
        .args(["--addr", "127.0.0.1:0"]);
    let mut server = Server::spawn(command);
    server.wait_for_log(&["ready"]);
    server.signal("TERM");
    assert!(server.wait_for_exit().success());
    let (_, log) = server.output();
    for line in log {
        let value: Value = serde_json::from_str(&line).expect(&line);
        assert!(value["level"].is_string(), "{line}");
    }
}

#[test]
fn a_log_that_a_person_reads_is_text() {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&terminal).expect("it is ours");
    unlockpt(&terminal).expect("it is ours");
    let path = ptsname(&terminal, Vec::new()).expect("it has a name");
    let path = path.to_str().expect("it is UTF-8");
    let side = fs::File::options().write(true).open(path).expect(path);
    let mut command = fanfare();
    command
        .env_remove("FANFARE_LOG_FORMAT")
        .args(["--addr", "127.0.0.1:0"])
        .stderr(side);
    let _server = Server::spawn(command);
    let mut lines = BufReader::new(fs::File::from(terminal)).lines();
    let line = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("ready")));
    let line = line.expect("the terminal is open").expect("it can be read");
    assert!(line.contains("INFO") && !line.starts_with('{'), "{line}");
}
