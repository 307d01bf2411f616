//! The subprotocol `fanfare.v1`: how it is agreed upon, its lines, and the count of listeners.

use crate::common::rooms::{Id, OFFER, upgrade_v1};
use crate::common::wire::{PING, PONG, TEXT, frame, text, upgrade_with};
use crate::common::{PATIENCE, Server};
use std::net::TcpStream;
use std::time::Instant;
use tungstenite::Message;
use tungstenite::client::IntoClientRequest;

/// What the server answers to an offer of subprotocols.
fn agreed(server: &Server, fields: &[&str]) -> Option<String> {
    let mut peer = server.connect();
    peer.send(upgrade_with(fields));
    let response = peer.response_without_body();
    assert_eq!(response.status, 101, "{response:?}");
    assert!(response.field("date").is_some(), "{response:?}");
    response.field("sec-websocket-protocol").map(str::to_owned)
}

// The handshake.

#[test]
fn the_subprotocol_is_agreed_upon_where_it_is_offered() {
    let server = Server::start(&[]);
    for fields in [
        &[OFFER][..],
        &["Sec-WebSocket-Protocol: chat, fanfare.v1"],
        &["Sec-WebSocket-Protocol: fanfare.v1,chat"],
        &["Sec-WebSocket-Protocol: fanfare.v2,\tfanfare.v1 , chat"],
        &["Sec-WebSocket-Protocol: chat", OFFER],
        &["sec-websocket-protocol:fanfare.v1"],
    ] {
        let protocol = agreed(&server, fields);
        assert_eq!(protocol.as_deref(), Some("fanfare.v1"), "{fields:?}");
    }
}

#[test]
fn other_subprotocols_are_not_agreed_upon() {
    let server = Server::start(&[]);
    for offer in [
        "chat",
        "fanfare.v2",
        "fanfare",
        "fanfare.v1.1",
        "FANFARE.V1",
        "xfanfare.v1",
    ] {
        let field = format!("Sec-WebSocket-Protocol: {offer}");
        assert_eq!(agreed(&server, &[&field]), None, "{offer}");
    }
    assert_eq!(agreed(&server, &[]), None);
}

#[test]
fn an_independent_client_agrees_to_the_subprotocol_and_reads_ids() {
    let server = Server::start(&[]);
    let stream = TcpStream::connect(server.addr).expect("the server accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let url = format!("ws://{}/ws/lobby", server.addr);
    let mut request = url.into_client_request().expect("a good address");
    let protocol = "fanfare.v1".parse().expect("a good value");
    request
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", protocol);
    let (mut client, response) = tungstenite::client(request, stream).expect("an upgrade");
    assert_eq!(response.headers()["sec-websocket-protocol"], "fanfare.v1");
    let read = |client: &mut tungstenite::WebSocket<TcpStream>| {
        let message = client.read().expect("a message");
        message.into_text().expect("text").to_string()
    };
    let first = read(&mut client);
    let position = Id::parse(first.strip_prefix(":fresh ").expect(&first));
    client.send(Message::text("hello")).expect("it is taken");
    let id = position.at(position.seq + 1);
    assert_eq!(read(&mut client), format!("{id} hello"));
}

#[test]
fn a_plain_client_gets_no_ids_and_no_control_lines() {
    let server = Server::start(&[]);
    server.publish("/room/a", "before");
    let mut plain = server.connect().upgraded("/ws/a?last=1&here=1");
    plain.expect_frame(TEXT, b"before");
    server.publish("/room/a", "after");
    plain.expect_frame(TEXT, b"after");
}

// Lines.

#[test]
fn the_first_line_of_a_new_room_is_at_zero_and_the_first_message_is_one() {
    let server = Server::start(&[]);
    let mut listener = server.listen_v1("/ws/new");
    let position = listener.expect_fresh();
    assert_eq!(position.seq, 0);
    let id = server.publish("/room/new", "hello");
    assert_eq!(id, position.at(1));
    listener.expect(&[format!("{id} hello")]);
}

#[test]
fn a_sender_reads_its_own_message_as_everybody_does() {
    let server = Server::start(&[]);
    let (mut one, mut two) = (server.listen_v1("/ws/a"), server.listen_v1("/ws/a"));
    let position = one.expect_fresh();
    two.expect_fresh();
    one.peer.say("  hello ");
    for listener in [&mut one, &mut two] {
        listener.expect(&[format!("{} hello", position.at(1))]);
    }
}

#[test]
fn what_is_sent_right_behind_the_handshake_comes_behind_the_first_line() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    peer.send([upgrade_v1("/ws/a").as_bytes(), &text("hello")].concat());
    peer.expect_upgrade_v1();
    let lines = peer.hear_lines(2);
    let position = Id::parse(lines[0].strip_prefix(":fresh ").expect("a first line"));
    assert_eq!(lines[1], format!("{} hello", position.at(1)));
}

#[test]
fn messages_that_come_together_leave_together_each_with_its_id() {
    let server = Server::start(&[]);
    let mut listener = server.listen_v1("/ws/a");
    let start = listener.expect_fresh();
    let id = |seq| start.at(seq);
    listener
        .peer
        .send([text("a"), text(" b "), text("c\nd")].concat());
    let expected = format!("{} a\n{} b\n{} c d", id(1), id(2), id(3));
    assert_eq!(listener.peer.hear(), expected);
}

