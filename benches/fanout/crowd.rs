//! The swarm under a load: who sends when, and how long it took to arrive.

use std::io;
use std::iter;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::cases::{Case, LAGGARD_EVERY, Schedule};
use crate::support::server::Server;
use crate::support::swarm::{Swarm, Tally};
use crate::support::wire::Line;

/// Clients that read every line, beside the senders.
const OBSERVERS: usize = 8;
/// Nothing arrived for this long: what is missing is lost.
const SILENCE_MAX: Duration = Duration::from_secs(2);
const LATENCY_MAX_US: u64 = 60_000_000;
const RECEIVE_MAX: Duration = Duration::from_millis(100);
/// A wait may end so much too late; the end of one that has to be exact is spent awake.
const OVERSLEEP_MAX: Duration = Duration::from_micros(100);

/// Clients of one server, some of which send.
pub(crate) struct Crowd {
    schedule: Schedule,
    swarm: Swarm,
    senders: Vec<Sender>,
    /// Messages since the crowd came together.
    sent: u64,
    last_arrival: Instant,
    /// Of every line that an observer received in the last run, counted from when it should have been sent.
    pub(crate) latency_us: Histogram<u32>,
}

struct Sender {
    client: usize,
    sequence: u32,
    /// When each message that may leave now should have left.
    due_us: Vec<u32>,
}

/// What happened between start and end of one run.
pub(crate) struct Run {
    pub(crate) messages: u64,
    pub(crate) deliveries: u64,
    /// From the first message to the last arrival.
    pub(crate) elapsed: Duration,
}

impl Crowd {
    /// Connects the clients of `case`, some of which will send by `schedule`. Senders and observers are spread evenly among them, and laggards if wanted.
    pub(crate) fn gather(
        server: &Server,
        case: &Case,
        schedule: Schedule,
        laggards: bool,
    ) -> io::Result<Self> {
        let clients = case.clients;
        let mut swarm = Swarm::connect(server.addr, clients, case.message_len)?;
        let senders = match schedule {
            Schedule::Windows { senders, .. } => senders.min(clients),
            Schedule::Rounds { .. } | Schedule::Paced { .. } => 1,
        };
        let sending = (0..senders).map(|index| index * clients / senders);
        let watching = (1..=OBSERVERS).map(|index| (index * clients / OBSERVERS).saturating_sub(1));
        let observing: Vec<_> = sending.clone().chain(watching).collect();
        observing.iter().for_each(|client| swarm.observe(*client));
        if laggards {
            let candidates = (LAGGARD_EVERY / 2..clients).step_by(LAGGARD_EVERY);
            let lagging = candidates.filter(|client| !observing.contains(client));
            for (number, client) in lagging.enumerate() {
                swarm.lag(client, number);
            }
        }
        let sender = |client| Sender {
            client,
            sequence: 0,
            due_us: Vec::new(),
        };
        Ok(Self {
            schedule,
            swarm,
            senders: sending.map(sender).collect(),
            sent: 0,
            last_arrival: Instant::now(),
            latency_us: latencies()?,
        })
    }

    /// Sends for `duration`, then waits until all is delivered.
    pub(crate) fn run(&mut self, duration: Duration) -> io::Result<Run> {
        let sent_before = self.sent;
        let lines_before = self.swarm.tally().lines;
        self.latency_us.reset();
        let start = Instant::now();
        self.last_arrival = start;
        match self.schedule {
            Schedule::Rounds { messages } => self.send_in_rounds(messages, start + duration)?,
            Schedule::Windows { in_flight, .. } => {
                self.send_in_windows(in_flight, start + duration)?
            }
            Schedule::Paced { per_s } => self.send_by_the_clock(per_s, start, start + duration)?,
        };
        Ok(Run {
            messages: self.sent - sent_before,
            deliveries: self.swarm.tally().lines - lines_before,
            elapsed: self.last_arrival - start,
        })
    }

    pub(crate) fn tally(&self) -> Tally {
        self.swarm.tally()
    }

    /// Messages that never reached a reader which is still there, all readers together.
    pub(crate) fn losses(&self) -> u64 {
        self.swarm.losses(self.sent)
    }

