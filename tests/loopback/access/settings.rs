//! Tokens and keys out of flags, the environment and files, and settings that make no sense.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{HOST, bearer};
use crate::common::wire::request;
use crate::common::{Server, assert_fails, fanfare, run};
use crate::lifecycle::on_free_port;

/// A file of its own, removed when the test is over.
struct Scratch(PathBuf);

impl Scratch {
    fn with(name: &str, content: &str) -> Self {
        let name = format!("fanfare-loopback-{name}-{}", std::process::id());
        let scratch = Self(std::env::temp_dir().join(name));
        fs::write(&scratch.0, content).expect("a file");
        scratch
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("it is UTF-8")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A test may have removed it.
        let _ = fs::remove_file(&self.0);
    }
}

fn assert_takes(server: &Server, token: &str) {
    let status = |token: &str| {
        let mut peer = server.connect();
        peer.send(request("GET /room HTTP/1.1", &[HOST, &bearer(token)]));
        peer.response_without_body().status
    };
    assert_eq!(status(token), 200);
    assert_eq!(status(&format!("{token}x")), 401);
}

#[test]
fn a_token_comes_from_a_flag_a_variable_or_a_file() {
    let file = Scratch::with("token", "file-token\n");
    for kind in ["publish", "listen"] {
        assert_takes(
            &Server::start(&[&format!("--{kind}-token"), "flag-token"]),
            "flag-token",
        );
        let file_flag = format!("--{kind}-token-file");
        assert_takes(&Server::start(&[&file_flag, file.path()]), "file-token");
        let variable = format!("FANFARE_{}_TOKEN", kind.to_uppercase());
        let mut command = on_free_port();
        command.env(&variable, "variable-token");
        assert_takes(&Server::spawn(command), "variable-token");
        let mut command = on_free_port();
        command.env(format!("{variable}_FILE"), file.path());
        assert_takes(&Server::spawn(command), "file-token");
        // A flag wins, and an empty variable is none.
        let mut command = on_free_port();
        command.env(&variable, "variable-token");
        command.args([&format!("--{kind}-token"), "flag-token"]);
        assert_takes(&Server::spawn(command), "flag-token");
        let mut command = on_free_port();
        command.env(&variable, "").args([&file_flag, file.path()]);
        assert_takes(&Server::spawn(command), "file-token");
    }
}

#[test]
fn a_key_comes_from_a_file_too() {
    use crate::common::token::KEY;
    let file = Scratch::with("key", &format!("{KEY}\n"));
    let server = Server::start(&["--jwt-key-file", file.path()]);
    assert_takes(&server, &super::token(&serde_json::json!([""]), true));
}

#[test]
fn a_file_that_cannot_be_used_ends_the_program_with_one_line() {
    let empty = Scratch::with("empty", "\n");
    let missing = Scratch::with("missing", "");
    fs::remove_file(&missing.0).expect("it is there");
    for flag in [
        "--publish-token-file",
        "--listen-token-file",
        "--jwt-key-file",
    ] {
        for (file, words) in [(&empty, "it is empty"), (&missing, "No such file")] {
            let mut command = on_free_port();
            command.args([flag, file.path()]);
            let line = assert_fails(command, 2);
            let parts = [flag, file.path(), words];
            assert!(parts.iter().all(|part| line.contains(part)), "{line}");
        }
    }
}

const SECRET: &str = "never-to-be-seen";

/// Expects one line of explanation that does not show the secret.
fn assert_refused(change: impl FnOnce(&mut Command), words: &str) {
    let mut command = on_free_port();
    change(&mut command);
    let line = assert_fails(command, 2);
    assert!(line.contains(words), "{line}");
    assert!(!line.contains(SECRET), "{line}");
}

#[test]
fn what_makes_no_sense_is_refused_and_no_secret_is_shown() {
    let file = Scratch::with("both", SECRET);
    for name in ["publish-token", "listen-token", "jwt-key"] {
        let flag = format!("--{name}");
        let file_flag = format!("{flag}-file");
        let variable = format!("FANFARE_{}", name.to_uppercase().replace('-', "_"));
        let both = "exclude each other";
        assert_refused(
            |it| _ = it.args([&*flag, SECRET, &file_flag, file.path()]),
            both,
        );
        assert_refused(
            |it| _ = it.env(&variable, SECRET).args([&*file_flag, file.path()]),
            both,
        );
        assert_refused(
            |it| _ = it.args([&*flag, SECRET, &*flag, SECRET]),
            "multiple",
        );
        assert_refused(|it| _ = it.args([&flag, ""]), "is empty");
        let slip = format!("{}={SECRET}", flag.replace("--", "--x"));
        assert_refused(|it| _ = it.arg(slip), "unexpected argument");
        let slip = format!("{flag}s={SECRET}");
        assert_refused(|it| _ = it.arg(slip), "unexpected argument");
        // Another setting is wrong.
        assert_refused(
            |it| _ = it.args([&*flag, SECRET, "--send-queue", "0"]),
            "send-queue",
        );
        assert_refused(
            |it| _ = it.env(&variable, SECRET).args(["--addr", "nowhere"]),
            "--addr",
        );
    }
    let spaced = format!("{SECRET} {SECRET}");
    for flag in ["--publish-token", "--listen-token"] {
        assert_refused(|it| _ = it.args([flag, &spaced]), "visible ASCII");
        let long = format!("{SECRET}{}", "x".repeat(4096));
        assert_refused(|it| _ = it.args([flag, &long]), "4096");
    }
    assert_refused(
        |it| _ = it.args(["--publish-token", SECRET, "--listen-token", SECRET]),
        "must differ",
    );
    assert_refused(|it| _ = it.args(["--allow-host", "a/b"]), "--allow-host");
}

#[test]
fn a_token_that_is_no_text_is_refused_without_showing_it() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    let odd = OsString::from_vec([SECRET.as_bytes(), b"\xff"].concat());
    assert_refused(
        |it| _ = it.arg("--publish-token").arg(&odd),
        "visible ASCII",
    );
    assert_refused(
        |it| _ = it.env("FANFARE_LISTEN_TOKEN", &odd),
        "visible ASCII",
    );
}

#[test]
fn help_shows_no_secret_of_the_environment() {
    for flag in ["--help", "-h", "--version"] {
        let mut command = fanfare();
        for variable in ["PUBLISH_TOKEN", "LISTEN_TOKEN", "JWT_KEY"] {
            command.env(format!("FANFARE_{variable}"), SECRET);
        }
        command.arg(flag);
        let (status, stdout, stderr) = run(command);
        assert_eq!(status, Some(0));
        let shown = [stdout, stderr].concat().join("\n");
        assert!(!shown.contains(SECRET), "{shown}");
    }
}

#[test]
fn a_key_that_may_be_guessed_is_warned_of() {
    let short = &crate::common::token::KEY[1..];
    let server = Server::start(&["--jwt-key", short]);
    server.wait_for_log(&["WARN", "--jwt-key", "shorter than 32 bytes"]);
}
