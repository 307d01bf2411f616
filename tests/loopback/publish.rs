//! Publishing by POST: what a body becomes, what is answered, many lines at once, and the key that makes a
//! second attempt harmless.

use crate::common::Server;
use crate::common::rooms::{Listener, post, post_with};
use crate::common::wire::TEXT;

/// The longest body with `lines=1`.
const LINES_LEN_MAX: usize = 256 * 1024;

/// A reader of room `a` at its beginning.
fn listen(server: &Server) -> Listener {
    let mut listener = server.listen_v1("/ws/a");
    assert_eq!(listener.expect_fresh().seq, 0);
    listener
}

/// Expects that nothing was published in room `a` but this message, which is published now.
fn assert_nothing_before(server: &Server, listener: &mut Listener) {
    let id = server.publish("/room/a", "the first message");
    assert_eq!(id.seq, 1);
    listener.expect(&[format!("{id} the first message")]);
}

// One message.

#[test]
fn the_answer_to_a_message_is_its_id() {
    let server = Server::start(&[]);
    let response = server.ask(post("/room/a", "hello"));
    assert_eq!(response.status, 200, "{response:?}");
    assert!(response.field("date").is_some(), "{response:?}");
    let content_type = response.field("content-type").unwrap_or_default();
    assert!(content_type.starts_with("text/plain"), "{content_type}");
    let body = String::from_utf8(response.body).expect("an id is ASCII");
    let mut listener = server.listen_v1("/ws/a?last=1");
    let position = listener.expect_fresh();
    assert_eq!(body, format!("{}\n", position.at(1)));
    listener.expect(&[format!("{} hello", position.at(1))]);
}

#[test]
fn the_ids_of_one_connection_follow_each_other() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    for seq in 1..=20 {
        peer.send(post("/room/a", "hello"));
        assert_eq!(peer.expect_id().seq, seq);
    }
}

#[test]
fn the_content_type_does_not_matter() {
    let server = Server::start(&[]);
    let mut listener = listen(&server);
    for (seq, content_type) in (1..).zip([
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json",
        "application/octet-stream",
        "nonsense",
    ]) {
        let field = format!("Content-Type: {content_type}");
        let mut peer = server.connect();
        peer.send(post_with("/room/a", &[&field], "a=1&b=%20"));
        let id = peer.expect_id();
        assert_eq!(id.seq, seq);
        listener.expect(&[format!("{id} a=1&b=%20")]);
    }
}

#[test]
fn a_body_becomes_one_trimmed_line() {
    let server = Server::start(&[]);
    let mut plain = server.connect().upgraded("/ws/a");
    for (body, line) in [
        ("hello\n", "hello"),
        ("  hello\t\r\n", "hello"),
        ("a\nb\n", "a b"),
        ("\n\na\r\nb\rc\n\n", "a  b c"),
        ("grün und blau", "grün und blau"),
        ("\u{3000}a\u{a0}", "a"),
    ] {
        server.publish("/room/a", body);
        plain.expect_frame(TEXT, line.as_bytes());
    }
}

#[test]
fn a_body_of_white_space_or_of_none_is_malformed() {
    let server = Server::start(&[]);
    let mut listener = listen(&server);
    for path in ["/room/a", "/room/a?lines=1"] {
        for body in ["", " ", "\n", "\r\n\t\u{3000}\n"] {
            server.expect_error(post(path, body), 400);
        }
    }
    assert_nothing_before(&server, &mut listener);
}

#[test]
fn a_body_that_is_no_text_is_malformed() {
    let server = Server::start(&[]);
    let mut listener = listen(&server);
    for body in [
        &b"gr\xfcn"[..],
        b"\xff",
        b"a\xe2\x82",
        b"a\nb\n\xed\xa0\x80\nc",
    ] {
        server.expect_error(post("/room/a", body), 400);
        server.expect_error(post("/room/a?lines=1", body), 400);
    }
    assert_nothing_before(&server, &mut listener);
}

#[test]
fn one_line_end_at_the_end_is_not_counted() {
    let server = Server::start(&[]);
    let longest = "x".repeat(512);
    for end in ["", "\n", "\r\n"] {
        server.publish("/room/a", &format!("{longest}{end}"));
        server.publish("/room/a?lines=0", &format!("{longest}{end}"));
    }
    for longer in [
        format!("{longest}x"),
        format!("{longest}x\n"),
        format!("{longest} \n"),
        format!("{longest}\n\n"),
        format!(" {longest}"),
    ] {
        server.expect_error(post("/room/a", longer), 413);
    }
}

#[test]
fn the_largest_message_is_a_setting() {
    let server = Server::start(&["--max-message", "8KiB"]);
    let mut listener = listen(&server);
    let longest = "x".repeat(8 * 1024);
    let id = server.publish("/room/a", &longest);
    listener.expect(&[format!("{id} {longest}")]);
    server.expect_error(post("/room/a", longest + "x"), 413);
}

// Many lines.

#[test]
fn each_line_is_a_message_and_the_last_id_is_answered() {
    let server = Server::start(&[]);
    let mut listener = listen(&server);
    let id = server.publish("/room/a?lines=1", "one\n two \r\n\n \t\nthree");
    assert_eq!(id.seq, 3);
    let lines = [(1, "one"), (2, "two"), (3, "three")];
    listener.expect(&lines.map(|(seq, line)| format!("{} {line}", id.at(seq))));
    let id = server.publish("/room/a?lines=1", "four\n");
    assert_eq!(id.seq, 4);
    listener.expect(&[format!("{id} four")]);
    let id = server.publish("/room/a?lines=0", "five\nsix");
    listener.expect(&[format!("{id} five six")]);
}

