//! A turn of the shipped engine without sockets: one message to N members whose streams take everything, with
//! history and without, and messages that wait in N outboxes until the streams take anything again. The time of
//! each, and its allocations: there must be none in the first, and little for each member in the last.
//!
//! `cargo bench --bench hub -- laggards` picks a group.

#![allow(clippy::print_stdout, reason = "a bench prints what it counted")]

#[path = "support/wire.rs"]
#[allow(dead_code, reason = "each bench uses a part of it")]
mod wire;

use std::alloc::System;
use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use fanfare::client::Stream;
use fanfare::config::Config;
use fanfare::engine::{Engine, Network};
use fanfare::id::ClientId;
use fanfare::time::{Now, Tick};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};

use wire::{TEXT, UPGRADE_REQUEST, client_frame, server_header};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MEMBER_COUNTS: [usize; 4] = [10, 100, 1000, 10_000];
const COUNTED_TURNS: usize = 1000;
/// Messages that wait for each laggard, one a turn, before it takes them all.
const HELD_TURNS: usize = 16;
/// The bytes of memory that one of them may cost for each member: a reference, and its part of the queue around
/// it and of the batch that all share, but no copy of the frame.
const HELD_LEN_MAX: usize = 64;
const TEXT_LEN: usize = 64;

/// Time stands still.
const NOW: Now = Now {
    tick: Tick::START,
    elapsed: std::time::Duration::ZERO,
    unix_seconds: 0,
};

/// A stream that takes everything or nothing, and gives what is put into its inbox.
#[derive(Debug, Clone, Default)]
struct Sink {
    inbox: Rc<RefCell<Vec<u8>>>,
    drain: Rc<Drain>,
}

