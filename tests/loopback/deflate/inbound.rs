//! What clients send compressed: it is published like any other message, within the same limits.

use super::{join_deflated, server, smooth};
use crate::common::deflate::{DEFLATED_TEXT, RSV1, deflate, deflated_text};
use crate::common::wire::{
    BEGIN_TEXT, BINARY, CLOSE, CONTINUE, END, PING, PONG, TEXT, frame, text,
};

/// The end of a message whose beginning was sent in a frame of its own.
fn begun(payload: &[u8]) -> Vec<u8> {
    frame(BEGIN_TEXT | RSV1, payload)
}

#[test]
fn compressed_messages_are_published_as_any_others() {
    let server = server(&[]);
    let mut talker = join_deflated(&server, "/ws/a");
    let mut plain = server.connect().upgraded("/ws/a");
    let mut numbered = server.listen_v1("/ws/a");
    let start = numbered.expect_fresh();
    let long = smooth(512);
    let fragmented = deflate(b" in\nfragments");
    let (first, rest) = fragmented.split_at(5);
    let sent = [
        (deflated_text("hello"), "hello"),
        (deflated_text(" \ttrimmed\r\n"), "trimmed"),
        (deflated_text("two\nlines"), "two lines"),
        (deflated_text(""), ""),
        (
            deflated_text("h\u{e9}ll\u{f6} \u{1f600}"),
            "h\u{e9}ll\u{f6} \u{1f600}",
        ),
        (frame(BINARY | RSV1, &deflate(b"binary")), "binary"),
        (text("plain between them"), "plain between them"),
        (deflated_text(&long), &long),
        (
            [
                begun(first),
                frame(PING, b"between"),
                frame(CONTINUE, b""),
                frame(CONTINUE, &rest[..1]),
                frame(END, &rest[1..]),
            ]
            .concat(),
            "in fragments",
        ),
    ];
    for (seq, (bytes, expected)) in (1..).zip(&sent) {
        talker.send(bytes);
        assert_eq!(plain.hear(), *expected);
        numbered.expect(&[format!("{} {expected}", start.at(seq))]);
        if *expected == "in fragments" {
            talker.expect_frame(PONG, b"between");
        }
        assert_eq!(talker.hear(), *expected);
    }
    // All of them again, a byte at a time.
    for (bytes, expected) in &sent {
        talker.send_byte_by_byte(bytes);
        assert_eq!(plain.hear(), *expected);
    }
}

#[test]
fn the_largest_message_is_what_it_is_without_compression() {
    let server = server(&[]);
    for len in [511, 512, 513, 100_000] {
        for fill in [smooth(len), "x".repeat(len), "\u{20ac}".repeat(len / 3)] {
            let mut talker = join_deflated(&server, "/ws/a");
            talker.send(deflated_text(&fill));
            match fill.len() {
                ..=512 => assert_eq!(talker.hear(), fill),
                _ => _ = talker.expect_close(1009),
            }
        }
    }
}

#[test]
fn a_compressed_message_may_not_be_long_without_holding_much() {
    let server = server(&[]);
    let empty_block = b"\x00\x00\x00\xff\xff";
    let of_len = |len: usize| {
        let blocks = empty_block.repeat((len - 1) / 5);
        [&blocks[..], b"\x00"].concat()
    };
    let mut talker = join_deflated(&server, "/ws/a");
    talker.send(frame(DEFLATED_TEXT, &of_len(636)));
    assert_eq!(talker.hear(), "");
    talker.send(frame(DEFLATED_TEXT, &of_len(641)));
    talker.expect_close(1009);
    let mut talker = join_deflated(&server, "/ws/a");
    talker.send([begun(&empty_block.repeat(127)), frame(END, &[0; 7])].concat());
    talker.expect_close(1009);
}

#[test]
fn what_cannot_be_inflated_ends_the_connection() {
    let server = server(&["--echo"]);
    let unfinished = &deflate(b"a text that is cut")[..10];
    for (what, payload) in [
        ("no block at all", &b""[..]),
        ("a reserved type", b"\x06\x00"),
        (
            "a length that contradicts itself",
            b"\x00\x05\x00\xfa\xfeHello\x00",
        ),
        ("a distance before the start", b"\x02\x01\x00\x00"),
        ("bytes behind the end", b"\xf2\x48\xcd\xc9\xc9\x07\x00\xff"),
        ("an end within a block", unfinished),
        ("no UTF-8", &deflate(b"abc\xff")),
        ("half a character", &deflate(b"abc\xc3")),
    ] {
        for path in ["/ws/a", "/echo"] {
            let mut talker = join_deflated(&server, path);
            talker.send(frame(DEFLATED_TEXT, payload));
            let words = talker.expect_close(1007);
            assert!(!words.is_empty(), "{what}");
            let mut talker = join_deflated(&server, path);
            let (first, rest) = payload.split_at(payload.len() / 2);
            talker.send([begun(first), frame(END, rest)].concat());
            talker.expect_close(1007);
        }
    }
    // A window that reaches into the message before: no side keeps one.
    let mut talker = join_deflated(&server, "/ws/a");
    talker.send(frame(DEFLATED_TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00"));
    assert_eq!(talker.hear(), "Hello");
    talker.send(frame(DEFLATED_TEXT, b"\xf2\x00\x11\x00\x00"));
    talker.expect_close(1007);
}

#[test]
fn the_bit_is_refused_where_it_means_nothing() {
    let server = server(&[]);
    let hello = deflate(b"hello");
    for bytes in [
        frame(PING | RSV1, b""),
        frame(PONG | RSV1, b""),
        frame(CLOSE | RSV1, b"\x03\xe8"),
        [begun(&hello), frame(END | RSV1, b"")].concat(),
        [begun(&hello), frame(CONTINUE | RSV1, b"")].concat(),
        [frame(BEGIN_TEXT, b"a"), frame(END | RSV1, b"")].concat(),
        [begun(&hello), frame(DEFLATED_TEXT, &hello)].concat(),
        frame(DEFLATED_TEXT | 0x20, &hello),
        frame(DEFLATED_TEXT | 0x10, &hello),
        frame(TEXT | 0x20, b"hello"),
    ] {
        let mut talker = join_deflated(&server, "/ws/a");
        talker.send(&bytes);
        talker.expect_close(1002);
    }
    let mut plain = server.connect().upgraded("/ws/a");
    plain.send(frame(DEFLATED_TEXT, &hello));
    plain.expect_close(1002);
}