    fn send_in_rounds(&mut self, messages: usize, end: Instant) -> io::Result<()> {
        while self.can_send() && Instant::now() < end {
            self.make_due(messages);
            self.send_what_is_due()?;
            self.receive_the_rest()?;
        }
        Ok(())
    }

    fn send_in_windows(&mut self, in_flight: usize, end: Instant) -> io::Result<()> {
        self.make_due(in_flight);
        while self.can_send() && Instant::now() < end {
            self.send_what_is_due()?;
            self.receive(RECEIVE_MAX)?;
        }
        self.receive_the_rest()
    }

    /// Every message that is due before `end` is sent, and its latency counted from when it was due. Where the
    /// swarm itself is late, that counts as well, for all contestants alike.
    fn send_by_the_clock(&mut self, per_s: u32, start: Instant, end: Instant) -> io::Result<()> {
        let mut due = start;
        while due < end && self.can_send() {
            self.receive_until(due)?;
            let due_us = self.swarm.clock.at_us(due);
            for sender in &mut self.senders {
                sender.due_us.push(due_us);
            }
            self.send_what_is_due()?;
            due += Duration::from_secs(1) / per_s;
        }
        self.receive_the_rest()
    }

    /// Lets every sender send so many messages now.
    fn make_due(&mut self, messages: usize) {
        let now_us = self.swarm.clock.now_us();
        for sender in &mut self.senders {
            sender.due_us.clear();
            sender.due_us.extend(iter::repeat_n(now_us, messages));
        }
    }

    fn send_what_is_due(&mut self) -> io::Result<()> {
        for (id, sender) in (0..=u8::MAX).zip(&mut self.senders) {
            if sender.due_us.is_empty() || !self.swarm.is_reading(sender.client) {
                continue;
            }
            let sequence = &mut sender.sequence;
            self.sent += sender.due_us.len() as u64;
            let lines = sender.due_us.drain(..).map(|intended_us| {
                let line = Line {
                    sender: id,
                    sequence: *sequence,
                    intended_us,
                };
                *sequence = sequence.wrapping_add(1);
                line
            });
            self.swarm.send(sender.client, lines)?;
        }
        Ok(())
    }

    /// Waits until every reader has every message, or for as long as anything still arrives.
    fn receive_the_rest(&mut self) -> io::Result<()> {
        loop {
            let tally = self.swarm.tally();
            if tally.lines_of_readers >= self.sent * tally.readers || self.is_silent() {
                return Ok(());
            }
            self.receive(RECEIVE_MAX)?;
        }
    }

    /// Takes in what arrives until `moment`.
    fn receive_until(&mut self, moment: Instant) -> io::Result<()> {
        loop {
            let left = moment.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.receive(left.saturating_sub(OVERSLEEP_MAX))?;
        }
    }

    /// Takes in what has arrived, or the first that does within `timeout`. In windows, a message of its own makes
    /// a sender's next one due.
    fn receive(&mut self, timeout: Duration) -> io::Result<()> {
        let Self {
            schedule,
            swarm,
            senders,
            latency_us,
            ..
        } = self;
        let arrivals = swarm.poll(timeout, |client, line, at_us| {
            latency_us.saturating_record(u64::from(at_us.saturating_sub(line.intended_us)));
            if matches!(schedule, Schedule::Windows { .. })
                && let Some(sender) = senders.get_mut(usize::from(line.sender))
                && sender.client == client
            {
                sender.due_us.push(at_us);
            }
        })?;
        if arrivals > 0 {
            self.last_arrival = Instant::now();
        }
        Ok(())
    }

    fn can_send(&self) -> bool {
        let mut senders = self.senders.iter();
        let is_any_left = senders.any(|sender| self.swarm.is_reading(sender.client));
        is_any_left && !self.is_silent()
    }

    fn is_silent(&self) -> bool {
        self.last_arrival.elapsed() > SILENCE_MAX
    }
}

/// Room for latencies of up to a minute, in microseconds.
pub(crate) fn latencies() -> io::Result<Histogram<u32>> {
    Histogram::new_with_bounds(1, LATENCY_MAX_US, 3).map_err(io::Error::other)
}
