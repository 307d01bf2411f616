//! The HTTP table of the real server, row by row, and how each refusal ends a connection.

use std::io::Write;
use std::thread;

use crate::assets::{ASSET_PATHS, ICON, PAGE, SCRIPT, STYLE};
use crate::common::peer::assert_one_plain_line;
use crate::common::wire::{TEXT, UPGRADE, get, request, text, upgrade, upgrade_with};
use crate::common::{Peer, Server};

/// Sends `bytes` on a connection of their own, and expects a refusal that ends it.
fn assert_refused(server: &Server, bytes: impl AsRef<[u8]>, status: u16) {
    let mut peer = server.connect();
    peer.send(bytes);
    peer.expect_refusal(status);
}

/// Expects the upgrade on a connection of its own to be accepted.
fn assert_upgraded(server: &Server, request: &str) {
    let mut peer = server.connect();
    peer.send(request);
    peer.expect_upgrade();
}

/// Expects the page, and the connection to be good for more.
fn assert_still_serving(peer: &mut Peer) {
    peer.send(get("/"));
    let response = peer.response();
    assert_eq!(response.status, 200);
    assert_eq!(response.body, PAGE);
}

// What is not there.

#[test]
fn an_unknown_path_is_not_found_and_the_connection_goes_on() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    for path in [
        "/nothing",
        "/ws/",
        "/ws/room/",
        "/ws/..",
        "/room/a%20b",
        "/WS",
        "/index.html",
        "//",
        "/../web/chat.js",
        "/%2e%2e/Cargo.toml",
        "/favicon.ico",
    ] {
        peer.send(get(path));
        let response = peer.response();
        assert_eq!(response.status, 404, "{path}");
        assert_one_plain_line(&response);
    }
    assert_still_serving(&mut peer);
}

#[test]
fn an_upgrade_to_an_unknown_path_is_not_found() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    peer.send(upgrade("/ws/a/b"));
    assert_eq!(peer.response().status, 404);
}

#[test]
fn echo_is_not_there_unless_it_was_asked_for() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    peer.send(upgrade("/echo"));
    assert_eq!(peer.response().status, 404);
    assert_still_serving(&mut peer);
}

#[test]
fn echo_is_there_when_it_was_asked_for() {
    let server = Server::start(&["--echo"]);
    assert_upgraded(&server, &upgrade("/echo"));
    assert_refused(&server, get("/echo"), 426);
}

#[test]
fn another_method_is_not_allowed_and_the_connection_goes_on() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW", "get"] {
        for path in ASSET_PATHS {
            peer.send(get(path).replacen("GET", method, 1));
            let response = peer.response();
            assert_eq!(response.status, 405, "{method} {path}");
            assert_eq!(response.field("allow"), Some("GET, HEAD"));
            assert_one_plain_line(&response);
        }
    }
    assert_still_serving(&mut peer);
}

#[test]
fn a_websocket_path_allows_get_only() {
    let server = Server::start(&["--echo"]);
    let mut peer = server.connect();
    for path in ["/ws", "/echo"] {
        for method in ["POST", "PUT", "OPTIONS"] {
            peer.send(upgrade(path).replacen("GET", method, 1));
            let response = peer.response();
            assert_eq!(response.status, 405, "{method} {path}");
            assert_eq!(response.field("allow"), Some("GET"));
        }
        peer.send(upgrade(path).replacen("GET", "HEAD", 1));
        let response = peer.response_without_body();
        assert_eq!(response.status, 405);
        assert_eq!(response.field("allow"), Some("GET"));
    }
    assert_still_serving(&mut peer);
}

// Connections that go on, and requests in pieces and in heaps.

#[test]
fn a_connection_serves_one_request_after_the_other() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    for _ in 0..20 {
        assert_still_serving(&mut peer);
    }
}

#[test]
fn a_connection_ends_when_the_request_says_so() {
    let server = Server::start(&[]);
    for (path, status) in [("/", 200), ("/nothing", 404)] {
        for field in ["Connection: close", "connection: foo, CLOSE"] {
            let mut peer = server.connect();
            peer.send(request(
                &format!("GET {path} HTTP/1.1"),
                &["Host: chat.example", field],
            ));
            let response = peer.response();
            assert_eq!(response.status, status);
            assert_eq!(response.field("connection"), Some("close"));
            peer.expect_end();
        }
    }
}

