//! Which pages may listen and publish, and what a browser is told of it.

use crate::common::Server;
use crate::common::peer::Response;
use crate::common::rooms::{OFFER, post_with};
use crate::common::wire::{UPGRADE, request};

const HOST: &str = "Host: chat.example";
const LISTED: &str = "https://one.example";

/// What a request is answered that may be a page's: to listen by events, to publish, to join either way.
fn statuses(server: &Server, fields: &[&str]) -> [u16; 4] {
    let status = |bytes: Vec<u8>| {
        let mut peer = server.connect();
        peer.send(bytes);
        peer.response_without_body().status
    };
    let with_host = [&[HOST], fields].concat();
    let plain = [&UPGRADE[..], fields].concat();
    let numbered = [&plain[..], &[OFFER]].concat();
    [
        status(request("GET /room/a HTTP/1.1", &with_host).into_bytes()),
        status(post_with("/room/a", fields, "hello")),
        status(request("GET /ws/a HTTP/1.1", &plain).into_bytes()),
        status(request("GET /ws HTTP/1.1", &numbered).into_bytes()),
    ]
}

#[track_caller]
fn assert_passes(server: &Server, fields: &[&str]) {
    assert_eq!(statuses(server, fields), [200, 200, 101, 101], "{fields:?}");
}

#[track_caller]
fn assert_refused(server: &Server, fields: &[&str]) {
    assert_eq!(statuses(server, fields), [403; 4], "{fields:?}");
}

// Who may.

#[test]
fn who_is_no_browser_passes() {
    assert_passes(&Server::start(&[]), &[]);
}

#[test]
fn a_page_of_the_same_host_passes_and_of_another_does_not() {
    let server = Server::start(&[]);
    assert_passes(&server, &["Origin: http://chat.example"]);
    assert_passes(&server, &["Origin: https://CHAT.example"]);
    for origin in [
        "http://elsewhere.example",
        "http://chat.example:8080",
        "http://chat.example.evil.example",
        "null",
        "chat.example",
    ] {
        assert_refused(&server, &[&format!("Origin: {origin}")]);
    }
}

#[test]
fn what_the_browser_says_of_the_site_decides_where_it_says_so() {
    let server = Server::start(&[]);
    for site in ["same-origin", "none"] {
        let site = format!("Sec-Fetch-Site: {site}");
        assert_passes(&server, &[&site]);
        assert_passes(&server, &[&site, "Origin: http://chat.example"]);
    }
    for site in ["cross-site", "same-site", "nonsense", ""] {
        let site = format!("Sec-Fetch-Site: {site}");
        assert_refused(&server, &[&site]);
        assert_refused(&server, &[&site, "Origin: http://chat.example"]);
        assert_refused(&server, &[&site, "Origin: http://elsewhere.example"]);
    }
}

#[test]
fn a_listed_page_passes_from_whatever_site() {
    let server = Server::start(&["--allow-origin", LISTED]);
    let origin = format!("Origin: {LISTED}");
    assert_passes(&server, &[&origin]);
    for site in ["cross-site", "same-site", "same-origin", "none"] {
        assert_passes(&server, &[&origin, &format!("Sec-Fetch-Site: {site}")]);
    }
    assert_refused(&server, &["Origin: https://two.example"]);
    assert_refused(&server, &["Origin: null"]);
    // The server's own page needs no listing.
    assert_passes(&server, &["Origin: http://chat.example"]);
}

#[test]
fn a_refused_page_publishes_nothing() {
    let server = Server::start(&[]);
    server.expect_error(
        post_with("/room/a", &["Origin: http://evil.example"], "hello"),
        403,
    );
    server.expect_error(
        post_with("/room/a", &["Sec-Fetch-Site: cross-site"], "hello"),
        403,
    );
    assert_eq!(server.publish("/room/a", "hello").seq, 1);
}

// What a browser is told.

/// The answer to a request of a page of this origin.
fn answer(server: &Server, line: &str, fields: &[&str], origin: &str) -> Response {
    let mut peer = server.connect();
    let origin = format!("Origin: {origin}");
    let fields = [&[HOST, &origin], fields].concat();
    peer.send(request(line, &fields));
    peer.response_without_body()
}

#[track_caller]
fn assert_readable_by(response: &Response, origin: &str) {
    let allowed = response.field("access-control-allow-origin");
    assert_eq!(allowed, Some(origin), "{response:?}");
    assert_eq!(response.field("vary"), Some("Origin"), "{response:?}");
}

#[track_caller]
fn assert_readable_by_nobody(response: &Response) {
    let allowed = response.field("access-control-allow-origin");
    assert_eq!(allowed, None, "{response:?}");
}