/// Where the bytes of all streams go.
#[derive(Debug, Default)]
struct Drain {
    is_shut: Cell<bool>,
    taken: Cell<usize>,
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
        if self.drain.is_shut.get() {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.drain.taken.update(|taken| taken + bytes.len());
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
struct Prepared {
    sinks: Vec<Sink>,
    /// The ids that were registered, in order.
    ids: Rc<RefCell<Vec<ClientId>>>,
}

impl Network for Prepared {
    type Stream = Sink;

    fn accept(&mut self) -> io::Result<(Sink, SocketAddr)> {
        let sink = self.sinks.pop().ok_or(ErrorKind::WouldBlock)?;
        Ok((sink, ([127, 0, 0, 1], 1).into()))
    }

    fn register(&mut self, _: &mut Sink, id: ClientId) -> io::Result<()> {
        self.ids.borrow_mut().push(id);
        Ok(())
    }
}

/// A room in which the first client speaks.
struct Room {
    engine: Engine<Sink>,
    network: Prepared,
    speaker: Sink,
    drain: Rc<Drain>,
    frame: Vec<u8>,
    ids: Rc<RefCell<Vec<ClientId>>>,
}

impl Room {
    /// A room that keeps up to `history` messages.
    fn new(member_count: usize, history: u32) -> Self {
        let mut config = Config::default();
        config.rooms.history = history;
        let drain = Rc::default();
        let sinks: Vec<Sink> = (0..member_count)
            .map(|_| Sink {
                inbox: Rc::new(RefCell::new(UPGRADE_REQUEST.to_vec())),
                drain: Rc::clone(&drain),
            })
            .collect();
        // The listener gives the last one first, which gets the first place in the slab.
        let speaker = sinks.last().expect("a room has members").clone();
        let ids = Rc::default();
        let mut room = Self {
            engine: Engine::new(config, member_count),
            network: Prepared {
                sinks,
                ids: Rc::clone(&ids),
            },
            speaker,
            drain,
            frame: client_frame(TEXT, &[b'x'; TEXT_LEN]),
            ids,
        };
        room.engine.note_acceptable();
        while room.engine.metrics().joined < member_count as u64 {
            room.engine.turn(&mut room.network, NOW);
        }
        room.engine.turn(&mut room.network, NOW);
        room
    }

    /// One message to everybody, who take it.
    fn tell(&mut self) {
        let before = self.drain.taken.get();
        self.say();
        self.assert_taken(before, TEXT_LEN);
    }

    /// Messages to everybody, who take nothing.
    fn hold(&mut self) {
        let before = self.drain.taken.get();
        self.drain.is_shut.set(true);
        for _ in 0..HELD_TURNS {
            self.say();
        }
        assert_eq!(self.drain.taken.get(), before);
    }

    /// Everybody takes what waits for them: the messages of all turns, joined by newlines.
    fn release(&mut self) {
        let before = self.drain.taken.get();
        self.drain.is_shut.set(false);
        for &id in self.ids.borrow().iter() {
            self.engine.note_ready(id, false, true, false);
        }
        self.engine.turn(&mut self.network, NOW);
        self.assert_taken(before, HELD_TURNS * (TEXT_LEN + 1) - 1);
    }

    fn say(&mut self) {
        self.speaker
            .inbox
            .borrow_mut()
            .extend_from_slice(&self.frame);
        let speaker = self.ids.borrow()[0];
        self.engine.note_ready(speaker, true, false, false);
        self.engine.turn(&mut self.network, NOW);
    }

    /// Everybody took one frame with so much text.
    fn assert_taken(&self, before: usize, text_len: usize) {
        let header = server_header(TEXT, text_len);
        let frame_len = header.as_bytes().len() + text_len;
        let members = self.engine.client_count();
        assert_eq!(self.drain.taken.get() - before, frame_len * members);
    }
}

/// What `work` asked of the allocator.
fn allocations(work: impl FnOnce()) -> Stats {
    let region = Region::new(ALLOCATOR);
    work();
    region.change()
}

fn no_laggards(group: &mut BenchmarkGroup<'_, WallTime>, member_count: usize, history: u32) {
    let mut room = Room::new(member_count, history);
    // Two buffers take turns beside those that are kept: one is open while the other is being read.
    (0..history + 2).for_each(|_| room.tell());
    let stats = allocations(|| (0..COUNTED_TURNS).for_each(|_| room.tell()));
    println!(
        "{member_count} members, {history} messages kept, {COUNTED_TURNS} turns: {} allocations, {} reallocations",
        stats.allocations, stats.reallocations
    );
    assert_eq!((stats.allocations, stats.reallocations), (0, 0));

    group.throughput(Throughput::Elements(member_count as u64));
    group.bench_function(BenchmarkId::from_parameter(member_count), |b| {
        b.iter(|| room.tell());
    });
}

fn laggards(group: &mut BenchmarkGroup<'_, WallTime>, member_count: usize) {
    let mut room = Room::new(member_count, Config::default().rooms.history);
    // What all members share grows to its size once.
    room.hold();
    room.release();
    let held = allocations(|| room.hold());
    let released = allocations(|| room.release());
    let waiting = member_count * HELD_TURNS;
    let each = |count: usize| count as f64 / waiting as f64;
    let left = |stats: Stats| stats.bytes_allocated as isize - stats.bytes_deallocated as isize;
    println!(
        "{member_count} members, {HELD_TURNS} turns wait: {:.3} allocations, {:.3} reallocations, {:.1} bytes a member \
         and turn; {} allocations when all leave, and {} bytes are kept",
        each(held.allocations),
        each(held.reallocations),
        each(held.bytes_allocated),
        released.allocations + released.reallocations,
        left(held) + left(released),
    );
    assert!(held.bytes_allocated <= HELD_LEN_MAX * waiting);

    group.throughput(Throughput::Elements(waiting as u64));
    group.bench_function(BenchmarkId::from_parameter(member_count), |b| {
        b.iter(|| {
            room.hold();
            room.release();
        });
    });
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let kept = Config::default().rooms.history;
    for (name, history) in [("one message a turn", kept), ("no history", 0)] {
        let mut group = criterion.benchmark_group(name);
        for member_count in MEMBER_COUNTS {
            no_laggards(&mut group, member_count, history);
        }
        group.finish();
    }
    let mut group = criterion.benchmark_group("laggards");
    for member_count in MEMBER_COUNTS {
        laggards(&mut group, member_count);
    }
    group.finish();
    criterion.final_summary();
}
