//! All readers of a room are cut off at once, miss some messages and come back for them, while a pair goes on chatting. What a
//! resume costs, beside a plain connect, and how long the pair's round trip takes meanwhile.

pub(crate) mod report;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::cases::{Case, Pair};
use crate::crowd::{SILENCE_MAX, latencies};
use crate::support::machine::Cores;
use crate::support::server::{Kind, Launch, Server};
use crate::support::speaker::{Couple, Speaker};
use crate::support::swarm::Swarm;

/// Messages that every reader misses.
const MISSED: u32 = 100;
/// So many readers ask together; below the servers' listen backlogs.
const AT_ONCE: usize = 512;
const POLL_MAX: Duration = Duration::from_millis(5);
/// After a silence this long all that was sent has arrived.
const QUIET: Duration = Duration::from_millis(100);

/// What one server made of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    /// While all readers are in the room and get nothing but what the pair may say there.
    pub(crate) usual: Meanwhile,
    /// While all readers connect, without asking for what they missed.
    pub(crate) connecting: Meanwhile,
    /// While they do ask; nothing where the server keeps nothing.
    pub(crate) resuming: Option<Meanwhile>,
    /// Messages that a reader missed, got twice or in the wrong place.
    pub(crate) wrong: u64,
    pub(crate) disconnects: u64,
    /// Whether what the pair says goes to the readers, more of it the more of them are there.
    is_pair_among_readers: bool,
}

/// A phase in which the pair chats.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meanwhile {
    pub(crate) elapsed: Duration,
    pub(crate) cpu: Duration,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) max_us: u64,
    /// Messages of the pair.
    messages: u64,
}

impl Outcome {
    /// Processor time for each of so many readers in `phase`, without that which the pair costs in any case; `None` where that
    /// cannot be told apart.
    pub(crate) fn cpu_us_per_reader(&self, phase: &Meanwhile, readers: usize) -> Option<f64> {
        let per_message = self.usual.cpu.as_secs_f64() / self.usual.messages.max(1) as f64;
        let cpu = phase.cpu.as_secs_f64() - per_message * phase.messages as f64;
        (!self.is_pair_among_readers).then_some(cpu.max(0.0) * 1e6 / readers.max(1) as f64)
    }
}

/// Starts the server and goes through all of it once.
pub(crate) fn measure(
    kind: Kind,
    case: &Case,
    pair: Pair,
    usual: Duration,
    launch: Launch<'_>,
) -> io::Result<Outcome> {
    let server = Server::start(kind, launch)?;
    let mut swarm = Swarm::new(server.addr, 1, case.message_len)?;
    swarm.join(&case.seats())?;
    let room = if pair.is_among_readers { "" } else { "/pair" };
    let mut scene = Scene {
        couple: Couple::join(server.addr, room, case.message_len)?,
        pair,
        cores: launch.cores,
        server,
        swarm,
    };
    let usual = scene.while_the_pair_chats(|swarm| {
        let end = Instant::now() + usual;
        while Instant::now() < end {
            swarm.poll(POLL_MAX, |_, _, _| ())?;
        }
        Ok(())
    })?;
    let connecting = scene.come_back(true)?;
    let resuming = if kind == Kind::Floor {
        None
    } else {
        Some(scene.come_back(false)?)
    };
    let tally = scene.swarm.tally();
    Ok(Outcome {
        usual,
        connecting,
        resuming,
        wrong: tally.damaged + scene.swarm.losses(),
        disconnects: tally.disconnects,
        is_pair_among_readers: pair.is_among_readers,
    })
}

struct Scene {
    server: Server,
    swarm: Swarm,
    couple: Couple,
    pair: Pair,
    cores: Option<Cores>,
}

impl Scene {
    /// Cuts all readers off and lets them back in; unless they come `fresh`, they have missed something that they ask for.
    fn come_back(&mut self, fresh: bool) -> io::Result<Meanwhile> {
        self.swarm.cut()?;
        self.server.wait_for_closes(2)?;
        if !fresh {
            let mut speaker = Speaker::join(self.server.addr, "", 2, self.swarm.message_len())?;
            let last = speaker.say(MISSED)?;
            speaker.hear(2, last)?;
            self.swarm.note_sent(0, MISSED.into());
        }
        let phase = self.while_the_pair_chats(|swarm| {
            swarm.rejoin(fresh, AT_ONCE)?;
            if fresh {
                Ok(())
            } else {
                swarm.wait_until_complete(SILENCE_MAX)
            }
        })?;
        if fresh {
            // Who comes anew gets what is said from then on, whatever that is; only the order can be wrong.
            while self.swarm.poll(QUIET, |_, _, _| ())? > 0 {}
            self.swarm.forget_counts();
        } else {
            if self.pair.is_among_readers {
                self.swarm.note_sent(0, phase.messages);
            }
            self.swarm.wait_until_complete(SILENCE_MAX)?;
        }
        Ok(phase)
    }

    fn while_the_pair_chats(
        &mut self,
        work: impl FnOnce(&mut Swarm) -> io::Result<()>,
    ) -> io::Result<Meanwhile> {
        let Self {
            server,
            swarm,
            couple,
            pair,
            cores,
        } = self;
        let is_over = AtomicBool::new(false);
        let before = server.settled_cpu()?;
        let start = Instant::now();
        let (worked, talked) = thread::scope(|scope| {
            let talking = scope.spawn(|| {
                Cores::enter_pair(*cores)?;
                talk(couple, pair.per_s, &is_over)
            });
            let worked = work(swarm);
            is_over.store(true, Ordering::Relaxed);
            // It comes to an end in any case: its sockets have a timeout.
            let talked = talking.join();
            (worked, talked)
        });
        worked?;
        let elapsed = start.elapsed();
        let (latency_us, messages) =
            talked.map_err(|_| io::Error::other("the pair panicked"))??;
        Ok(Meanwhile {
            elapsed,
            cpu: (server.settled_cpu()? - before).total,
            p50_us: latency_us.value_at_quantile(0.5),
            p99_us: latency_us.value_at_quantile(0.99),
            max_us: latency_us.max(),
            messages,
        })
    }
}

/// The round trips in microseconds, and how many messages they took.
fn talk(
    couple: &mut Couple,
    per_s: u32,
    is_over: &AtomicBool,
) -> io::Result<(Histogram<u32>, u64)> {
    let mut latency_us = latencies()?;
    let messages = couple.talk(per_s, is_over, |took| {
        latency_us.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    })?;
    Ok((latency_us, messages))
}