#[test]
fn a_listed_page_may_read_every_answer_errors_too() {
    let server = Server::start(&["--allow-origin", LISTED, "--max-rooms", "2"]);
    server.publish("/room/a", "hello");
    server.publish("/room/b", "hello");
    for (line, fields, status) in [
        ("GET /room/a HTTP/1.1", &[][..], 200),
        ("HEAD /room/a HTTP/1.1", &[], 200),
        ("GET /room/a?last=x HTTP/1.1", &[], 400),
        ("GET /room/a?since=x HTTP/1.1", &[], 400),
        ("GET /room/%41 HTTP/1.1", &[], 404),
        ("GET /room/ HTTP/1.1", &[], 404),
        ("PUT /room/a HTTP/1.1", &[], 405),
        ("POST /room/a HTTP/1.1", &["Content-Length: 0"], 400),
        ("POST /room/a HTTP/1.1", &["Content-Length: 600"], 413),
        ("POST /room/c HTTP/1.1", &["Content-Length: 0"], 400),
    ] {
        let response = answer(&server, line, fields, LISTED);
        assert_eq!(response.status, status, "{line} {fields:?}");
        assert_readable_by(&response, LISTED);
    }
    for (path, status) in [("/room/a", 200), ("/room/c", 503)] {
        let mut peer = server.connect();
        peer.send(post_with(path, &[&format!("Origin: {LISTED}")], "hello"));
        let response = peer.response();
        assert_eq!(response.status, status, "{path}");
        assert_readable_by(&response, LISTED);
    }
}

#[test]
fn a_page_that_is_not_listed_may_read_nothing() {
    let server = Server::start(&["--allow-origin", LISTED]);
    for origin in ["http://chat.example", "https://two.example", "null"] {
        for line in [
            "GET /room/a HTTP/1.1",
            "GET /room/%41 HTTP/1.1",
            "PUT /room/a HTTP/1.1",
        ] {
            assert_readable_by_nobody(&answer(&server, line, &[], origin));
        }
    }
}

#[test]
fn each_listed_page_is_told_its_own_origin() {
    let server = Server::start(&["--allow-origin", "*"]);
    for origin in ["https://one.example", "http://two.example:8080", "null"] {
        assert_readable_by(
            &answer(&server, "GET /room/a HTTP/1.1", &[], origin),
            origin,
        );
    }
}

// The preflight.

/// The items of a comma-separated list, in lower case and sorted.
fn items(response: &Response, name: &str) -> Vec<String> {
    let list = response
        .field(name)
        .unwrap_or_default()
        .to_ascii_lowercase();
    let mut items: Vec<_> = list.split(',').map(|item| item.trim().to_owned()).collect();
    items.sort_unstable();
    items
}

#[test]
fn a_listed_pages_preflight_is_told_what_it_may_send() {
    let server = Server::start(&["--allow-origin", LISTED]);
    for path in ["/room", "/room/a", "/room/a?lines=1"] {
        let asked = [
            "Access-Control-Request-Method: POST",
            "Access-Control-Request-Headers: content-type, idempotency-key",
            "Sec-Fetch-Site: cross-site",
        ];
        let response = answer(&server, &format!("OPTIONS {path} HTTP/1.1"), &asked, LISTED);
        assert_eq!(response.status, 204, "{response:?}");
        assert_readable_by(&response, LISTED);
        let methods = items(&response, "access-control-allow-methods");
        for method in ["get", "post"] {
            assert!(
                methods.iter().any(|allowed| allowed == method),
                "{methods:?}"
            );
        }
        let headers = items(&response, "access-control-allow-headers");
        let expected = [
            "authorization",
            "content-type",
            "idempotency-key",
            "last-event-id",
        ];
        assert_eq!(headers, expected);
        assert_eq!(response.field("access-control-max-age"), Some("7200"));
        assert!(response.field("date").is_some(), "{response:?}");
    }
}

#[test]
fn another_pages_preflight_is_told_nothing() {
    let server = Server::start(&["--allow-origin", LISTED]);
    let asked = ["Access-Control-Request-Method: POST"];
    let response = answer(
        &server,
        "OPTIONS /room/a HTTP/1.1",
        &asked,
        "https://two.example",
    );
    assert_readable_by_nobody(&response);
}

#[test]
fn a_connection_goes_on_behind_a_preflight() {
    let server = Server::start(&["--allow-origin", LISTED]);
    let mut peer = server.connect();
    let origin = format!("Origin: {LISTED}");
    let fields = [HOST, &origin, "Access-Control-Request-Method: POST"];
    peer.send(request("OPTIONS /room/a HTTP/1.1", &fields));
    assert_eq!(peer.response_without_body().status, 204);
    peer.send(post_with("/room/a", &[&origin], "hello"));
    assert_eq!(peer.expect_id().seq, 1);
}
