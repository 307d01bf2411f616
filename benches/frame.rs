//! What a frame costs without any socket: decode, unmask, validate, encode, and all of it together beside
//! two other crates' own, where they offer it; and what it costs to compress a batch.
//!
//! `cargo bench --bench frame -- read` picks a group.

#[path = "support/json.rs"]
mod json;
#[path = "support/wire.rs"]
#[allow(dead_code, reason = "each bench uses a part of it")]
mod wire;

use std::hint::black_box;
use std::io::{Cursor, Read as _};

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use criterion::{criterion_group, criterion_main};
use fanfare::config::READ_LEN;
use fanfare::ws::deflate::Deflater;
use fanfare::ws::frame::{Header, Opcode, encode_frame};
use fanfare::ws::mask::apply_mask;
use fanfare::ws::message::{Incoming, MessageReader};
use fanfare::ws::utf8::Decoder;
use fastwebsockets::Payload;
use futures_util::FutureExt;
use tungstenite::protocol::Role;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::{Message, WebSocket};

use json::json;
use wire::{TEXT, client_frame, server_header};

const LENGTHS: [usize; 6] = [16, 64, 512, 4 * 1024, 16 * 1024, 64 * 1024];
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// Of compression.
const LEVELS: [u32; 4] = [1, 3, 6, 9];
/// Bytes of frames that are read in one go.
const STREAM_LEN: usize = 256 * 1024;

type Group<'a> = BenchmarkGroup<'a, WallTime>;
/// A connection on which all that will ever come is there.
type Socket = Cursor<Vec<u8>>;

/// A masked text frame of ASCII, as a client sends it.
fn text_frame(payload_len: usize) -> Vec<u8> {
    client_frame(TEXT, &vec![b'x'; payload_len])
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode a header");
    group.throughput(Throughput::Elements(1));
    for len in LENGTHS {
        let frame = text_frame(len);
        group.bench_function(BenchmarkId::new("fanfare", len), |b| {
            b.iter(|| {
                let header = Header::decode(black_box(&frame), false).expect("a good frame");
                assert_eq!(header.expect("a whole one").0.payload_len, len as u64);
            });
        });
        group.bench_function(BenchmarkId::new("tungstenite", len), |b| {
            b.iter(|| {
                let mut input = Cursor::new(black_box(&frame));
                let header = FrameHeader::parse(&mut input).expect("a good frame");
                assert_eq!(header.expect("a whole one").1, len as u64);
            });
        });
    }
    group.finish();
}

fn unmask(c: &mut Criterion) {
    let mut group = c.benchmark_group("unmask");
    for len in LENGTHS {
        group.throughput(Throughput::Bytes(len as u64));
        unmask_by(&mut group, "fanfare", len, |payload, key| {
            apply_mask(payload, key, 0);
        });
        unmask_by(&mut group, "fastwebsockets", len, fastwebsockets::unmask);
    }
    group.finish();
}

/// The whole result is checked once, and its last byte, which stands behind all wide chunks, every time.
fn unmask_by(group: &mut Group<'_>, name: &str, len: usize, apply: impl Fn(&mut [u8], [u8; 4])) {
    let mut payload = vec![b'x'; len];
    apply(&mut payload, KEY);
    let mut pairs = payload.iter().zip(KEY.iter().cycle());
    assert!(pairs.all(|(byte, key)| *byte == b'x' ^ key));
    let last = len - 1;
    group.bench_function(BenchmarkId::new(name, len), |b| {
        b.iter(|| {
            let expected = payload[last] ^ KEY[last % KEY.len()];
            apply(black_box(&mut payload), black_box(KEY));
            assert_eq!(payload[last], expected);
        });
    });
}

fn validate(c: &mut Criterion) {
    let mut group = c.benchmark_group("validate");
    for (name, sample) in [("ascii", "x"), ("mixed", "grüße ")] {
        for len in LENGTHS {
            validate_text(&mut group, name, &sample.repeat(len / sample.len()));
        }
    }
    group.finish();
}

fn validate_text(group: &mut Group<'_>, name: &str, text: &str) {
    let len = text.len();
    group.throughput(Throughput::Bytes(len as u64));
    group.bench_function(BenchmarkId::new(format!("{name} whole"), len), |b| {
        b.iter(|| simdutf8::basic::from_utf8(black_box(text.as_bytes())).expect("good text"));
    });
    group.bench_function(BenchmarkId::new(format!("{name} by std"), len), |b| {
        b.iter(|| std::str::from_utf8(black_box(text.as_bytes())).expect("good text"));
    });
    let mut out = String::with_capacity(len);
    group.bench_function(BenchmarkId::new(format!("{name} in pieces"), len), |b| {
        b.iter(|| {
            out.clear();
            let mut decoder = Decoder::default();
            for piece in black_box(text.as_bytes()).chunks(1021) {
                decoder.push(piece, &mut out).expect("good text");
            }
            assert_eq!(out.len(), len);
        });
    });
}

