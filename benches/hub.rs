//! A turn of the shipped engine without sockets: one message to N members whose streams take everything.
//! Nanoseconds a member, and the allocations of the steady state, of which there must be none.
//!
//! `cargo bench --bench hub`

#![allow(clippy::print_stdout, reason = "a bench prints what it counted")]

use std::alloc::System;
use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput};
use fanfare::client::Stream;
use fanfare::config::Config;
use fanfare::engine::{Engine, Network};
use fanfare::hub::ClientId;
use fanfare::ws::frame::{Opcode, encode_frame};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MEMBER_COUNTS: [usize; 4] = [10, 100, 1000, 10_000];
const COUNTED_TURNS: usize = 1000;
const UPGRADE: &[u8] = b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// A stream that takes everything, and gives what is put into its inbox.
#[derive(Debug, Clone, Default)]
struct Sink {
    inbox: Rc<RefCell<Vec<u8>>>,
    taken: Rc<RefCell<usize>>,
}

impl Read for Sink {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut inbox = self.inbox.borrow_mut();
        if inbox.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let len = inbox.len();
        buffer[..len].copy_from_slice(&inbox);
        inbox.clear();
        Ok(len)
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        *self.taken.borrow_mut() += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Sink {
    fn short_means_blocked(&self) -> bool {
        true
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A listener with prepared connections, and nothing that announces readiness.
struct Prepared(Vec<Sink>);

impl Network for Prepared {
    type Stream = Sink;

    fn accept(&mut self) -> io::Result<(Sink, SocketAddr)> {
        let sink = self.0.pop().ok_or(ErrorKind::WouldBlock)?;
        Ok((sink, ([127, 0, 0, 1], 1).into()))
    }

    fn register(&mut self, _: &mut Sink, _: ClientId) -> io::Result<()> {
        Ok(())
    }
}

/// A room in which the first client speaks.
struct Room {
    engine: Engine<Sink>,
    network: Prepared,
    speaker: Sink,
    taken: Rc<RefCell<usize>>,
    frame: Vec<u8>,
    now: Instant,
}

impl Room {
    fn new(member_count: usize) -> Self {
        let taken = Rc::default();
        let sinks: Vec<Sink> = (0..member_count)
            .map(|_| Sink {
                inbox: Rc::new(RefCell::new(UPGRADE.to_vec())),
                taken: Rc::clone(&taken),
            })
            .collect();
        // The listener gives the last one first, which gets the first place in the slab.
        let speaker = sinks.last().expect("a room has members").clone();
        let now = Instant::now();
        let mut room = Self {
            engine: Engine::new(Config::default(), member_count, now),
            network: Prepared(sinks),
            speaker,
            taken,
            frame: speech(),
            now,
        };
        room.engine.note_acceptable();
        while room.engine.metrics().joined < member_count as u64 {
            room.engine.turn(&mut room.network, now);
        }
        room.engine.turn(&mut room.network, now);
        room
    }

    /// One message to everybody.
    fn turn(&mut self) {
        let before = *self.taken.borrow();
        self.speaker
            .inbox
            .borrow_mut()
            .extend_from_slice(&self.frame);
        self.engine.note_ready(ClientId(0), true, false, false);
        self.engine.turn(&mut self.network, self.now);
        // The server's frame is four bytes of masking key shorter.
        let each = self.frame.len() - 4;
        let members = self.engine.client_count();
        assert_eq!(*self.taken.borrow() - before, each * members);
    }
}

/// A masked text frame with 64 bytes of payload; a key of zeros leaves the text as it is.
fn speech() -> Vec<u8> {
    let mut frame = Vec::new();
    encode_frame(Opcode::Text, &[b'x'; 64], &mut frame);
    frame[1] |= 0x80;
    frame.splice(2..2, [0; 4]);
    frame
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("one message a turn");
    for member_count in MEMBER_COUNTS {
        let mut room = Room::new(member_count);
        room.turn();
        let region = Region::new(ALLOCATOR);
        for _ in 0..COUNTED_TURNS {
            room.turn();
        }
        let stats = region.change();
        println!(
            "{member_count} members, {COUNTED_TURNS} turns: {} allocations, {} reallocations",
            stats.allocations, stats.reallocations
        );
        assert_eq!((stats.allocations, stats.reallocations), (0, 0));

        group.throughput(Throughput::Elements(member_count as u64));
        group.bench_function(BenchmarkId::from_parameter(member_count), |b| {
            b.iter(|| room.turn());
        });
    }
    group.finish();
    criterion.final_summary();
}
