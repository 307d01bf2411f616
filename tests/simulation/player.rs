//! A peer in the simulated world: what it does, what it was told, and what it may expect.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

use fanfare::config::Config;

use crate::random::Random;
use crate::waits::Wait;
use crate::world::{Peer, deflate, masked_frame, wire};

/// How far a player has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It speaks HTTP.
    Http,
    /// It is in the room.
    Member,
    /// It talks to itself.
    Echo,
    /// It was told that the connection ends: by a close frame with this code, or by an HTTP answer.
    Told(u16),
}

#[derive(Debug)]
pub(crate) struct Player {
    pub(crate) name: String,
    /// How many players were there before it.
    pub(crate) number: usize,
    /// Whoever shares a place shares the limit of an address.
    pub(crate) place: u128,
    /// Whether there was no seat for it, once it was accepted.
    pub(crate) is_refused: Option<bool>,
    /// Whether the server is going away, so that a request may be answered 503 even to a client
    /// that has a seat.
    pub(crate) may_be_put_off: bool,
    pub(crate) peer: Peer,
    pub(crate) stage: Stage,
    /// What it means to send, of which any part may have been sent.
    pub(crate) outgoing: VecDeque<u8>,
    /// What it received, up to the last whole frame or answer.
    received: Vec<u8>,
    /// What it said, as everybody is to hear it.
    pub(crate) said: Vec<String>,
    /// The place in the order of all lines of the next one that it must hear. At first only a range is
    /// known: it joined somewhere within a turn.
    pub(crate) next_line: RangeInclusive<usize>,
    echoed: usize,
    /// It takes what it gets, answers pings, breaks no rule and has no accident: nothing may befall it.
    pub(crate) is_calm: bool,
    /// It sends nothing more: it has closed, or a part of something is all that ever comes.
    pub(crate) is_silent: bool,
    pub(crate) is_mute: bool,
    /// How many bytes it reads in a second, if not all that there is: the rest lies between it and the server.
    pub(crate) pace: Option<usize>,
    read_at: Duration,
    /// It is in a message that it never ends, and says nothing else; pings it answers.
    pub(crate) is_mid_message: bool,
    /// The close code that its last words must bring.
    pub(crate) expected_close: Option<u16>,
    /// When the server must be done with it, whatever else happens.
    pub(crate) due: Option<(Wait, Duration)>,
    /// When it first took less than there was for it, from which time on it may miss pings.
    pub(crate) limited_since: Option<Duration>,
    /// The bits of its window, if it was agreed on that messages may be compressed.
    pub(crate) window_bits: Option<u8>,
    /// How many messages came compressed.
    pub(crate) deflated: u64,
    pub(crate) answers: usize,
    pub(crate) taken_len: usize,
    pings_sent: u32,
    last_pong: Option<u32>,
}

impl Player {
    pub(crate) fn new(name: String, peer: Peer) -> Self {
        Self {
            name,
            number: 0,
            place: 0,
            is_refused: None,
            may_be_put_off: false,
            peer,
            stage: Stage::Http,
            outgoing: VecDeque::new(),
            received: Vec::new(),
            said: Vec::new(),
            next_line: 0..=usize::MAX,
            echoed: 0,
            is_calm: true,
            is_silent: false,
            is_mute: false,
            pace: None,
            read_at: Duration::ZERO,
            is_mid_message: false,
            expected_close: None,
            due: None,
            limited_since: None,
            window_bits: None,
            deflated: 0,
            answers: 0,
            taken_len: 0,
            pings_sent: 0,
            last_pong: None,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Member | Stage::Echo) && !self.peer.is_closed()
    }

    /// Lets some of what it means to send go.
    pub(crate) fn deliver(&mut self, len: usize) {
        let len = len.min(self.outgoing.len());
        if len > 0 {
            let bytes: Vec<u8> = self.outgoing.drain(..len).collect();
            self.peer.send(&bytes);
        }
    }

    /// Says something that nobody else says, in one of the ways in which it can be said.
    pub(crate) fn say(&mut self, random: &mut Random, config: &Config) {
        let mut text = format!("{}.{}:", self.name, self.said.len());
        let len_max = random.between(text.len(), config.chat.max_message - 4);
        while text.len() + 4 <= len_max {
            text.push(*random.pick(&['a', ' ', '\n', 'é', '€', '😀', 'z']));
        }
        let wire = match random.below(4) {
            0 => format!(" \n{text}\t "),
            _ => text,
        };
        let is_echo = self.stage == Stage::Echo;
        self.said.push(if is_echo {
            wire.clone()
        } else {
            wire.trim().replace('\n', " ")
        });
        let opcode = if is_echo {
            1
        } else {
            *random.pick(&[1, 1, 1, 2])
        };
        let is_deflated = self.window_bits.is_some() && random.chance(50);
        let (payload, mut first) = match is_deflated {
            true => (deflate::deflate(wire.as_bytes()), opcode | deflate::RSV1),
            false => (wire.into_bytes(), opcode),
        };
        let mut rest = &payload[..];
        while random.chance(25) {
            let (piece, behind) = rest.split_at(random.below(rest.len() + 1));
            self.outgoing.extend(masked_frame(first, piece));
            if random.chance(50) {
                self.ping();
            }
            (rest, first) = (behind, 0);
        }
        self.outgoing.extend(masked_frame(0x80 | first, rest));
    }

    pub(crate) fn ping(&mut self) {
        self.pings_sent += 1;
        let payload = self.pings_sent.to_be_bytes();
        self.outgoing.extend(masked_frame(0x89, &payload));
    }

