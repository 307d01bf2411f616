//! What a frame costs without any socket: decode, unmask, validate, encode, and all of it together beside
//! two other crates' own readers.
//!
//! `cargo bench --bench frame -- read` picks a group.

use std::hint::black_box;
use std::io::Cursor;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fanfare::ws::frame::{Header, Opcode, encode_frame};
use fanfare::ws::mask::apply_mask;
use fanfare::ws::message::{Incoming, MessageReader};
use fanfare::ws::utf8::Decoder;
use futures_util::FutureExt;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Message, WebSocket};

const LENGTHS: [usize; 6] = [16, 64, 512, 4 * 1024, 16 * 1024, 64 * 1024];
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// Bytes of frames that are read in one go, as from a socket.
const STREAM_LEN: usize = 256 * 1024;

/// A masked text frame of ASCII, as a client sends it.
fn client_frame(payload_len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_frame(Opcode::Text, &vec![b'x'; payload_len], &mut bytes);
    let header_len = bytes.len() - payload_len;
    apply_mask(&mut bytes[header_len..], KEY, 0);
    bytes[1] |= 0x80;
    bytes.splice(header_len..header_len, KEY);
    bytes
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode a header");
    for len in LENGTHS {
        let frame = client_frame(len);
        group.bench_with_input(BenchmarkId::from_parameter(len), &frame, |b, frame| {
            b.iter(|| {
                let decoded = Header::decode(black_box(frame)).expect("a good frame");
                assert_eq!(decoded.expect("a whole header").0.payload_len, len as u64);
            });
        });
    }
    group.finish();
}

fn unmask(c: &mut Criterion) {
    let mut group = c.benchmark_group("unmask");
    for len in LENGTHS {
        group.throughput(Throughput::Bytes(len as u64));
        let mut payload = vec![0; len];
        group.bench_function(BenchmarkId::new("fanfare", len), |b| {
            b.iter(|| apply_mask(black_box(&mut payload), black_box(KEY), 0));
        });
        group.bench_function(BenchmarkId::new("fastwebsockets", len), |b| {
            b.iter(|| fastwebsockets::unmask(black_box(&mut payload), black_box(KEY)));
        });
    }
    group.finish();
}

fn validate(c: &mut Criterion) {
    let mut group = c.benchmark_group("validate");
    for (name, sample) in [("ascii", "x"), ("mixed", "grüße ")] {
        for len in LENGTHS {
            let text = sample.repeat(len / sample.len());
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_function(BenchmarkId::new(format!("{name} whole"), len), |b| {
                b.iter(|| {
                    simdutf8::basic::from_utf8(black_box(text.as_bytes())).expect("good text")
                });
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
                    assert_eq!(out.len(), text.len());
                });
            });
        }
    }
    group.finish();
}

/// Whole frames to checked text. Each iteration starts from a fresh copy of the stream, because readers
/// unmask in place; the copy is part of everybody's time.
fn read(c: &mut Criterion) {
    let mut group = c.benchmark_group("read");
    for len in LENGTHS {
        let frame = client_frame(len);
        let frame_count = (STREAM_LEN / frame.len()).max(1);
        let stream = frame.repeat(frame_count);
        group.throughput(Throughput::Elements(frame_count as u64));

        let mut buffer = stream.clone();
        group.bench_function(BenchmarkId::new("fanfare", len), |b| {
            b.iter(|| {
                buffer.copy_from_slice(&stream);
                let mut reader = MessageReader::default();
                let mut input = &mut buffer[..];
                let mut text_len = 0;
                while let Some(Incoming::Text(text)) =
                    reader.next(&mut input, STREAM_LEN).expect("good frames")
                {
                    text_len += text.len();
                }
                assert_eq!(text_len, frame_count * len);
            });
        });
        group.bench_function(BenchmarkId::new("tungstenite", len), |b| {
            b.iter(|| {
                let config = WebSocketConfig::default();
                let socket = Cursor::new(stream.clone());
                let mut socket = WebSocket::from_raw_socket(socket, Role::Server, Some(config));
                let mut text_len = 0;
                for _ in 0..frame_count {
                    if let Message::Text(text) = socket.read().expect("good frames") {
                        text_len += text.len();
                    }
                }
                assert_eq!(text_len, frame_count * len);
            });
        });
        group.bench_function(BenchmarkId::new("fastwebsockets", len), |b| {
            b.iter(|| {
                let socket = Cursor::new(stream.clone());
                let mut socket = fastwebsockets::WebSocket::after_handshake(
                    socket,
                    fastwebsockets::Role::Server,
                );
                socket.set_auto_pong(false);
                let mut text_len = 0;
                for _ in 0..frame_count {
                    let frame = socket.read_frame().now_or_never();
                    let frame = frame.expect("memory is always ready").expect("good frames");
                    text_len += std::str::from_utf8(&frame.payload).expect("text").len();
                }
                assert_eq!(text_len, frame_count * len);
            });
        });
    }
    group.finish();
}

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode");
    for len in LENGTHS {
        let payload = vec![b'x'; len];
        let mut out = Vec::with_capacity(len + 16);
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(BenchmarkId::new("fanfare", len), |b| {
            b.iter(|| {
                out.clear();
                encode_frame(Opcode::Text, black_box(&payload), &mut out);
                assert!(out.len() > len);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decode, unmask, validate, read, encode);
criterion_main!(benches);
