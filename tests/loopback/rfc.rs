//! RFC 9110 and RFC 9112, section by section: what a server that serves a page must do, as a table.

use crate::common::{Peer, Server};

/// What becomes of the connection after the answer.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Then {
    Kept,
    Closed,
}
use Then::{Closed, Kept};

/// The rule, the request, the status that answers it, and whether the connection goes on.
const RULES: &[(&str, &str, u16, Then)] = &[
    // RFC 9112.
    (
        "2.2: empty lines before a request are ignored",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        200,
        Kept,
    ),
    (
        "2.2: a bare LF ends no line",
        "GET / HTTP/1.1\nHost: a\n\n",
        400,
        Closed,
    ),
    (
        "2.2: a bare CR is no white space",
        "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n",
        400,
        Closed,
    ),
    (
        "2.2: no white space before the first field",
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        400,
        Closed,
    ),
    (
        "2.3: the version is case-sensitive",
        "GET / http/1.1\r\nHost: a\r\n\r\n",
        400,
        Closed,
    ),
    (
        "2.3: another major version",
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        400,
        Closed,
    ),
    (
        "3: no white space within the target",
        "GET / x HTTP/1.1\r\nHost: a\r\n\r\n",
        400,
        Closed,
    ),
    (
        "3.1: the method is case-sensitive",
        "get / HTTP/1.1\r\nHost: a\r\n\r\n",
        405,
        Kept,
    ),
    ("3.2: no Host", "GET / HTTP/1.1\r\n\r\n", 400, Closed),
    (
        "3.2: two Hosts",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        400,
        Closed,
    ),
    (
        "3.2: a Host that is none",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        400,
        Closed,
    ),
    (
        "3.2: an empty Host is a Host",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        200,
        Kept,
    ),
    (
        "3.2: a port is a number",
        "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n",
        400,
        Closed,
    ),
    (
        "3.2: an IPv6 address is a Host",
        "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
        200,
        Kept,
    ),
    (
        "3.2.1: origin form has no fragment",
        "GET /#room HTTP/1.1\r\nHost: a\r\n\r\n",
        400,
        Closed,
    ),
    (
        "3.2.1: origin form, with a query",
        "GET /?a=b HTTP/1.1\r\nHost: a\r\n\r\n",
        200,
        Kept,
    ),
    (
        "3.2.2: absolute form is accepted",
        "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        200,
        Kept,
    ),
    (
        "3.2.2: absolute form without a path",
        "GET http://b HTTP/1.1\r\nHost: a\r\n\r\n",
        200,
        Kept,
    ),
    (
        "3.2.3: authority form is CONNECT's",
        "GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
        400,
        Closed,
    ),
    (
        "3.2.3: and CONNECT is not for this server",
        "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
        400,
        Closed,
    ),
    (
        "3.2.4: asterisk form is OPTIONS'",
        "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        400,
        Closed,
    ),
    (
        "3.2.4: OPTIONS of the server",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        204,
        Kept,
    ),
    (
        "5.1: no white space before the colon",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        400,
        Closed,
    ),
    (
        "5.1: white space around a value does not count",
        "GET / HTTP/1.1\r\nHost: \t a \t \r\n\r\n",
        200,
        Kept,
    ),
    (
        "5.2: no folded lines",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
        400,
        Closed,
    ),
    (
        "6.1: Transfer-Encoding in HTTP/1.0",
        "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
        Closed,
    ),
    (
        "6.3: chunked is not the last coding",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
        400,
        Closed,
    ),
    (
        "6.3: a coding that tells no end",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        400,
        Closed,
    ),
    (
        "7.1: chunked twice",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
        400,
        Closed,
    ),
    (
        "6.3: both a coding and a length",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
        Closed,
    ),
    (
        "6.3: two lengths",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        400,
        Closed,
    ),
    (
        "6.3: a length that is no number",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +0\r\n\r\n",
        400,
        Closed,
    ),
    (
        "6.3: a body that is not read ends the connection",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        413,
        Closed,
    ),
    (
        "9.3: HTTP/1.1 is kept",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        200,
        Kept,
    ),
    (
        "9.3: unless the client closes",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n",
        200,
        Closed,
    ),
    (
        "9.3: HTTP/1.0 is closed",
        "GET / HTTP/1.0\r\n\r\n",
        200,
        Closed,
    ),
    // RFC 9110.
    (
        "4.2.1: a URI with an empty host",
        "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n",
        400,
        Closed,
    ),
    (
        "4.2.1: a URI with a port and an empty host",
        "GET http://:80/ HTTP/1.1\r\nHost: a\r\n\r\n",
        400,
        Closed,
    ),
    (
        "4.2.4: a URI with a user's name",
        "GET http://me@b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        400,
        Closed,
    ),
    (
        "5.1: a field name is a token",
        "GET / HTTP/1.1\r\nHost: a\r\nX(y): z\r\n\r\n",
        400,
        Closed,
    ),
    (
        "7.8: Upgrade in HTTP/1.0 is ignored",
        "GET / HTTP/1.0\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        200,
        Closed,
    ),
    (
        "7.8: Upgrade where there is nothing to upgrade",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
        200,
        Kept,
    ),
    (
        "9.1: a method that the resource does not have",
        "POST / HTTP/1.1\r\nHost: a\r\n\r\n",
        405,
        Kept,
    ),
    (
        "9.1: an unknown method",
        "BREW / HTTP/1.1\r\nHost: a\r\n\r\n",
        405,
        Kept,
    ),
    (
        "10.1.1: no 100 where the body is not wanted",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
        405,
        Closed,
    ),
    (
        "13.1.2: a tag that never was",
        "GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"x\"\r\n\r\n",
        200,
        Kept,
    ),
    (
        "13.1.2: any tag",
        "GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\n",
        304,
        Kept,
    ),
    (
        "13.1.1: If-Match names another version",
        "GET / HTTP/1.1\r\nHost: a\r\nIf-Match: \"x\"\r\n\r\n",
        412,
        Kept,
    ),
    (
        "13.1.1: If-Match names any version",
        "GET / HTTP/1.1\r\nHost: a\r\nIf-Match: *\r\n\r\n",
        200,
        Kept,
    ),
    (
        "13.1.3: If-Modified-Since, where there is no date of modification",
        "GET / HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n",
        200,
        Kept,
    ),
    (
        "13.1.4: If-Unmodified-Since, where there is no date of modification",
        "GET / HTTP/1.1\r\nHost: a\r\nIf-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n",
        200,
        Kept,
    ),
    (
        "13.2.1: conditions on what is not there are ignored",
        "GET /no HTTP/1.1\r\nHost: a\r\nIf-Match: \"x\"\r\n\r\n",
        404,
        Kept,
    ),
    (
        "13.2.2: If-Match comes before If-None-Match",
        "GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\nIf-Match: \"x\"\r\n\r\n",
        412,
        Kept,
    ),
    (
        "14.2: a range may be ignored",
        "GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n",
        200,
        Kept,
    ),
    (
        "15.5.5: no such resource",
        "GET /no HTTP/1.1\r\nHost: a\r\n\r\n",
        404,
        Kept,
    ),
    (
        "15.5.22: a WebSocket of no version",
        "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        426,
        Closed,
    ),
];

