//! What readers are sent, frame by frame: which messages are compressed, and which frames never are.

use super::{join_deflated, listen_deflated, offer, rough, server, smooth};
use crate::common::deflate::{DEFLATED_TEXT, RSV1, deflate, deflated_text, try_inflate};
use crate::common::rooms::Listener;
use crate::common::wire::{BINARY, PING, PONG, TEXT, frame, text};
use crate::random::Random;

/// Text that cannot be compressed: all printable characters.
fn noise() -> String {
    ('!'..='~').collect()
}

#[test]
fn what_is_published_is_compressed_once_for_all_windows() {
    let server = server(&[]);
    let published = smooth(300);
    let mut readers = [9, 12, 15].map(|bits| {
        let peer = server.connect();
        peer.upgraded_with("/ws/a", &[&offer(bits)])
    });
    server.publish("/room/a", &published);
    for reader in &mut readers {
        let frame = reader.frame();
        assert_eq!(frame.first, DEFLATED_TEXT);
        // The level is the default of both.
        assert_eq!(frame.payload, deflate(published.as_bytes()));
        assert!(frame.payload.len() < 60, "{}", frame.payload.len());
    }
}

#[test]
fn a_reader_with_ids_gets_them_compressed_and_control_lines_plain() {
    let server = server(&[]);
    let first = server.publish("/room/a", &smooth(300));
    let mut reader = listen_deflated(&server, "/ws/a?here=1&last=1");
    let mut expect = |first: u8, line: String| {
        let frame = reader.peer.frame();
        assert_eq!(frame.first, first, "{line}");
        assert_eq!(reader.peer.text_of(frame), line);
    };
    expect(TEXT, format!(":fresh {}", first.at(0)));
    expect(DEFLATED_TEXT, format!("{first} {}", smooth(300)));
    expect(TEXT, ":here 1".to_owned());
    let next = server.publish("/room/a", &smooth(301));
    expect(DEFLATED_TEXT, format!("{next} {}", smooth(301)));
    let mut away = listen_deflated(&server, "/ws/a?since=aaaaaaaa-5");
    let frame = away.peer.frame();
    assert_eq!(frame.first, TEXT);
    let gap = format!(":gap {} ?", first.at(0));
    assert_eq!(away.peer.text_of(frame), gap);
}

#[test]
fn pongs_and_close_frames_are_never_compressed() {
    let server = server(&["--echo"]);
    for path in ["/ws/a", "/echo"] {
        let mut reader = join_deflated(&server, path);
        reader.send(frame(PING, &[b'x'; 125]));
        reader.expect_frame(PONG, &[b'x'; 125]);
        reader.send(frame(PING | RSV1, b""));
        reader.expect_close(1002);
    }
}

#[test]
fn what_is_shorter_than_the_minimum_is_plain() {
    for (flags, min) in [(&[][..], 200), (&["--deflate-min", "40B"], 40)] {
        let server = server(flags);
        let mut lines = join_deflated(&server, "/ws/a");
        let mut numbered = listen_deflated(&server, "/ws/a");
        numbered.expect_fresh();
        let id_len = "k3v9q2c1-1 ".len();
        for (len, lines_first, numbered_first) in [
            (min - id_len - 1, TEXT, TEXT),
            (min - id_len, TEXT, DEFLATED_TEXT),
            (min - 1, TEXT, DEFLATED_TEXT),
            (min, DEFLATED_TEXT, DEFLATED_TEXT),
        ] {
            let id = server.publish("/room/a", &"x".repeat(len));
            assert!(id.seq < 10, "an id is as long as the first");
            let frame = lines.frame();
            assert_eq!(frame.first, lines_first, "{len} of {min}");
            assert_eq!(lines.text_of(frame), "x".repeat(len));
            let frame = numbered.peer.frame();
            assert_eq!(frame.first, numbered_first, "{len} of {min}");
            let line = format!("{id} {}", "x".repeat(len));
            assert_eq!(numbered.peer.text_of(frame), line);
        }
    }
}

