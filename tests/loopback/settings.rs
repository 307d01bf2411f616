//! The settings file, `--check` and `--print-config`, and what SIGHUP reads anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use fanfare::config::CONFIG_FILE_LEN_MAX;

use crate::common::wire::{TEXT, upgrade_with};
use crate::common::{Server, assert_fails, fanfare, run};
use crate::lifecycle::on_free_port;

/// A settings file, removed when the test is over.
pub(crate) struct SettingsFile(PathBuf);

impl SettingsFile {
    /// A file of this name, which no other test uses.
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let file = Self(path.with_extension("toml"));
        file.write(text);
        file
    }

    /// As editors and orchestrators do it: never half of it is there.
    pub(crate) fn write(&self, text: &str) {
        let fresh = self.0.with_extension("new");
        fs::write(&fresh, text).expect("it can be written");
        fs::rename(&fresh, &self.0).expect("it can be replaced");
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().expect("it is UTF-8")
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = on_free_port();
        command.args(["--config", self.path()]);
        command
    }
}

impl Drop for SettingsFile {
    fn drop(&mut self) {
        // A failed test may have removed it.
        let _ = fs::remove_file(&self.0);
    }
}

/// How many bytes a message may have.
fn assert_message_max(server: &Server, max: usize) {
    let mut peer = server.join();
    let longest = "x".repeat(max);
    peer.say(&longest);
    peer.expect_frame(TEXT, longest.as_bytes());
    peer.say(&"x".repeat(max + 1));
    peer.expect_close(1009);
}

pub(crate) fn upgrade_status(server: &Server, origin: &str) -> u16 {
    let mut peer = server.connect();
    peer.send(upgrade_with(&[&format!("Origin: {origin}")]));
    peer.response_without_body().status
}

