//! What SIGHUP reads anew holds for those who come then. Those who are there stay, whatever is read.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::json;

use crate::access::{HOST, bearer, token, unix_seconds};
use crate::common::folder::Folder;
use crate::common::token::{KEY, mint_with};
use crate::common::wire::{TEXT, get, request};
use crate::common::{Peer, Server};
use crate::lifecycle::on_free_port;
use crate::listeners::end;
use crate::settings::{SettingsFile, upgrade_status};

const READ: &[&str] = &["INFO", "the settings were read anew"];
const REFUSED: &[&str] = &["ERROR", "the settings stay as they are"];

/// Sends SIGHUP, and waits for the line that says so for the `count`th time.
fn reload(server: &Server, told: &[&str], count: usize) {
    server.signal("HUP");
    server.wait_for_log_lines(told, count);
}

fn ask(server: &Server, host: &str, token: &str) -> Peer {
    let mut peer = server.connect();
    peer.send(request("HEAD /room HTTP/1.1", &[host, &bearer(token)]));
    peer
}

/// The status of a request for events with this token.
fn status(server: &Server, token: &str) -> u16 {
    ask(server, HOST, token).response_without_body().status
}

/// A WebSocket that showed this token.
fn join(server: &Server, token: &str) -> Peer {
    let peer = server.connect();
    peer.upgraded_with("/ws", &[&bearer(token)])
}

fn assert_hears_itself(peer: &mut Peer, text: &str) {
    peer.say(text);
    peer.expect_frame(TEXT, text.as_bytes());
}

/// A server whose secret is in a file, which is replaced by good ones and bad ones.
fn assert_follows(flag: &str, contents: [&str; 2], tokens: [&str; 2]) {
    let folder = Folder::new();
    let file = folder.file("secret");
    let write = |content: &str| fs::write(&file, content).expect("it can be written");
    write(contents[0]);
    let path = file.to_str().expect("a path that was made up");
    let server = Server::start(&[flag, path]);
    let mut early = join(&server, tokens[0]);
    assert_eq!(tokens.map(|token| status(&server, token)), [200, 401]);
    let breakages: [&dyn Fn(); 4] = [
        &|| write(""),
        &|| write(&"x".repeat(20 * 1024)),
        &|| fs::remove_file(&file).expect("it is there"),
        &|| make_pipe(&file),
    ];
    for (number, break_it) in breakages.iter().enumerate() {
        break_it();
        reload(&server, REFUSED, number + 1);
        assert_eq!(tokens.map(|token| status(&server, token)), [200, 401]);
        assert_hears_itself(&mut early, "still here");
    }
    fs::remove_file(&file).expect("it is there");
    write(contents[1]);
    reload(&server, READ, 1);
    assert_eq!(tokens.map(|token| status(&server, token)), [401, 200]);
    assert_hears_itself(&mut early, "still here");
    let mut late = join(&server, tokens[1]);
    late.say("me too");
    early.expect_frame(TEXT, b"me too");
    late.expect_frame(TEXT, b"me too");
    drop((early, late));
    let errors = errors(server);
    assert_eq!(errors.len(), breakages.len(), "{errors:#?}");
    for error in errors {
        assert!(error.contains(flag) && error.contains(path), "{error}");
    }
}

/// A pipe that nobody writes to.
fn make_pipe(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.expect("there is such a program").success());
}

/// The lines of the log about errors, once the server has ended.
fn errors(mut server: Server) -> Vec<String> {
    server.signal("TERM");
    assert!(server.wait_for_exit().success());
    let (_, mut log) = server.output();
    log.retain(|line| line.contains("ERROR"));
    log
}

#[test]
fn a_token_out_of_a_file_is_replaced_and_a_bad_file_changes_nothing() {
    for flag in ["--publish-token-file", "--listen-token-file"] {
        let tokens = ["the-old-token", "the-new-token"];
        assert_follows(flag, ["the-old-token\n", "the-new-token"], tokens);
    }
}

#[test]
fn a_key_out_of_a_file_is_replaced_and_a_bad_file_changes_nothing() {
    let fresh_key = KEY.replace('0', "f");
    let header = json!({"alg": "HS256", "typ": "JWT"});
    let claims = json!({"exp": unix_seconds() + 3600, "rooms": ["*"], "say": true});
    let tokens = [
        token(&json!(["*"]), true),
        mint_with(&header, &claims, &fresh_key),
    ];
    let contents = [KEY, &fresh_key];
    let tokens = tokens.each_ref().map(String::as_str);
    assert_follows("--jwt-key-file", contents, tokens);
}