fn is_get(request: &str) -> bool {
    request.trim_start().starts_with("GET ")
}

/// Reads the answer, with a body where the status may have one (RFC 9110 §6.4.1).
fn answer(peer: &mut Peer) -> crate::common::peer::Response {
    let mut response = peer.response_without_body();
    if !matches!(response.status, 204 | 304) {
        let len = response.field("content-length").map(str::parse);
        response.body = peer.take(len.expect("a length").expect("a number"));
    }
    response
}

#[test]
fn every_rule_is_kept() {
    let server = Server::start(&[]);
    for &(rule, request, status, then) in RULES {
        let mut peer = server.connect();
        peer.send(request);
        let response = answer(&mut peer);
        assert_eq!(response.status, status, "{rule}: {response:?}");
        // RFC 9110 §6.6.1, §8.6, §10.2.1, §7.8 and RFC 9112 §9.6.
        let date = response.field("date").expect("a clock makes a date");
        assert!(date.len() == 29 && date.ends_with(" GMT"), "{rule}: {date}");
        let has_length = response.field("content-length").is_some();
        assert_eq!(has_length, !matches!(status, 204 | 304), "{rule}");
        if status == 405 {
            assert_eq!(response.field("allow"), Some("GET, HEAD"), "{rule}");
        }
        if status == 426 {
            assert_eq!(response.field("upgrade"), Some("websocket"), "{rule}");
            assert_eq!(response.field("sec-websocket-version"), Some("13"));
        }
        let connection = response.field("connection").unwrap_or_default();
        let says_close = connection.split(", ").any(|option| option == "close");
        assert_eq!(says_close, then == Closed, "{rule}");
        match then {
            Closed => peer.expect_end(),
            Kept => {
                peer.send("GET /style.css HTTP/1.1\r\nHost: a\r\n\r\n");
                assert_eq!(peer.response().status, 200, "{rule}");
            }
        }
    }
}