#[test]
fn a_request_behind_the_last_one_is_not_answered() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    let last = request(
        "GET / HTTP/1.1",
        &["Host: chat.example", "Connection: close"],
    );
    peer.send(last + &get("/style.css"));
    assert_eq!(peer.response().body, PAGE);
    peer.expect_end();
}

#[test]
fn a_peer_that_has_ended_its_side_still_gets_its_answers() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    peer.send(get("/") + &get("/chat.js"));
    peer.finish();
    assert_eq!(peer.response().body, PAGE);
    assert!(peer.response().body == SCRIPT);
    peer.expect_end();
}

#[test]
fn fifty_pipelined_requests_are_answered_in_order() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    let paths = ["/", "/nothing", "/chat.js", "/style.css", "/icon.svg"];
    let requests: String = paths
        .iter()
        .cycle()
        .take(50)
        .map(|path| get(path))
        .collect();
    peer.send(requests);
    for path in paths.iter().cycle().take(50) {
        let response = peer.response();
        let expected = match *path {
            "/" => PAGE,
            "/chat.js" => SCRIPT,
            "/style.css" => STYLE,
            "/icon.svg" => ICON,
            _ => {
                assert_eq!(response.status, 404);
                continue;
            }
        };
        assert_eq!(response.status, 200);
        assert!(response.body == expected, "{path}");
    }
}

#[test]
fn pipelined_requests_whose_answers_nobody_reads_yet_are_all_answered_in_the_end() {
    const COUNT: usize = 5_000;
    let server = Server::start(&[]);
    let mut peer = Peer::connect_with_small_buffer(server.addr);
    let mut writer = peer.writer();
    let writing = thread::spawn(move || writer.write_all(get("/").repeat(COUNT).as_bytes()));
    for _ in 0..COUNT {
        let response = peer.response();
        assert_eq!(response.status, 200);
        assert_eq!(response.body.len(), PAGE.len());
    }
    let written = writing.join().expect("the writer does not panic");
    written.expect("all requests are taken");
}

#[test]
fn the_answers_before_a_refused_request_arrive_as_well() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    peer.send(get("/") + &get("/chat.js") + "nonsense\r\n\r\n" + &get("/"));
    assert_eq!(peer.response().body, PAGE);
    assert!(peer.response().body == SCRIPT);
    peer.expect_refusal(400);
}

#[test]
fn a_request_may_arrive_byte_by_byte() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    peer.send_byte_by_byte(get("/style.css"));
    assert!(peer.response().body == STYLE);
    peer.send_byte_by_byte(upgrade("/ws"));
    peer.expect_upgrade();
}

#[test]
fn frames_may_stand_right_behind_the_upgrade() {
    let server = Server::start(&["--echo"]);
    let mut peer = server.connect();
    let frames = [text("one"), text("two")].concat();
    peer.send([upgrade("/echo").as_bytes(), &frames].concat());
    peer.expect_upgrade();
    peer.expect_frame(TEXT, b"one");
    peer.expect_frame(TEXT, b"two");
}

#[test]
fn a_page_an_upgrade_and_frames_may_come_in_one_segment() {
    let server = Server::start(&["--echo"]);
    let mut peer = server.connect();
    let requests = get("/") + &upgrade("/echo");
    peer.send([requests.as_bytes(), &text("hello")].concat());
    assert_eq!(peer.response().body, PAGE);
    peer.expect_upgrade();
    peer.expect_frame(TEXT, b"hello");
}

#[test]
fn a_frame_longer_than_any_head_may_stand_behind_the_upgrade() {
    let server = Server::start(&["--echo", "--max-message", "1MiB"]);
    let mut peer = server.connect();
    let long = "x".repeat(1024 * 1024);
    peer.send([upgrade("/echo").as_bytes(), &text(&long)].concat());
    peer.expect_upgrade();
    peer.expect_frame(TEXT, long.as_bytes());
}

