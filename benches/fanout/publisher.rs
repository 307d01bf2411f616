//! One connection that publishes by requests, and clients that listen. Every answer must be a `200` with the next id.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::cases::Case;
use crate::crowd::{Run, SILENCE_MAX, latencies};
use crate::support::id::Id;
use crate::support::message::{Line, Posts};
use crate::support::swarm::{PATIENCE, Swarm};

const CHUNK_LEN: usize = 16 * 1024;
const HEADERS_MAX: usize = 32;

pub(crate) struct Publisher {
    socket: TcpStream,
    at_once: usize,
    posts: Posts,
    sequence: u32,
    /// The id of the last answer.
    last: Option<Id>,
    requests: Vec<u8>,
    /// What has arrived of answers that were not read yet.
    answers: Vec<u8>,
    pub(crate) listeners: Swarm,
    /// From request to answer, in the last run.
    pub(crate) latency_us: Histogram<u32>,
}

impl Publisher {
    pub(crate) fn connect(addr: SocketAddr, case: &Case, at_once: usize) -> io::Result<Self> {
        let mut listeners = Swarm::new(addr, case.rooms(), case.message_len)?;
        listeners.join(&case.seats())?;
        (0..case.clients).for_each(|client| listeners.observe(client));
        let socket = TcpStream::connect(addr)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            socket,
            at_once,
            posts: Posts::new(case.message_len),
            sequence: 0,
            last: None,
            requests: Vec::new(),
            answers: Vec::new(),
            listeners,
            latency_us: latencies()?,
        })
    }

    /// Publishes for `duration`, then waits until the listeners have all. A request counts as a delivery.
    pub(crate) fn run(&mut self, duration: Duration) -> io::Result<Run> {
        self.latency_us.reset();
        let start = Instant::now();
        let mut messages = 0;
        while start.elapsed() < duration {
            self.send()?;
            let sent_at = Instant::now();
            for _ in 0..self.at_once {
                self.receive()?;
                let took = u64::try_from(sent_at.elapsed().as_micros()).unwrap_or(u64::MAX);
                self.latency_us.saturating_record(took);
            }
            messages += self.at_once as u64;
            self.listeners.poll(Duration::ZERO, |_, _, _| ())?;
        }
        let elapsed = start.elapsed();
        self.listeners.wait_until_complete(SILENCE_MAX)?;
        Ok(Run {
            messages,
            deliveries: messages,
            bytes: 0,
            elapsed,
        })
    }

    fn send(&mut self) -> io::Result<()> {
        self.requests.clear();
        for _ in 0..self.at_once {
            let line = Line {
                sender: 0,
                sequence: self.sequence,
                intended_us: self.listeners.clock.now_us(),
            };
            self.sequence = self.sequence.wrapping_add(1);
            self.posts.append(line, &mut self.requests);
        }
        self.listeners.note_sent(0, self.at_once as u64);
        self.socket.write_all(&self.requests)
    }

    /// Waits for the next answer.
    fn receive(&mut self) -> io::Result<()> {
        loop {
            if let Some((len, id)) = parse_answer(&self.answers)? {
                let is_next = self.last.is_none_or(|last| last.plus(1) == id);
                if !is_next {
                    return Err(io::Error::other("the id in an answer is not the next"));
                }
                self.last = Some(id);
                self.answers.drain(..len);
                return Ok(());
            }
            let mut chunk = [0; CHUNK_LEN];
            match self.socket.read(&mut chunk)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                len => self.answers.extend_from_slice(&chunk[..len]),
            }
        }
    }
}

/// The length of the answer at the start of `bytes`, and the id in it; `None` if it is not all there.
fn parse_answer(bytes: &[u8]) -> io::Result<Option<(usize, Id)>> {
    let wrong = || io::Error::other(String::from_utf8_lossy(bytes));
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head_len) = response.parse(bytes).map_err(|_| wrong())? else {
        return Ok(None);
    };
    let length = response
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("Content-Length"))
        .and_then(|header| {
            std::str::from_utf8(header.value)
                .ok()?
                .parse::<usize>()
                .ok()
        })
        .ok_or_else(wrong)?;
    let Some(body) = bytes.get(head_len..head_len + length) else {
        return Ok(None);
    };
    let id = body.strip_suffix(b"\n").and_then(Id::parse);
    match (response.code, id) {
        (Some(200), Some(id)) => Ok(Some((head_len + length, id))),
        _ => Err(wrong()),
    }
}