/// Whole frames to checked text. Everybody reads the same bytes from the same kind of socket into a buffer of
/// its own, as it would from the kernel; to make the socket and the reader is nobody's time.
fn read(c: &mut Criterion) {
    let mut group = c.benchmark_group("read");
    for len in LENGTHS {
        let frame = text_frame(len);
        let frames = STREAM_LEN / frame.len();
        let stream = frame.repeat(frames);
        group.throughput(Throughput::ElementsAndBytes {
            elements: frames as u64,
            bytes: stream.len() as u64,
        });
        let text_len = frames * len;
        let socket = || Cursor::new(stream.clone());
        group.bench_function(BenchmarkId::new("fanfare", len), |b| {
            // All connections share one.
            let mut buffer = vec![0; READ_LEN];
            let read = |socket: &mut Socket| assert_eq!(by_fanfare(socket, &mut buffer), text_len);
            b.iter_batched_ref(socket, read, BatchSize::PerIteration);
        });
        group.bench_function(BenchmarkId::new("tungstenite", len), |b| {
            let upgraded = || WebSocket::from_raw_socket(socket(), Role::Server, None);
            let read = |socket: &mut _| assert_eq!(by_tungstenite(socket, frames), text_len);
            b.iter_batched_ref(upgraded, read, BatchSize::PerIteration);
        });
        group.bench_function(BenchmarkId::new("fastwebsockets", len), |b| {
            let role = fastwebsockets::Role::Server;
            let upgraded = || fastwebsockets::WebSocket::after_handshake(socket(), role);
            let read = |socket: &mut _| assert_eq!(by_fastwebsockets(socket, frames), text_len);
            b.iter_batched_ref(upgraded, read, BatchSize::PerIteration);
        });
    }
    group.finish();
}

fn by_fanfare(socket: &mut Socket, buffer: &mut [u8]) -> usize {
    let mut reader = MessageReader::default();
    let mut text_len = 0;
    while let filled @ 1.. = socket.read(buffer).expect("memory can be read") {
        let mut input = &mut buffer[..filled];
        while let Some(message) = reader
            .next(&mut input, STREAM_LEN, None)
            .expect("good frames")
        {
            if let Incoming::Text(text) = message {
                text_len += text.len();
            }
        }
    }
    text_len
}

fn by_tungstenite(socket: &mut WebSocket<Socket>, frames: usize) -> usize {
    let mut text_len = 0;
    for _ in 0..frames {
        if let Message::Text(text) = socket.read().expect("good frames") {
            text_len += text.len();
        }
    }
    text_len
}

/// It checks the text of whole messages as it reads them.
fn by_fastwebsockets(socket: &mut fastwebsockets::WebSocket<Socket>, frames: usize) -> usize {
    let mut text_len = 0;
    for _ in 0..frames {
        let frame = socket.read_frame().now_or_never();
        let frame = frame.expect("memory is always ready").expect("good frames");
        text_len += frame.payload.len();
    }
    text_len
}

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode");
    for len in LENGTHS {
        group.throughput(Throughput::Bytes(len as u64));
        encode_by(&mut group, "fanfare", len, |payload, out| {
            out.clear();
            encode_frame(Opcode::Text, payload, out);
            out.len()
        });
        encode_by(&mut group, "tungstenite", len, |payload, out| {
            let header = FrameHeader {
                opcode: OpCode::Data(Data::Text),
                ..FrameHeader::default()
            };
            out.clear();
            header
                .format(payload.len() as u64, out)
                .expect("memory can be written");
            out.extend_from_slice(payload);
            out.len()
        });
        // It writes over what is in the buffer, which is longer than the frame.
        encode_by(&mut group, "fastwebsockets", len, |payload, out| {
            fastwebsockets::Frame::text(Payload::Borrowed(payload))
                .write(out)
                .len()
        });
    }
    group.finish();
}

/// `write` puts a frame at the start of a buffer and returns its length.
fn encode_by(
    group: &mut Group<'_>,
    name: &str,
    len: usize,
    write: impl Fn(&[u8], &mut Vec<u8>) -> usize,
) {
    let payload = vec![b'x'; len];
    let header_len = server_header(TEXT, len).as_bytes().len();
    let mut out = Vec::with_capacity(len + 16);
    group.bench_function(BenchmarkId::new(name, len), |b| {
        b.iter(|| {
            let frame_len = write(black_box(&payload), black_box(&mut out));
            assert_eq!(frame_len, header_len + len);
        });
    });
}

/// The messages of one turn, in JSON, at several levels. A name holds the length before and after.
fn deflate(c: &mut Criterion) {
    let mut group = c.benchmark_group("deflate");
    for (count, len) in [(1, 1024), (16, 256)] {
        let messages: Vec<_> = (0..count).map(|seed| json(len, seed)).collect();
        let batch = messages.join(&b'\n');
        group.throughput(Throughput::Bytes(batch.len() as u64));
        for level in LEVELS {
            let mut deflater = Deflater::new(level);
            let deflated_len = deflater.deflate(&batch).len();
            let name = format!("{count} x {len}, level {level}");
            let sizes = format!("{} to {deflated_len}", batch.len());
            group.bench_function(BenchmarkId::new(name, sizes), |b| {
                b.iter(|| {
                    let deflated = deflater.deflate(black_box(&batch));
                    assert_eq!(deflated.len(), deflated_len);
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, decode, unmask, validate, read, encode, deflate);
criterion_main!(benches);
