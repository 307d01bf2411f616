//! RFC 6455 on the real server: each rule beside the step that keeps it, each close code, each end.

use std::io::Write;
use std::thread;

use crate::common::wire::{
    BEGIN_BINARY, BEGIN_TEXT, BINARY, CLOSE, CONTINUE, END, PING, PONG, TEXT, close, frame,
    header_7, header_16, header_64, masked, text,
};
use crate::common::{Peer, Server};
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config as ProptestConfig, TestRunner};
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Error, Message};

const MIB: usize = 1024 * 1024;

/// Sends `bytes` on a connection of their own, and expects it to be closed for that reason.
fn assert_closed(server: &Server, bytes: impl AsRef<[u8]>, code: u16) {
    let mut peer = server.echo();
    peer.send(bytes);
    peer.expect_close(code);
}

/// Sends `bytes` on a connection of their own, and expects this message and a good connection.
fn assert_echoed(server: &Server, bytes: impl AsRef<[u8]>, first: u8, payload: &[u8]) {
    let mut peer = server.echo();
    peer.send(bytes);
    peer.expect_frame(first, payload);
    assert_alive(&mut peer);
}

fn assert_alive(peer: &mut Peer) {
    peer.send(text("still here?"));
    peer.expect_frame(TEXT, b"still here?");
}

// A polite conversation.

#[test]
fn an_independent_client_gets_back_what_it_says_and_its_close() {
    let server = Server::start(&["--echo", "--max-message", "1MiB"]);
    let mut client = server.polite("/echo");
    for message in [
        Message::text("hello"),
        Message::text("καλημέρα"),
        Message::text(""),
        Message::binary(vec![0, 255, 128]),
        Message::binary(vec![7; MIB]),
    ] {
        client.send(message.clone()).expect("it is taken");
        assert_eq!(client.read().expect("it comes back"), message);
    }
    let reason = CloseFrame {
        code: CloseCode::Normal,
        reason: "enough".into(),
    };
    client.close(Some(reason)).expect("it is taken");
    let closed = client.read().expect("the close comes back");
    assert!(
        matches!(&closed, Message::Close(Some(frame)) if frame.code == CloseCode::Normal),
        "{closed:?}"
    );
    let end = client.read().expect_err("nothing follows");
    assert!(matches!(end, Error::ConnectionClosed), "{end:?}");
}

#[test]
fn an_independent_clients_close_without_a_code_is_answered_without_one() {
    let server = Server::start(&[]);
    let mut client = server.polite("/ws");
    client.close(None).expect("it is taken");
    assert_eq!(client.read().expect("an answer"), Message::Close(None));
    let end = client.read().expect_err("nothing follows");
    assert!(matches!(end, Error::ConnectionClosed), "{end:?}");
}

// The examples of RFC 6455 §5.7.

