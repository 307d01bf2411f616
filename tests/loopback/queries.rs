//! The parameters of the query: where each belongs, and what its values may be.

use crate::common::Server;
use crate::common::rooms::{post, upgrade_v1};
use crate::common::wire::{PING, PONG, TEXT, frame, get, upgrade};

#[test]
fn a_malformed_value_is_refused_where_it_belongs() {
    let server = Server::start(&[]);
    let bad_numbers = [
        "",
        "x",
        "-1",
        "+1",
        "1.0",
        "0x1",
        "1 ",
        "%31%",
        "123456789012345678901",
    ];
    let bad_switches = ["", "2", "true", "yes", "01", "-0"];
    for value in bad_numbers {
        let value = value.replace(' ', "%20");
        for request in [
            upgrade(&format!("/ws/a?last={value}")),
            upgrade_v1(&format!("/ws/a?last={value}")),
            get(&format!("/room/a?last={value}")),
        ] {
            server.expect_error(request, 400);
        }
    }
    for value in bad_switches {
        server.expect_error(upgrade(&format!("/ws/a?coalesce={value}")), 400);
        server.expect_error(upgrade_v1(&format!("/ws/a?coalesce={value}")), 400);
        server.expect_error(upgrade_v1(&format!("/ws/a?here={value}")), 400);
        server.expect_error(get(&format!("/room/a?here={value}")), 400);
        server.expect_error(post(&format!("/room/a?lines={value}"), "hello"), 400);
    }
}

#[test]
fn a_parameter_is_ignored_where_it_does_not_belong_or_is_not_known() {
    let server = Server::start(&[]);
    let id = server.publish("/room/a", "hello");
    for query in ["here=x", "lines=x", "unknown=x", "LAST=x", "&&=&=x", ""] {
        let mut plain = server.connect().upgraded(&format!("/ws/a?{query}&last=1"));
        plain.expect_frame(TEXT, b"hello");
    }
    for query in ["coalesce=x", "lines=x", "unknown"] {
        let mut sse = server.listen_sse(&format!("/room/a?{query}&last=1"));
        sse.expect(&[format!(":fresh {}", id.at(0)), format!("{id} hello")]);
    }
    let mut v1 = server.listen_v1("/ws/a?lines=x&last=1");
    v1.expect(&[format!(":fresh {}", id.at(0)), format!("{id} hello")]);
    for query in ["since=x", "coalesce=x", "here=x", "unknown=%"] {
        let next = server.publish(&format!("/room/b?{query}"), "hello");
        assert_eq!(next.epoch.len(), 8, "{query}");
    }
}

#[test]
fn of_a_repeated_parameter_the_first_counts() {
    let server = Server::start(&[]);
    server.publish_numbers("/room/a", 3);
    let mut plain = server.connect().upgraded("/ws/a?last=1&last=3&last=x");
    plain.expect_frame(TEXT, b"3");
    plain.send(frame(PING, b"more?"));
    plain.expect_frame(PONG, b"more?");
    server.expect_error(upgrade("/ws/a?last=x&last=1"), 400);
}

#[test]
fn values_are_percent_decoded() {
    let server = Server::start(&[]);
    let id = server.publish("/room/a", "hello");
    let position = id.at(0);
    let mut listener = server.listen_v1(&format!("/ws/a?since={}%2D%30", id.epoch));
    listener.expect(&[format!(":resumed {position}"), format!("{id} hello")]);
    let mut plain = server.connect().upgraded("/ws/a?last=%31");
    plain.expect_frame(TEXT, b"hello");
    for value in ["%3", "%", "1%", "%zz", "%3g"] {
        server.expect_error(upgrade(&format!("/ws/a?last={value}")), 400);
    }
}

#[test]
fn a_listed_parameter_without_a_value_is_malformed() {
    let server = Server::start(&[]);
    for query in ["last", "coalesce", "&last&"] {
        server.expect_error(upgrade(&format!("/ws/a?{query}")), 400);
    }
    for query in ["since", "here"] {
        server.expect_error(upgrade_v1(&format!("/ws/a?{query}")), 400);
        server.expect_error(get(&format!("/room/a?{query}")), 400);
    }
    server.expect_error(post("/room/a?lines", "hello"), 400);
}