#[test]
fn lines_leave_together_and_others_do_not_come_between() {
    const COUNT: u64 = 100;
    let server = Server::start(&[]);
    let mut listener = listen(&server);
    let lines = |talker: u64| format!("{talker}\n").repeat(usize::try_from(COUNT).expect("small"));
    let mut peers = [server.connect(), server.connect(), server.connect()];
    for (talker, peer) in (0..).zip(&mut peers) {
        peer.send(post("/room/a?lines=1", lines(talker)));
    }
    let mut last_ids = peers.map(|mut peer| peer.expect_id().seq);
    last_ids.sort_unstable();
    assert_eq!(last_ids, [COUNT, 2 * COUNT, 3 * COUNT]);
    for _ in 0..3 {
        let talkers: Vec<_> = (0..COUNT)
            .map(|_| {
                listener
                    .line()
                    .split_once(' ')
                    .map(|(_, text)| text.to_owned())
            })
            .collect();
        assert!(
            talkers.iter().all(|talker| *talker == talkers[0]),
            "{talkers:?}"
        );
    }
}

#[test]
fn all_lines_are_published_or_none() {
    let server = Server::start(&[]);
    let mut listener = listen(&server);
    let too_long = "x".repeat(513);
    for body in [
        format!("one\n{too_long}\ntwo\n"),
        format!("one\n{too_long}"),
        format!("{too_long}\none"),
    ] {
        server.expect_error(post("/room/a?lines=1", body), 413);
    }
    assert_nothing_before(&server, &mut listener);
}

#[test]
fn the_end_of_a_line_does_not_count_towards_its_length() {
    let server = Server::start(&[]);
    let longest = "x".repeat(512);
    let id = server.publish(
        "/room/a?lines=1",
        &format!("{longest}\r\n{longest}\n{longest}"),
    );
    assert_eq!(id.seq, 3);
}

#[test]
fn many_lines_have_a_bound_in_bytes() {
    let server = Server::start(&[]);
    let mut listener = listen(&server);
    let body =
        |len: usize| format!("{}\n", "x".repeat(511)).repeat(len / 512) + &"y".repeat(len % 512);
    server.expect_error(post("/room/a?lines=1", body(LINES_LEN_MAX + 1)), 413);
    assert_nothing_before(&server, &mut listener);
    let id = server.publish("/room/a?lines=1", &body(LINES_LEN_MAX));
    assert_eq!(id.seq, 1 + 512);
}

// The same message again.

#[test]
fn the_same_key_gets_the_same_answer_and_publishes_nothing_again() {
    let server = Server::start(&[]);
    let mut listener = listen(&server);
    let keyed = |key: &str, path: &str, body: &str| {
        let field = format!("Idempotency-Key: {key}");
        let mut peer = server.connect();
        peer.send(post_with(path, &[&field], body));
        peer.expect_id()
    };
    let first = keyed("k1", "/room/a", "hello");
    assert_eq!(keyed("k1", "/room/a", "hello"), first);
    // The key stands for the message, whatever the second attempt says.
    assert_eq!(keyed("k1", "/room/a", "another text"), first);
    let second = keyed("k2", "/room/a", "hello");
    assert_eq!(second, first.at(2));
    let lines = keyed("k3", "/room/a?lines=1", "a\nb\n");
    assert_eq!(lines, first.at(4));
    assert_eq!(keyed("k3", "/room/a?lines=1", "a\nb\n"), lines);
    assert_eq!(keyed("k1", "/room/a", "hello"), first);
    // Another room knows nothing of it, nor does a message without a key.
    assert_eq!(keyed("k1", "/room/b", "hello").seq, 1);
    let last = server.publish("/room/a", "hello");
    assert_eq!(last, first.at(5));
    let texts = ["hello", "hello", "a", "b", "hello"];
    for (seq, text) in (1..).zip(texts) {
        listener.expect(&[format!("{} {text}", first.at(seq))]);
    }
}

#[test]
fn the_same_key_twice_in_one_segment_publishes_once() {
    let server = Server::start(&[]);
    let mut peer = server.connect();
    peer.send(post_with("/room/a", &["Idempotency-Key: k"], "hello").repeat(3));
    let ids = [peer.expect_id(), peer.expect_id(), peer.expect_id()];
    assert_eq!(ids.map(|id| id.seq), [1, 1, 1]);
    assert_eq!(server.publish("/room/a", "next").seq, 2);
}

#[test]
fn a_key_that_got_an_error_may_be_used_again() {
    let server = Server::start(&[]);
    for (body, status) in [(" ".to_owned(), 400), ("x".repeat(513), 413)] {
        server.expect_error(post_with("/room/a", &["Idempotency-Key: k"], body), status);
    }
    let mut peer = server.connect();
    peer.send(post_with("/room/a", &["Idempotency-Key: k"], "hello"));
    assert_eq!(peer.expect_id().seq, 1);
}

#[test]
fn a_key_has_up_to_64_visible_characters() {
    let server = Server::start(&[]);
    let longest = "k".repeat(64);
    for key in ["k", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", &longest] {
        let field = format!("Idempotency-Key: {key}");
        let mut peer = server.connect();
        peer.send(post_with("/room/a", &[&field], "hello"));
        peer.expect_id();
    }
    let too_long = "k".repeat(65);
    for key in ["", "a b", "a\tb", "gr\u{fc}n", &too_long] {
        let field = format!("Idempotency-Key: {key}");
        server.expect_error(post_with("/room/a", &[&field], "hello"), 400);
    }
}