#[test]
fn a_frame_cut_in_two_by_the_upgrades_segment_is_put_together() {
    let server = Server::start(&["--echo"]);
    let frame = text("hello");
    for cut in 0..=frame.len() {
        let mut peer = server.connect();
        let (head, tail) = frame.split_at(cut);
        peer.send([upgrade("/echo").as_bytes(), head].concat());
        peer.expect_upgrade();
        peer.send(tail);
        peer.expect_frame(TEXT, b"hello");
    }
}

#[test]
fn blank_lines_before_a_request_are_skipped() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    for _ in 0..2 {
        peer.send(format!("\r\n{}", get("/")));
        assert_eq!(peer.response().body, PAGE);
    }
}

#[test]
fn a_target_in_absolute_form_names_its_path() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    for (target, body) in [
        ("http://chat.example/style.css", STYLE),
        ("http://chat.example:8080/chat.js?v=1", SCRIPT),
        ("HTTP://chat.example", PAGE),
    ] {
        peer.send(get(target));
        let response = peer.response();
        assert_eq!(response.status, 200, "{target}");
        assert!(response.body == body, "{target}");
    }
    peer.send(upgrade("http://chat.example/ws"));
    peer.expect_upgrade();
}

// Limits.

#[test]
fn a_head_of_8192_bytes_is_served_and_one_more_is_refused() {
    let sized = |len: usize| {
        let empty = request("GET / HTTP/1.1", &["Host: chat.example", "X-Fill: "]);
        let fill = format!("X-Fill: {}", "x".repeat(len - empty.len()));
        let head = request("GET / HTTP/1.1", &["Host: chat.example", &fill]);
        assert_eq!(head.len(), len);
        head
    };
    let server = Server::start(&[]);
    let mut peer = server.connect();
    for _ in 0..2 {
        peer.send(sized(8192));
        assert_eq!(peer.response().status, 200);
    }
    peer.send(sized(8193));
    peer.expect_refusal(431);
    assert_refused(&server, sized(64 * 1024), 431);
}

#[test]
fn a_head_without_an_end_is_refused_at_the_limit() {
    let server = Server::start(&[]);
    let endless = "x".repeat(64 * 1024);
    assert_refused(&server, format!("GET /{endless}"), 431);
    assert_refused(&server, format!("GET / HTTP/1.1\r\nX: {endless}"), 431);
    assert_refused(&server, "\r\n".repeat(8 * 1024), 431);
}

#[test]
fn a_head_over_the_limit_is_refused_in_pieces_as_well() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    let line = format!("X: {}\r\n", "x".repeat(1019));
    peer.send("GET / HTTP/1.1\r\nHost: chat.example\r\n");
    for _ in 0..8 {
        peer.send(&line);
    }
    peer.expect_refusal(431);
}

#[test]
fn a_hundred_headers_are_served_and_one_more_is_refused() {
    let with = |count: usize| {
        let fields = [&["Host: chat.example"], &vec!["X: y"; count - 1][..]].concat();
        request("GET / HTTP/1.1", &fields)
    };
    let server = Server::start(&[]);
    let mut peer = server.connect();
    peer.send(with(100));
    assert_eq!(peer.response().status, 200);
    peer.send(with(101));
    peer.expect_refusal(431);
}

// What is malformed.

#[test]
fn a_line_without_a_carriage_return_is_refused() {
    let server = Server::start(&[]);
    assert_refused(&server, "GET / HTTP/1.1\nHost: chat.example\n\n", 400);
    assert_refused(&server, "GET / HTTP/1.1\r\nHost: chat.example\n\r\n", 400);
    assert_refused(&server, "GET / HTTP/1.1\r\nHost: chat.example\r\n\n", 400);
}

#[test]
fn a_folded_header_is_refused() {
    let server = Server::start(&[]);
    for fold in [" folded", "\tfolded"] {
        let fields = ["Host: chat.example", "X: y", fold];
        assert_refused(&server, request("GET / HTTP/1.1", &fields), 400);
    }
    let fields = [" folded", "Host: chat.example"];
    assert_refused(&server, request("GET / HTTP/1.1", &fields), 400);
}

