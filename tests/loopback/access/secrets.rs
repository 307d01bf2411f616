//! Whatever is asked, and however it ends, no token and no key comes out of the server.

use serde_json::json;

use super::{HOST, LISTEN, PUBLISH, bearer, unix_seconds};
use crate::common::Server;
use crate::common::rooms::post_with;
use crate::common::token::{KEY, mint, mint_with};
use crate::common::wire::{UPGRADE, request, text};

/// A token that is none.
const WRONG: &str = "wrong-token-of-the-tests";
const FOREIGN: &str = "Origin: https://evil.example";

/// Every kind of request with this token, in order and not.
fn requests(token: &str) -> Vec<Vec<u8>> {
    let query = format!("?token={token}");
    let field = bearer(token);
    let mut requests = Vec::new();
    for path in [
        "/",
        "/room/a",
        "/ws/a",
        "/echo",
        "/nothing",
        "/room/a/b",
        "/limits.json",
    ] {
        for method in ["GET", "HEAD", "POST", "PUT", "OPTIONS", token] {
            for fields in [
                &[HOST][..],
                &[HOST, &field],
                &[&field],
                &[HOST, FOREIGN, &field],
            ] {
                let line = format!("{method} {path}{query} HTTP/1.1");
                requests.push(request(&line, fields).into_bytes());
                let absolute = format!("{method} http://evil.example{path}{query} HTTP/1.1");
                requests.push(request(&absolute, fields).into_bytes());
            }
        }
        let upgrade = [&UPGRADE[..], &[&field]].concat();
        let line = format!("GET {path}{query} HTTP/1.1");
        let upgrade = request(&line, &upgrade).into_bytes();
        requests.push([upgrade.clone(), text("hello")].concat());
        // A protocol error, and too much.
        requests.push([&upgrade[..], b"\xff\xff"].concat());
        requests.push([upgrade, text(&"x".repeat(600))].concat());
    }
    requests.push(post_with("/room/a", &[&field], "hello"));
    requests.push(post_with(&format!("/room/a{query}&lines=x"), &[], "hello"));
    requests.push(post_with(
        "/room/a",
        &[&field, "Idempotency-Key: "],
        "hello",
    ));
    // Heads that are not understood: cut, too long, and none at all.
    requests.push(format!("GET /room{query}").into_bytes());
    requests.push(format!("GET /room{query} HTTP/9\r\n\r\n").into_bytes());
    requests.push(format!("{token}\r\n\r\n").into_bytes());
    let long = format!("X: {}", token.repeat(9000 / token.len()));
    requests.push(request("GET /room HTTP/1.1", &[HOST, &long]).into_bytes());
    requests.push(format!("GET /room?token=%{token} HTTP/1.1\r\n{HOST}\r\n\r\n").into_bytes());
    requests
}

#[test]
fn no_secret_is_in_anything_that_the_server_writes() {
    let now = unix_seconds();
    let good = mint(&json!({"exp": now + 3600, "rooms": ["*"], "say": true}));
    let silent = mint(&json!({"exp": now + 3600, "rooms": ["*"]}));
    let expired = mint(&json!({"exp": now - 1, "rooms": ["*"]}));
    let unsigned = mint_with(&json!({"alg": "none"}), &json!({"exp": now + 3600}), KEY);
    let tokens = [PUBLISH, LISTEN, WRONG, &good, &silent, &expired, &unsigned];
    for format in ["text", "json"] {
        let mut server = Server::start(&[
            "--publish-token",
            PUBLISH,
            "--listen-token",
            LISTEN,
            "--jwt-key",
            KEY,
            "--allow-host",
            "chat.example",
            "--log",
            "trace",
            "--log-format",
            format,
            "--echo",
        ]);
        let mut answers = Vec::new();
        for token in tokens {
            for request in requests(token) {
                let mut peer = server.connect();
                // It may be answered before it has come whole.
                peer.try_send(&request);
                answers.push(peer.finish_and_take_all());
            }
        }
        server.signal("TERM");
        assert!(server.wait_for_exit().success());
        let (stdout, stderr) = server.output();
        assert!(stderr.len() > tokens.len(), "it logs: {stderr:?}");
        let answers = answers.concat();
        let written = [stdout.concat(), stderr.concat()].concat();
        let answered = String::from_utf8_lossy(&answers);
        assert!(answered.contains("101 Switching") && answered.contains("401 Unauthorized"));
        for secret in tokens.iter().chain(&[KEY]) {
            // The first part of a signed token is the same for all, and no secret.
            for part in secret.split('.').skip(usize::from(secret.contains('.'))) {
                assert!(
                    part.is_empty() || !written.contains(part),
                    "{part}: {written}"
                );
                assert!(part.is_empty() || !answered.contains(part), "{part}");
                let bytes = format!("{:?}", part.as_bytes());
                let bytes = bytes.trim_matches(['[', ']']);
                assert!(
                    bytes.is_empty() || !written.contains(bytes),
                    "{part}: {written}"
                );
            }
        }
    }
}
