//! Many readers of the numbered protocol in few threads, who come back by themselves to a node that lives.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Nodes, ROOMS, room};
use crate::common::peer::Frame;
use crate::common::rooms::{Id, upgrade_v1};
use crate::common::wire::{self, CLOSE, PING, PONG, TEXT};
use crate::common::{Peer, eventually};
use crate::record::{LAST, message};

const THREADS: usize = 3;
/// A crowd to which nothing comes for so long has failed.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// What one reader was told, over all its connections.
pub(super) struct Told {
    pub(super) room: String,
    pub(super) messages: Vec<(Id, String)>,
    /// How often it came back.
    pub(super) resumed: usize,
}

pub(super) struct Crowd<'scope> {
    threads: Vec<ScopedJoinHandle<'scope, Vec<Told>>>,
}

impl<'scope> Crowd<'scope> {
    /// So many come, and each knows where it begins.
    pub(super) fn join(
        scope: &'scope Scope<'scope, '_>,
        nodes: &'scope Nodes,
        count: usize,
    ) -> Self {
        let arrived = Arc::<AtomicUsize>::default();
        let threads = (0..THREADS).map(|thread| {
            let arrived = Arc::clone(&arrived);
            scope.spawn(move || {
                let numbers = (thread..count).step_by(THREADS);
                let readers = numbers.map(|number| Reader::join(number, nodes));
                let readers: Vec<_> = readers.collect();
                arrived.fetch_add(readers.len(), Ordering::Relaxed);
                read_all(readers, nodes)
            })
        });
        let threads: Vec<_> = threads.collect();
        eventually("all readers have come", || {
            assert!(!threads.iter().any(ScopedJoinHandle::is_finished));
            (arrived.load(Ordering::Relaxed) == count).then_some(())
        });
        Self { threads }
    }

    /// Waits until all have the last message.
    pub(super) fn end(self) -> Vec<Told> {
        let threads = self.threads.into_iter();
        let told = threads.flat_map(|it| it.join().expect("no reader fails"));
        told.collect()
    }
}

struct Reader {
    number: usize,
    peer: Peer,
    /// The last message that it has, or where it began.
    position: Id,
    /// Whether the first line of this connection has come.
    has_started: bool,
    told: Told,
}

impl Reader {
    fn join(number: usize, nodes: &Nodes) -> Self {
        let room = room(number);
        let mut peer = Peer::connect(nodes.pick(number / ROOMS));
        peer.send(upgrade_v1(&format!("/ws/{room}")));
        peer.expect_upgrade_v1();
        let first = peer.hear();
        let position = Id::parse(first.strip_prefix(":fresh ").expect(&first));
        assert_eq!(position.seq, 0);
        Self {
            number,
            peer,
            position,
            has_started: true,
            told: Told {
                room,
                messages: Vec::new(),
                resumed: 0,
            },
        }
    }

    /// Comes back to a node that lives.
    fn come_back(&mut self, nodes: &Nodes) {
        let mut peer = Peer::connect(nodes.pick(self.number));
        let path = format!("/ws/{}?since={}", self.told.room, self.position);
        peer.send(upgrade_v1(&path));
        peer.expect_upgrade_v1();
        self.peer = peer;
        self.has_started = false;
        self.told.resumed += 1;
        self.take();
    }

    fn has_last(&self) -> bool {
        let last = self.told.messages.last();
        last.is_some_and(|(_, text)| text.ends_with(LAST))
    }

    /// Reads what has come; whether the connection is still there.
    fn receive(&mut self) -> bool {
        let is_there = self.peer.receive().is_ok_and(|len| len > 0);
        is_there && self.take()
    }

    fn take(&mut self) -> bool {
        while let Some(Frame { first, payload }) = self.peer.received_frame() {
            match first {
                // A node that was just killed takes no answer.
                PING => _ = self.peer.try_send(&wire::frame(PONG, &payload)),
                TEXT => {
                    let text = String::from_utf8(payload).expect("text is UTF-8");
                    text.split('\n').for_each(|line| self.take_line(line));
                }
                CLOSE => return false,
                _ => unreachable!("no such frame: {first:x}"),
            }
        }
        true
    }

    fn take_line(&mut self, line: &str) {
        if !self.has_started {
            assert_eq!(line, format!(":resumed {}", self.position));
            self.has_started = true;
            return;
        }
        let (id, text) = message(line).expect(line);
        let next = self.position.at(self.position.seq + 1);
        assert_eq!(id, next.to_string(), "behind {}", self.position);
        self.position = next.clone();
        self.told.messages.push((next, text.to_owned()));
    }
}

fn read_all(mut readers: Vec<Reader>, nodes: &Nodes) -> Vec<Told> {
    let mut heard_at = Instant::now();
    while !readers.iter().all(Reader::has_last) {
        let mut ready = readable(&readers);
        if !ready.is_empty() {
            heard_at = Instant::now();
        }
        let silence = heard_at.elapsed();
        assert!(silence < SILENCE_MAX, "the last message does not come");
        while let Some(place) = ready.pop_front() {
            if !readers[place].receive() {
                readers[place].come_back(nodes);
            }
        }
    }
    readers.into_iter().map(|reader| reader.told).collect()
}

/// Waits for a moment until something comes for some of the readers.
fn readable(readers: &[Reader]) -> VecDeque<usize> {
    let wait = Timespec::try_from(Duration::from_secs(1)).expect("a short time");
    let fds = readers
        .iter()
        .map(|it| PollFd::new(&it.peer, PollFlags::IN));
    let mut fds: Vec<PollFd<'_>> = fds.collect();
    poll(&mut fds, Some(&wait)).expect("sockets can be waited for");
    let ready = fds.iter().enumerate();
    let ready = ready.filter(|(_, fd)| !fd.revents().is_empty());
    ready.map(|(place, _)| place).collect()
}