#[test]
fn a_nul_is_refused_wherever_it_stands() {
    let server = Server::start(&[]);
    for head in [
        "\0GET / HTTP/1.1\r\nHost: chat.example\r\n\r\n",
        "GET /\0 HTTP/1.1\r\nHost: chat.example\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: chat.example\r\nX\0: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: chat.example\r\nX: y\0z\r\n\r\n",
    ] {
        assert_refused(&server, head, 400);
    }
}

#[test]
fn http_1_1_without_a_host_is_refused() {
    let server = Server::start(&[]);
    assert_refused(&server, request("GET / HTTP/1.1", &[]), 400);
    assert_refused(&server, upgrade_with(&["Host:"]), 400);
}

#[test]
fn two_hosts_are_refused_even_when_they_agree() {
    let server = Server::start(&[]);
    let fields = ["Host: chat.example", "Host: chat.example"];
    assert_refused(&server, request("GET / HTTP/1.1", &fields), 400);
    assert_refused(
        &server,
        request("GET /ws HTTP/1.1", &[&fields[..], &UPGRADE[1..]].concat()),
        400,
    );
}

#[test]
fn two_content_lengths_are_refused_even_when_they_agree() {
    let server = Server::start(&[]);
    for fields in [
        &["Content-Length: 0", "Content-Length: 0"][..],
        &["Content-Length: 5", "Content-Length: 6"],
        &["Content-Length: 5, 5"],
    ] {
        let fields = [&["Host: chat.example"], fields].concat();
        assert_refused(&server, request("POST / HTTP/1.1", &fields), 400);
    }
}

#[test]
fn a_length_beside_a_transfer_coding_is_refused() {
    let server = Server::start(&[]);
    for length in ["Content-Length: 0", "Content-Length: 5"] {
        let fields = ["Host: chat.example", length, "Transfer-Encoding: chunked"];
        assert_refused(&server, request("POST / HTTP/1.1", &fields), 400);
    }
}

#[test]
fn a_length_that_is_no_number_is_refused() {
    let server = Server::start(&[]);
    for length in ["-1", "+0", "0x0", "ten", "1 0", ""] {
        let length = format!("Content-Length: {length}");
        let fields = ["Host: chat.example", &length];
        assert_refused(&server, request("GET / HTTP/1.1", &fields), 400);
    }
}

#[test]
fn what_is_not_http_1_is_refused() {
    let server = Server::start(&[]);
    for bytes in [
        // The beginning of a TLS handshake.
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: chat.example\r\n\r\n",
        b"GET / HTTP/0.9\r\nHost: chat.example\r\n\r\n",
        b"GET / http/1.1\r\nHost: chat.example\r\n\r\n",
        b"GET /\r\n\r\n",
        b"EHLO chat.example\r\n\r\n",
    ] {
        assert_refused(&server, bytes, 400);
    }
}

#[test]
fn a_malformed_head_is_refused() {
    let server = Server::start(&[]);
    for head in [
        "GET  / HTTP/1.1\r\nHost: chat.example\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: chat.example\r\n\r\n",
        "G@T / HTTP/1.1\r\nHost: chat.example\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: chat.example\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : chat.example\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: chat.example\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: chat.example\r\n: no name\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: chat.example\r\nX: a\rb\r\n\r\n",
        "GET nowhere HTTP/1.1\r\nHost: chat.example\r\n\r\n",
    ] {
        assert_refused(&server, head, 400);
    }
}

// Bodies.

#[test]
fn a_body_that_announces_itself_is_refused() {
    let server = Server::start(&[]);
    for (line, field, status) in [
        // That a resource has no such method, or that there is none, is known before any look at the body.
        ("POST / HTTP/1.1", "Content-Length: 5", 405),
        ("POST / HTTP/1.1", "Transfer-Encoding: chunked", 405),
        ("POST /nothing HTTP/1.1", "Content-Length: 5", 404),
        ("GET / HTTP/1.1", "Content-Length: 1", 413),
        ("GET / HTTP/1.1", "Transfer-Encoding: chunked", 413),
        (
            "GET / HTTP/1.1",
            "Content-Length: 99999999999999999999999999",
            413,
        ),
        ("GET / HTTP/1.0", "Content-Length: 1", 413),
    ] {
        let fields = ["Host: chat.example", field];
        assert_refused(&server, request(line, &fields), status);
    }
    assert_refused(&server, upgrade_with(&["Content-Length: 1"]), 413);
}

