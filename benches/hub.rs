//! A turn of the shipped engine without sockets: one message to N members whose streams take everything, with
//! history and without, and to members that listen in different ways; and messages that wait in N outboxes until
//! the streams take anything again. The time of each, and its allocations: there must be none in the first ones,
//! and little for each member in the last.
//!
//! `cargo bench --bench hub -- laggards` picks a group.

#![allow(clippy::print_stdout, reason = "a bench prints what it counted")]

#[path = "support/format.rs"]
#[allow(dead_code, reason = "each bench uses a part of it")]
mod format;
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
use fanfare::engine::{Accepted, Engine, Network};
use fanfare::http::route::Role;
use fanfare::id::ClientId;
use fanfare::time::{Now, Tick};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};

use format::Format;
use wire::{TEXT, client_frame, server_header};

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
/// An id's epoch and the dash behind it.
const EPOCH_LEN: usize = 9;
/// The length of a text that is worth to be compressed.
const LONG_TEXT_LEN: usize = 1024;
/// How a member listens, and whether it inflates.
type Way = (Format, bool);
/// The ways to listen; of the members of a mixed room, each next one takes the next.
const PLAIN: &[Way] = &[(Format::Plain, false)];
const MIXED: &[Way] = &[
    (Format::Plain, false),
    (Format::V1, false),
    (Format::Events, false),
];
const DEFLATED: &[Way] = &[
    (Format::Plain, false),
    (Format::Plain, true),
    (Format::V1, true),
    (Format::Events, false),
    (Format::V1, false),
];
const DEFLATE_OFFER: &[u8] = b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

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

    fn accept(&mut self, role: Role) -> io::Result<Accepted<Sink>> {
        let stream = self.sinks.pop().ok_or(ErrorKind::WouldBlock)?;
        Ok(Accepted {
            stream,
            peer: SocketAddr::from(([127, 0, 0, 1], 1)).into(),
            role,
        })
    }

    fn close_public(&mut self) {}

    fn register(&mut self, _: &mut Sink, id: ClientId) -> io::Result<()> {
        self.ids.borrow_mut().push(id);
        Ok(())
    }

    fn watch_output(&mut self, _: &mut Sink, _: ClientId) -> io::Result<()> {
        Ok(())
    }
}

/// A room in which the first client speaks.
struct Room {
    engine: Engine<Sink>,
    network: Prepared,
    speaker: Sink,
    drain: Rc<Drain>,
    text_len: usize,
    frame: Vec<u8>,
    ways: &'static [Way],
    /// Messages so far.
    said: usize,
    ids: Rc<RefCell<Vec<ClientId>>>,
}