#[test]
fn what_does_not_shrink_is_plain() {
    let server = server(&["--deflate-min", "1B"]);
    let mut reader = join_deflated(&server, "/ws/a");
    let mut talker = server.connect().upgraded("/ws/a");
    for published in ["", "x", "Hello", &noise()] {
        talker.say(published);
        assert_eq!(talker.hear(), published);
        reader.expect_frame(TEXT, published.as_bytes());
    }
    let shrinks = noise() + &noise();
    talker.say(&shrinks);
    let frame = reader.frame();
    assert_eq!(frame.first, DEFLATED_TEXT);
    assert_eq!(reader.text_of(frame), shrinks);
}

#[test]
fn a_text_is_compressed_up_to_the_length_of_the_readers_window() {
    let server = server(&["--max-message", "64KiB"]);
    let mut random = Random::new(15);
    for bits in 8..=15 {
        let room = format!("/ws/{bits}");
        let window = 1_usize << bits;
        let mut lines = server.connect().upgraded_with(&room, &[&offer(bits)]);
        let mut numbered = Listener::v1_with(server.connect(), &room, &[&offer(bits)]);
        assert_eq!(numbered.peer.window_bits(), Some(bits));
        let id_len = numbered.expect_fresh().to_string().len() + 1;
        for (len, lines_fit, numbered_fit) in [
            (window - id_len, true, true),
            (window - id_len + 1, true, false),
            (window, true, false),
            (window + 1, false, false),
        ] {
            // Its end is its beginning, so that it is worth to look back as far as can be.
            let half = rough(len / 3, &mut random);
            let published = format!("{half}{}{half}", rough(len - 2 * half.len(), &mut random));
            let id = server.publish(&format!("/room/{bits}"), &published);
            let is_any = bits == 15;
            for (peer, fits, line) in [
                (&mut lines, lines_fit, published.clone()),
                (
                    &mut numbered.peer,
                    numbered_fit,
                    format!("{id} {published}"),
                ),
            ] {
                let frame = peer.frame();
                let is_deflated = frame.first == DEFLATED_TEXT;
                assert_eq!(is_deflated, fits || is_any, "{len}, 2^{bits}");
                assert!(peer.text_of(frame) == line, "{len}, 2^{bits}");
            }
        }
    }
}

#[test]
fn the_reference_does_not_look_back_beyond_its_window() {
    let mut random = Random::new(9);
    let begin = rough(200, &mut random);
    let published = format!("{begin}{}{begin}", rough(700, &mut random));
    let compressed = deflate(published.as_bytes());
    for bits in 8..=15 {
        let inflated = try_inflate(&compressed, bits);
        assert_eq!(inflated.is_some(), bits >= 10, "{bits}");
    }
}

#[test]
fn an_echo_is_compressed_however_short_it_is() {
    let server = server(&["--echo"]);
    let mut peer = join_deflated(&server, "/echo");
    for sent in [deflated_text("Hello"), text("Hello")] {
        peer.send(sent);
        // RFC 7692 §7.2.3.1 and §7.2.3.6.
        peer.expect_frame(DEFLATED_TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00");
    }
    peer.send(text(""));
    peer.expect_frame(DEFLATED_TEXT, b"\x00");
    peer.send(frame(BINARY | RSV1, &deflate(b"\xff\xff\xff\xff")));
    let echoed = peer.frame();
    assert_eq!(echoed.first, BINARY | RSV1);
    let echoed = try_inflate(&echoed.payload, 15);
    assert_eq!(echoed.as_deref(), Some(&b"\xff\xff\xff\xff"[..]));
}

#[test]
fn an_echo_looks_back_no_farther_than_the_window() {
    let server = server(&["--echo", "--max-message", "128KiB"]);
    let mut random = Random::new(7);
    for bits in 8..=15 {
        let mut peer = server.connect().upgraded_with("/echo", &[&offer(bits)]);
        let window = 1 << bits;
        for len in [window, window + 1, 2 * window, 2 * window + 100] {
            let half = rough(len / 2, &mut random);
            let text = format!("{half}{half}");
            peer.send(deflated_text(&text));
            let frame = peer.frame();
            assert_eq!(frame.first, DEFLATED_TEXT, "{len}");
            assert!(peer.text_of(frame) == text, "{len}");
        }
    }
}
