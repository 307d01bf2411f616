//! With every kind of token and key set, none of them is in what those who operate the server are shown.

use std::fs;

use serde_json::json;

use super::scrape_text;
use crate::access::{HOST, LISTEN, PUBLISH, bearer, token};
use crate::common::folder::Folder;
use crate::common::token::KEY;
use crate::common::wire::{request, upgrade_with};
use crate::common::{Server, run};
use crate::settings::{SettingsFile, printed};

/// In none of the settings that hold, but in a file that is read.
const FRESH: &str = "fresh-secret-of-the-tests";

/// Settings with a secret that cannot be used, whatever is wrong with them.
const WRONG: [&str; 9] = [
    "publish-token = 'fresh-secret-of-the-tests and-more'",
    "publish-token = 'fresh-secret-of-the-tests",
    "publish-token = fresh-secret-of-the-tests",
    "publish-token = ['fresh-secret-of-the-tests', 'x']",
    "publish-token = 'listen-token-of-the-tests'",
    "jwt-key = 'fresh-secret-of-the-tests'\njwt-key-file = '/nowhere'",
    "jwt-key = { is = 'fresh-secret-of-the-tests' }",
    "publish-token = 'fresh-secret-of-the-tests'\npublish-token = 'x'",
    "publish-token = 'fresh-secret-of-the-tests'\nhistory = -1",
];

fn assert_hides(shown: &str, secrets: &[&str]) {
    for secret in secrets {
        assert!(!shown.contains(secret), "{secret}: {shown}");
        let bytes = format!("{:?}", secret.as_bytes());
        let bytes = bytes.trim_matches(['[', ']']);
        assert!(!shown.contains(bytes), "{secret}: {shown}");
    }
}

#[test]
fn no_secret_is_in_a_scrape_the_printed_settings_or_the_log_whatever_is_read_anew() {
    let folder = Folder::new();
    let key = folder.file("key");
    fs::write(&key, KEY).expect("it can be written");
    let key_setting = format!("jwt-key-file = '{}'\n", key.display());
    let good = format!(
        "admin-addr = '127.0.0.1:0'\nlog = 'trace'\npublish-token = '{PUBLISH}'\n{key_setting}"
    );
    let file = SettingsFile::new("admin-secrets", &good);
    let command = || {
        let mut command = file.command();
        command.env_remove("FANFARE_LOG");
        command.env("FANFARE_LISTEN_TOKEN", LISTEN);
        command
    };
    let signed = token(&json!(["*"]), true);
    let secrets = [PUBLISH, LISTEN, KEY, FRESH, &signed];
    let shown = printed(command());
    for name in ["publish-token", "listen-token"] {
        assert!(shown.contains(&format!("{name} = \"***\"")), "{shown}");
    }
    assert_hides(&shown, &secrets);

    let mut server = Server::spawn(command());
    let mut admin = server.connect_admin();
    let mut asks = || {
        for token in [PUBLISH, LISTEN, &signed, FRESH] {
            let field = bearer(token);
            let line = format!("GET /room?token={token} HTTP/1.1");
            for request in [
                request(&line, &[HOST]),
                request(&line, &[HOST, &field]),
                upgrade_with(&[&field]),
            ] {
                let mut peer = server.connect();
                peer.send(request);
                peer.response_without_body();
            }
            // Those who operate the server need no token, and may show one all the same.
            let line = format!("HEAD /metrics?token={token} HTTP/1.1");
            admin.send(request(&line, &[HOST, &field]));
            assert_eq!(admin.response_without_body().status, 200);
        }
        assert_hides(&scrape_text(&mut admin), &secrets);
    };
    asks();
    for (number, wrong) in WRONG.iter().enumerate() {
        file.write(&format!("{wrong}\n"));
        server.signal("HUP");
        server.wait_for_log_lines(&["ERROR", "the settings stay as they are"], number + 1);
        let mut command = command();
        command.arg("--check");
        let (status, stdout, stderr) = run(command);
        assert_eq!(status, Some(2), "{wrong}");
        assert_hides(&[stdout, stderr].concat().join("\n"), &secrets);
    }
    fs::write(&key, format!("{KEY}-{FRESH}")).expect("it can be written");
    let fresh = good.replace(PUBLISH, FRESH) + "history = 1\n";
    file.write(&fresh);
    server.signal("HUP");
    server.wait_for_log(&["WARN", "these settings hold until", "history"]);
    server.wait_for_log(&["the settings were read anew"]);
    asks();
    assert_hides(&printed(command()), &secrets);
    server.signal("TERM");
    assert!(server.wait_for_exit().success());
    let (stdout, stderr) = server.output();
    assert!(stderr.iter().any(|line| line.contains("DEBUG")), "it logs");
    assert_hides(&[stdout, stderr].concat().join("\n"), &secrets);
}
