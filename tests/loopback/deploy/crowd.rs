//! Readers that come back by themselves, as the page's client and the browser's EventSource do: hundreds of WebSockets
//! in few threads, and some event sources. Each is let in at once whenever it connects, or the test fails.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::publisher::LAST;
use crate::common::peer::Frame;
use crate::common::rooms::{Listener, upgrade_v1};
use crate::common::wire::{self, CLOSE, PING, PONG, TEXT};
use crate::common::{PATIENCE, Peer, eventually};
use crate::random::Random;

/// How many readers there are of each kind.
pub(super) const WEBSOCKETS: usize = 1_000;
pub(super) const EVENT_SOURCES: usize = 32;

const THREADS: usize = 8;
/// The longest wait before the first attempt to come back, as in `web/fanfare.js`.
const RETRY_MIN_MS: usize = 500;
/// A crowd that takes longer has failed.
const CROWD_PATIENCE: Duration = Duration::from_secs(120);

/// What one connection of a reader carried.
#[derive(Default)]
pub(super) struct Visit {
    /// Where it began, then its messages.
    pub(super) lines: Vec<String>,
    pub(super) closed: Option<Goodbye>,
}

/// How the server closed a connection.
pub(super) struct Goodbye {
    pub(super) at: Instant,
    /// When an event source was told to come back, in milliseconds.
    pub(super) retry: Option<u64>,
}

impl Visit {
    /// Behind the last message that it carried.
    fn position(&self) -> &str {
        let line = self.lines.last().expect("it said where it began");
        let mut words = line.split(' ');
        let word = words.next().unwrap_or_default();
        match word.starts_with(':') {
            true => words.next().expect(line),
            false => word,
        }
    }

    fn has_last(&self) -> bool {
        self.lines.last().is_some_and(|line| line.ends_with(LAST))
    }
}

/// How many readers have come, and how many have come back.
type Arrivals = Arc<[AtomicUsize; 2]>;

fn note_arrival(arrivals: &Arrivals, visits: usize) {
    let count = arrivals.get(visits - 1);
    let count = count.expect("a reader is closed only once");
    count.fetch_add(1, Ordering::Relaxed);
}

/// All readers.
pub(super) struct Crowd {
    websockets: Vec<JoinHandle<Vec<Vec<Visit>>>>,
    event_sources: Vec<JoinHandle<Vec<Visit>>>,
    arrivals: Arrivals,
}

impl Crowd {
    /// All of them come, and each knows where it begins.
    pub(super) fn join(addr: SocketAddr) -> Self {
        let arrivals = Arrivals::default();
        let websockets = (0..THREADS).map(|thread| {
            let arrivals = Arc::clone(&arrivals);
            thread::spawn(move || {
                let mut random = Random::new(thread as u64);
                websockets(addr, &arrivals, &mut random)
            })
        });
        let websockets = websockets.collect();
        let event_sources = (0..EVENT_SOURCES).map(|_| {
            let arrivals = Arc::clone(&arrivals);
            thread::spawn(move || event_source(addr, &arrivals))
        });
        let crowd = Self {
            websockets,
            event_sources: event_sources.collect(),
            arrivals: Arc::clone(&arrivals),
        };
        crowd.wait_for(0, "all have come");
        crowd
    }

    /// Waits until all were closed and have come back.
    pub(super) fn wait_for_return(&self) {
        self.wait_for(1, "all have come back");
    }

    fn wait_for(&self, visit: usize, what: &str) {
        eventually(what, || {
            let has_failed = self.websockets.iter().any(JoinHandle::is_finished)
                || self.event_sources.iter().any(JoinHandle::is_finished);
            assert!(!has_failed, "a reader failed");
            let arrived = self.arrivals[visit].load(Ordering::Relaxed);
            (arrived == WEBSOCKETS + EVENT_SOURCES).then_some(())
        });
    }

    /// Waits until all have the last message: what the WebSockets carried, and what the event sources did.
    pub(super) fn end(self) -> (Vec<Vec<Visit>>, Vec<Vec<Visit>>) {
        let websockets = self.websockets.into_iter();
        let websockets = websockets.flat_map(|it| it.join().expect("no reader fails"));
        let event_sources = self.event_sources.into_iter();
        let event_sources = event_sources.map(|it| it.join().expect("no reader fails"));
        (websockets.collect(), event_sources.collect())
    }
}

