//! Clients that connect, upgrade and leave without a word.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::crowd::{Run, latencies};
use crate::support::swarm::{ask, read_response};

/// Each visit leaves a port in TIME_WAIT behind, and there are not many more than this.
const VISITS_MAX: u64 = 8_000;

pub(crate) struct Visitors {
    addr: SocketAddr,
    at_once: usize,
    visits_left: u64,
    /// From connecting to the `101`, in the last run.
    pub(crate) latency_us: Histogram<u32>,
}

impl Visitors {
    pub(crate) fn new(addr: SocketAddr, at_once: usize) -> io::Result<Self> {
        Ok(Self {
            addr,
            at_once,
            visits_left: VISITS_MAX,
            latency_us: latencies()?,
        })
    }

    /// Comes and goes for `duration`, or until the ports are used up. A visit counts as a delivery.
    pub(crate) fn run(&mut self, duration: Duration) -> io::Result<Run> {
        self.latency_us.reset();
        let start = Instant::now();
        let visits_before = self.visits_left;
        while self.visits_left >= self.at_once as u64 && start.elapsed() < duration {
            let began = Instant::now();
            let asking = (0..self.at_once)
                .map(|_| ask(self.addr))
                .collect::<io::Result<Vec<_>>>()?;
            for mut socket in asking {
                read_response(&mut socket)?;
                let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
                self.latency_us.saturating_record(took);
                self.visits_left -= 1;
            }
        }
        Ok(Run {
            messages: 0,
            deliveries: visits_before - self.visits_left,
            elapsed: start.elapsed(),
        })
    }
}