#[test]
fn a_key_that_may_be_guessed_is_warned_of_when_it_comes() {
    let file = SettingsFile::new("admin-key", &format!("jwt-key = '{KEY}'\n"));
    let server = Server::spawn(file.command());
    file.write(&format!("jwt-key = '{}'\n", &KEY[1..]));
    reload(&server, READ, 1);
    server.wait_for_log_lines(&["WARN", "shorter than 32 bytes"], 1);
    end(server);
}

#[test]
fn hosts_origins_and_tokens_of_the_settings_file_are_read_anew_together() {
    let file = SettingsFile::new("admin-anew", "allow-host = 'chat.example'\n");
    let server = Server::spawn(file.command());
    let mut early = server.join();
    let host = |name: &str| {
        let mut peer = ask(&server, &format!("Host: {name}"), "a-token");
        peer.response_without_body().status
    };
    let origin = |name: &str| upgrade_status(&server, name);
    assert_eq!((host("chat.example"), host("other.example")), (200, 421));
    assert_eq!(origin("https://page.example"), 403);
    file.write(
        "allow-host = ['other.example', 'chat.example']\nallow-origin = 'https://*.example'\n",
    );
    reload(&server, READ, 1);
    assert_eq!((host("chat.example"), host("other.example")), (200, 200));
    assert_eq!(origin("https://page.example"), 101);
    file.write("allow-host = 'other.example'\nlisten-token = 'a-token'\n");
    reload(&server, READ, 2);
    assert_eq!((host("chat.example"), host("other.example")), (421, 200));
    file.write("allow-host = 'other.example'\nlisten-token = 'another-token'\n");
    reload(&server, READ, 3);
    assert_eq!(host("other.example"), 401);
    // One thing that is wrong is enough for all to stay.
    file.write("allow-host = 'chat.example'\nlisten-token = 'no token'\n");
    reload(&server, REFUSED, 1);
    assert_eq!((host("chat.example"), host("other.example")), (421, 401));
    assert_hears_itself(&mut early, "still here");
    drop(early);
    end(server);
}

#[test]
fn the_filter_of_the_log_stays_where_a_file_is_wrong() {
    let file = SettingsFile::new("admin-filter", "log = 'info'\n");
    let mut command = file.command();
    command.env_remove("FANFARE_LOG");
    let server = Server::spawn(command);
    file.write("log = 'debug'\nallow-host = 'a/b'\n");
    reload(&server, REFUSED, 1);
    drop(server.join());
    // Its end is noticed before what is asked behind it is answered.
    let mut peer = server.connect();
    peer.send(get("/healthz"));
    assert_eq!(peer.response().status, 200);
    file.write("log = 'debug'\n");
    reload(&server, READ, 1);
    drop((server.join(), peer));
    server.wait_for_log_lines(&["DEBUG", "connection closed"], 2);
    let mut server = server;
    server.signal("TERM");
    assert!(server.wait_for_exit().success());
    let (_, log) = server.output();
    let closed = log.iter().filter(|line| line.contains("connection closed"));
    // The one that joined last, and the one that asked.
    assert_eq!(closed.count(), 2, "{log:#?}");
}

#[test]
fn a_storm_of_joins_while_the_settings_are_read_again_and_again_loses_nobody() {
    const JOINERS: usize = 4;
    const JOINS: usize = 100;
    let folder = Folder::new();
    let file = folder.file("token");
    fs::write(&file, "a-token").expect("it can be written");
    let mut command = on_free_port();
    command.arg("--publish-token-file").arg(&file);
    let server = Server::spawn(command);
    let is_over = AtomicBool::new(false);
    let mut members = thread::scope(|scope| {
        let storm = scope.spawn(|| {
            let mut count = 0;
            while !is_over.load(Ordering::Relaxed) {
                server.signal("HUP");
                count += 1;
            }
            count
        });
        let joiners = [(); JOINERS].map(|()| {
            scope.spawn(|| {
                let joins = (0..JOINS).map(|_| join(&server, "a-token"));
                joins.collect::<Vec<Peer>>()
            })
        });
        let members = joiners.map(|joiner| joiner.join().expect("all are let in"));
        is_over.store(true, Ordering::Relaxed);
        assert!(storm.join().expect("there is a shell") > 1);
        members.into_iter().flatten().collect::<Vec<Peer>>()
    });
    assert_eq!(members.len(), JOINERS * JOINS);
    members[0].say("to all");
    for member in &mut members {
        member.expect_frame(TEXT, b"to all");
    }
    server.wait_for_log(READ);
    drop(members);
    assert_eq!(errors(server), [""; 0]);
}
