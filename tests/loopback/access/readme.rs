//! The README's lines that mint a token, each run as it stands there.

#![allow(clippy::print_stderr, reason = "a test that could not run says so")]

use std::env;
use std::fs;
use std::process::{Command, Stdio};

use super::{HOST, bearer};
use crate::common::Server;
use crate::common::rooms::post_with;
use crate::common::token::KEY;
use crate::common::wire::request;
use crate::proxies::blocks;

const README: &str = include_str!("../../../README.md");

/// What the block of the README that holds `mark` prints, run as `command` says; `None` where there is no such program,
/// which is an error if it is required.
fn printed(mark: &str, name: &str, command: impl FnOnce(&str) -> Command) -> Option<String> {
    let mut blocks = blocks(README)
        .into_iter()
        .filter(|block| block.contains(mark));
    let block = blocks.next().expect("the README has one");
    assert_eq!(blocks.next(), None, "{mark} stands in one block");
    let output = command(&block)
        .env("FANFARE_JWT_KEY", KEY)
        .stdin(Stdio::null())
        .output();
    let Ok(output) = output else {
        let is_required = env::var_os("FANFARE_REQUIRE_MINTS").is_some_and(|it| it == "1");
        assert!(!is_required, "{name} is required and missing");
        eprintln!("NOT TESTED: this machine has no {name}");
        return None;
    };
    assert!(output.status.success(), "{name}: {output:?}");
    let token = String::from_utf8(output.stdout).expect("a token is ASCII");
    Some(token.trim_end().to_owned())
}

fn assert_good(token: &str) {
    let server = Server::start(&["--jwt-key", KEY]);
    let field = bearer(token);
    let mut peer = server.connect();
    peer.send(post_with("/room/lobby", &[&field], "hello"));
    assert_eq!(peer.expect_id().seq, 1);
    for (path, status) in [("/room/lobby", 200), ("/room/other", 403), ("/room", 403)] {
        let mut peer = server.connect();
        peer.send(request(&format!("HEAD {path} HTTP/1.1"), &[HOST, &field]));
        assert_eq!(peer.response_without_body().status, status, "{path}");
    }
}

#[test]
fn node_mints_a_good_token() {
    let token = printed("node:crypto", "node", |script| {
        let mut command = Command::new("node");
        command.args(["--input-type=module", "-e", script]);
        command
    });
    token.iter().for_each(|token| assert_good(token));
}

#[test]
fn python_mints_a_good_token() {
    let token = printed("urlsafe_b64encode", "python3", |script| {
        let mut command = Command::new("python3");
        command.args(["-c", script]);
        command
    });
    token.iter().for_each(|token| assert_good(token));
}

#[test]
fn go_mints_a_good_token() {
    let folder = env::temp_dir().join(format!("fanfare-go-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let token = printed("package main", "go", |program| {
        let file = folder.join("main.go");
        fs::write(&file, program).expect("a file");
        let mut command = Command::new("go");
        command.arg("run").arg(file);
        command
    });
    fs::remove_dir_all(&folder).expect("it is there");
    token.iter().for_each(|token| assert_good(token));
}
