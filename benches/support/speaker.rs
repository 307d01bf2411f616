//! Clients that take part in a conversation one by one, each on a socket that waits.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::connection::{ask, read_response};
use super::format::Format;
use super::message::{Filler, Line, Messages, Texts};
use super::scan::Observer;

const INPUT_LEN: usize = 64 * 1024;
const SPEAKERS_MAX: usize = 3;

/// A client on plain WebSocket.
pub(crate) struct Speaker {
    id: u8,
    socket: TcpStream,
    messages: Messages,
    observer: Observer,
    /// The number of the last line of each speaker.
    heard: [Option<u32>; SPEAKERS_MAX],
    sequence: u32,
    input: Vec<u8>,
}

impl Speaker {
    /// Joins `room`, in which no other speaker has this `id`, below three.
    pub(crate) fn join(
        addr: SocketAddr,
        room: &str,
        id: u8,
        message_len: usize,
    ) -> io::Result<Self> {
        let mut socket = ask(addr, &Format::Plain.request(room))?;
        read_response(&mut socket)?;
        Ok(Self {
            id,
            socket,
            messages: Messages::new(&Texts::new(message_len, Filler::Letters)),
            observer: Observer::default(),
            heard: [None; SPEAKERS_MAX],
            sequence: 0,
            input: vec![0; INPUT_LEN],
        })
    }

    /// Sends so many messages in one write; returns the number of the last.
    pub(crate) fn say(&mut self, messages: u32) -> io::Result<u32> {
        let mut frames = Vec::new();
        for _ in 0..messages {
            self.sequence += 1;
            let line = Line {
                sender: self.id,
                sequence: self.sequence,
                intended_us: 0,
            };
            self.messages.append(line, &mut frames);
        }
        self.socket.write_all(&frames)?;
        Ok(self.sequence)
    }

    /// Reads until that message of that speaker is there.
    pub(crate) fn hear(&mut self, speaker: u8, sequence: u32) -> io::Result<()> {
        while self.heard.get(usize::from(speaker)) != Some(&Some(sequence)) {
            let len = self.socket.read(&mut self.input)?;
            if len == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let heard = &mut self.heard;
            self.observer.feed(&self.input[..len], |line| {
                if let Some(last) = heard.get_mut(usize::from(line.sender)) {
                    *last = Some(line.sequence);
                }
            });
        }
        Ok(())
    }
}

/// Two speakers, of which the second answers the first.
pub(crate) struct Couple([Speaker; 2]);

impl Couple {
    pub(crate) fn join(addr: SocketAddr, room: &str, message_len: usize) -> io::Result<Self> {
        let first = Speaker::join(addr, room, 0, message_len)?;
        Ok(Self([first, Speaker::join(addr, room, 1, message_len)?]))
    }

    /// Talks `per_s` times a second until `is_over`: a message, and its answer. `on_round_trip` gets how long each took, from
    /// when it should have begun. Returns how many messages both have sent.
    pub(crate) fn talk(
        &mut self,
        per_s: u32,
        is_over: &AtomicBool,
        mut on_round_trip: impl FnMut(Duration),
    ) -> io::Result<u64> {
        let Self([first, second]) = self;
        let mut sent = 0;
        let mut due = Instant::now();
        while !is_over.load(Ordering::Relaxed) {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let question = first.say(1)?;
            second.hear(first.id, question)?;
            let answer = second.say(1)?;
            first.hear(second.id, answer)?;
            on_round_trip(due.elapsed());
            sent += 2;
            due += Duration::from_secs(1) / per_s;
        }
        Ok(sent)
    }
}
