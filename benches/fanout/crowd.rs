//! The swarm under a load: who sends when, and how long it took to arrive.

use std::io;
use std::iter;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::cases::{Case, LAGGARD_EVERY, Schedule};
use crate::support::client::Seat;
use crate::support::format::Format;
use crate::support::message::Line;
use crate::support::server::Server;
use crate::support::swarm::Swarm;

/// Clients that read every line, beside the senders.
const OBSERVERS: usize = 8;
/// Nothing arrived for this long: what is missing is lost.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(2);
const LATENCY_MAX_US: u64 = 60_000_000;
const RECEIVE_MAX: Duration = Duration::from_millis(100);
/// A wait may end so much too late; the end of one that has to be exact is spent awake.
const OVERSLEEP_MAX: Duration = Duration::from_micros(100);

/// Clients of one server, some of which send.
pub(crate) struct Crowd {
    schedule: Schedule,
    pub(crate) swarm: Swarm,
    senders: Vec<Sender>,
    /// The senders that may send now.
    due: Vec<usize>,
    /// From one sender to the next, where each room has one.
    spacing: usize,
    /// Whose turn it is, where the rooms take turns.
    next: usize,
    /// Messages since the crowd came together.
    sent: u64,
    last_arrival: Instant,
    /// Of every line that an observer received in the last run, counted from when it should have been sent.
    pub(crate) latency_us: Histogram<u32>,
}

struct Sender {
    client: usize,
    /// As its lines have it; of those in one room, each has its own.
    id: u8,
    sequence: u32,
    /// When each message that may leave now should have left.
    due_us: Vec<u32>,
}

