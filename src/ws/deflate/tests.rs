//! Compressed messages, as a reader takes them from the wire.

use super::{Deflater, Inflater, deflated_max};
use crate::ws::close::ProtocolError::{self, *};
use crate::ws::frame::{Opcode, encode_deflated_frame};
use crate::ws::message::tests::{Outcome, binary, frame, ping, read_by, read_every_way_by, text};
use crate::ws::message::{Incoming, MessageReader};

const MAX: usize = 512;
/// First bytes of frames, RSV1 set.
const TEXT: u8 = 0xc1;
const BINARY: u8 = 0xc2;
const BEGIN: u8 = 0x41;
/// And without it.
const CONTINUE: u8 = 0x00;
const END: u8 = 0x80;

/// RFC 7692 §7.2.3.1.
const HELLO: &[u8] = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
/// The last byte four times more: a length of 4 and a distance of 1.
const FOUR_AGAIN: &[u8] = b"\x02\x01\x00\x00";

/// What one inflater makes of the bytes, however they are cut.
fn read_every_way(bytes: &[u8]) -> Outcome {
    read_every_way_by(bytes, MAX, Some(&mut Inflater::default()))
}

/// What comes of a compressed message that begins with `first`: in one frame, and in three.
fn read_message(first: u8, compressed: &[u8]) -> Outcome {
    let whole = read_every_way(&frame(first, compressed));
    let (head, tail) = compressed.split_at(compressed.len() / 2);
    let fragments = [
        frame(first & !END, head),
        frame(CONTINUE, b""),
        frame(END, tail),
    ];
    assert_eq!(read_every_way(&fragments.concat()), whole, "in fragments");
    whole
}

fn read_text(compressed: &[u8]) -> Outcome {
    read_message(TEXT, compressed)
}

fn read_binary(compressed: &[u8]) -> Outcome {
    read_message(BINARY, compressed)
}

fn good(message: Incoming<'static>) -> Outcome {
    (vec![message], None)
}

fn refused(error: ProtocolError) -> Outcome {
    (vec![], Some(error))
}

/// A block without compression.
fn stored(is_final: bool, bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).expect("a short block");
    let mut block = vec![u8::from(is_final)];
    block.extend(len.to_le_bytes());
    block.extend((!len).to_le_bytes());
    block.extend(bytes);
    block
}

#[test]
fn the_rfcs_examples_are_inflated() {
    for (section, compressed, expected) in [
        ("7.2.3.1", HELLO, "Hello"),
        (
            "7.2.3.3",
            b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
            "Hello",
        ),
        ("7.2.3.4", b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "Hello"),
        (
            "7.2.3.5",
            b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
            "Hello",
        ),
        ("7.2.3.6", b"\x00", ""),
    ] {
        assert_eq!(read_text(compressed), good(text(expected)), "{section}");
    }
}

