//! The machine fails: no descriptors, no room for the log, a process that is stopped; and logs under attack.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::common::wire::{get, upgrade, upgrade_with};
use crate::common::{Peer, fanfare};
use crate::scene::Scene;

#[test]
fn descriptors_run_out() {
    let scene = Scene::start(&[]);
    scene.process.limit_descriptors(5);
    let mut members: Vec<Peer> = (0..5).map(|_| scene.server.join()).collect();
    // What the pair's chat takes by itself depends on the machine.
    let usual = cpu_share(&scene, Duration::from_secs(2));
    let mut waiting: Vec<Peer> = (0..20).map(|_| scene.server.connect()).collect();
    for peer in &mut waiting {
        peer.send(get("/"));
    }
    let share = cpu_share(&scene, Duration::from_secs(3));
    eprintln!(
        "descriptors run out: {:.1} % of a core, {:.1} % before",
        100.0 * share,
        100.0 * usual
    );
    assert!(share < 1.5 * usual + 0.02, "the server spins");
    for member in &mut members {
        member.say("still here");
    }
    // One leaves, and one of those who wait is served.
    members.pop();
    let freed = Instant::now();
    assert_eq!(waiting.remove(0).response().status, 200);
    eprintln!(
        "descriptors run out: accepting again after {:?}",
        freed.elapsed()
    );
    drop(members);
    for mut peer in waiting {
        assert_eq!(peer.response().status, 200);
    }
    scene.end("descriptors run out");
}

/// How much of a core the server takes for so long.
fn cpu_share(scene: &Scene, time: Duration) -> f64 {
    let (start, spent) = (Instant::now(), scene.process.cpu_time());
    thread::sleep(time);
    (scene.process.cpu_time() - spent).as_secs_f64() / start.elapsed().as_secs_f64()
}

/// A server that has much to log, and nowhere to.
fn nowhere_to_log(mut command: Command, attack: &str) {
    command.env("FANFARE_LOG", "trace");
    let scene = Scene::spawn(command);
    for _ in 0..500 {
        scene.server.connect().reset();
        let mut peer = scene.server.connect();
        peer.send(upgrade_with(&["Origin: https://elsewhere.example"]));
        peer.expect_refusal(403);
    }
    scene.end(attack);
}

#[test]
fn the_disk_is_full() {
    let mut command = fanfare();
    let full = File::options().write(true).open("/dev/full");
    command
        .args(["--addr", "127.0.0.1:0"])
        .stderr(full.expect("Linux has it"));
    nowhere_to_log(command, "a log on a full disk");
}

#[test]
fn nobody_reads_the_log() {
    let mut command = fanfare();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    command.args(["--addr", "127.0.0.1:0"]).stderr(writer);
    nowhere_to_log(command, "a log that nobody reads");
    drop(reader);
}

#[test]
fn nobody_reads_the_journal() {
    let mut command = fanfare();
    let (reader, writer) = UnixStream::pair().expect("a pair of sockets");
    command
        .args(["--addr", "127.0.0.1:0"])
        .stderr(OwnedFd::from(writer));
    nowhere_to_log(command, "a socket as the log that nobody reads");
    drop(reader);
}

#[test]
fn the_journal_has_gone() {
    let mut command = fanfare();
    let (reader, writer) = UnixStream::pair().expect("a pair of sockets");
    drop(reader);
    command
        .args(["--addr", "127.0.0.1:0"])
        .stderr(OwnedFd::from(writer));
    nowhere_to_log(command, "a socket as the log whose reader has gone");
}

#[test]
fn the_terminal_stands_still() {
    let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&keyboard).expect("it is ours");
    unlockpt(&keyboard).expect("it is ours");
    let name = ptsname(&keyboard, Vec::new()).expect("it has a name");
    let screen = File::options()
        .write(true)
        .custom_flags(libc::O_NOCTTY)
        .open(Path::new(OsStr::from_bytes(name.to_bytes())));
    let mut command = fanfare();
    command
        .args(["--addr", "127.0.0.1:0"])
        .stderr(screen.expect("it is unlocked"));
    nowhere_to_log(command, "a terminal that stands still");
    drop(keyboard);
}

#[test]
fn the_log_is_closed() {
    let mut command = Command::new("sh");
    command
        .args(["-c", "exec \"$0\" --addr 127.0.0.1:0 2>&-"])
        .arg(env!("CARGO_BIN_EXE_fanfare"))
        .stdout(Stdio::piped());
    nowhere_to_log(command, "a closed log");
}

#[test]
fn the_reader_of_the_log_has_gone() {
    let mut command = fanfare();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    command.args(["--addr", "127.0.0.1:0"]).stderr(writer);
    nowhere_to_log(command, "a log whose reader has gone");
}

#[test]
fn the_server_is_stopped_for_longer_than_the_pong_wait() {
    let scene = Scene::start(&["--pong-wait", "2s", "--request-timeout", "2s"]);
    let mut asking = scene.server.connect();
    thread::sleep(Duration::from_millis(300));
    scene.server.signal("STOP");
    thread::sleep(Duration::from_secs(4));
    scene.server.signal("CONT");
    asking.send(get("/"));
    // Its own sleep is not the peers' silence. The pair, which answers pings, must be there in the end.
    assert_eq!(asking.response().status, 200);
    thread::sleep(Duration::from_secs(1));
    drop(asking);
    scene.end("the server is stopped for 4 s, with a pong wait of 2 s");
}

#[test]
fn lines_of_the_log_cannot_be_forged() {
    for format in ["text", "json"] {
        let scene = Scene::start(&["--log", "trace", "--log-format", format]);
        let long = "x".repeat(4_000);
        for evil in [
            "\x1b[2J\x1b[31m",
            "%0a2026-01-01T00:00:00Z  INFO forged",
            "\u{85}\u{2028}forged",
            "\u{202e}degrof",
            "\x7f\x08\x08\x08",
            "\",\"level\":\"FORGED",
            &long,
        ] {
            for request in [
                upgrade_with(&[&format!("Origin: {evil}")]),
                upgrade_with(&[&format!("Host: {evil}")]),
                upgrade_with(&[&format!("Upgrade: {evil}")]),
                upgrade_with(&[&format!("Sec-Fetch-Site: {evil}")]),
                upgrade_with(&[&format!("Sec-WebSocket-Protocol: {evil}")]),
                upgrade_with(&[&format!("Authorization: Bearer {evil}")]),
                upgrade_with(&[&format!("X-Forwarded-For: {evil}")]),
                upgrade(&format!("/ws?since={evil}&token={evil}")),
                get(&format!("/room/{evil}?last={evil}")),
                get(&format!("/{evil}")),
                format!("{evil} / HTTP/1.1\r\nHost: a\r\n\r\n"),
            ] {
                let mut peer = scene.server.connect();
                peer.send(request);
                peer.finish();
                peer.wait_until_gone();
            }
        }
        let mut server = scene.end("forged lines");
        server.signal("TERM");
        server.wait_for_exit();
        let (_, lines) = server.output();
        assert!(lines.len() > 10, "there is a log");
        for line in lines {
            let is_plain = line.chars().all(|c| (' '..='~').contains(&c));
            assert!(is_plain && line.len() < 1_000, "{line:?}");
            match format {
                "json" => {
                    let value: serde_json::Value = serde_json::from_str(&line).expect(&line);
                    assert_ne!(value["level"], "FORGED");
                }
                _ => assert!(line.starts_with("20"), "{line:?}"),
            }
        }
    }
}
