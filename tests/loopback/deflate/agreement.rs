//! The handshake: what is answered to each kind of offer, and where.

use super::{DEFLATE_OFFER, server};
use crate::common::Server;
use crate::common::deflate::deflated_text;
use crate::common::rooms::OFFER;
use crate::common::wire::{get, upgrade_to};

/// The answer that names no window.
const AGREED: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// What a server answers to an upgrade, and the field that agrees on extensions.
fn answer(server: &Server, path: &str, fields: &[&str]) -> (u16, Option<String>) {
    let mut peer = server.connect();
    peer.send(upgrade_to(path, fields));
    let response = peer.response_without_body();
    let extensions = response.field("sec-websocket-extensions");
    (response.status, extensions.map(str::to_owned))
}

/// What is agreed on where these are offered, each in a line of its own.
fn agreed(server: &Server, offers: &[&str]) -> Option<String> {
    let lines: Vec<String> = offers
        .iter()
        .map(|offer| format!("Sec-WebSocket-Extensions: {offer}"))
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let (status, extensions) = answer(server, "/ws/a", &lines);
    assert_eq!(status, 101, "{offers:?}");
    extensions
}

#[test]
fn nothing_is_agreed_on_unless_the_server_is_told_to() {
    let server = Server::start(&["--echo"]);
    for path in ["/ws", "/ws/a", "/ws?deflate=1", "/echo"] {
        assert_eq!(answer(&server, path, &[DEFLATE_OFFER]), (101, None));
        let mut peer = server.connect().upgraded_with(path, &[DEFLATE_OFFER]);
        peer.send(deflated_text("hello"));
        peer.expect_close(1002);
    }
}

#[test]
fn an_offer_is_accepted_wherever_there_are_messages() {
    let server = server(&["--echo"]);
    for path in [
        "/ws",
        "/ws/a",
        "/ws?last=3",
        "/ws?deflate=1&coalesce=1",
        "/echo",
    ] {
        let expected = (101, Some(AGREED.to_owned()));
        assert_eq!(answer(&server, path, &[DEFLATE_OFFER]), expected, "{path}");
        assert_eq!(answer(&server, path, &[]), (101, None), "{path}");
    }
    for path in ["/ws", "/ws/a?last=3"] {
        let fields = [OFFER, DEFLATE_OFFER];
        let expected = (101, Some(AGREED.to_owned()));
        assert_eq!(answer(&server, path, &fields), expected, "{path}");
    }
    // Events are no messages.
    let mut peer = server.connect();
    peer.send(get("/room/a").replacen("\r\n\r\n", &format!("\r\n{DEFLATE_OFFER}\r\n\r\n"), 1));
    let response = peer.response_without_body();
    assert_eq!(response.field("sec-websocket-extensions"), None);
    assert_eq!(response.field("content-encoding"), None);
}

#[test]
fn a_client_declines_in_its_query() {
    let server = server(&["--echo"]);
    for path in [
        "/ws?deflate=0",
        "/ws/a?last=1&deflate=0",
        "/ws?coalesce=0",
        "/ws?deflate=1&coalesce=0",
        "/echo?deflate=0",
    ] {
        assert_eq!(
            answer(&server, path, &[DEFLATE_OFFER]),
            (101, None),
            "{path}"
        );
        let mut peer = server.connect().upgraded_with(path, &[DEFLATE_OFFER]);
        peer.send(deflated_text("hello"));
        peer.expect_close(1002);
    }
    let numbered = [OFFER, DEFLATE_OFFER];
    assert_eq!(answer(&server, "/ws?coalesce=0", &numbered), (101, None));
    for path in ["/ws?deflate=2", "/ws?deflate=", "/echo?deflate=yes"] {
        assert_eq!(answer(&server, path, &[DEFLATE_OFFER]).0, 400, "{path}");
        assert_eq!(answer(&server, path, &[]).0, 400, "{path}");
    }
}

#[test]
fn the_window_is_answered_where_it_is_offered() {
    let server = server(&[]);
    for bits in 8..=15 {
        for value in [format!("{bits}"), format!("\"{bits}\"")] {
            let offer = format!("permessage-deflate; server_max_window_bits={value}");
            let expected = format!("{AGREED}; server_max_window_bits={bits}");
            assert_eq!(agreed(&server, &[&offer]), Some(expected), "{offer}");
        }
    }
    for parameters in [
        "",
        "; client_max_window_bits",
        "; client_max_window_bits=8",
        "; client_max_window_bits=\"15\"",
        "; server_no_context_takeover",
        ";client_no_context_takeover ;\tserver_no_context_takeover",
    ] {
        let offer = format!("permessage-deflate{parameters}");
        assert_eq!(
            agreed(&server, &[&offer]).as_deref(),
            Some(AGREED),
            "{offer}"
        );
    }
}

#[test]
fn a_bad_offer_is_declined_and_the_next_one_is_looked_at() {
    let server = server(&[]);
    for bad in [
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=09",
        "permessage-deflate; server_max_window_bits=010",
        "permessage-deflate; server_max_window_bits=a",
        "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits; client_max_window_bits",
        "permessage-deflate; client_max_window_bits; client_max_window_bits=15",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover=\"true\"",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; mystery",
        "permessage-deflate; mystery=9",
        "permessage-bzip2",
        "x-webkit-deflate-frame",
    ] {
        assert_eq!(agreed(&server, &[bad]), None, "{bad}");
        let good = "permessage-deflate; server_max_window_bits=11";
        let expected = Some(format!("{AGREED}; server_max_window_bits=11"));
        assert_eq!(agreed(&server, &[bad, good]), expected, "{bad}");
        let both = format!("{bad}, {good}, permessage-deflate");
        assert_eq!(agreed(&server, &[&both]), expected, "{bad}");
    }
}

#[test]
fn what_breaks_the_grammar_is_refused() {
    let server = server(&[]);
    for bad in [
        "permessage-deflate;",
        "permessage-deflate; =9",
        "permessage-deflate; server_max_window_bits=",
        "permessage-deflate; server_max_window_bits=\"9",
        "permessage-deflate; server_max_window_bits=\"\"",
        "permessage-deflate server_no_context_takeover",
        "permessage-deflate, permessage-deflate; a b",
        "(permessage-deflate)",
    ] {
        let field = format!("Sec-WebSocket-Extensions: {bad}");
        assert_eq!(answer(&server, "/ws", &[&field]), (400, None), "{bad}");
    }
}