#[test]
fn the_rfcs_frames_are_read_and_written() {
    // §7.2.3.1: one frame and two.
    let fragments = [
        frame(BEGIN, b"\xf2\x48\xcd"),
        frame(END, b"\xc9\xc9\x07\x00"),
    ]
    .concat();
    assert_eq!(fragments[0], 0x41);
    assert_eq!(read_every_way(&fragments), good(text("Hello")));

    let mut deflater = Deflater::new(6);
    for (message, golden) in [
        ("Hello", &b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"[..]),
        ("", b"\xc1\x01\x00"),
    ] {
        let mut out = Vec::new();
        let compressed = deflater.deflate(message.as_bytes());
        encode_deflated_frame(Opcode::Text, compressed, &mut out);
        assert_eq!(out, golden, "{message}");
        assert_eq!(
            read_every_way(&frame(TEXT, compressed)),
            good(text(message))
        );
    }
}

#[test]
fn no_message_reaches_into_the_one_before() {
    // §7.2.3.2: the second is compressed with the window of the first.
    let second = b"\xf2\x00\x11\x00\x00";
    let both = [frame(TEXT, HELLO), frame(TEXT, second)].concat();
    let outcome = (vec![text("Hello")], Some(InvalidDeflate));
    assert_eq!(read_every_way(&both), outcome);
    let again = [frame(TEXT, HELLO), frame(TEXT, HELLO)].concat();
    assert_eq!(
        read_every_way(&again),
        (vec![text("Hello"), text("Hello")], None)
    );
    // Nor does one after an error find anything of it.
    let mut inflater = Inflater::default();
    let mut read = |payload| read_by([&frame(TEXT, payload)[..]], MAX, Some(&mut inflater));
    assert_eq!(read(second), refused(InvalidDeflate));
    assert_eq!(read(&HELLO[..6]), refused(InvalidDeflate));
    assert_eq!(read(second), refused(InvalidDeflate));
    assert_eq!(read(HELLO), good(text("Hello")));
}

#[test]
fn compressed_plain_and_control_frames_mix() {
    let bytes = [
        frame(0x81, b"plain"),
        frame(BEGIN, b"\xf2\x48"),
        frame(0x89, b"ping"),
        frame(CONTINUE, b""),
        frame(END, b"\xcd\xc9\xc9\x07\x00"),
        frame(BINARY, HELLO),
        frame(0x01, b"in "),
        frame(END, b"parts"),
    ];
    let expected = vec![
        text("plain"),
        ping(b"ping"),
        text("Hello"),
        binary(b"Hello"),
        text("in parts"),
    ];
    assert_eq!(read_every_way(&bytes.concat()), (expected, None));
}

#[test]
fn the_bit_is_refused_where_it_was_not_negotiated_or_begins_no_message() {
    let compressed = frame(TEXT, HELLO);
    let none = read_every_way_by(&compressed, MAX, None);
    assert_eq!(none, refused(ReservedBits));
    let begin = frame(BEGIN, HELLO);
    let and = |behind: &[u8]| read_every_way(&[&begin, behind].concat());
    assert_eq!(and(&frame(END, b"")), good(text("Hello")));
    assert_eq!(and(&frame(0xc0, b"")), refused(ReservedBits));
    assert_eq!(and(&frame(TEXT, HELLO)), refused(UnfinishedMessage));
    assert_eq!(read_every_way(&frame(0xc9, b"")), refused(ReservedBits));
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn a_message_that_stops_within_a_block_is_refused() {
    for len in 0..HELLO.len() {
        assert_eq!(read_text(&HELLO[..len]), refused(InvalidDeflate), "{len}");
    }
    let two = [&stored(false, b"Hel")[..], &stored(false, b"lo")].concat();
    for len in 0..=two.len() {
        // The first byte of the empty block at the end.
        let cut = [&two[..len], b"\x00"].concat();
        let expected = match len {
            0 => good(text("")),
            8 => good(text("Hel")),
            15 => good(text("Hello")),
            _ => refused(InvalidDeflate),
        };
        assert_eq!(read_text(&cut), expected, "{len}");
    }
    // What the end of a message makes of it is no whole message, though some bytes would complete it.
    for missing in [3, 5, 9, 10] {
        for is_final in [false, true] {
            let block = stored(is_final, &[b'x'; 20]);
            let cut = &block[..block.len() - missing];
            assert_eq!(read_binary(cut), refused(InvalidDeflate), "{missing}");
        }
    }
    // The four bytes that a sender leaves out are part of the data, whatever they mean there (§7.2.2).
    let block = stored(false, b"Hello\x00\x00\xff\xff");
    let compressed = &block[..block.len() - 4];
    assert_eq!(
        read_binary(compressed),
        good(binary(b"Hello\x00\x00\xff\xff"))
    );
}

#[test]
fn a_last_block_ends_nothing_but_itself() {
    let blocks = [
        stored(true, b"a"),
        stored(true, b""),
        stored(false, b"b"),
        b"\xf3\x48\xcd\xc9\xc9\x07\x00".to_vec(),
        b"\x00".to_vec(),
    ];
    assert_eq!(read_text(&blocks.concat()), good(text("abHello")));
    // Nothing behind it reaches into what is before: a distance of one after "a".
    let reaching = |is_final| [&stored(is_final, b"a")[..], FOUR_AGAIN].concat();
    assert_eq!(read_text(&reaching(false)), good(text("aaaaa")));
    assert_eq!(read_text(&reaching(true)), refused(InvalidDeflate));
    // The empty block behind the last one is missing.
    assert_eq!(
        read_text(b"\xf3\x48\xcd\xc9\xc9\x07\x00"),
        refused(InvalidDeflate)
    );
}

#[test]
fn invalid_data_are_refused() {
    for (what, compressed) in [
        ("a reserved type", &b"\x06\x00"[..]),
        ("a distance before the start", FOUR_AGAIN),
        (
            "a length that contradicts itself",
            b"\x00\x05\x00\xfa\xfeHello\x00",
        ),
        ("a reserved length", b"\x1a\x03\x00"),
        ("bytes behind the end", b"\xf2\x48\xcd\xc9\xc9\x07\x00\xff"),
        ("two empty ends", b"\xf2\x48\xcd\xc9\xc9\x07\x00\x00"),
        ("plain text", b"Hello"),
        ("nothing", b""),
    ] {
        assert_eq!(read_binary(compressed), refused(InvalidDeflate), "{what}");
    }
}

#[test]
fn compressed_text_must_be_utf8() {
    let mut deflater = Deflater::new(6);
    let mut read = |bytes: &[u8]| read_text(deflater.deflate(bytes));
    assert_eq!(read("😀".as_bytes()), good(text("😀")));
    for bad in [&b"ab\xffcd"[..], b"a\xce", b"\xf0\x9f\x98", b"\xed\xa0\x80"] {
        assert_eq!(read(bad), refused(InvalidUtf8), "{bad:x?}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn a_message_is_bounded_by_what_it_inflates_to() {
    let mut deflater = Deflater::new(6);
    for fill in [&b"x"[..], b"0123456789 a longer period"] {
        let of_len = |len| fill.iter().copied().cycle().take(len).collect::<Vec<_>>();
        let at = deflater.deflate(&of_len(MAX)).to_vec();
        assert!(matches!(&read_text(&at).0[..], [Incoming::Text(text)] if text.len() == MAX));
        let over = deflater.deflate(&of_len(MAX + 1)).to_vec();
        assert_eq!(read_text(&over), refused(MessageTooBig));
    }
    let mut inflater = Inflater::default();
    let mut read = |payload: &[u8]| read_by([&frame(TEXT, payload)[..]], 0, Some(&mut inflater));
    assert_eq!(read(b"\x00"), good(text("")));
    assert_eq!(read(deflater.deflate(b"x")), refused(MessageTooBig));
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn a_bomb_is_refused_and_costs_no_more_than_the_bound() {
    let bomb = Deflater::new(9).deflate(&vec![b'x'; 1_000_000]).to_vec();
    assert!(bomb.len() <= 1_000);
    let max = 100_000;
    let mut payload = crate::ws::payload::Payload::new(true);
    let mut inflater = Inflater::default();
    let inflated = inflater.inflate(&bomb, &mut payload, max);
    assert_eq!(inflated, Err(MessageTooBig));
    assert!(payload.held_len() <= max + 4);
    let bomb = [frame(BEGIN, &bomb[..500]), frame(END, &bomb[500..])].concat();
    let outcome = read_by([&bomb[..]], max, Some(&mut inflater));
    assert_eq!(outcome, refused(MessageTooBig));
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn compressed_bytes_are_bounded_and_refused_at_the_header() {
    let max = deflated_max(MAX);
    assert_eq!(max, 512 + 64 + 64);
    // Empty blocks, and one that makes the length come out.
    let mut blocks = stored(false, b"").repeat(max / 5 - 2);
    blocks.extend(stored(false, &vec![b'x'; max - blocks.len() - 6]));
    blocks.push(0x00);
    assert_eq!(blocks.len(), max);
    assert_eq!(read_text(&blocks).1, None);

    let too_big = refused(MessageTooBig);
    let over = frame(TEXT, &vec![0; max + 1]);
    assert_eq!(read_every_way(&over[..8]), too_big);
    let begin = frame(BEGIN, &blocks);
    let end = frame(END, b"x");
    let over = [&begin[..], &end[..6]].concat();
    assert_eq!(read_every_way(&over), too_big);
    // A plain message stays within the smaller bound.
    let plain = frame(0x81, &vec![b'x'; MAX + 1]);
    assert_eq!(read_every_way(&plain[..8]), too_big);
}

#[test]
fn a_reader_holds_what_has_come_and_nothing_between_messages() {
    let mut reader = MessageReader::default();
    let mut inflater = Inflater::default();
    let mut read = |mut bytes: &mut [u8]| {
        let message = reader.next(&mut bytes, MAX, Some(&mut inflater));
        let is_whole = message.expect("a good frame").is_some();
        (is_whole, reader.held_len())
    };
    let block = stored(false, &[b'x'; 250]);
    let (is_whole, held_len) = read(&mut frame(BEGIN, &block));
    assert!(
        !is_whole && (255..255 + 400).contains(&held_len),
        "{held_len}"
    );
    let (is_whole, held_len) = read(&mut frame(CONTINUE, &block[..5]));
    assert!(
        !is_whole && held_len <= deflated_max(MAX) + 400,
        "{held_len}"
    );
    let (is_whole, _) = read(&mut frame(CONTINUE, b""));
    assert!(!is_whole);
    // The second block gets the rest of what it announced.
    let rest = [&block[5..], b"\x00"].concat();
    assert_eq!(read(&mut frame(END, &rest)), (true, 0));
}
