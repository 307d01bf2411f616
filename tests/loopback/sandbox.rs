//! What the systemd unit lets the server do, against what it does: a system call that the unit's filter refuses would
//! show only where systemd runs.

#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::wire::TEXT;
use crate::common::{Server, eventually, fanfare_under};

const UNIT: &str = include_str!("../../packaging/fanfare.service");

#[test]
fn the_unit_allows_every_system_call_that_the_server_makes() {
    let Some(allowed) = allowed() else {
        eprintln!("skipped: there is no systemd-analyze here");
        return;
    };
    let Some(made) = made() else {
        eprintln!("skipped: there is no strace here");
        return;
    };
    for call in ["epoll_wait", "accept4"] {
        assert!(made.contains(call) && allowed.contains(call), "{made:?}");
    }
    let refused: Vec<_> = made.difference(&allowed).collect();
    assert!(refused.is_empty(), "{refused:?}");
}

/// The system calls that the unit allows; `None` if there is no systemd to say what its groups are.
fn allowed() -> Option<BTreeSet<String>> {
    let mut allowed = members("@default")?;
    let filters = UNIT
        .lines()
        .filter_map(|line| line.strip_prefix("SystemCallFilter="));
    for filter in filters {
        let (is_refused, groups) = match filter.strip_prefix('~') {
            Some(groups) => (true, groups),
            None => (false, filter),
        };
        for group in groups.split(' ') {
            for call in members(group)? {
                match is_refused {
                    true => allowed.remove(&call),
                    false => allowed.insert(call),
                };
            }
        }
    }
    Some(allowed)
}

/// The system calls of a group, and of the groups in it.
fn members(group: &str) -> Option<BTreeSet<String>> {
    let mut command = Command::new("systemd-analyze");
    let output = command.args(["syscall-filter", group]).output().ok()?;
    let text = String::from_utf8(output.stdout).expect("it is UTF-8");
    let mut members = BTreeSet::new();
    for member in text.lines().skip(1).map(str::trim) {
        match member.starts_with('@') {
            true => members.extend(self::members(member)?),
            false => _ = members.insert(member.to_owned()),
        }
    }
    Some(members)
}

/// The system calls that a server makes from its start to its end; `None` if nothing can watch it.
fn made() -> Option<BTreeSet<String>> {
    Command::new("strace").arg("-V").output().ok()?;
    let trace = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sandbox.strace");
    let settings = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/fanfare.toml");
    let path = trace.to_str().expect("it is UTF-8");
    // Beside the server, not above it: signals are sent to the process that was started.
    let mut command = fanfare_under("strace", &["-D", "-f", "-o", path]);
    command
        .args(["--addr", "127.0.0.1:0", "--config"])
        .arg(settings);
    let mut server = Server::spawn(command);
    let mut member = server.join();
    member.say("hello");
    member.expect_frame(TEXT, b"hello");
    server.signal("HUP");
    server.wait_for_log(&["the settings were read anew"]);
    server.signal("TERM");
    member.expect_close(1001);
    drop(member);
    assert_eq!(server.wait_for_exit().code(), Some(0));
    let text = eventually("the trace is whole", || {
        let text = fs::read_to_string(&trace).ok()?;
        text.contains("+++ exited with 0 +++").then_some(text)
    });
    // "1234  read(3, ...".
    let call = |line: &str| {
        let (_, rest) = line.split_once(' ')?;
        let (name, _) = rest.trim_start().split_once('(')?;
        let is_name = name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        is_name.then(|| name.to_owned())
    };
    Some(text.lines().filter_map(call).collect())
}