impl Room {
    /// A room that keeps up to `history` messages, whose members listen in these ways, the first in the first. Texts
    /// are long where some inflate.
    fn new(member_count: usize, history: u32, ways: &'static [Way]) -> Self {
        let mut config = Config::default();
        config.rooms.history = history;
        config.compression.deflate = true;
        config.chat.max_message = LONG_TEXT_LEN;
        let text_len = match ways.iter().any(|(_, inflates)| *inflates) {
            true => LONG_TEXT_LEN,
            false => TEXT_LEN,
        };
        let drain = Rc::default();
        let mut sinks: Vec<Sink> = (0..member_count)
            .zip(ways.iter().cycle())
            .map(|(_, way)| Sink {
                inbox: Rc::new(RefCell::new(request(*way))),
                drain: Rc::clone(&drain),
            })
            .collect();
        // The listener gives the last one first, which gets the first place in the slab.
        sinks.reverse();
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
            text_len,
            frame: client_frame(TEXT, &vec![b'x'; text_len]),
            ways,
            said: 0,
            ids,
        };
        room.engine.note_acceptable(Role::Public);
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
        let taken = self.drain.taken.get() - before;
        let (plain, all) = self.told_len();
        // What is compressed takes something, and much less than without.
        let is_right = match plain == all {
            true => taken == all,
            false => taken > plain && taken < plain + (all - plain) / 4,
        };
        assert!(is_right, "{taken} bytes, {plain} of {all} plain");
    }

    /// What the members that do not inflate are sent of the last message, together, and what all would be.
    fn told_len(&self) -> (usize, usize) {
        let id_len = EPOCH_LEN + self.said.ilog10() as usize + 1;
        let framed = |text_len| server_header(TEXT, text_len).as_bytes().len() + text_len;
        let lens = self.ways.iter().cycle().map(|(format, inflates)| {
            let len = match format {
                Format::Plain | Format::Deflated => framed(self.text_len),
                Format::V1 => framed(id_len + 1 + self.text_len),
                Format::Events => id_len + self.text_len + "id: \ndata: \n\n".len(),
            };
            (if *inflates { 0 } else { len }, len)
        });
        let lens = lens.take(self.engine.client_count());
        lens.fold((0, 0), |sums, lens| (sums.0 + lens.0, sums.1 + lens.1))
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

    /// Everybody takes what waits for them: the messages of all turns, joined by newlines. It takes as many turns as
    /// the budget of one says.
    fn release(&mut self) {
        let before = self.drain.taken.get();
        self.drain.is_shut.set(false);
        for &id in self.ids.borrow().iter() {
            self.engine.note_ready(id, false, true, false);
        }
        self.engine.turn(&mut self.network, NOW);
        while self.engine.next_due().is_zero() {
            self.engine.turn(&mut self.network, NOW);
        }
        let text_len = HELD_TURNS * (TEXT_LEN + 1) - 1;
        let frame_len = server_header(TEXT, text_len).as_bytes().len() + text_len;
        let members = self.engine.client_count();
        assert_eq!(self.drain.taken.get() - before, frame_len * members);
    }

    fn say(&mut self) {
        self.said += 1;
        self.speaker
            .inbox
            .borrow_mut()
            .extend_from_slice(&self.frame);
        let speaker = self.ids.borrow()[0];
        self.engine.note_ready(speaker, true, false, false);
        self.engine.turn(&mut self.network, NOW);
    }
}

fn request((format, inflates): Way) -> Vec<u8> {
    let mut request = format.request("");
    if inflates {
        request.truncate(request.len() - 2);
        request.extend_from_slice(DEFLATE_OFFER);
    }
    request
}

/// What `work` asked of the allocator.
fn allocations(work: impl FnOnce()) -> Stats {
    let region = Region::new(ALLOCATOR);
    work();
    region.change()
}

fn no_laggards(
    group: &mut BenchmarkGroup<'_, WallTime>,
    member_count: usize,
    history: u32,
    ways: &'static [Way],
) {
    let mut room = Room::new(member_count, history, ways);
    // Two buffers take turns beside those that are kept: one is open while the other is being read.
    (0..history + 2).for_each(|_| room.tell());
    let stats = allocations(|| (0..COUNTED_TURNS).for_each(|_| room.tell()));
    println!(
        "{member_count} members, ways to listen: {}, {history} messages kept, {COUNTED_TURNS} turns: {} allocations, {} reallocations",
        ways.len(),
        stats.allocations,
        stats.reallocations
    );
    assert_eq!((stats.allocations, stats.reallocations), (0, 0));

    group.throughput(Throughput::Elements(member_count as u64));
    group.bench_function(BenchmarkId::from_parameter(member_count), |b| {
        b.iter(|| room.tell());
    });
}

fn laggards(group: &mut BenchmarkGroup<'_, WallTime>, member_count: usize) {
    let mut room = Room::new(member_count, Config::default().rooms.history, PLAIN);
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
    for (name, history, ways) in [
        ("one message a turn", kept, PLAIN),
        ("no history", 0, PLAIN),
        ("lines, numbered lines and events", kept, MIXED),
        ("the same beside compressed lines", kept, DEFLATED),
    ] {
        let mut group = criterion.benchmark_group(name);
        for member_count in MEMBER_COUNTS {
            no_laggards(&mut group, member_count, history, ways);
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
