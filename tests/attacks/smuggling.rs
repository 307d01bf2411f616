//! Requests whose end two servers might see in two places, each with another request behind or inside it: a
//! server in front that sees one request must not get two answers.

use crate::asking::post;
use crate::common::Peer;
use crate::common::wire::{get, request};
use crate::scene::Scene;

/// How often each is sent.
const TIMES: usize = 20;

/// What must not be answered where it is not a request of its own.
fn smuggled() -> String {
    get("/limits.json")
}

/// Sends a publication whose head has these lines, with a request behind it; expects the one refusal.
fn expect_one_refusal(scene: &Scene, line: &str, lines: &str, body: &str) {
    for _ in 0..TIMES {
        let mut peer = scene.server.connect();
        let head = format!("{line}\r\nHost: a\r\n{lines}\r\n");
        peer.send(format!("{head}{body}{}", smuggled()));
        let shown = head.escape_debug().to_string();
        let response = peer.response();
        assert!(
            [400, 413, 501].contains(&response.status),
            "{shown}: {response:?}"
        );
        assert_eq!(response.field("connection"), Some("close"), "{shown}");
        // Nothing more comes: what stands behind it is answered by nobody.
        peer.expect_end();
    }
}

#[test]
fn bodies_with_two_ends() {
    let scene = Scene::start(&[]);
    let chunks = "0\r\n\r\n";
    for lines in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: 5,\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -0\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length: 5\u{b2}\r\n",
        "Content-Length:\r\n",
        "Content-Length: 5\r\n 0\r\n",
        "Content-Length:\r\n 5\r\n",
        "Content-Length : 5\r\n",
        "Content-Length\t: 5\r\n",
        " Content-Length: 5\r\n",
        "Content-Length: 5\nX: y\r\n",
        "Content-Length: 5\rX: y\r\n",
        "X: y\nContent-Length: 5\r\n",
        "Content-Length: 5\0\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked;a=b\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: chun\r\n ked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding\u{b}: chunked\r\n",
        "Transfer-Encoding: \u{b}chunked\r\n",
        "Transfer-Encoding:\r\n",
        "X: y\r\n\tTransfer-Encoding: chunked\r\n",
        "X: y\nTransfer-Encoding: chunked\r\n",
    ] {
        expect_one_refusal(&scene, "POST /room/smuggled HTTP/1.1", lines, chunks);
        expect_one_refusal(&scene, "GET /healthz HTTP/1.1", lines, chunks);
    }
    scene.end("bodies with two ends, and a request behind each");
}

#[test]
fn bodies_where_none_belongs() {
    let scene = Scene::start(&[]);
    for lines in ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"] {
        for line in [
            "GET / HTTP/1.1",
            "HEAD / HTTP/1.1",
            "GET /room HTTP/1.1",
            "GET /ws HTTP/1.1",
            "OPTIONS /room HTTP/1.1",
        ] {
            for _ in 0..TIMES {
                let mut peer = scene.server.connect();
                peer.send(format!(
                    "{line}\r\nHost: a\r\n{lines}\r\n0\r\n\r\n{}",
                    smuggled()
                ));
                match line.starts_with("HEAD") {
                    true => _ = peer.response_without_body(),
                    false => assert_eq!(peer.response().status, 413, "{line}"),
                }
                peer.expect_end();
            }
        }
    }
    let line = "POST /room HTTP/1.0";
    expect_one_refusal(
        &scene,
        line,
        "Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n",
        "0\r\n\r\n",
    );
    scene.end("bodies where none belongs, and a request behind each");
}

#[test]
fn chunks_with_two_ends() {
    let scene = Scene::start(&[]);
    let line = "POST /room/smuggled HTTP/1.1";
    let lines = "Transfer-Encoding: chunked\r\n";
    for body in [
        "1\r\na\n0\r\n\r\n",
        "1\na\n0\n\n",
        "1\r\na\r\n0\r\n\n",
        "1\r\na\r\n0\n\r\n",
        "1;x\na\r\n0\r\n\r\n",
        "1;\"\n\"\r\na\r\n0\r\n\r\n",
        "1;x\rGET\r\na\r\n0\r\n\r\n",
        "1 \r\na\r\n0\r\n\r\n",
        " 1\r\na\r\n0\r\n\r\n",
        "+1\r\na\r\n0\r\n\r\n",
        "0x1\r\na\r\n0\r\n\r\n",
        "1_0\r\na\r\n0\r\n\r\n",
        "1\r\nab\r\n0\r\n\r\n",
        "2\r\na\r\n0\r\n\r\n",
        "1\r\na\r\n\r\n0\r\n\r\n",
        "10000000000000001\r\na\r\n0\r\n\r\n",
        "00000000000000001\r\na\r\n0\r\n\r\n",
        "ffffffffffffffff\r\na\r\n0\r\n\r\n",
        "-1\r\na\r\n0\r\n\r\n",
        "1\r\na\r\n0\r\nX: y\n\r\n",
        "1\r\na\r\n0\r\nX: y\rz\r\n\r\n",
    ] {
        expect_one_refusal(&scene, line, lines, body);
    }
    scene.end("chunks with two ends, and a request behind each");
}

#[test]
fn requests_inside_of_bodies() {
    let scene = Scene::start(&[]);
    let inside = format!("{}{}", smuggled(), smuggled());
    let chunked = format!(
        "{:x}\r\n{inside}\r\n0\r\nX: {}\r\n\r\n",
        inside.len(),
        "GET / HTTP/1.1"
    );
    let fields = ["Host: a", "Transfer-Encoding: chunked"];
    let chunked = request("POST /room/inside HTTP/1.1", &fields) + &chunked;
    for _ in 0..TIMES {
        let mut peer = scene.server.connect();
        // Three requests, of which two have two more in their bodies.
        peer.send(post("/room/inside", inside.as_bytes()));
        peer.send(&chunked);
        peer.send(get("/limits.json"));
        for _ in 0..2 {
            expect_id(&mut peer);
        }
        let last = peer.response();
        assert!(last.body.starts_with(b"{"), "{last:?}");
        peer.finish();
        peer.expect_end();
    }
    scene.end("requests inside of bodies");
}

fn expect_id(peer: &mut Peer) {
    let response = peer.response();
    assert_eq!(response.status, 200, "{response:?}");
    assert!(response.body.len() < 30, "{response:?}");
}