#[test]
fn numbered_messages_travel_one_by_one_where_a_reader_asks_for_it() {
    let server = Server::start(&[]);
    let mut single = server.listen_v1("/ws/a?coalesce=0");
    let start = single.expect_fresh();
    let mut talker = server.connect().upgraded("/ws/a");
    talker.send([text("a"), text("b"), text("c")].concat());
    talker.expect_frame(TEXT, b"a\nb\nc");
    let lines = [1, 2, 3].map(|seq| {
        let line = single.peer.hear();
        assert!(line.starts_with(&start.at(seq).to_string()), "{line}");
        line
    });
    let since = start.at(0);
    let mut peer = server.connect();
    peer.send(upgrade_v1(&format!("/ws/a?coalesce=0&since={since}")));
    peer.expect_upgrade_v1();
    assert_eq!(peer.hear(), format!(":resumed {since}"));
    assert_eq!([peer.hear(), peer.hear(), peer.hear()], lines);
}

#[test]
fn a_message_of_white_space_has_an_id_and_no_text() {
    let server = Server::start(&[]);
    let mut listener = server.listen_v1("/ws/a");
    let start = listener.expect_fresh();
    listener.peer.say(" \n ");
    listener.expect(&[format!("{} ", start.at(1))]);
}

#[test]
fn a_text_that_looks_like_a_control_line_is_still_a_message() {
    let server = Server::start(&[]);
    let mut listener = server.listen_v1("/ws/a");
    let start = listener.expect_fresh();
    listener.peer.say(":gap k3v9q2c1-87 25");
    listener.expect(&[format!("{} :gap k3v9q2c1-87 25", start.at(1))]);
}

#[test]
fn a_message_of_512_bytes_is_numbered_and_a_longer_one_ends_its_sender() {
    let server = Server::start(&[]);
    let mut listener = server.listen_v1("/ws/a");
    let start = listener.expect_fresh();
    let longest = "x".repeat(512);
    listener.peer.say(&longest);
    listener.expect(&[format!("{} {longest}", start.at(1))]);
    listener.peer.say(&"x".repeat(513));
    listener.peer.expect_close(1009);
}

#[test]
fn pings_are_answered_as_without_the_subprotocol() {
    let server = Server::start(&[]);
    let mut listener = server.listen_v1("/ws/a");
    listener.expect_fresh();
    listener.peer.send(frame(PING, b"well?"));
    listener.peer.expect_frame(PONG, b"well?");
}

// The count of listeners.

#[test]
fn the_count_comes_behind_the_replay_and_on_change() {
    let server = Server::start(&[]);
    let id = server.publish("/room/a", "hello");
    let begin = [format!(":fresh {}", id.at(0)), format!("{id} hello")];
    let mut v1 = server.listen_v1("/ws/a?here=1&last=1");
    v1.expect(&begin);
    assert_eq!(v1.line(), ":here 1");
    let mut sse = server.listen_sse("/room/a?here=1&last=1");
    sse.expect(&begin);
    // Listeners of any kind count.
    for (kind, count) in [("sse", 2), ("plain", 3), ("none", 2)] {
        let _plain = (kind == "plain").then(|| server.connect().upgraded("/ws/a"));
        for listener in [&mut v1, &mut sse] {
            assert_eq!(listener.line(), format!(":here {count}"), "{kind}");
        }
    }
    drop(v1);
    assert_eq!(sse.line(), ":here 1");
}

#[test]
fn the_count_changes_at_most_once_a_second() {
    let server = Server::start(&[]);
    let mut counting = server.listen_v1("/ws/a?here=1");
    counting.expect_fresh();
    assert_eq!(counting.line(), ":here 1");
    let begin = Instant::now();
    let _crowd: Vec<_> = (0..50)
        .map(|_| server.connect().upgraded("/ws/a"))
        .collect();
    let mut lines = 0;
    while counting.line() != ":here 51" {
        lines += 1;
    }
    let seconds = begin.elapsed().as_secs();
    assert!(lines <= seconds + 1, "{lines} counts in {seconds} s");
}

#[test]
fn the_count_is_repeated_each_ping_period_although_it_did_not_change() {
    let server = Server::start(&["--ping-period", "1500ms", "--pong-wait", "1min"]);
    let mut v1 = server.listen_v1("/ws/a?here=1");
    let mut sse = server.listen_sse("/room/b?here=1");
    for listener in [&mut v1, &mut sse] {
        listener.expect_fresh();
        for _ in 0..3 {
            assert_eq!(listener.line(), ":here 1");
        }
    }
}

#[test]
fn the_count_is_told_to_those_alone_who_ask() {
    let server = Server::start(&[]);
    for query in ["", "?here=0"] {
        let [mut v1, mut sse] = server.listen_both(&format!("/a{query}"));
        let start = v1.expect_fresh();
        sse.expect_fresh();
        let mut counting = server.listen_v1("/ws/a?here=1");
        counting.expect_fresh();
        assert!(counting.line().starts_with(":here "));
        let id = server.publish("/room/a", "hello");
        assert_eq!(id.epoch, start.epoch);
        for listener in [&mut v1, &mut sse] {
            listener.expect(&[format!("{id} hello")]);
        }
    }
}