    /// Reads what came in the turn during which the order grew to `order`, from `before` lines on.
    pub(crate) fn listen(&mut self, order: &[String], before: usize, now: Duration) {
        let taken = self.read(now);
        if self.stage == Stage::Http && self.received.is_empty() && !taken.is_empty() {
            self.next_line = before..=order.len();
        }
        self.taken_len += taken.len();
        self.received.extend(taken);
        while self.stage == Stage::Http {
            if !self.take_answer() {
                return;
            }
        }
        let may_be_deflated = self.window_bits.is_some();
        for (first, payload) in wire::take_frames_with(&mut self.received, may_be_deflated) {
            let (Stage::Member | Stage::Echo) = self.stage else {
                panic!("{} hears more after the end", self.name);
            };
            match first {
                wire::TEXT | deflate::DEFLATED_TEXT => {
                    self.deflated += u64::from(first == deflate::DEFLATED_TEXT);
                    self.hear(&deflate::text_of(first, payload, self.window_bits), order);
                }
                0x89 if !self.is_mute && !self.is_silent => {
                    self.outgoing.extend(masked_frame(0x8a, &payload));
                }
                0x89 => {}
                0x8a => {
                    let number: [u8; 4] = payload.try_into().expect("a pong to one of our pings");
                    let number = Some(u32::from_be_bytes(number));
                    assert!(self.last_pong < number && number <= Some(self.pings_sent));
                    self.last_pong = number;
                }
                0x88 => {
                    let code = match payload[..] {
                        [high, low, ..] => u16::from_be_bytes([high, low]),
                        _ => 1005,
                    };
                    self.stage = Stage::Told(code);
                }
                _ => panic!("{} got a frame that begins with {first:#x}", self.name),
            }
        }
    }

    /// Reads what it can by now.
    fn read(&mut self, now: Duration) -> Vec<u8> {
        let time = now - self.read_at;
        match self.pace {
            // What comes with the answer to its upgrade is the first that it must hear, and behind the end
            // nothing is waited for.
            Some(pace) if self.stage != Stage::Http && !self.peer.is_closed() => {
                let len = time.as_millis() * pace as u128 / 1_000;
                if len == 0 {
                    return Vec::new();
                }
                self.read_at = now;
                self.peer.take_up_to(len as usize)
            }
            _ => self.peer.take(),
        }
    }

    /// Whether the server may owe it something for what it sent: an answer, an echo, a pong, a close frame.
    pub(crate) fn may_be_owed(&self) -> bool {
        let has_pongs_to_come = self.last_pong.unwrap_or_default() < self.pings_sent;
        self.stage != Stage::Member || has_pongs_to_come || self.expected_close.is_some()
    }

    /// Whether the server may have given it up, for what it does or fails to do, and not have been able
    /// to say so yet.
    pub(crate) fn is_suspect(&self, now: Duration, config: &Config) -> bool {
        let pings_unseen = self
            .limited_since
            .is_some_and(|since| now >= since + config.timeouts.pong_wait / 2);
        let is_odd = self.is_mute || self.is_silent || self.is_mid_message;
        is_odd || pings_unseen || self.pace.is_some()
    }

    /// Every line must be the next of the one order; an echo is the next of what was said.
    fn hear(&mut self, text: &str, order: &[String]) {
        if self.stage == Stage::Echo {
            assert_eq!(text, self.said[self.echoed], "{}'s echo", self.name);
            self.echoed += 1;
            return;
        }
        for line in text.split('\n') {
            let place = if self.next_line.start() == self.next_line.end() {
                *self.next_line.start()
            } else {
                let mut candidates = self.next_line.clone();
                let found = candidates.find(|&place| order.get(place).is_some_and(|it| it == line));
                found.unwrap_or_else(|| {
                    panic!("{} first hears {line:?}, too early or too late", self.name)
                })
            };
            assert_eq!(
                order.get(place).map(String::as_str),
                Some(line),
                "what {} hears next",
                self.name
            );
            self.next_line = place + 1..=place + 1;
        }
    }

    /// Whether everything it could have heard has been heard.
    pub(crate) fn has_heard_all(&self, order: &[String]) -> bool {
        match self.stage {
            Stage::Echo => self.echoed == self.said.len(),
            _ => self.next_line.contains(&order.len()),
        }
    }

    /// Takes one HTTP answer off what was received.
    fn take_answer(&mut self) -> bool {
        let Some(head_end) = self
            .received
            .windows(4)
            .position(|bytes| bytes == b"\r\n\r\n")
        else {
            return false;
        };
        let head = str::from_utf8(&self.received[..head_end])
            .expect("ASCII")
            .to_owned();
        let status: u16 = head[9..12].parse().expect("a status");
        let body_len: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "))
            .map_or(0, |len| len.parse().expect("a length"));
        if self.received.len() < head_end + 4 + body_len {
            return false;
        }
        self.received.drain(..head_end + 4 + body_len);
        self.answers += 1;
        // One without a seat is told so, unless its request cannot be understood.
        let is_told = match status {
            400 | 408 | 431 => self.is_refused == Some(true),
            status => status == 503,
        };
        let is_put_off = self.may_be_put_off && status == 503;
        assert_eq!(
            is_told && !is_put_off,
            self.is_refused == Some(true) && !is_put_off,
            "whether there is a seat for {}: {status}",
            self.name
        );
        self.window_bits = deflate::agreed_window_of(&head);
        self.stage = match status {
            101 if head.contains("Sec-WebSocket-Accept") && self.name.starts_with('e') => {
                Stage::Echo
            }
            101 => Stage::Member,
            _ if head.contains("Connection: close") => Stage::Told(status),
            _ => Stage::Http,
        };
        true
    }
}