/// Reads as an event source, which comes back when it was told to.
fn event_source(addr: SocketAddr, arrivals: &Arrivals) -> Vec<Visit> {
    let mut visits: Vec<Visit> = Vec::new();
    loop {
        let since = visits.last().map(Visit::position);
        let since = since.map(|id| format!("Last-Event-ID: {id}"));
        let fields: Vec<&str> = since.iter().map(String::as_str).collect();
        let mut listener = Listener::sse_with(Peer::connect(addr), "/room/a", &fields);
        let mut visit = Visit {
            lines: vec![listener.line()],
            closed: None,
        };
        note_arrival(arrivals, visits.len() + 1);
        while !visit.has_last() && visit.closed.is_none() {
            let line = listener.line();
            match line.strip_prefix(":retry ") {
                Some(wait) => {
                    let at = Instant::now();
                    let wait = wait.parse().expect(&line);
                    visit.closed = Some(Goodbye {
                        at,
                        retry: Some(wait),
                    });
                    listener.peer.expect_end();
                    thread::sleep(Duration::from_millis(wait));
                }
                None => visit.lines.push(line),
            }
        }
        let is_over = visit.has_last();
        visits.push(visit);
        if is_over {
            return visits;
        }
    }
}

/// Reads as many WebSockets as a thread has.
fn websockets(addr: SocketAddr, arrivals: &Arrivals, random: &mut Random) -> Vec<Vec<Visit>> {
    let mut readers: Vec<Reader> = (0..WEBSOCKETS / THREADS).map(|_| Reader::new()).collect();
    let deadline = Instant::now() + CROWD_PATIENCE;
    while !readers.iter().all(Reader::has_last) {
        let now = Instant::now();
        assert!(now < deadline, "the last message does not come");
        for reader in &mut readers {
            if reader.peer.is_none() && reader.opens_at <= now {
                reader.open(addr);
                reader.take(arrivals, random);
            }
        }
        for place in readable(&readers) {
            readers[place].receive(arrivals, random);
        }
    }
    readers.into_iter().map(|reader| reader.visits).collect()
}

/// Waits until something comes for one of the readers, or until one has to open its next connection.
fn readable(readers: &[Reader]) -> Vec<usize> {
    let closed = readers.iter().filter(|reader| reader.peer.is_none());
    let next = closed.map(|reader| reader.opens_at).min();
    let wait = next.map_or(PATIENCE, |at| at.saturating_duration_since(Instant::now()));
    let wait = Timespec::try_from(wait).expect("a short time");
    let open = readers.iter().enumerate();
    let open = open.filter_map(|(place, reader)| Some((place, reader.peer.as_ref()?)));
    let (places, mut fds): (Vec<usize>, Vec<PollFd<'_>>) = open
        .map(|(place, peer)| (place, PollFd::new(peer, PollFlags::IN)))
        .unzip();
    poll(&mut fds, Some(&wait)).expect("sockets can be waited for");
    let ready = places.into_iter().zip(fds);
    let ready = ready.filter(|(_, fd)| !fd.revents().is_empty());
    ready.map(|(place, _)| place).collect()
}

/// A reader of the numbered protocol.
struct Reader {
    /// None between two attempts.
    peer: Option<Peer>,
    opens_at: Instant,
    visits: Vec<Visit>,
}

impl Reader {
    fn new() -> Self {
        Self {
            peer: None,
            opens_at: Instant::now(),
            visits: Vec::new(),
        }
    }

    fn has_last(&self) -> bool {
        self.visits.last().is_some_and(Visit::has_last)
    }

    fn open(&mut self, addr: SocketAddr) {
        let since = self.visits.last().map(Visit::position);
        let since = since.map_or_else(String::new, |id| format!("?since={id}"));
        let mut peer = Peer::connect(addr);
        peer.send(upgrade_v1(&format!("/ws/a{since}")));
        peer.expect_upgrade_v1();
        self.peer = Some(peer);
        self.visits.push(Visit::default());
    }

    /// Reads what has come.
    fn receive(&mut self, arrivals: &Arrivals, random: &mut Random) {
        let peer = self.peer.as_mut().expect("it is readable");
        let len = peer.receive().expect("bytes, not a reset");
        assert!(len > 0, "the stream ended without a close frame");
        self.take(arrivals, random);
    }

    fn take(&mut self, arrivals: &Arrivals, random: &mut Random) {
        let peer = self.peer.as_mut().expect("it is open");
        let visits = self.visits.len();
        let visit = self.visits.last_mut().expect("it is open");
        while let Some(Frame { first, payload }) = peer.received_frame() {
            match first {
                PING => peer.send(wire::frame(PONG, &payload)),
                TEXT => {
                    if visit.lines.is_empty() {
                        note_arrival(arrivals, visits);
                    }
                    let text = String::from_utf8(payload).expect("text is UTF-8");
                    visit.lines.extend(text.split('\n').map(str::to_owned));
                }
                CLOSE => {
                    assert_eq!(payload, b"\x03\xe9server is going away");
                    // A proxy may be done with a connection that the server has ended.
                    peer.try_send(&wire::frame(CLOSE, &payload));
                    let at = Instant::now();
                    visit.closed = Some(Goodbye { at, retry: None });
                    let wait = random.below(RETRY_MIN_MS);
                    self.opens_at = at + Duration::from_millis(wait as u64);
                    self.peer = None;
                    return;
                }
                _ => panic!("no such frame: {first:x}"),
            }
        }
    }
}
