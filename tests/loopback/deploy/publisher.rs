//! One that publishes steadily, whatever happens to the servers, and remembers what it was told to be published.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::common::rooms::post;
use crate::common::{Peer, eventually};

/// The last message.
pub(super) const LAST: &str = " the last one";

const PACE: Duration = Duration::from_millis(100);

pub(super) struct Publisher {
    thread: JoinHandle<Vec<String>>,
    count: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
    /// Held while a publication is on its way.
    busy: Arc<Mutex<()>>,
}

impl Publisher {
    /// Begins to publish, each message on a connection of its own, and every other one on a connection that is kept
    /// if `keeps` says so.
    pub(super) fn start(addr: SocketAddr, keeps: bool) -> Self {
        let (count, is_over) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (counted, end) = (Arc::clone(&count), Arc::clone(&is_over));
        let busy = Arc::<Mutex<()>>::default();
        let working = Arc::clone(&busy);
        let thread = thread::spawn(move || {
            let mut kept = Peer::connect(addr);
            let mut acknowledged = Vec::new();
            loop {
                let number = acknowledged.len();
                let is_last = end.load(Ordering::Relaxed);
                let text = match is_last {
                    true => LAST.trim().to_owned(),
                    false => format!("message {number}"),
                };
                let request = post("/room/a", &text);
                let work = working.lock();
                let id = match keeps && number % 2 == 1 {
                    true => publish(&mut kept, &request),
                    false => publish(&mut Peer::connect(addr), &request),
                };
                drop(work);
                acknowledged.push(format!("{id} {text}"));
                if is_last {
                    return acknowledged;
                }
                counted.store(number + 1, Ordering::Relaxed);
                thread::sleep(PACE);
            }
        });
        Self {
            thread,
            count,
            is_over,
            busy,
        }
    }

    /// Does this between two publications.
    pub(super) fn between(&self, act: impl FnOnce()) {
        let _idle = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        act();
    }

    /// Waits until so many more messages are published.
    pub(super) fn wait_for_more(&self, count: usize) {
        let begin = self.count.load(Ordering::Relaxed);
        eventually("more is published", || {
            assert!(!self.thread.is_finished(), "a publication failed");
            let published = self.count.load(Ordering::Relaxed);
            (published >= begin + count).then_some(())
        });
    }

    /// Publishes the last message; all lines as a reader has to get them.
    pub(super) fn end(self) -> Vec<String> {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().expect("each publication is answered")
    }
}

fn publish(peer: &mut Peer, request: &[u8]) -> String {
    peer.send(request);
    peer.expect_id().to_string()
}