/// RFC 9110 §9.3.2: the same header fields, and no body, whatever is wrong with the request.
#[test]
fn head_gets_the_fields_of_get_and_no_body() {
    let server = Server::start(&[]);
    for &(rule, request, status, _) in RULES.iter().filter(|(_, request, ..)| is_get(request)) {
        if status == 426 {
            // HEAD opens no WebSocket, and is not allowed there.
            continue;
        }
        let mut peer = server.connect();
        peer.send(request);
        let get = answer(&mut peer);
        let mut peer = server.connect();
        peer.send(request.replacen("GET ", "HEAD ", 1));
        let head = peer.response_without_body();
        let without_date = |response: &crate::common::peer::Response| {
            let fields = response.fields.iter().filter(|(name, _)| name != "date");
            (response.status, fields.cloned().collect::<Vec<_>>())
        };
        assert_eq!(without_date(&head), without_date(&get), "{rule}");
        peer.finish();
        peer.expect_end();
    }
}

/// RFC 9110 §13.1.2 and §8.8.3.2: weak comparison, with regard to case, in lists.
#[test]
fn entity_tags_are_compared_weakly_and_with_regard_to_case() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    let mut get = |tags: &str| {
        peer.send(format!(
            "GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: {tags}\r\n\r\n"
        ));
        answer(&mut peer)
    };
    let tag = get("\"x\"").field("etag").expect("a tag").to_owned();
    assert_eq!(get(&tag).status, 304);
    assert_eq!(get(&format!("W/{tag}")).status, 304);
    assert_eq!(get(&format!("\"x\", {tag} ,W/\"y\"")).status, 304);
    assert_eq!(get(&format!("\"a,b\", {tag}")).status, 304);
    assert_eq!(get(&format!("\"x\"\r\nIf-None-Match: {tag}")).status, 304);
    assert_eq!(get(&format!("\"x, {tag}\"")).status, 200);
    assert_eq!(get("\"x\", *").status, 200);
    assert_eq!(get(&tag.to_ascii_lowercase()).status, 200);
    assert_eq!(get(&format!("w/{tag}")).status, 200);
    let unchanged = get(&tag);
    assert_eq!(unchanged.field("etag"), Some(&tag[..]));
    assert_eq!(unchanged.field("cache-control"), Some("no-cache"));
}

/// RFC 9110 §13.1.1: the comparison is strong where it is asked whether this is the version.
#[test]
fn the_version_that_is_asked_for_is_served_and_a_weak_tag_names_none() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let tag = peer.response().field("etag").expect("a tag").to_owned();
    for (tags, status) in [
        (tag.clone(), 200),
        (format!("\"x\", {tag}"), 200),
        (format!("W/{tag}"), 412),
    ] {
        peer.send(format!(
            "GET / HTTP/1.1\r\nHost: a\r\nIf-Match: {tags}\r\n\r\n"
        ));
        assert_eq!(peer.response().status, status, "{tags}");
    }
}

/// A page is told what it has to know.
#[test]
fn the_limits_are_told_as_json() {
    let server = Server::start(&["--max-message", "1KiB"]);
    let mut peer = server.connect();
    peer.send("GET /limits.json HTTP/1.1\r\nHost: a\r\n\r\n");
    let response = peer.response();
    assert_eq!(response.body, b"{\"max_message\":1024}\n");
    assert_eq!(response.field("content-type"), Some("application/json"));
    assert_eq!(response.field("cache-control"), Some("no-store"));
    peer.send("HEAD /limits.json HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(peer.response_without_body().status, 200);
    peer.send("POST /limits.json HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(peer.response().status, 405);
}
