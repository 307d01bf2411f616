//! A server, a healthy pair that chats on it, and what must be as before when the attack is over.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::common::peer::Frame;
use crate::common::wire::{PING, PONG, TEXT, frame, text};
use crate::common::{PATIENCE, Peer, Server, fanfare};
use crate::process::Process;

/// How much more memory may be resident after an attack than before. The allocator keeps a part of what
/// is freed, to use it again; `what_was_freed_is_used_again` shows that it does. On a busy machine the
/// flood fills a whole send queue, 8 MiB, most of which it may keep.
const RESIDENT_SLACK: usize = 16 * 1024 * 1024;
/// No message of the pair takes longer, whatever the attack: nobody is starved. This says nothing about
/// speed: the machine may be busy, and one attack stops the server for 4 s.
const STARVED_AFTER: Duration = Duration::from_secs(10);
/// How often the pair says something.
const CHAT_PERIOD: Duration = Duration::from_millis(5);
/// What the pair says begins so.
const HEALTHY: &str = "healthy ";

/// Attacks take place one after the other, so that each one's effect is its own.
static STAGE: Mutex<()> = Mutex::new(());

pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) process: Process,
    pair: Pair,
    before: (usize, usize),
    _stage: MutexGuard<'static, ()>,
}

impl Scene {
    pub(crate) fn start(flags: &[&str]) -> Self {
        let mut command = fanfare();
        command.args(["--addr", "127.0.0.1:0"]).args(flags);
        Self::spawn(command)
    }

    pub(crate) fn spawn(command: Command) -> Self {
        let stage = STAGE.lock().unwrap_or_else(PoisonError::into_inner);
        let server = Server::spawn(command);
        let process = Process(server.pid());
        let pair = Pair::start(&server);
        Self {
            before: (process.memory().0, process.descriptors()),
            process,
            server,
            pair,
            _stage: stage,
        }
    }

    /// How much more memory is resident than before the attack.
    pub(crate) fn growth(&self) -> usize {
        self.process.memory().0.saturating_sub(self.before.0)
    }

    /// Waits until the server has let go of all that the attack made it hold, while the pair still chats.
    pub(crate) fn end(self, attack: &str) -> Server {
        self.end_with(0, attack)
    }

    /// The same, where the server may keep `kept_len` bytes on purpose: rooms, and their history.
    pub(crate) fn end_with(self, kept_len: usize, attack: &str) -> Server {
        let (resident, descriptors) = self.before;
        let now = || (self.process.memory().0, self.process.descriptors());
        let resident_max = resident + RESIDENT_SLACK + kept_len;
        let deadline = Instant::now() + PATIENCE;
        while now().1 != descriptors || now().0 > resident_max {
            let (resident_now, descriptors_now) = now();
            assert!(
                Instant::now() < deadline,
                "{descriptors_now} descriptors, not {descriptors}; {resident_now} bytes, not {resident_max} at most"
            );
            thread::sleep(Duration::from_millis(10));
        }
        let peak = self.process.memory().1.saturating_sub(resident);
        let growth = self.growth();
        let (count, worst) = self.pair.stop();
        eprintln!(
            "{attack}: worst delay {:.1} ms of {count} messages; memory +{} KiB at its highest, +{} KiB after",
            worst.as_secs_f64() * 1e3,
            peak / 1024,
            growth / 1024,
        );
        assert!(worst < STARVED_AFTER, "the healthy pair is starved");
        self.server
    }
}

/// Reads frames, and answers pings, until one is the answer. The pair is never silent, so that without a
/// bound of its own a wait for what does not come would have no end.
pub(crate) fn wait_for_frame<T>(
    peer: &mut Peer,
    what: &str,
    mut ask: impl FnMut(&Frame) -> Option<T>,
) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let received = peer.frame();
        if let Some(answer) = ask(&received) {
            return answer;
        }
        if received.first == PING {
            peer.try_send(&frame(PONG, &received.payload));
        }
        assert!(Instant::now() < deadline, "it never came: {what}");
    }
}

/// Reads messages until there are lines that are wanted; how many. The patience is for each, so that it
/// does not matter how many are to come.
pub(crate) fn hear_some(peer: &mut Peer, is_wanted: impl Fn(&str) -> bool) -> usize {
    wait_for_frame(peer, "a line that is wanted", |received| {
        let text = String::from_utf8_lossy(&received.payload);
        let is_text = received.first == TEXT;
        let count = text.split('\n').filter(|line| is_wanted(line)).count();
        (is_text && count > 0).then_some(count)
    })
}

/// Two members, one of which speaks.
struct Pair {
    is_over: Arc<AtomicBool>,
    speaker: JoinHandle<()>,
    listeners: [JoinHandle<(usize, Duration)>; 2],
}

impl Pair {
    fn start(server: &Server) -> Self {
        let members = [server.join(), server.join()];
        let mut mouth = members[0].writer();
        let start = Instant::now();
        let is_over = Arc::new(AtomicBool::new(false));
        let speaker = {
            let is_over = Arc::clone(&is_over);
            thread::spawn(move || {
                use std::io::Write as _;
                for number in 0.. {
                    let ends = is_over.load(Ordering::Relaxed);
                    let kind = if ends { "end" } else { "goes on" };
                    let at = start.elapsed().as_micros();
                    let line = format!("{HEALTHY}{number} {at} {kind}");
                    mouth.write_all(&text(&line)).expect("the server listens");
                    if ends {
                        return;
                    }
                    thread::sleep(CHAT_PERIOD);
                }
            })
        };
        Self {
            is_over,
            speaker,
            listeners: members.map(|member| thread::spawn(move || listen(member, start))),
        }
    }

    /// How many messages were heard, and the longest time that one took.
    fn stop(self) -> (usize, Duration) {
        self.is_over.store(true, Ordering::Relaxed);
        self.speaker.join().expect("the speaker is well");
        let heard = self
            .listeners
            .map(|listener| listener.join().expect("the pair hears each message once"));
        assert_eq!(heard[0].0, heard[1].0);
        (heard[0].0, heard[0].1.max(heard[1].1))
    }
}

/// Hears every message of the pair, in order, and what others say between them.
fn listen(mut member: Peer, start: Instant) -> (usize, Duration) {
    let (mut heard, mut worst) = (0, Duration::ZERO);
    loop {
        let received = member.frame();
        if received.first == PING {
            member.send(frame(PONG, &received.payload));
            continue;
        }
        assert_eq!(received.first, TEXT, "{received:?}");
        let now = start.elapsed();
        let text = String::from_utf8(received.payload).expect("text is UTF-8");
        for line in text
            .split('\n')
            .filter_map(|line| line.strip_prefix(HEALTHY))
        {
            let mut words = line.splitn(3, ' ');
            assert_eq!(
                words.next(),
                Some(heard.to_string().as_str()),
                "none is lost"
            );
            let said = words.next().and_then(|micros| micros.parse().ok());
            let delay = now.saturating_sub(Duration::from_micros(said.expect("a time")));
            (heard, worst) = (heard + 1, worst.max(delay));
            if words.next() == Some("end") {
                return (heard, worst);
            }
        }
    }
}
