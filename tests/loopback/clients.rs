//! Real clients that publish and listen: `curl`, as a reader of the documentation would call it.

use std::process::{Command, Stdio};

use crate::common::program::Program;
use crate::common::rooms::{Id, has_curl};
use crate::common::{Server, run};

/// The lines that `curl` prints; it must succeed.
pub(crate) fn curl(arguments: &[&str]) -> Vec<String> {
    let mut command = Command::new("curl");
    command
        .arg("-sS")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let (status, stdout, stderr) = run(command);
    assert_eq!(status, Some(0), "{arguments:?}: {stderr:?}");
    stdout
}

fn url(server: &Server, path: &str) -> String {
    format!("http://{}{path}", server.addr)
}

#[test]
fn curl_publishes_and_prints_the_id() {
    if !has_curl() {
        return;
    }
    let server = Server::start(&[]);
    let lobby = url(&server, "/room/lobby");
    let printed = curl(&["-d", "hello", &lobby]);
    let id = Id::parse(&printed.join("\n"));
    assert_eq!(id.seq, 1);
    let lines = url(&server, "/room/lobby?lines=1");
    let printed = curl(&["--data-binary", "one\ntwo\nthree\n", &lines]);
    assert_eq!(printed, [id.at(4).to_string()]);
    let chunked = [
        "-H",
        "Transfer-Encoding: chunked",
        "-d",
        "in chunks",
        &lobby,
    ];
    assert_eq!(curl(&chunked), [id.at(5).to_string()]);
    let old = ["--http1.0", "-d", "old", &lobby];
    assert_eq!(curl(&old), [id.at(6).to_string()]);
    // Above a megabyte, curl waits to be asked for the body; long before, it sends it at once.
    let expecting = ["-H", "Expect: 100-continue", "-d", "asked for", &lobby];
    assert_eq!(curl(&expecting), [id.at(7).to_string()]);
    let keyed = ["-H", "Idempotency-Key: k", "-d", "once", &lobby];
    assert_eq!(curl(&keyed), [id.at(8).to_string()]);
    assert_eq!(curl(&keyed), [id.at(8).to_string()]);
}

#[test]
fn curl_listens_while_curl_publishes() {
    if !has_curl() {
        return;
    }
    let server = Server::start(&[]);
    let lobby = url(&server, "/room/lobby");
    let listening = Program::curl(&[&lobby]);
    listening.expect_line("retry: 3000");
    let printed = curl(&["-d", "hello", &lobby]);
    listening.expect_line(&format!("id: {}", printed.join("\n")));
    listening.expect_line("data: hello");
}

#[test]
fn curl_resumes_with_its_last_event_id() {
    if !has_curl() {
        return;
    }
    let server = Server::start(&[]);
    let id = server.publish("/room/lobby", "before");
    let next = server.publish("/room/lobby", "after");
    let field = format!("Last-Event-ID: {id}");
    let listening = Program::curl(&["-H", &field, &url(&server, "/room/lobby")]);
    listening.expect_line(&format!(":resumed {id}"));
    listening.expect_line(&format!("id: {next}"));
    listening.expect_line("data: after");
}

#[test]
fn curl_sees_the_reason_of_an_error() {
    if !has_curl() {
        return;
    }
    let server = Server::start(&[]);
    let status = [
        "-w",
        "%{http_code}",
        "-d",
        " ",
        &url(&server, "/room/lobby"),
    ];
    let printed = curl(&status);
    assert_eq!(printed.len(), 2, "{printed:?}");
    assert!(printed[0].len() > 1, "{printed:?}");
    assert_eq!(printed[1], "400");
}
