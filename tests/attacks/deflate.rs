//! Attacks through compression: bombs, data that are none, bits where they mean nothing, and offers that go on.

use std::io::Write;
use std::thread;

use crate::common::Peer;
use crate::common::deflate::{
    DEFLATE_OFFER, DEFLATED_TEXT, RSV1, agreed_window, deflate, deflated_text, text_of,
};
use crate::common::wire::{
    BEGIN_TEXT, CLOSE, CONTINUE, END, PING, PONG, TEXT, frame, upgrade_with,
};
use crate::frames::end_of;
use crate::random::Random;
use crate::scene::{Scene, hear_some, wait_for_frame};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
/// A block without compression, and without anything in it.
const EMPTY_BLOCK: &[u8] = b"\x00\x00\x00\xff\xff";

fn join(scene: &Scene, path: &str) -> Peer {
    scene.server.connect().upgraded_with(path, &[DEFLATE_OFFER])
}

/// Whole blocks that hold 1 MiB of text in about 1 KiB.
fn mebibyte() -> Vec<u8> {
    let blocks = [&deflate(&vec![b'x'; MIB])[..], b"\x00\x00\xff\xff"].concat();
    assert!(blocks.len() * 900 < MIB, "{}", blocks.len());
    blocks
}

#[test]
fn bombs() {
    let scene = Scene::start(&["--deflate", "--max-message", "1MiB"]);
    let blocks = mebibyte();
    // A gibibyte, as far as anybody would inflate it; and the same behind as many blocks of nothing as there may be.
    let bomb = blocks.repeat(1_000);
    let nested = [&EMPTY_BLOCK.repeat(100)[..], &blocks].concat().repeat(600);
    for bomb in [&bomb, &nested] {
        assert!(bomb.len() < MIB + MIB / 8, "it must get past the header");
        for _ in 0..20 {
            let mut peer = join(&scene, "/ws/a");
            peer.send(frame(DEFLATED_TEXT, bomb));
            assert_eq!(end_of(&mut peer), Some(1009));
        }
        assert!(scene.growth() < 8 * MIB, "{}", scene.growth());
    }
    // And in pieces, which are kept until the last one is there.
    let mut peers: Vec<Peer> = (0..10).map(|_| join(&scene, "/ws/a")).collect();
    let (begin, rest) = bomb.split_at(bomb.len() / 2);
    for peer in &mut peers {
        peer.send(frame(BEGIN_TEXT | RSV1, begin));
    }
    for peer in &mut peers {
        peer.send(frame(END, rest));
        assert_eq!(end_of(peer), Some(1009));
    }
    drop(peers);
    scene.end("50 bombs of 1 GiB");
}

#[test]
fn small_frames_that_publish_large_messages() {
    const COUNT: usize = 2_000;
    let scene = Scene::start(&["--deflate", "--max-message", "64KiB"]);
    let mut flooder = join(&scene, "/ws/a");
    let mut mouth = flooder.writer();
    let message = deflated_text(&"x".repeat(64 * KIB));
    assert!(message.len() < 100, "{}", message.len());
    let speaker = thread::spawn(move || {
        for _ in 0..COUNT / 100 {
            let messages = message.repeat(100);
            mouth.write_all(&messages).expect("the server listens");
        }
    });
    let mut heard = 0;
    while heard < COUNT {
        let received = flooder.frame();
        if received.first == PING {
            flooder.send(frame(PONG, &received.payload));
            continue;
        }
        let text = text_of(received.first, received.payload, Some(15));
        assert_eq!((text.len() + 1) % (64 * KIB + 1), 0);
        heard += (text.len() + 1) / (64 * KIB + 1);
    }
    speaker.join().expect("all was said");
    drop(flooder);
    scene.end_with(4 * MIB, "2,000 messages of 64 KiB in 100 bytes each");
}

#[test]
fn a_million_empty_compressed_fragments() {
    let scene = Scene::start(&["--deflate"]);
    let compressed = deflate(b"both ends of it");
    let (begin, end) = compressed.split_at(4);
    for begin in [begin, b""] {
        let end = if begin.is_empty() { &compressed } else { end };
        let mut peer = join(&scene, "/ws");
        peer.send(frame(BEGIN_TEXT | RSV1, begin));
        let fragments = frame(CONTINUE, b"").repeat(10_000);
        for _ in 0..100 {
            peer.send(&fragments);
            // The patience is for each ten thousand.
            peer.send(frame(PING, b""));
            wait_for_frame(&mut peer, "a pong", |received| {
                (received.first == PONG).then_some(())
            });
        }
        assert!(scene.growth() < 4 * MIB, "{}", scene.growth());
        peer.send(frame(END, end));
        hear_some(&mut peer, |line| line == "both ends of it");
    }
    scene.end("a million empty compressed fragments, twice");
}

#[test]
fn blocks_without_end() {
    let scene = Scene::start(&["--deflate", "--max-message", "1MiB"]);
    // As long as the largest message may be, and longer; it holds nothing.
    for (len, code) in [(MIB, 1007), (2 * MIB, 1009)] {
        for _ in 0..20 {
            let mut peer = join(&scene, "/ws/a");
            let blocks = EMPTY_BLOCK.repeat(len / EMPTY_BLOCK.len());
            let mut sent = peer.try_send(&frame(BEGIN_TEXT | RSV1, &blocks[..100]));
            for piece in blocks[100..].chunks(64 * KIB) {
                sent = sent && peer.try_send(&frame(CONTINUE, piece));
            }
            if sent && len == MIB {
                // Half a block.
                peer.send(frame(END, &EMPTY_BLOCK[..3]));
            }
            assert_eq!(end_of(&mut peer), Some(code), "{len}");
        }
    }
    scene.end("40 messages of nothing but empty blocks");
}