/// What happened between start and end of one run.
pub(crate) struct Run {
    pub(crate) messages: u64,
    pub(crate) deliveries: u64,
    pub(crate) bytes: u64,
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
        let mut swarm = Swarm::new(server.addr, case.rooms(), case.message_len)?;
        swarm.fill_with(case.filler);
        let mut seats = case.seats();
        let senders = choose_senders(case, schedule, &mut seats);
        swarm.join(&seats)?;
        let clients = seats.len();
        let watching = (1..=OBSERVERS).map(|index| (index * clients / OBSERVERS).saturating_sub(1));
        let observing: Vec<_> = watching
            .chain(senders.iter().map(|sender| sender.client))
            .collect();
        observing.iter().for_each(|client| swarm.observe(*client));
        if laggards {
            let candidates = (LAGGARD_EVERY / 2..clients).step_by(LAGGARD_EVERY);
            let lagging = candidates.filter(|client| !observing.contains(client));
            for (number, client) in lagging.enumerate() {
                swarm.lag(client, number);
            }
        }
        Ok(Self {
            schedule,
            swarm,
            spacing: (clients / senders.len()).max(1),
            senders,
            due: Vec::new(),
            next: 0,
            sent: 0,
            last_arrival: Instant::now(),
            latency_us: latencies()?,
        })
    }

    /// Sends for `duration`, then waits until all is delivered.
    pub(crate) fn run(&mut self, duration: Duration) -> io::Result<Run> {
        let sent_before = self.sent;
        let before = self.swarm.tally();
        self.latency_us.reset();
        let start = Instant::now();
        self.last_arrival = start;
        match self.schedule {
            Schedule::Rounds { messages } => self.send_in_rounds(messages, start + duration)?,
            Schedule::Windows { in_flight, .. } => {
                self.make_due(in_flight);
                self.send_what_came_back(start + duration)?
            }
            Schedule::Rotation { in_flight } => {
                self.make_due(0);
                (0..in_flight).for_each(|_| self.pass_the_turn());
                self.send_what_came_back(start + duration)?
            }
            Schedule::Paced { per_s } => self.send_by_the_clock(per_s, start, start + duration)?,
        };
        let now = self.swarm.tally();
        Ok(Run {
            messages: self.sent - sent_before,
            deliveries: now.lines - before.lines,
            bytes: now.bytes - before.bytes,
            elapsed: self.last_arrival - start,
        })
    }

    fn send_in_rounds(&mut self, messages: usize, end: Instant) -> io::Result<()> {
        while self.can_send() && Instant::now() < end {
            self.make_due(messages);
            self.send_what_is_due()?;
            self.receive_the_rest()?;
        }
        Ok(())
    }

    fn send_what_came_back(&mut self, end: Instant) -> io::Result<()> {
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
            for index in 0..self.senders.len() {
                add_due(&mut self.senders, &mut self.due, index, due_us);
            }
            self.send_what_is_due()?;
            due += Duration::from_secs(1) / per_s;
        }
        self.receive_the_rest()
    }

    /// Lets every sender send so many messages now.
    fn make_due(&mut self, messages: usize) {
        let now_us = self.swarm.clock.now_us();
        self.due.clear();
        for (index, sender) in self.senders.iter_mut().enumerate() {
            sender.due_us.clear();
            sender.due_us.extend(iter::repeat_n(now_us, messages));
            if messages > 0 {
                self.due.push(index);
            }
        }
    }

    /// Lets the next of all senders send a message now.
    fn pass_the_turn(&mut self) {
        let now_us = self.swarm.clock.now_us();
        let index = next_of(&mut self.next, self.senders.len());
        add_due(&mut self.senders, &mut self.due, index, now_us);
    }

    fn send_what_is_due(&mut self) -> io::Result<()> {
        for index in self.due.drain(..) {
            let sender = &mut self.senders[index];
            if sender.due_us.is_empty() || !self.swarm.is_reading(sender.client) {
                continue;
            }
            let Sender { id, sequence, .. } = sender;
            self.sent += sender.due_us.len() as u64;
            let lines = sender.due_us.drain(..).map(|intended_us| {
                let line = Line {
                    sender: *id,
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
            if self.swarm.is_complete() || self.is_silent() {
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
    /// a sender's next one due; in a rotation, that of the sender whose turn it is.
    fn receive(&mut self, timeout: Duration) -> io::Result<()> {
        let Self {
            schedule,
            swarm,
            senders,
            due,
            next,
            spacing,
            latency_us,
            ..
        } = self;
        let arrivals = swarm.poll(timeout, |client, line, at_us| {
            latency_us.saturating_record(u64::from(at_us.saturating_sub(line.intended_us)));
            let index = match schedule {
                Schedule::Windows { .. } => usize::from(line.sender),
                Schedule::Rotation { .. } => client / *spacing,
                Schedule::Rounds { .. } | Schedule::Paced { .. } => return,
            };
            if senders
                .get(index)
                .is_none_or(|sender| sender.client != client)
            {
                return;
            }
            let index = match schedule {
                Schedule::Rotation { .. } => next_of(next, senders.len()),
                _ => index,
            };
            add_due(senders, due, index, at_us);
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

/// Who sends in `case`: clients that are spread evenly, one in each room where rooms take turns. Where the clients listen to
/// events, the senders get seats of their own. Those are the first, so that every server sends to them first: a sender that is
/// answered at the end of a turn is too late for the next one.
fn choose_senders(case: &Case, schedule: Schedule, seats: &mut Vec<Seat>) -> Vec<Sender> {
    let clients = case.clients;
    let count = match schedule {
        Schedule::Windows { senders, .. } => senders.min(clients),
        Schedule::Rotation { .. } => case.rooms(),
        Schedule::Rounds { .. } | Schedule::Paced { .. } => 1,
    };
    if case.format == Format::Events {
        let seat = Seat {
            format: Format::Plain,
            room: 0,
        };
        seats.splice(..0, iter::repeat_n(seat, count));
    }
    let sender = |index| Sender {
        client: match case.format {
            Format::Events => index,
            Format::Plain | Format::V1 | Format::Deflated => index * clients / count,
        },
        id: match schedule {
            Schedule::Rotation { .. } => 0,
            _ => u8::try_from(index).unwrap_or(u8::MAX),
        },
        sequence: 0,
        due_us: Vec::new(),
    };
    (0..count).map(sender).collect()
}

/// Lets the sender of that number send one message more, which should have left at `due_us`.
fn add_due(senders: &mut [Sender], due: &mut Vec<usize>, index: usize, due_us: u32) {
    let sender = &mut senders[index];
    if sender.due_us.is_empty() {
        due.push(index);
    }
    sender.due_us.push(due_us);
}

/// The number that `next` stands at, which moves on, round and round.
fn next_of(next: &mut usize, count: usize) -> usize {
    let this = *next % count;
    *next = this + 1;
    this
}

/// Room for latencies of up to a minute, in microseconds.
pub(crate) fn latencies() -> io::Result<Histogram<u32>> {
    Histogram::new_with_bounds(1, LATENCY_MAX_US, 3).map_err(io::Error::other)
}
