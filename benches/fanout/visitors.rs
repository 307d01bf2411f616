//! Clients that connect, upgrade, send a close frame, wait for the answer to it and close.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::crowd::{Run, latencies};
use crate::support::connection::{ask_from, read_close_answer, read_response, send_close};
use crate::support::wire::UPGRADE_REQUEST;

/// Each visit leaves a port in TIME_WAIT behind; after so many the next loopback address takes over, which has all of its own.
const VISITS_PER_SOURCE: u32 = 1_000;

pub(crate) struct Visitors {
    addr: SocketAddr,
    at_once: usize,
    visits: u32,
    /// From connecting to the `101`, in the last run.
    pub(crate) latency_us: Histogram<u32>,
}

impl Visitors {
    pub(crate) fn new(addr: SocketAddr, at_once: usize) -> io::Result<Self> {
        Ok(Self {
            addr,
            at_once,
            visits: 0,
            latency_us: latencies()?,
        })
    }

    /// Comes and goes for `duration`, all at once in each step. A visit counts as a delivery.
    pub(crate) fn run(&mut self, duration: Duration) -> io::Result<Run> {
        self.latency_us.reset();
        let start = Instant::now();
        let visits_before = self.visits;
        while start.elapsed() < duration {
            let source = source(self.visits / VISITS_PER_SOURCE);
            let began = Instant::now();
            let mut sockets = (0..self.at_once)
                .map(|_| ask_from(source, self.addr, UPGRADE_REQUEST))
                .collect::<io::Result<Vec<_>>>()?;
            for socket in &mut sockets {
                read_response(socket)?;
                let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
                self.latency_us.saturating_record(took);
                send_close(socket)?;
            }
            for mut socket in sockets {
                read_close_answer(&mut socket)?;
                self.visits += 1;
            }
        }
        Ok(Run {
            messages: 0,
            deliveries: u64::from(self.visits - visits_before),
            bytes: 0,
            elapsed: start.elapsed(),
        })
    }
}

/// The loopback address of that number, from 127.1.0.0 on; all of 127.0.0.0/8 is the machine's own.
fn source(number: u32) -> Ipv4Addr {
    let first = u32::from(Ipv4Addr::new(127, 1, 0, 0));
    Ipv4Addr::from(first + number % 0x00fe_0000)
}
