//! The files of the page, as the real server serves them.

use crate::common::Server;
use crate::common::wire::{get, request, upgrade};

pub(crate) const PAGE: &[u8] = include_bytes!("../../web/index.html");
pub(crate) const STYLE: &[u8] = include_bytes!("../../web/style.css");
pub(crate) const SCRIPT: &[u8] = include_bytes!("../../web/chat.js");
const CLIENT: &[u8] = include_bytes!("../../web/fanfare.js");
const LOG: &[u8] = include_bytes!("../../web/log.js");
const UNSENT: &[u8] = include_bytes!("../../web/unsent.js");
pub(crate) const ICON: &[u8] = include_bytes!("../../web/icon.svg");

pub(crate) const ASSET_PATHS: [&str; 7] = [
    "/",
    "/style.css",
    "/chat.js",
    "/fanfare.js",
    "/log.js",
    "/unsent.js",
    "/icon.svg",
];

#[test]
fn the_page_and_its_assets_are_served_as_they_are() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    let assets = [
        ("/", "text/html", PAGE),
        ("/style.css", "text/css", STYLE),
        ("/chat.js", "text/javascript", SCRIPT),
        ("/fanfare.js", "text/javascript", CLIENT),
        ("/log.js", "text/javascript", LOG),
        ("/unsent.js", "text/javascript", UNSENT),
        ("/icon.svg", "image/svg+xml", ICON),
    ];
    for (path, content_type, body) in assets {
        peer.send(get(path));
        let response = peer.response();
        assert_eq!(response.status, 200, "{path}");
        let sent_type = response.field("content-type").unwrap_or_default();
        assert!(sent_type.starts_with(content_type), "{path}: {sent_type}");
        assert!(response.body == body, "{path} is not what web/ holds");
    }
}

#[test]
fn every_asset_carries_the_fields_that_protect_and_revalidate_it() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    for path in ASSET_PATHS {
        peer.send(get(path));
        let response = peer.response();
        let etag = response.field("etag").unwrap_or_default();
        assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag}");
        assert_eq!(response.field("x-content-type-options"), Some("nosniff"));
        assert_eq!(response.field("cache-control"), Some("no-cache"));
        let policy = response.field("content-security-policy").expect("a policy");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(policy.contains("default-src"), "{policy}");
    }
}

#[test]
fn a_head_request_gets_the_fields_of_a_get_and_no_body() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    for path in ASSET_PATHS {
        peer.send(get(path));
        let mut of_get = peer.response();
        peer.send(get(path).replacen("GET", "HEAD", 1));
        let mut of_head = peer.response_without_body();
        assert_eq!(of_head.status, 200, "{path}");
        // A second may begin between the two.
        for response in [&mut of_get, &mut of_head] {
            response.fields.retain(|(name, _)| name != "date");
        }
        assert_eq!(of_head.fields, of_get.fields, "{path}");
    }
    // A body would stand in the way of this answer.
    peer.send(get("/"));
    assert_eq!(peer.response().body, PAGE);
}

#[test]
fn a_query_string_changes_nothing() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    for path in ["/?", "/?room=1&x=/ws", "/style.css?v=2"] {
        peer.send(get(path));
        assert_eq!(peer.response().status, 200, "{path}");
    }
    let mut peer = server.connect();
    peer.send(upgrade("/ws?room=1"));
    peer.expect_upgrade();
}

#[test]
fn an_asset_that_the_browser_holds_is_not_sent_again() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    peer.send(get("/chat.js"));
    let response = peer.response();
    let etag = response.field("etag").expect("an etag");
    let listed = format!("\"other\", {etag}");
    let weak = format!("W/{etag}");
    for value in [etag, &listed, &weak, "*"] {
        let condition = format!("If-None-Match: {value}");
        peer.send(request(
            "GET /chat.js HTTP/1.1",
            &["Host: chat.example", &condition],
        ));
        let response = peer.response_without_body();
        assert_eq!(response.status, 304, "{condition}");
        assert_eq!(response.field("etag"), Some(etag), "{condition}");
    }
    peer.send(get("/"));
    assert_eq!(peer.response().body, PAGE);
}

#[test]
fn an_asset_that_has_changed_is_sent_again() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    peer.send(request(
        "GET /chat.js HTTP/1.1",
        &["Host: chat.example", "If-None-Match: \"other\""],
    ));
    let response = peer.response();
    assert_eq!(response.status, 200);
    assert!(response.body == SCRIPT);
}

#[test]
fn http_1_0_gets_the_page_and_the_connection_ends() {
    let server = Server::start(&[]);
    for fields in [&[][..], &["Host: chat.example"], &["Connection: close"]] {
        let mut peer = server.connect();
        peer.send(request("GET / HTTP/1.0", fields));
        let response = peer.response();
        assert_eq!(response.status, 200);
        assert_eq!(response.body, PAGE);
        peer.expect_end();
    }
}

#[test]
fn the_page_is_open_to_links_from_other_sites() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    peer.send(request(
        "GET / HTTP/1.1",
        &["Host: chat.example", "Origin: http://elsewhere.example"],
    ));
    assert_eq!(peer.response().status, 200);
}

#[test]
fn pages_of_other_sites_may_import_the_client_and_nothing_else() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    for path in ASSET_PATHS {
        peer.send(get(path));
        let response = peer.response();
        let expected = (path == "/fanfare.js").then_some("*");
        let field = response.field("access-control-allow-origin");
        assert_eq!(field, expected, "{path}");

        // A browser that holds it already checks the answer that says so.
        let condition = format!("If-None-Match: {}", response.field("etag").unwrap_or("*"));
        let again = format!("GET {path} HTTP/1.1");
        peer.send(request(&again, &["Host: chat.example", &condition]));
        let response = peer.response_without_body();
        assert_eq!(response.status, 304, "{path}");
        let field = response.field("access-control-allow-origin");
        assert_eq!(field, expected, "{path}");
    }
}
