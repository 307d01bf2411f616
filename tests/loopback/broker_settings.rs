//! The settings of the backplane: where they may stand, and that nothing shows the password.

use crate::common::{Server, assert_fails, fanfare, run};
use crate::lifecycle::on_free_port;
use crate::settings::{SettingsFile, printed};

const SECRET: &str = "never-to-be-seen";
/// Nothing listens there.
const URL: &str = "redis://u:never-to-be-seen@127.0.0.1:1/2";
const SHOWN: &str = "redis://u:***@127.0.0.1:1/2";

/// URLs that make no sense, with the secret wherever it may be thought to stand.
const WRONG: [&str; 8] = [
    "never-to-be-seen",
    "redis://never-to-be-seen@localhost",
    "redis://u:never-to-be-seen@localhost:0",
    "redis://u:never-to-be-seen@localhost/x",
    "redis://u:never-to-be-seen/@localhost",
    "redis://u:never-to-be-seen%@localhost",
    "redis://u:never-to-be-seen@local host",
    "rediss://u:never-to-be-seen@localhost",
];

#[test]
fn a_wrong_url_is_refused_in_one_line_that_does_not_show_it() {
    let file = SettingsFile::new("broker-wrong", "");
    for url in WRONG {
        let mut by_flag = on_free_port();
        by_flag.args(["--backplane", url]);
        let mut by_variable = on_free_port();
        by_variable.env("FANFARE_BACKPLANE", url);
        file.write(&format!("\nbackplane = '{url}'\n"));
        for command in [by_flag, by_variable, file.command()] {
            let line = assert_fails(command, 2);
            assert!(line.contains("'--backplane <URL>'"), "{line}");
            assert!(!line.contains(SECRET), "{line}");
        }
    }
}

#[test]
fn a_good_url_beside_what_makes_no_sense_is_not_shown_either() {
    let slip = format!("--backplanes={URL}");
    for flags in [
        &["--backplane", URL, "--backplane", URL][..],
        &["--backplane", URL, "--send-queue", "0"],
        &["--backplane", URL, "--backplane-entries", "0"],
        &["--backplane", URL, "--ping-period", "60s"],
        &[&slip],
    ] {
        let mut command = on_free_port();
        command.args(flags);
        let line = assert_fails(command, 2);
        assert!(!line.contains(SECRET), "{line}");
    }
    let file = SettingsFile::new("broker-slips", "");
    for text in [
        format!("backplane = {URL}"),
        format!("backplane = '{URL}"),
        format!("backplane = ['{URL}']"),
        format!("backplane = '{URL}'\nbackplane = '{URL}'"),
        format!("backplanes = '{URL}'"),
    ] {
        file.write(&text);
        let line = assert_fails(file.command(), 2);
        assert!(!line.contains(SECRET), "{line}");
    }
}

#[test]
fn printed_settings_show_the_url_without_its_password() {
    let file = SettingsFile::new("broker-printed", &format!("backplane = '{URL}'\n"));
    let shown = printed(file.command());
    assert!(
        shown.contains(&format!("\nbackplane = \"{SHOWN}\" # file, line 1\n")),
        "{shown}"
    );
    for line in [
        "backplane-prefix = \"fanfare\" # default",
        "backplane-wait = \"5s\" # default",
        "backplane-entries = 100000 # default",
    ] {
        assert!(shown.lines().any(|printed| printed == line), "{line}");
    }
    assert!(!shown.contains(SECRET), "{shown}");
    // What is printed must not be taken for the password.
    file.write(&shown);
    let line = assert_fails(file.command(), 2);
    assert!(line.contains("has hidden backplane"), "{line}");
}

#[test]
fn help_does_not_show_the_url_of_the_environment() {
    for flag in ["--help", "-h"] {
        let mut command = fanfare();
        command.env("FANFARE_BACKPLANE", URL).arg(flag);
        let (status, stdout, stderr) = run(command);
        assert_eq!(status, Some(0));
        let shown = [stdout, stderr].concat().join("\n");
        assert!(!shown.contains(SECRET), "{shown}");
    }
}

/// Whatever becomes of the broker, the node serves.
#[test]
fn another_broker_and_even_another_password_hold_from_the_next_start_on() {
    let file = SettingsFile::new("broker-fixed", &format!("backplane = '{URL}'\n"));
    let mut server = Server::spawn(file.command());
    let other = URL.replace(SECRET, "never-to-be-seen-too");
    file.write(&format!("backplane = '{other}'\nbackplane-wait = '6s'\n"));
    server.signal("HUP");
    server.wait_for_log(&[
        "WARN",
        "these settings hold until the server is started anew",
        "backplane, backplane-wait",
    ]);
    server.signal("TERM");
    assert_eq!(server.wait_for_exit().code(), Some(0));
    let (stdout, stderr) = server.output();
    let shown = [stdout, stderr].concat().join("\n");
    assert!(!shown.contains(SECRET), "{shown}");
}
