//! Whether the server lives, asked over real sockets and by `fanfare health`.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::wire::get;
use crate::common::{Peer, Server, assert_fails, fanfare, run};

fn health(url: &str) -> Command {
    let mut command = fanfare();
    command.args(["health", url]);
    command
}

pub(crate) fn assert_healthy(command: Command) {
    let what = format!("{command:?}");
    let (code, stdout, stderr) = run(command);
    assert_eq!(code, Some(0), "{what}: {stderr:?}");
    assert!(stdout.is_empty() && stderr.is_empty(), "{what}");
}

/// Answers one connection, once its request has come, and keeps it for as long as the test takes.
fn answer_once(mut stream: impl Read + Write + Send + 'static, answer: &'static [u8]) {
    thread::spawn(move || {
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|len| len > 0) {
            request.extend(byte);
        }
        assert!(request.starts_with(b"GET /healthz HTTP/1.1\r\nHost: "));
        // Whoever asks may have given up.
        let _ = stream.write_all(answer);
        let _ = stream.read(&mut byte);
    });
}

/// The address of a server that gives one answer.
fn server_that_answers(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        answer_once(stream, answer);
    });
    format!("http://{addr}")
}

fn line_of(peer: &mut Peer, path: &str) -> (u16, Vec<u8>) {
    peer.send(get(path));
    let response = peer.response();
    assert_eq!(response.field("cache-control"), Some("no-store"));
    (response.status, response.body)
}

#[test]
fn the_server_says_that_it_lives_to_the_end_and_that_it_drains_from_the_signal_on() {
    let mut server = Server::start(&["--drain", "20s"]);
    let (mut life, mut readiness) = (server.connect(), server.connect());
    assert_eq!(line_of(&mut life, "/healthz"), (200, b"ok\n".to_vec()));
    let ready = (200, b"ready\n".to_vec());
    assert_eq!(line_of(&mut readiness, "/readyz"), ready);
    // So many that the probes' turn to be closed is far.
    let members: Vec<Peer> = (0..20).map(|_| server.join()).collect();
    server.signal("TERM");
    server.wait_for_log(&["shutting down"]);
    assert_eq!(
        line_of(&mut readiness, "/readyz"),
        (503, b"draining\n".to_vec())
    );
    assert_eq!(line_of(&mut life, "/healthz"), (200, b"ok\n".to_vec()));
    drop(members);
    server.signal("TERM");
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn a_server_without_a_free_seat_lives() {
    let server = Server::start(&["--max-clients", "1"]);
    let _member = server.join();
    server.expect_no_seat();
    assert_healthy(health(&format!("http://{}", server.addr)));
}

#[test]
fn fanfare_health_asks_where_it_is_told_or_where_the_settings_say() {
    let server = Server::start(&[]);
    let addr = server.addr.to_string();
    assert_healthy(health(&format!("http://{addr}")));
    assert_healthy(health(&format!("http://{addr}/readyz")));
    assert_healthy(health(&format!(
        "http://localhost:{}/healthz",
        server.addr.port()
    )));
    for (name, value) in [
        ("FANFARE_ADDR", addr.clone()),
        ("FANFARE_ADDR", server.addr.port().to_string()),
        ("FANFARE_ADDR", format!(":{}", server.addr.port())),
        ("FANFARE_ADMIN_ADDR", addr.clone()),
    ] {
        let mut command = fanfare();
        command.arg("health").env(name, value);
        assert_healthy(command);
    }
    // The admin address wins, and one that is empty is none.
    let mut command = fanfare();
    command.arg("health").env("FANFARE_ADDR", "127.0.0.1:1");
    assert_healthy({
        command.env("FANFARE_ADMIN_ADDR", &addr);
        command
    });
    let mut command = fanfare();
    command.arg("health").env("FANFARE_ADMIN_ADDR", "");
    command.env("FANFARE_ADDR", &addr);
    assert_healthy(command);
}

#[test]
fn fanfare_health_sends_the_proxy_header_that_the_settings_require() {
    let server = Server::start(&["--proxy-protocol"]);
    let mut command = fanfare();
    command.arg("health").env("FANFARE_PROXY_PROTOCOL", "1");
    command.env("FANFARE_ADDR", server.addr.to_string());
    assert_healthy(command);
}

#[test]
fn fanfare_health_asks_a_unix_socket() {
    let folder = std::env::temp_dir().join(format!("fanfare-health-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("socket");
    let listener = UnixListener::bind(&path).expect("a socket");
    thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        answer_once(stream, b"HTTP/1.1 200 OK\r\n\r\n");
    });
    assert_healthy(health(&format!("unix:{}", path.display())));
    let line = assert_fails(health(&format!("unix:{}/none", folder.display())), 1);
    assert!(line.contains("/none"), "{line}");
    // What is left is in the way of nobody.
    let _ = std::fs::remove_dir_all(&folder);
}

#[test]
fn fanfare_health_says_in_one_line_why_a_server_does_not_live() {
    let server = Server::start(&[]);
    for (url, reason) in [
        (format!("http://{}/nothing", server.addr), "status 404"),
        (server_that_answers(b"HTTP/1.1 503 x\r\n\r\n"), "status 503"),
        (server_that_answers(b"HTTP/1.1 2000 x\r\n\r\n"), "not HTTP"),
        (server_that_answers(b"SSH-2.0-OpenSSH_9.2\r\n"), "not HTTP"),
        ("http://127.0.0.1:1".to_owned(), "refused"),
        ("https://localhost".to_owned(), "http://HOST:PORT"),
        ("localhost:8080".to_owned(), "http://HOST:PORT"),
    ] {
        let line = assert_fails(health(&url), 1);
        assert!(line.contains(reason), "{url}: {line}");
    }
}

#[test]
fn fanfare_health_waits_five_seconds_however_slowly_the_answer_comes() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        for byte in b"HTTP/1.1 " {
            let _ = stream.write_all(&[*byte]);
            thread::sleep(Duration::from_secs(1));
        }
    });
    let began = Instant::now();
    let line = assert_fails(health(&format!("http://{addr}")), 1);
    assert!(line.contains("no answer in time"), "{line}");
    assert!(began.elapsed() >= Duration::from_secs(5));
    assert!(began.elapsed() < Duration::from_secs(9));
}

#[test]
fn flags_before_the_word_say_where_the_server_is() {
    let mut command = fanfare();
    command.args(["--addr", ":1", "health"]);
    let line = assert_fails(command, 1);
    assert!(line.contains("http://localhost:1/healthz: "), "{line}");
}