#[test]
fn the_rfcs_masked_hello_comes_back_as_its_unmasked_one() {
    let server = Server::start(&["--echo"]);
    let mut peer = server.echo();
    peer.send(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    peer.expect_frame(TEXT, b"Hello");
}

#[test]
fn the_rfcs_fragmented_hello_comes_back_whole() {
    let server = Server::start(&["--echo"]);
    let mut peer = server.echo();
    peer.send(frame(BEGIN_TEXT, b"Hel"));
    peer.send(frame(END | CONTINUE, b"lo"));
    peer.expect_frame(TEXT, b"Hello");
}

#[test]
fn the_rfcs_ping_is_answered_by_its_pong() {
    let server = Server::start(&[]);
    let mut peer = server.join();
    peer.send(b"\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    peer.expect_frame(PONG, b"Hello");
}

#[test]
fn the_rfcs_binary_messages_of_256_bytes_and_64_kib_come_back() {
    let server = Server::start(&["--echo", "--max-message", "64KiB"]);
    let mut peer = server.echo();
    for len in [256, 64 * 1024] {
        let payload = vec![0xa5; len];
        peer.send(frame(BINARY, &payload));
        peer.expect_frame(BINARY, &payload);
    }
}

// Lengths.

#[test]
fn messages_of_every_form_of_length_come_back_verbatim() {
    let server = Server::start(&["--echo", "--max-message", "1MiB"]);
    let mut peer = server.echo();
    for len in [
        0, 1, 124, 125, 126, 127, 65_534, 65_535, 65_536, 65_537, MIB,
    ] {
        for first in [TEXT, BINARY] {
            let payload: Vec<u8> = (b'a'..=b'z').cycle().take(len).collect();
            peer.send(frame(first, &payload));
            // The length of what comes back is checked to be in its shortest form.
            peer.expect_frame(first, &payload);
        }
    }
}

#[test]
fn a_length_that_fits_in_a_shorter_form_is_refused() {
    let server = Server::start(&["--echo", "--max-message", "64KiB"]);
    for (header, len, is_minimal) in [
        (header_7(BINARY, 125), 125, true),
        (header_16(BINARY, 125), 125, false),
        (header_16(BINARY, 126), 126, true),
        (header_64(BINARY, 126), 126, false),
        (header_16(BINARY, 65_535), 65_535, true),
        (header_64(BINARY, 65_535), 65_535, false),
        (header_64(BINARY, 65_536), 65_536, true),
        (header_16(BINARY, 0), 0, false),
        (header_64(BINARY, 0), 0, false),
    ] {
        let payload = vec![b'x'; len];
        let bytes = [header, masked(&payload)].concat();
        if is_minimal {
            assert_echoed(&server, bytes, BINARY, &payload);
        } else {
            assert_closed(&server, bytes, 1002);
        }
    }
}

#[test]
fn a_message_at_the_limit_is_taken_and_one_byte_more_is_too_big() {
    for (flag, limit) in [
        ("512B", 512),
        ("1B", 1),
        ("125B", 125),
        ("126B", 126),
        ("64KiB", 65_536),
    ] {
        let server = Server::start(&["--echo", "--max-message", flag]);
        let payload = vec![b'x'; limit];
        let mut peer = server.echo();
        peer.send(frame(TEXT, &payload));
        peer.expect_frame(TEXT, &payload);
        peer.send(frame(TEXT, &[&payload[..], b"x"].concat()));
        peer.expect_close(1009);
    }
}

#[test]
fn the_limit_is_512_bytes_unless_it_is_set() {
    let server = Server::start(&["--echo"]);
    assert_echoed(&server, frame(TEXT, &[b'x'; 512]), TEXT, &[b'x'; 512]);
    assert_closed(&server, frame(TEXT, &[b'x'; 513]), 1009);
}

#[test]
fn fragments_are_measured_together() {
    let server = Server::start(&["--echo"]);
    let fragments = |last: &[u8]| {
        [
            frame(BEGIN_TEXT, &[b'x'; 256]),
            frame(CONTINUE, b""),
            frame(END | CONTINUE, last),
        ]
        .concat()
    };
    assert_echoed(&server, fragments(&[b'x'; 256]), TEXT, &[b'x'; 512]);
    assert_closed(&server, fragments(&[b'x'; 257]), 1009);
}

#[test]
fn control_frames_between_fragments_are_not_measured() {
    let server = Server::start(&["--echo", "--max-message", "4B"]);
    let mut peer = server.echo();
    peer.send(frame(BEGIN_TEXT, b"ab"));
    peer.send(frame(PING, &[b'p'; 125]));
    peer.send(frame(END | CONTINUE, b"cd"));
    peer.expect_frame(PONG, &[b'p'; 125]);
    peer.expect_frame(TEXT, b"abcd");
}

#[test]
fn a_message_that_is_too_big_is_refused_at_its_header_already() {
    let server = Server::start(&["--echo"]);
    assert_closed(&server, header_16(TEXT, 513), 1009);
    assert_closed(&server, header_64(BINARY, 65_536), 1009);
    let begun = frame(BEGIN_TEXT, &[b'x'; 256]);
    let rest = header_16(END | CONTINUE, 257);
    assert_closed(&server, [begun, rest].concat(), 1009);
}

#[test]
fn nothing_is_reserved_for_a_claimed_length_and_one_of_64_bits_is_a_broken_rule() {
    let server = Server::start(&["--echo", "--max-message", "64MiB"]);
    assert_closed(&server, header_64(BINARY, (1 << 63) - 1), 1009);
    assert_closed(&server, header_64(BINARY, 1 << 63), 1002);
    assert_closed(&server, header_64(BINARY, u64::MAX), 1002);
}

#[test]
fn a_message_of_64_mib_comes_back_and_one_byte_more_is_too_big() {
    let server = Server::start(&["--echo", "--max-message", "64MiB"]);
    let mut client = server.polite("/echo");
    let payload: Vec<u8> = (0..=250).cycle().take(64 * MIB).collect();
    client
        .send(Message::binary(payload.clone()))
        .expect("it is taken");
    // On a busy machine pings come first.
    let mut back = client.read().expect("it comes back");
    while back.is_ping() {
        back = client.read().expect("it comes back");
    }
    assert!(back.into_data() == payload, "it came back changed");
    assert_closed(&server, header_64(BINARY, 64 * 1024 * 1024 + 1), 1009);
}

#[test]
fn a_text_of_16_mib_in_fragments_comes_back_whole() {
    let server = Server::start(&["--echo", "--max-message", "64MiB"]);
    let mut peer = server.echo();
    let payload = "grün ".repeat(16 * MIB / 6);
    let pieces: Vec<&[u8]> = payload.as_bytes().chunks(99_991).collect();
    let last = pieces.len() - 1;
    for (i, piece) in pieces.into_iter().enumerate() {
        let opcode = if i == 0 { BEGIN_TEXT } else { CONTINUE };
        let fin = if i == last { END } else { 0 };
        peer.send(frame(fin | opcode, piece));
    }
    peer.expect_frame(TEXT, payload.as_bytes());
}

// Frames.

#[test]
fn an_unmasked_frame_is_refused() {
    let server = Server::start(&["--echo"]);
    assert_echoed(&server, text("Hello"), TEXT, b"Hello");
    assert_closed(&server, b"\x81\x05Hello", 1002);
    assert_closed(&server, b"\x89\x00", 1002);
    assert_closed(&server, b"\x88\x02\x03\xe8", 1002);
}

#[test]
fn a_reserved_bit_is_refused() {
    let server = Server::start(&["--echo"]);
    for bit in [0x40, 0x20, 0x10, 0x70] {
        for first in [TEXT, BINARY, BEGIN_TEXT, PING, CLOSE] {
            assert_closed(&server, frame(first | bit, b""), 1002);
        }
    }
}

#[test]
fn a_reserved_bit_of_a_continuation_is_refused() {
    let server = Server::start(&["--echo"]);
    let begun = frame(BEGIN_TEXT, b"Hel");
    let rest = frame(0x40 | END | CONTINUE, b"lo");
    assert_closed(&server, [begun, rest].concat(), 1002);
}

#[test]
fn a_reserved_opcode_is_refused() {
    let server = Server::start(&["--echo"]);
    for opcode in (0x3..=0x7).chain(0xb..=0xf) {
        assert_closed(&server, frame(END | opcode, b""), 1002);
        assert_closed(&server, frame(opcode, b"x"), 1002);
    }
}

#[test]
fn a_broken_rule_is_answered_before_the_frame_is_whole() {
    let server = Server::start(&["--echo"]);
    assert_closed(&server, header_7(END | 0x3, 100), 1002);
    assert_closed(&server, header_7(0x40 | TEXT, 100), 1002);
    assert_closed(&server, [TEXT, 100], 1002);
}

#[test]
fn frames_may_arrive_byte_by_byte() {
    let server = Server::start(&["--echo"]);
    let mut peer = server.echo();
    let long = "y".repeat(200);
    peer.send_byte_by_byte(text("x"));
    peer.send_byte_by_byte(frame(PING, b"p"));
    peer.send_byte_by_byte(text(&long));
    peer.expect_frame(TEXT, b"x");
    peer.expect_frame(PONG, b"p");
    peer.expect_frame(TEXT, long.as_bytes());
}

#[test]
fn many_frames_in_one_write_are_all_answered_in_order() {
    let server = Server::start(&["--echo"]);
    let mut peer = server.echo();
    let messages: Vec<String> = (0..1000).map(|i| format!("message {i}")).collect();
    let frames: Vec<u8> = messages.iter().flat_map(|message| text(message)).collect();
    let mut writer = peer.writer();
    let writing = thread::spawn(move || writer.write_all(&frames));
    for message in &messages {
        peer.expect_frame(TEXT, message.as_bytes());
    }
    let written = writing.join().expect("the writer does not panic");
    written.expect("all frames are taken");
}

// Fragments.

#[test]
fn a_message_may_come_in_many_fragments_and_empty_ones() {
    let server = Server::start(&["--echo"]);
    let fragments = [
        frame(BEGIN_BINARY, b""),
        frame(CONTINUE, b"\x00"),
        frame(CONTINUE, b""),
        frame(CONTINUE, b"\xff"),
        frame(END | CONTINUE, b""),
    ];
    assert_echoed(&server, fragments.concat(), BINARY, b"\x00\xff");
}

#[test]
fn control_frames_between_fragments_are_answered_at_once() {
    let server = Server::start(&["--echo"]);
    let mut peer = server.echo();
    peer.send(frame(BEGIN_TEXT, b"Hel"));
    peer.send(frame(PING, b"between"));
    // The message is not finished before the answer is here.
    peer.expect_frame(PONG, b"between");
    peer.send(frame(PONG, b"unasked"));
    peer.send(frame(END | CONTINUE, b"lo"));
    peer.expect_frame(TEXT, b"Hello");
}

#[test]
fn a_continuation_of_nothing_is_refused() {
    let server = Server::start(&["--echo"]);
    assert_closed(&server, frame(CONTINUE, b"x"), 1002);
    assert_closed(&server, frame(END | CONTINUE, b"x"), 1002);
    let mut peer = server.echo();
    peer.send([frame(BEGIN_TEXT, b"a"), frame(END | CONTINUE, b"b")].concat());
    peer.expect_frame(TEXT, b"ab");
    peer.send(frame(END | CONTINUE, b"c"));
    peer.expect_close(1002);
}

#[test]
fn a_message_inside_another_is_refused() {
    let server = Server::start(&["--echo"]);
    for first in [TEXT, BINARY, BEGIN_TEXT, BEGIN_BINARY] {
        let bytes = [frame(BEGIN_TEXT, b"Hel"), frame(first, b"lo")].concat();
        assert_closed(&server, bytes, 1002);
    }
}

// Control frames.

#[test]
fn a_ping_is_answered_with_its_own_payload() {
    let server = Server::start(&[]);
    let mut peer = server.join();
    for payload in [&b""[..], b"x", b"\x00\xff\xfe", &[b'p'; 125]] {
        peer.send(frame(PING, payload));
        peer.expect_frame(PONG, payload);
    }
}

#[test]
fn a_control_frame_of_125_bytes_is_taken_and_one_of_126_is_refused() {
    let server = Server::start(&["--echo"]);
    assert_echoed(&server, frame(PING, &[b'p'; 125]), PONG, &[b'p'; 125]);
    assert_closed(&server, frame(PING, &[b'p'; 126]), 1002);
    assert_closed(&server, frame(PONG, &[b'p'; 126]), 1002);
    assert_closed(&server, close(1000, &[b'r'; 124]), 1002);
    assert_closed(&server, close(1000, &[b'r'; 123]), 1000);
}

#[test]
fn a_control_frame_in_fragments_is_refused() {
    let server = Server::start(&["--echo"]);
    for opcode in [PING, PONG, CLOSE] {
        assert_closed(&server, frame(opcode & !END, b""), 1002);
    }
}

#[test]
fn a_pong_that_nobody_asked_for_is_ignored() {
    let server = Server::start(&["--echo"]);
    let mut peer = server.echo();
    peer.send(frame(PONG, b""));
    peer.send(frame(PONG, &[b'p'; 125]));
    assert_alive(&mut peer);
}

#[test]
fn the_newest_of_many_pings_is_answered() {
    let server = Server::start(&[]);
    let mut peer = server.join();
    let pings = (0..1000).map(|i: u32| frame(PING, &i.to_be_bytes()));
    peer.send(pings.flatten().collect::<Vec<u8>>());
    let mut last = None;
    while last < Some(999) {
        let pong = peer.frame();
        assert_eq!(pong.first, PONG);
        let number = pong.payload.first_chunk().copied().map(u32::from_be_bytes);
        assert!(number > last, "{number:?} after {last:?}");
        last = number;
    }
}

// Text.

#[test]
fn text_may_be_cut_anywhere_between_fragments() {
    let server = Server::start(&["--echo"]);
    let mut peer = server.echo();
    let message = "κ€\u{10ffff}ü";
    for cut in 0..=message.len() {
        let (head, tail) = message.as_bytes().split_at(cut);
        peer.send(frame(BEGIN_TEXT, head));
        peer.send(frame(END | CONTINUE, tail));
        peer.expect_frame(TEXT, message.as_bytes());
    }
    let (first, rest) = message.as_bytes().split_at(1);
    peer.send(frame(BEGIN_TEXT, first));
    for byte in rest {
        peer.send(frame(CONTINUE, &[*byte]));
    }
    peer.send(frame(END | CONTINUE, b""));
    peer.expect_frame(TEXT, message.as_bytes());
}

#[test]
fn every_limit_of_utf8_stands_beside_what_is_beyond_it() {
    let server = Server::start(&["--echo"]);
    for (accepted, refused) in [
        // The longest of each length, and the overlong; the surrogates; the end of Unicode.
        (&b"\x7f"[..], &b"\x80"[..]),
        (b"\xc2\x80", b"\xc1\xbf"),
        (b"\xe0\xa0\x80", b"\xe0\x9f\xbf"),
        (b"\xf0\x90\x80\x80", b"\xf0\x8f\xbf\xbf"),
        (b"\xed\x9f\xbf", b"\xed\xa0\x80"),
        (b"\xee\x80\x80", b"\xed\xbf\xbf"),
        (b"\xf4\x8f\xbf\xbf", b"\xf4\x90\x80\x80"),
        (b"\xef\xbf\xbf", b"\xff"),
    ] {
        assert_echoed(&server, frame(TEXT, accepted), TEXT, accepted);
        assert_closed(&server, frame(TEXT, refused), 1007);
        assert_closed(&server, frame(TEXT, &[b"ok ", refused].concat()), 1007);
    }
}

#[test]
fn text_that_ends_inside_a_character_is_refused() {
    let server = Server::start(&["--echo"]);
    assert_closed(&server, frame(TEXT, b"gr\xc3"), 1007);
    let fragments = [frame(BEGIN_TEXT, b"\xe2\x82"), frame(END | CONTINUE, b"")];
    assert_closed(&server, fragments.concat(), 1007);
}

#[test]
fn bad_text_is_refused_at_its_first_bad_byte_although_the_frame_is_unfinished() {
    let server = Server::start(&["--echo"]);
    let unfinished = |payload: &[u8]| [header_7(TEXT, 100), masked(payload)].concat();
    assert_closed(&server, unfinished(b"gr\xfcn"), 1007);
    assert_closed(&server, unfinished(b"\xf4\x90"), 1007);
    assert_closed(&server, unfinished(b"\xed\xa0"), 1007);
    let fragment = [frame(BEGIN_TEXT, b"ab"), frame(CONTINUE, b"\xc0")];
    assert_closed(&server, fragment.concat(), 1007);
}

#[test]
fn bad_text_is_refused_when_it_comes_byte_by_byte_as_well() {
    let server = Server::start(&["--echo"]);
    let mut peer = server.echo();
    // Nothing may follow the byte that is refused: the server would be closing already.
    peer.send_byte_by_byte([header_7(TEXT, 100), masked(b"\xce\xba\xe1\xbd\xed\xa0")].concat());
    peer.expect_close(1007);
}

#[test]
fn binary_may_hold_any_byte() {
    let server = Server::start(&["--echo"]);
    let all: Vec<u8> = (0..=255).collect();
    assert_echoed(&server, frame(BINARY, &all), BINARY, &all);
}

// The closing handshake.

#[test]
fn every_close_code_that_may_travel_comes_back() {
    let server = Server::start(&[]);
    let registered = (1000..=1003).chain(1007..=1014);
    for code in registered.chain([3000, 3999, 4000, 4999]) {
        let mut peer = server.join();
        peer.send(close(code, b"words of the peer"));
        assert_eq!(peer.expect_close(code), "", "the answer has no words");
    }
}

#[test]
fn a_close_of_the_server_has_its_reason_in_words() {
    let server = Server::start(&[]);
    for (bytes, code, words) in [
        (frame(0x40, b""), 1002, "a reserved bit is set"),
        (frame(0x83, b""), 1002, "the opcode is reserved"),
        (vec![TEXT, 0], 1002, "the frame is not masked"),
        (
            header_16(TEXT, 125),
            1002,
            "the length is not in its shortest form",
        ),
        (header_64(TEXT, 1 << 63), 1002, "the length exceeds 63 bits"),
        (frame(0x09, b""), 1002, "the control frame is fragmented"),
        (
            header_16(PING, 126),
            1002,
            "the control frame exceeds 125 bytes",
        ),
        (frame(END, b""), 1002, "the continuation continues nothing"),
        (
            [frame(BEGIN_TEXT, b""), text("")].concat(),
            1002,
            "a message began inside another",
        ),
        (frame(CLOSE, b"\x03"), 1002, "the close code is one byte"),
        (close(1005, b""), 1002, "the close code must not be sent"),
        (close(1000, b"\xff"), 1007, "the close reason is not UTF-8"),
        (frame(TEXT, b"\xff"), 1007, "the text is not UTF-8"),
        (
            frame(BINARY, b"\xff"),
            1003,
            "the binary message is not text",
        ),
        (
            header_16(TEXT, 513),
            1009,
            "the message is larger than --max-message",
        ),
    ] {
        let mut peer = server.join();
        peer.send(bytes);
        assert_eq!(peer.expect_close(code), words);
    }
}

#[test]
fn a_close_code_that_may_not_travel_is_a_broken_rule() {
    let server = Server::start(&["--echo"]);
    for code in [
        0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535,
    ] {
        assert_closed(&server, close(code, b""), 1002);
    }
}

#[test]
fn a_close_without_a_code_is_answered_without_one() {
    let server = Server::start(&[]);
    let mut peer = server.join();
    peer.send(frame(CLOSE, b""));
    peer.expect_frame(CLOSE, b"");
    peer.expect_end();
}

#[test]
fn a_close_of_one_byte_is_a_broken_rule() {
    assert_closed(&Server::start(&["--echo"]), frame(CLOSE, b"\x03"), 1002);
}

#[test]
fn a_close_reason_must_be_utf8() {
    let server = Server::start(&["--echo"]);
    assert_closed(&server, close(1000, "grün".as_bytes()), 1000);
    assert_closed(&server, close(1000, b"gr\xfcn"), 1007);
    assert_closed(&server, close(1000, b"gr\xc3"), 1007);
}

#[test]
fn a_close_may_come_inside_a_message() {
    let server = Server::start(&["--echo"]);
    let bytes = [frame(BEGIN_TEXT, b"Hel"), close(1000, b"")].concat();
    assert_closed(&server, bytes, 1000);
}

#[test]
fn a_close_follows_the_answers_that_are_owed() {
    let server = Server::start(&["--echo"]);
    let mut peer = server.echo();
    peer.send([text("one"), text("two"), close(1000, b"")].concat());
    peer.expect_frame(TEXT, b"one");
    peer.expect_frame(TEXT, b"two");
    peer.expect_close(1000);
}

#[test]
fn what_follows_a_close_is_ignored() {
    let server = Server::start(&["--echo"]);
    let behind = [
        text("ignored"),
        frame(PING, b"ignored"),
        close(1001, b""),
        b"\xff\xff".to_vec(),
    ]
    .concat();
    assert_closed(&server, [close(1000, b""), behind.clone()].concat(), 1000);
    assert_closed(&server, [frame(TEXT, b"\xff"), behind].concat(), 1007);
}

#[test]
fn what_is_sent_after_the_servers_close_is_taken_and_thrown_away() {
    let server = Server::start(&["--echo"]);
    let mut peer = server.echo();
    peer.send(frame(0x40, b""));
    peer.expect_close(1002);
    for _ in 0..16 {
        peer.send(text("x").repeat(8 * 1024));
    }
    peer.expect_end();
}

#[test]
fn a_close_arrives_although_a_megabyte_waits_unread_behind_its_reason() {
    let server = Server::start(&["--echo"]);
    for (bytes, code) in [
        (frame(0x40, b""), 1002),
        (frame(TEXT, b"\xff"), 1007),
        (header_64(BINARY, 65_536), 1009),
    ] {
        let mut peer = server.echo();
        peer.send(bytes);
        peer.send(vec![b'x'; MIB]);
        peer.expect_close(code);
    }
    let mut peer = server.join();
    peer.send(frame(BINARY, b"\xff"));
    peer.send(vec![b'x'; MIB]);
    peer.expect_close(1003);
}

#[test]
fn a_peer_that_ends_its_side_without_a_close_is_let_go() {
    let server = Server::start(&["--echo"]);
    for begun in [vec![], text("Hello")[..4].to_vec(), frame(BEGIN_TEXT, b"x")] {
        let mut peer = server.echo();
        peer.send(begun);
        peer.finish();
        peer.wait_until_gone();
    }
    assert_alive(&mut server.echo());
}

#[test]
fn a_peer_that_resets_its_connection_harms_nobody() {
    let server = Server::start(&["--echo"]);
    let mut healthy = server.echo();
    for bytes in [text("unread"), header_7(TEXT, 100), close(1000, b"")] {
        let mut peer = server.echo();
        peer.send(bytes);
        // Unread answers make this a reset.
        drop(peer);
        assert_alive(&mut healthy);
    }
}

// Whatever a peer says, in whatever pieces.

/// What is sent, as frames, and what is to come back.
#[derive(Debug, Clone)]
enum Said {
    Text(String, Vec<usize>),
    Binary(Vec<u8>, Vec<usize>),
    Ping(Vec<u8>),
}

fn said() -> impl Strategy<Value = Said> {
    let cuts = || proptest::collection::vec(0..300_usize, 0..4);
    prop_oneof![
        (".{0,100}", cuts()).prop_map(|(text, cuts)| Said::Text(text, cuts)),
        (proptest::collection::vec(any::<u8>(), 0..300), cuts())
            .prop_map(|(bytes, cuts)| Said::Binary(bytes, cuts)),
        proptest::collection::vec(any::<u8>(), 0..126).prop_map(Said::Ping),
        Just(Said::Text(String::new(), vec![])),
    ]
}

impl Said {
    fn frames(&self) -> Vec<u8> {
        match self {
            Self::Text(text, cuts) => fragments(TEXT, text.as_bytes(), cuts),
            Self::Binary(bytes, cuts) => fragments(BINARY, bytes, cuts),
            Self::Ping(payload) => frame(PING, payload),
        }
    }

    fn answer(&self) -> (u8, &[u8]) {
        match self {
            Self::Text(text, _) => (TEXT, text.as_bytes()),
            Self::Binary(bytes, _) => (BINARY, bytes),
            Self::Ping(payload) => (PONG, payload),
        }
    }
}

fn fragments(first: u8, payload: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut opcode = first & !END;
    let mut rest = payload;
    for cut in cuts {
        let (piece, behind) = rest.split_at(cut % (rest.len() + 1));
        bytes.extend(frame(opcode, piece));
        (opcode, rest) = (CONTINUE, behind);
    }
    bytes.extend(frame(END | opcode, rest));
    bytes
}

#[test]
fn whatever_is_said_in_whatever_fragments_and_segments_comes_back() {
    let server = Server::start(&["--echo", "--max-message", "1KiB"]);
    let conversations = (
        proptest::collection::vec(said(), 0..12),
        proptest::collection::vec(1..200_usize, 1..6),
    );
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&conversations, |(conversation, segment_lens)| {
        let mut peer = server.echo();
        let bytes: Vec<u8> = conversation.iter().flat_map(Said::frames).collect();
        let mut rest = &bytes[..];
        for len in segment_lens.iter().cycle() {
            let (segment, behind) = rest.split_at((*len).min(rest.len()));
            peer.send(segment);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        // Pongs overtake messages, so each kind is compared in its own order.
        let (mut pings, mut messages): (Vec<_>, Vec<_>) = conversation
            .iter()
            .partition(|said| matches!(said, Said::Ping(_)));
        while !(pings.is_empty() && messages.is_empty()) {
            let answer = peer.frame();
            let expected = if answer.first == PONG {
                &mut pings
            } else {
                &mut messages
            };
            assert!(!expected.is_empty(), "nobody asked for {answer:?}");
            let (first, payload) = expected.remove(0).answer();
            assert_eq!((answer.first, &answer.payload[..]), (first, payload));
        }
        peer.send(close(1000, b""));
        peer.expect_close(1000);
        Ok(())
    });
    outcome.expect("every conversation is echoed");
}
