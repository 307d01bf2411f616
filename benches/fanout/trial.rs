//! One server under one load: a fresh process, its clients, and what the load cost it.

use std::io;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::cases::{Case, Load, Variant};
use crate::crowd::{Crowd, Run, latencies};
use crate::publisher::Publisher;
use crate::support::procfs::Cpu;
use crate::support::server::{Kind, Launch, Server};
use crate::support::swarm::Swarm;
use crate::visitors::Visitors;

/// The part of a turn that goes before it as a lead-in.
const LEAD_IN: u32 = 10;

/// A server and the kind of its readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contestant {
    pub(crate) kind: Kind,
    pub(crate) variant: Variant,
}

/// What a trial found. A delivery is one message at one client; in `visits` it is one visit, in `publish` one request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) messages: u64,
    pub(crate) deliveries: u64,
    /// What the readers got, as it came over the wire.
    pub(crate) bytes: u64,
    pub(crate) elapsed: Duration,
    pub(crate) cpu: Cpu,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) p999_us: u64,
    pub(crate) losses: u64,
    pub(crate) damaged: u64,
    pub(crate) disconnects: u64,
    /// How far the load raised the server's resident memory at its peak.
    pub(crate) growth: u64,
}

impl Outcome {
    pub(crate) fn deliveries_per_s(&self) -> f64 {
        self.deliveries as f64 / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }

    pub(crate) fn messages_per_s(&self) -> f64 {
        self.messages as f64 / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }

    pub(crate) fn cpu_us_per_delivery(&self) -> f64 {
        self.cpu.total.as_secs_f64() * 1e6 / self.deliveries.max(1) as f64
    }

    pub(crate) fn bytes_per_delivery(&self) -> f64 {
        self.bytes as f64 / self.deliveries.max(1) as f64
    }
}

/// A running server with its clients. It waits, asleep, while others have their turn.
pub(crate) struct Trial {
    server: Server,
    guests: Guests,
    resident_before: u64,
    so_far: Outcome,
    latency_us: Histogram<u32>,
}

enum Guests {
    Crowd(Box<Crowd>),
    Visitors(Visitors),
    Publisher(Box<Publisher>),
}

impl Guests {
    fn run(&mut self, duration: Duration) -> io::Result<Run> {
        match self {
            Self::Crowd(crowd) => crowd.run(duration),
            Self::Visitors(visitors) => visitors.run(duration),
            Self::Publisher(publisher) => publisher.run(duration),
        }
    }

    /// Of the last run.
    fn latency_us(&self) -> &Histogram<u32> {
        match self {
            Self::Crowd(crowd) => &crowd.latency_us,
            Self::Visitors(visitors) => &visitors.latency_us,
            Self::Publisher(publisher) => &publisher.latency_us,
        }
    }

    /// The clients that stay, if there are any.
    fn swarm(&self) -> Option<&Swarm> {
        match self {
            Self::Crowd(crowd) => Some(&crowd.swarm),
            Self::Visitors(_) => None,
            Self::Publisher(publisher) => Some(&publisher.listeners),
        }
    }
}

impl Trial {
    /// Starts the server, connects the clients and loads it for `warm_up` without counting.
    pub(crate) fn start(
        contestant: Contestant,
        case: &Case,
        warm_up: Duration,
        launch: Launch<'_>,
    ) -> io::Result<Self> {
        let case = &case.with(contestant.variant);
        let launch = Launch {
            needs: case.needs(),
            ..launch
        };
        let server = Server::start(contestant.kind, launch)?;
        let guests = match case.load {
            Load::Chat(schedule) => {
                let laggards = contestant.variant == Variant::Laggards;
                let crowd = Crowd::gather(&server, case, schedule, laggards)?;
                Guests::Crowd(Box::new(crowd))
            }
            Load::Visits { at_once } => Guests::Visitors(Visitors::new(server.addr, at_once)?),
            Load::Posts { at_once } => {
                let publisher = Publisher::connect(server.addr, case, at_once)?;
                Guests::Publisher(Box::new(publisher))
            }
            Load::Resume(_) => return Err(io::Error::other("resuming is no trial")),
        };
        let resident_before = server.resident()?;
        let mut trial = Self {
            server,
            guests,
            resident_before,
            so_far: Outcome::default(),
            latency_us: latencies()?,
        };
        trial.guests.run(warm_up)?;
        Ok(trial)
    }

    /// Loads the server for `duration` and until everything is delivered, after a lead-in that does not count:
    /// while it slept, others had the caches.
    pub(crate) fn load(&mut self, duration: Duration) -> io::Result<()> {
        self.guests.run(duration / LEAD_IN)?;
        let before = self.server.settled_cpu()?;
        let run = self.guests.run(duration)?;
        self.so_far.cpu += self.server.settled_cpu()? - before;
        self.so_far.messages += run.messages;
        self.so_far.deliveries += run.deliveries;
        self.so_far.bytes += run.bytes;
        self.so_far.elapsed += run.elapsed;
        self.latency_us += self.guests.latency_us();
        Ok(())
    }

    /// Adds what is known only at the end, and stops the server.
    pub(crate) fn finish(self) -> io::Result<Outcome> {
        let mut outcome = self.so_far;
        outcome.p50_us = self.latency_us.value_at_quantile(0.5);
        outcome.p99_us = self.latency_us.value_at_quantile(0.99);
        outcome.p999_us = self.latency_us.value_at_quantile(0.999);
        outcome.growth = self
            .server
            .resident_peak()?
            .saturating_sub(self.resident_before);
        if let Some(swarm) = self.guests.swarm() {
            let tally = swarm.tally();
            outcome.losses = swarm.losses();
            outcome.damaged = tally.damaged;
            outcome.disconnects = tally.disconnects;
        }
        Ok(outcome)
    }
}