#[test]
fn marks_where_there_is_nothing_to_mark() {
    let scene = Scene::start(&["--deflate"]);
    let begun = frame(BEGIN_TEXT | RSV1, b"\xf2\x48");
    for bytes in [
        frame(PING | RSV1, b""),
        frame(PONG | RSV1, b""),
        frame(CLOSE | RSV1, b""),
        [&begun[..], &frame(CONTINUE | RSV1, b"")].concat(),
        [&begun[..], &frame(END | RSV1, b"\xcd\xc9\xc9\x07\x00")].concat(),
        frame(END | RSV1, b""),
        frame(DEFLATED_TEXT | 0x20, b"\x00"),
        frame(DEFLATED_TEXT | 0x10, b"\x00"),
        frame(0xc3, b"\x00"),
        frame(0xcb, b"\x00"),
    ] {
        for _ in 0..50 {
            let mut peer = join(&scene, "/ws");
            peer.send(&bytes);
            assert_eq!(end_of(&mut peer), Some(1002), "{bytes:x?}");
        }
    }
    scene.end("500 marks where there is nothing to mark");
}

#[test]
fn data_that_were_never_compressed() {
    let scene = Scene::start(&["--deflate"]);
    for payload in [
        &b""[..],
        b"\x06\x00",
        b"\x07",
        b"\x00\x05\x00\xfa\xfeHello\x00",
        // Distances before the start: of one, of 32,768, and into the message before.
        b"\x02\x01\x00\x00",
        b"\xf2\x00\x11\x00\x00",
        b"\x4b\xfc\xff\xff\x00",
        b"\x1a\x03\x00",
        b"\xf2\x48\xcd\xc9\xc9\x07\x00\x00",
        &[0xff; 600],
        &[0x55; 600],
    ] {
        for _ in 0..50 {
            let mut peer = join(&scene, "/ws/a");
            peer.send(frame(DEFLATED_TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00"));
            peer.send(frame(DEFLATED_TEXT, payload));
            assert_eq!(end_of(&mut peer), Some(1007), "{payload:x?}");
        }
    }
    scene.end("550 messages that cannot be inflated");
}

#[test]
fn compressed_messages_with_wrong_bits() {
    let scene = Scene::start(&["--deflate", "--echo"]);
    let mut random = Random::new(12);
    let mut peer = join(&scene, "/echo");
    let (mut echoed, mut closed) = (0, 0);
    for number in 0..2_000 {
        let text = format!(
            "message {number} of many, {}",
            "and on ".repeat(number % 50)
        );
        let mut payload = deflate(text.as_bytes());
        for _ in 0..random.between(1, 3) {
            let place = random.below(payload.len());
            payload[place] ^= 1 << random.below(8);
        }
        peer.send(frame(DEFLATED_TEXT, &payload));
        let code = wait_for_frame(&mut peer, "an echo or an end", |received| {
            match received.first {
                TEXT | DEFLATED_TEXT => Some(None),
                CLOSE => Some(received.payload.first_chunk().copied()),
                _ => None,
            }
        });
        match code.map(u16::from_be_bytes) {
            None => echoed += 1,
            Some(1007 | 1009) => {
                closed += 1;
                peer = join(&scene, "/echo");
            }
            Some(code) => unreachable!("{code}: {payload:x?}"),
        }
    }
    assert!(echoed > 0 && closed > 0, "{echoed} {closed}");
    drop(peer);
    scene.end("2,000 messages with wrong bits");
}

#[test]
fn offers_that_go_on() {
    let scene = Scene::start(&["--deflate"]);
    let bad = "permessage-deflate; server_max_window_bits=7";
    let good = "permessage-deflate; server_max_window_bits=8";
    let many = vec![bad; 100].join(", ");
    let parameters = "; client_no_context_takeover".repeat(200);
    let lines = vec![format!("Sec-WebSocket-Extensions: {bad}"); 50];
    let field = |value: &str| format!("Sec-WebSocket-Extensions: {value}");
    for (fields, window) in [
        (vec![field(good)], Some(8)),
        (
            vec![field("permessage-deflate; server_max_window_bits=\"8\"")],
            Some(8),
        ),
        (
            vec![field("permessage-deflate; server_max_window_bits=\"\\8\"")],
            Some(8),
        ),
        (
            vec![field("permessage-deflate; server_max_window_bits=\"\\7\"")],
            None,
        ),
        (vec![field(&many)], None),
        (vec![field(&format!("{many}, {good}"))], Some(8)),
        (vec![field(&many), field(good)], Some(8)),
        (
            vec![field(&format!("permessage-deflate{parameters}"))],
            None,
        ),
        (
            vec![field(&format!("permessage-deflate{parameters}, {good}"))],
            Some(8),
        ),
        ([&lines[..], &[field(good)]].concat(), Some(8)),
    ] {
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        for _ in 0..50 {
            let mut peer = scene.server.connect();
            peer.send(upgrade_with(&fields));
            let response = peer.response_without_body();
            assert_eq!(response.status, 101, "{response:?}");
            let extensions = response.field("sec-websocket-extensions");
            assert_eq!(agreed_window(extensions), window, "{fields:?}");
        }
    }
    // A head that is too long is what it is, and so is a field that is none.
    for (value, status) in [
        (&vec![bad; 400].join(", ")[..], 431),
        (";".repeat(7_000).as_str(), 400),
        ("permessage-deflate; a=\"", 400),
    ] {
        for _ in 0..50 {
            let mut peer = scene.server.connect();
            peer.send(upgrade_with(&[&field(value)]));
            assert_eq!(peer.response_without_body().status, status);
        }
    }
    scene.end("650 offers of compression");
}