/// What `--print-config` prints.
pub(crate) fn printed(mut command: Command) -> String {
    command.arg("--print-config");
    let (status, stdout, stderr) = run(command);
    assert_eq!(status, Some(0), "{stderr:?}");
    assert!(stderr.is_empty(), "{stderr:?}");
    stdout.join("\n") + "\n"
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file_and_that_over_the_default() {
    let file = SettingsFile::new("precedence", "max-message = '16B'\nsend-queue = 77\n");
    assert_message_max(&Server::spawn(file.command()), 16);
    let mut command = file.command();
    command.env("FANFARE_MAX_MESSAGE", "8B");
    assert_message_max(&Server::spawn(command), 8);
    let mut command = file.command();
    command.env("FANFARE_MAX_MESSAGE", "8B");
    command.args(["--max-message", "4B"]);
    assert_message_max(&Server::spawn(command), 4);
    let mut command = file.command();
    command.env("FANFARE_MAX_MESSAGE", "");
    assert_message_max(&Server::spawn(command), 16);
}

#[test]
fn the_file_may_be_named_in_the_environment_and_sets_switches_and_lists() {
    let file = SettingsFile::new(
        "environment",
        "addr = '127.0.0.1:0'\necho = true\nallow-origin = ['http://one.example', 'null']\n",
    );
    let mut command = fanfare();
    command.env("FANFARE_CONFIG", file.path());
    let server = Server::spawn(command);
    assert!(server.addr.ip().is_loopback());
    server.echo();
    for (origin, status) in [
        ("http://one.example", 101),
        ("null", 101),
        ("http://two.example", 403),
    ] {
        assert_eq!(upgrade_status(&server, origin), status, "{origin}");
    }
    // A switch that the file turns on is turned off where that is said with more weight.
    let mut command = file.command();
    command.env("FANFARE_ECHO", "0");
    assert!(printed(command).contains("\necho = false # environment\n"));
}

#[test]
fn nonsense_in_the_file_is_told_with_its_line() {
    let file = SettingsFile::new("nonsense", "");
    for (text, line, part) in [
        ("\nmax-client = 1", 2, "did you mean max-clients?"),
        ("max-clients = true", 1, "must be text or a whole number"),
        ("# One\n\ndrain = 5", 3, "it must be a time"),
        ("slow = 'down'", 1, "[possible values: close, skip]"),
        ("echo = 'yes'", 1, "must be true or false"),
        (
            "allow-origin = ['null',\n'nowhere']",
            1,
            "no page has this origin",
        ),
        ("log = ", 1, "it is not TOML"),
    ] {
        file.write(text);
        let told = assert_fails(file.command(), 2);
        let start = format!("fanfare: {}:{line}: ", file.path());
        assert!(told.starts_with(&start) && told.contains(part), "{told}");
        // It is told as well where something else wins.
        let mut command = file.command();
        command.args(["--drain", "1s", "--slow", "skip", "--check"]);
        assert_eq!(assert_fails(command, 2), told);
    }
    file.write("max-message = '1MiB'\nmax-queued = '1MiB'");
    let told = assert_fails(file.command(), 2);
    assert!(told.contains("--max-queued (1048576B) must be"), "{told}");
}

#[test]
fn a_file_that_cannot_be_read_or_is_too_large_is_told() {
    let file = SettingsFile::new("unreadable", &" ".repeat(CONFIG_FILE_LEN_MAX));
    let mut command = file.command();
    command.arg("--check");
    assert_eq!(run(command).0, Some(0));
    file.write(&" ".repeat(CONFIG_FILE_LEN_MAX + 1));
    let told = assert_fails(file.command(), 2);
    assert!(told.ends_with("it is larger than 65536 bytes"), "{told}");
    fs::write(file.path(), b"log = '\xff'").expect("it can be written");
    assert!(assert_fails(file.command(), 2).ends_with("it is not UTF-8"));
    for (path, part) in [
        ("/nowhere/fanfare.toml", "it cannot be read: No such file"),
        ("/", "it is no regular file"),
        ("/dev/zero", "it is no regular file"),
    ] {
        let mut command = on_free_port();
        command.args(["--config", path]);
        let told = assert_fails(command, 2);
        assert!(told.starts_with(&format!("fanfare: {path}: ")), "{told}");
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn settings_are_checked_without_a_start() {
    let mut command = on_free_port();
    command.args(["--check", "--history", "0"]);
    let good = vec!["the settings are good".to_owned()];
    assert_eq!(run(command), (Some(0), good, vec![]));
    for flags in [
        ["--history", "x"],
        ["--ping-period", "60s"],
        ["--log", "[["],
    ] {
        for question in ["--check", "--print-config"] {
            let mut command = on_free_port();
            command.args(flags).arg(question);
            assert_fails(command, 2);
        }
    }
}

#[test]
fn printed_settings_say_where_they_come_from_and_can_be_read_again() {
    let file = SettingsFile::new(
        "printed",
        "\nmax-clients = 1_000\nallow-origin = ['null', 'https://a.example']\n",
    );
    let mut command = file.command();
    command
        .env("FANFARE_DRAIN", "1m 1s")
        .args(["--slow", "skip"]);
    let text = printed(command);
    for line in [
        "max-clients = 1000 # file, line 2",
        "allow-origin = [\"null\", \"https://a.example\"] # file, line 3",
        "drain = \"1m 1s\" # environment",
        "slow = \"skip\" # flag",
        "history = 1000 # default",
        "echo = false # default",
        "# send-buffer: not set",
    ] {
        assert!(
            text.lines().any(|printed| printed == line),
            "{line}: {text}"
        );
    }
    let again = SettingsFile::new("printed-again", &text);
    let mut command = fanfare();
    // The tests' own settings stand in the file now.
    command
        .env_remove("FANFARE_LOG")
        .env_remove("FANFARE_LOG_FORMAT")
        .args(["--config", again.path()]);
    let settings = |text: &str| {
        let lines = text.lines().filter_map(|line| line.split(" # ").next());
        lines.map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(settings(&printed(command)), settings(&text));
}

#[test]
fn every_setting_of_the_help_is_printed() {
    let mut command = fanfare();
    command.arg("--help");
    let (_, help, _) = run(command);
    let text = printed(fanfare());
    let flags = help.iter().filter_map(|line| line.strip_prefix("      --"));
    let flags: Vec<_> = flags.filter_map(|line| line.split(' ').next()).collect();
    assert!(flags.len() > 20, "{help:?}");
    for flag in flags {
        let is_printed = text.contains(&format!("\n{flag} = "))
            || text.contains(&format!("\n# {flag}: not set"));
        let is_setting = !matches!(flag, "config" | "check" | "print-config");
        assert_eq!(is_printed, is_setting, "{flag}: {text}");
    }
}

// SIGHUP.

#[test]
fn at_sighup_origins_and_the_filter_of_the_log_are_read_anew() {
    let file = SettingsFile::new(
        "anew",
        "allow-origin = 'http://one.example'\nlog = 'info'\n",
    );
    let mut command = file.command();
    command.env_remove("FANFARE_LOG");
    let mut server = Server::spawn(command);
    let mut member = server.join();
    assert_eq!(upgrade_status(&server, "http://one.example"), 101);
    assert_eq!(upgrade_status(&server, "http://two.example"), 403);
    file.write("allow-origin = 'http://two.example'\nlog = 'debug'\n");
    server.signal("HUP");
    server.wait_for_log(&["INFO", "the settings were read anew"]);
    assert_eq!(upgrade_status(&server, "http://one.example"), 403);
    assert_eq!(upgrade_status(&server, "http://two.example"), 101);
    drop(server.join());
    server.wait_for_log(&["DEBUG", "connection closed: the peer is gone"]);
    // Nobody was disturbed.
    member.say("still here");
    member.expect_frame(TEXT, b"still here");
    server.signal("TERM");
    member.expect_close(1001);
    drop(member);
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn what_is_wrong_at_sighup_is_told_in_one_line_and_the_old_stays() {
    let file = SettingsFile::new("old", "allow-origin = 'http://one.example'\n");
    let mut server = Server::spawn(file.command());
    file.write("allow-origin = 'http://two.example'\nlog = 'trace'\nhistory = -1\n");
    server.signal("HUP");
    let place = format!("{}:3: ", file.path());
    server.wait_for_log(&["ERROR", "the settings stay as they are", &place]);
    assert_eq!(upgrade_status(&server, "http://one.example"), 101);
    assert_eq!(upgrade_status(&server, "http://two.example"), 403);
    fs::remove_file(file.path()).expect("it is there");
    server.signal("HUP");
    server.wait_for_log(&["ERROR", "it cannot be read"]);
    assert_eq!(upgrade_status(&server, "http://one.example"), 101);
    server.signal("TERM");
    assert_eq!(server.wait_for_exit().code(), Some(0));
    let (_, log) = server.output();
    let errors = log.iter().filter(|line| line.contains("ERROR")).count();
    assert_eq!(errors, 2, "{log:?}");
}

#[test]
fn settings_that_hold_until_the_next_start_are_named_at_sighup() {
    let file = SettingsFile::new("fixed", "history = 1\nmax-message = '16B'\n");
    let mut server = Server::spawn(file.command());
    file.write("history = 2\nmax-message = '8B'\nallow-origin = 'null'\n");
    server.signal("HUP");
    server.wait_for_log(&[
        "WARN",
        "these settings hold until the server is started anew",
        "max-message, history",
    ]);
    server.wait_for_log(&["INFO", "the settings were read anew"]);
    assert_message_max(&server, 16);
    assert_eq!(upgrade_status(&server, "null"), 101);
    server.signal("TERM");
    assert_eq!(server.wait_for_exit().code(), Some(0));
    let (_, log) = server.output();
    let warnings = log.iter().filter(|line| line.contains("WARN")).count();
    assert_eq!(warnings, 1, "{log:?}");
}

#[test]
fn a_storm_of_sighup_and_joins_loses_nobody() {
    let file = SettingsFile::new("storm", "allow-origin = 'null'\n");
    let server = Server::spawn(file.command());
    let mut members: Vec<_> = (0..40)
        .map(|_| {
            server.signal("HUP");
            server.join()
        })
        .collect();
    if let Some(first) = members.first_mut() {
        first.say("to all");
    }
    for member in &mut members {
        member.expect_frame(TEXT, b"to all");
    }
    server.wait_for_log(&["the settings were read anew"]);
}