#[test]
fn a_body_of_no_length_is_fine() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    let fields = ["Host: chat.example", "Content-Length: 0"];
    peer.send(request("GET / HTTP/1.1", &fields));
    assert_eq!(peer.response().status, 200);
    peer.send(request("POST / HTTP/1.1", &fields));
    assert_eq!(peer.response().status, 405);
    peer.send(upgrade_with(&["Content-Length: 0"]));
    peer.expect_upgrade();
}

#[test]
fn a_refused_body_is_not_taken_for_a_request() {
    let server = Server::start(&[]);
    let body = get("/style.css");
    let length = format!("Content-Length: {}", body.len());
    for (line, status) in [("POST / HTTP/1.1", 405), ("GET / HTTP/1.1", 413)] {
        let head = request(line, &["Host: chat.example", &length]);
        assert_refused(&server, head + &body, status);
    }
}

#[test]
fn nobody_is_asked_to_continue_with_a_body() {
    let server = Server::start(&[]);
    let fields = [
        "Host: chat.example",
        "Content-Length: 5",
        "Expect: 100-continue",
    ];
    assert_refused(&server, request("GET / HTTP/1.1", &fields), 413);
    assert_refused(&server, request("POST / HTTP/1.1", &fields), 405);
}

#[test]
fn a_refused_head_request_gets_no_body_either() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    let fields = ["Host: chat.example", "Content-Length: 5"];
    peer.send(request("HEAD / HTTP/1.1", &fields));
    assert_eq!(peer.response_without_body().status, 413);
    peer.expect_end();
}

#[test]
fn a_head_request_that_is_refused_before_it_is_whole_gets_no_body_either() {
    let server = Server::start(&["--request-timeout", "200ms"]);
    let long = format!("HEAD / HTTP/1.1\r\nX: {}", "x".repeat(8192));
    for (bytes, status) in [
        ("\r\nHEAD / HTTP/1.1\n", 400),
        (&long, 431),
        ("\r\nHEAD / HTTP/1.1\r\nHost: a\r\n", 408),
    ] {
        for is_cut in [false, true] {
            let mut peer = server.connect();
            match is_cut {
                false => peer.send(bytes),
                true => peer.send_byte_by_byte(bytes),
            }
            assert_eq!(peer.response_without_body().status, status, "{bytes}");
            peer.expect_end();
        }
    }
}

// Upgrades.

