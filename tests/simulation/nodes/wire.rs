//! The two connections of a node, from dialing to their end.

use std::mem;
use std::time::Duration;

use fanfare::backplane::{Backplane, Line};

use super::broker::Broker;
use super::pipe::{Cut, Pipe, latency};
use crate::random::Random;

const LINES: [Line; 2] = [Line::Append, Line::Read];

/// One of them.
#[derive(Debug)]
enum Wire {
    Down,
    Dialing {
        due: Duration,
        is_reached: bool,
    },
    /// It is neither refused nor answered.
    Unanswered,
    Up(Pipe),
}

/// Both connections of a node.
#[derive(Debug)]
pub(super) struct Wires {
    wires: [Wire; 2],
    /// All that the node has ever begun to send. What it has once put among the bytes that are to be sent, it does not
    /// take out of them again, and they may arrive however late they leave.
    sent: Vec<u8>,
    /// How much of what is to be sent on each stands in `sent` already.
    noted: [usize; 2],
}

impl Wires {
    pub(super) fn new() -> Self {
        Self {
            wires: [Wire::Down, Wire::Down],
            sent: Vec::new(),
            noted: [0; 2],
        }
    }

    /// Whether the node has ever begun to send this.
    pub(super) fn has_sent(&self, text: &str) -> bool {
        memchr::memmem::find(&self.sent, text.as_bytes()).is_some()
    }

    /// What has arrived is received.
    pub(super) fn before_turn(
        &mut self,
        backplane: &mut Backplane,
        random: &mut Random,
        broker: &mut Broker,
    ) {
        let now = broker.now();
        for (line, wire) in LINES.into_iter().zip(&mut self.wires) {
            match wire {
                Wire::Dialing { due, is_reached } if *due <= now => {
                    if *is_reached && broker.can_be_reached() {
                        *wire = Wire::Up(Pipe::new(Some(broker.connect())));
                        backplane.note_connected(line);
                    } else {
                        *wire = Wire::Down;
                        backplane.note_lost(line, "connection refused");
                    }
                }
                Wire::Up(pipe) => {
                    while pipe.receive(line, backplane, now) && random.chance(70) {}
                    if pipe.has_ended(now) {
                        pipe.close(broker);
                        *wire = Wire::Down;
                        backplane.note_lost(line, "the broker has closed the connection");
                    }
                }
                Wire::Down | Wire::Dialing { .. } | Wire::Unanswered => {}
            }
        }
    }

    /// What the node has to send goes on its way; connections are opened and closed as it wants.
    pub(super) fn after_turn(
        &mut self,
        backplane: &mut Backplane,
        random: &mut Random,
        broker: &mut Broker,
    ) {
        let Self { wires, sent, noted } = self;
        for ((line, wire), noted) in LINES.into_iter().zip(wires).zip(noted) {
            if !matches!(wire, Wire::Down)
                && backplane.is_given_up(line)
                && let Wire::Up(pipe) = mem::replace(wire, Wire::Down)
            {
                pipe.abandon(random, broker);
                broker.were_counts_disturbed = true;
            }
            if let Wire::Up(pipe) = wire {
                sent.extend(backplane.unsent(line).iter().skip(*noted));
                pipe.send(line, backplane, broker.now(), random);
                *noted = backplane.unsent(line).len();
                continue;
            }
            *noted = 0;
            if matches!(wire, Wire::Down) && backplane.wants_connection(line) {
                *wire = match random.chance(broker.unanswered_percent) {
                    true => Wire::Unanswered,
                    false => Wire::Dialing {
                        due: broker.now() + latency(random),
                        is_reached: !random.chance(broker.refused_percent),
                    },
                };
            }
        }
    }

    fn pipes(&mut self) -> impl Iterator<Item = &mut Pipe> {
        self.wires.iter_mut().filter_map(|wire| match wire {
            Wire::Up(pipe) => Some(pipe),
            _ => None,
        })
    }

    /// What arrives at the broker.
    pub(super) fn serve(&mut self, broker: &mut Broker, random: &mut Random) {
        for pipe in self.pipes() {
            pipe.serve(broker, broker.now(), random);
        }
    }

    /// When something arrives at the broker.
    pub(super) fn broker_due(&mut self) -> Duration {
        let dues = self.pipes().map(|pipe| pipe.broker_due());
        dues.fold(Duration::MAX, Duration::min)
    }

    /// When something arrives at the node, or it can send.
    pub(super) fn node_due(&self, backplane: &Backplane) -> Duration {
        let lines = LINES.into_iter().zip(&self.wires);
        let dues = lines.map(|(line, wire)| match wire {
            Wire::Dialing { due, .. } => *due,
            Wire::Up(pipe) => pipe.node_due(line, backplane),
            Wire::Down | Wire::Unanswered => Duration::MAX,
        });
        dues.fold(Duration::MAX, Duration::min)
    }

    /// A connection ends.
    pub(super) fn cut(&mut self, which: usize, cut: Cut, random: &mut Random, broker: &mut Broker) {
        if let Wire::Up(pipe) = &mut self.wires[which] {
            pipe.cut(cut, random, broker);
        }
    }

    /// Nothing arrives before, in either direction.
    pub(super) fn hold(&mut self, which: usize, time: Duration) {
        if let Wire::Up(pipe) = &mut self.wires[which] {
            pipe.hold_until(time);
        }
    }

    /// The broker goes away.
    pub(super) fn lose_broker(&mut self, random: &mut Random, broker: &Broker) {
        self.pipes()
            .for_each(|pipe| pipe.lose_broker(random, broker));
    }

    /// The node is gone: so are its connections.
    pub(super) fn end(self, random: &mut Random, broker: &mut Broker) {
        for wire in self.wires {
            if let Wire::Up(pipe) = wire {
                pipe.abandon(random, broker);
            }
        }
    }
}