#[test]
fn a_good_upgrade_is_answered_with_the_rfcs_accept_key_and_nothing_that_was_not_agreed() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    peer.send(upgrade_with(&[
        "Sec-WebSocket-Protocol: chat, superchat",
        "Sec-WebSocket-Extensions: permessage-deflate",
    ]));
    let response = peer.response_without_body();
    assert_eq!(response.status, 101);
    let field = |name| response.field(name).map(str::to_ascii_lowercase);
    assert_eq!(field("upgrade").as_deref(), Some("websocket"));
    assert_eq!(field("connection").as_deref(), Some("upgrade"));
    assert_eq!(
        response.field("sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    assert_eq!(field("sec-websocket-protocol"), None);
    assert_eq!(field("sec-websocket-extensions"), None);
}

#[test]
fn a_request_without_an_upgrade_is_refused_where_a_websocket_is() {
    assert_refused(&Server::start(&[]), get("/ws"), 426);
}

#[test]
fn an_upgrade_without_one_of_its_fields_is_refused() {
    let server = Server::start(&[]);
    for (field, status) in [
        ("Upgrade:", 426),
        ("Connection:", 400),
        ("Sec-WebSocket-Key:", 400),
        ("Sec-WebSocket-Version:", 426),
    ] {
        assert_refused(&server, upgrade_with(&[field]), status);
    }
}

#[test]
fn an_upgrade_to_something_else_is_refused() {
    let server = Server::start(&[]);
    for (field, status) in [
        ("Upgrade: h2c", 426),
        ("Upgrade: websockets", 426),
        ("Connection: close", 400),
        ("Connection: keep-alive", 400),
    ] {
        assert_refused(&server, upgrade_with(&[field]), status);
    }
}

#[test]
fn an_upgrade_in_http_1_0_is_refused() {
    let server = Server::start(&[]);
    assert_refused(
        &server,
        upgrade("/ws").replacen("HTTP/1.1", "HTTP/1.0", 1),
        400,
    );
}

#[test]
fn an_upgrade_may_stand_in_lists_in_any_case() {
    let server = Server::start(&[]);
    for fields in [
        &["Connection: keep-alive, Upgrade"][..],
        &["Connection: upgrade,keep-alive"],
        &["Connection: keep-alive", "Connection: Upgrade"],
        &["CONNECTION: UPGRADE", "UPGRADE: WEBSOCKET"],
        &["upgrade: WebSocket"],
        &["Upgrade: h2c, websocket"],
        &[
            "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
            "sec-websocket-version: 13",
        ],
        &["Sec-WebSocket-Version:13"],
        &["Sec-WebSocket-Key: \t dGhlIHNhbXBsZSBub25jZQ== \t "],
    ] {
        assert_upgraded(&server, &upgrade_with(fields));
    }
}

#[test]
fn a_wrong_key_is_refused() {
    let server = Server::start(&[]);
    for key in [
        // 15 and 17 bytes, then what is not base64, then 16 bytes without padding.
        "AAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAA=",
        "dGhlIHNhbXBsZSBub25j!Q==",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBs ZSBub25jZQ==",
        "x",
    ] {
        let field = format!("Sec-WebSocket-Key: {key}");
        assert_refused(&server, upgrade_with(&[&field]), 400);
    }
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    assert_refused(&server, upgrade_with(&[key, key]), 400);
}

#[test]
fn another_version_is_told_which_one_is_spoken() {
    let server = Server::start(&[]);
    for version in ["0", "8", "12", "14", "113", "13, 8", "x"] {
        let mut peer = server.connect();
        let field = format!("Sec-WebSocket-Version: {version}");
        peer.send(upgrade_with(&[&field]));
        let response = peer.expect_refusal(426);
        assert_eq!(response.field("sec-websocket-version"), Some("13"));
    }
}

#[test]
fn a_page_may_open_a_websocket_to_its_own_host() {
    let server = Server::start(&[]);
    for (host, origin) in [
        ("chat.example", "http://chat.example"),
        ("chat.example", "https://chat.example"),
        ("chat.example:8080", "http://chat.example:8080"),
        ("CHAT.example", "http://chat.EXAMPLE"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("[::1]:8080", "http://[::1]:8080"),
    ] {
        let fields = [format!("Host: {host}"), format!("Origin: {origin}")];
        assert_upgraded(
            &server,
            &upgrade_with(&fields.each_ref().map(String::as_str)),
        );
    }
}

#[test]
fn a_default_port_may_be_left_out_on_either_side() {
    let server = Server::start(&[]);
    for (host, origin, is_own) in [
        ("chat.example:80", "http://chat.example", true),
        ("chat.example", "http://chat.example:80", true),
        ("chat.example:443", "https://chat.example", true),
        ("chat.example", "https://chat.example:443", true),
        ("chat.example:443", "http://chat.example", false),
        ("chat.example:80", "https://chat.example", false),
        ("chat.example:8080", "http://chat.example", false),
        ("chat.example", "http://chat.example:8080", false),
    ] {
        let fields = [format!("Host: {host}"), format!("Origin: {origin}")];
        let request = upgrade_with(&fields.each_ref().map(String::as_str));
        if is_own {
            assert_upgraded(&server, &request);
        } else {
            assert_refused(&server, &request, 403);
        }
    }
}

#[test]
fn a_page_of_another_site_is_refused() {
    let server = Server::start(&[]);
    for origin in [
        "http://elsewhere.example",
        "http://evil-chat.example",
        "http://chat.example.evil.example",
        "http://chat.example@evil.example",
        "http://chat.exampl",
        "ftp://chat.example",
        "chat.example",
        "null",
    ] {
        let field = format!("Origin: {origin}");
        assert_refused(&server, upgrade_with(&[&field]), 403);
    }
    let two = ["Origin: http://chat.example", "Origin: http://evil.example"];
    assert_refused(&server, upgrade_with(&two), 403);
}

#[test]
fn a_page_of_a_listed_site_is_accepted_and_of_another_still_is_not() {
    let server = Server::start(&[
        "--allow-origin",
        "https://one.example",
        "--allow-origin",
        "http://two.example:8080",
    ]);
    for origin in [
        "https://one.example",
        "HTTPS://ONE.EXAMPLE",
        "http://two.example:8080",
        "http://chat.example",
    ] {
        let field = format!("Origin: {origin}");
        assert_upgraded(&server, &upgrade_with(&[&field]));
    }
    for origin in [
        "http://one.example",
        "http://two.example",
        "https://three.example",
        "https://one.example.evil.example",
        "null",
    ] {
        let field = format!("Origin: {origin}");
        assert_refused(&server, upgrade_with(&[&field]), 403);
    }
}

#[test]
fn a_star_allows_every_site() {
    let server = Server::start(&["--allow-origin", "*"]);
    for origin in ["http://elsewhere.example", "https://one.example:1", "null"] {
        let field = format!("Origin: {origin}");
        assert_upgraded(&server, &upgrade_with(&[&field]));
    }
}

// How a connection ends.

/// Everything is sent before anything is read, so that input waits behind the refused request.
fn assert_answered_whole_with_input_waiting(request: &str, status: u16) {
    let server = Server::start(&[]);
    for unread_len in [256 * 1024, 1024 * 1024] {
        let mut peer = server.connect();
        peer.send(request);
        peer.send("x".repeat(unread_len));
        peer.expect_refusal(status);
    }
}

#[test]
fn a_malformed_request_is_answered_whole_although_input_waits_behind_it() {
    assert_answered_whole_with_input_waiting("nonsense\r\n\r\n", 400);
}

#[test]
fn a_foreign_upgrade_is_answered_whole_although_input_waits_behind_it() {
    let request = upgrade_with(&["Origin: http://evil.example"]);
    assert_answered_whole_with_input_waiting(&request, 403);
}

#[test]
fn a_refused_body_is_answered_whole_although_it_waits_behind_its_head() {
    let fields = ["Host: chat.example", "Content-Length: 1048576"];
    assert_answered_whole_with_input_waiting(&request("POST / HTTP/1.1", &fields), 405);
    assert_answered_whole_with_input_waiting(&request("GET / HTTP/1.1", &fields), 413);
}

#[test]
fn an_upgrade_to_another_version_is_answered_whole_although_input_waits_behind_it() {
    let request = upgrade_with(&["Sec-WebSocket-Version: 8"]);
    assert_answered_whole_with_input_waiting(&request, 426);
}

#[test]
fn a_head_over_the_limit_is_answered_whole_although_input_waits_behind_it() {
    let request = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(8192));
    assert_answered_whole_with_input_waiting(&request, 431);
}

#[test]
fn the_last_page_of_a_connection_arrives_whole_although_input_waits_behind_its_request() {
    let server = Server::start(&[]);
    for last in [
        request("GET / HTTP/1.0", &[]),
        request("GET / HTTP/1.1", &["Host: a", "Connection: close"]),
    ] {
        let mut peer = server.connect();
        peer.send(last);
        peer.send("x".repeat(1024 * 1024));
        assert_eq!(peer.response().body, PAGE);
        peer.expect_end();
    }
}

#[test]
fn what_comes_after_a_refusal_is_taken_and_thrown_away() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    peer.send("nonsense\r\n\r\n");
    peer.expect_refusal(400);
    for _ in 0..16 {
        peer.send(get("/").repeat(1024));
    }
    peer.expect_end();
}

#[test]
fn a_peer_that_resets_its_connection_harms_nobody() {
    let server = Server::start(&[]);
    let mut healthy = server.connect();
    for request in [
        &get("/")[..],
        "GET / HT",
        &upgrade("/ws"),
        "nonsense\r\n\r\n",
    ] {
        let mut peer = server.connect();
        peer.send(request);
        // Unread answers make this a reset.
        drop(peer);
        assert_still_serving(&mut healthy);
    }
}
