//! The broker as a simulation sees it: the made-up one, when it can be reached, and the connections that nodes have
//! given up while something was still on its way.

use std::time::Duration;

use fanfare::backplane::scripts;

use super::pipe::{Abandoned, Pipe};
use super::settings::Drawn;
use super::stream::{self, Snapshot};
use super::truth::Appended;
use crate::random::Random;
use crate::world::UNIX_START;
use crate::world::listener::Position;

pub(super) struct Broker {
    inner: stream::Broker,
    abandoned: Vec<Abandoned>,
    now: Duration,
    /// By how much its clock is late.
    behind: Duration,
    /// It answers nothing before.
    stalled_until: Duration,
    /// It cannot be reached before.
    away_until: Duration,
    pub(super) refused_percent: usize,
    pub(super) unanswered_percent: usize,
    /// Something came on a connection that its node had given up, and what it said of listeners may be taken for news;
    /// or the clock went back, by which it is seen who lives.
    pub(super) were_counts_disturbed: bool,
}

impl Broker {
    pub(super) fn new(seed: u64, drawn: &Drawn) -> Self {
        let mut inner = stream::Broker::new(seed, scripts());
        inner.password = drawn.password.map(ToOwned::to_owned);
        let mut broker = Self {
            inner,
            abandoned: Vec::new(),
            now: Duration::ZERO,
            behind: Duration::ZERO,
            stalled_until: Duration::ZERO,
            away_until: Duration::ZERO,
            refused_percent: 0,
            unanswered_percent: 0,
            were_counts_disturbed: false,
        };
        broker.advance_to(Duration::ZERO);
        broker
    }

    /// Time goes on.
    pub(super) fn advance_to(&mut self, now: Duration) {
        self.now = now;
        if self.is_there() {
            self.inner.advance(self.unix_ms());
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.now
    }

    /// Whether connections to it can be made.
    pub(super) fn can_be_reached(&self) -> bool {
        self.away_until <= self.now
    }

    /// Whether it can be reached and answers.
    pub(super) fn is_there(&self) -> bool {
        self.is_there_from() <= self.now
    }

    pub(super) fn is_there_from(&self) -> Duration {
        self.stalled_until.max(self.away_until)
    }

    pub(super) fn connect(&mut self) -> usize {
        self.inner.connect()
    }

    pub(super) fn close(&mut self, id: usize) {
        self.inner.cut(id);
    }

    pub(super) fn receive(&mut self, id: usize, bytes: &[u8]) {
        self.inner.receive(id, bytes);
    }

    /// What it has answered.
    pub(super) fn take(&mut self, id: usize) -> Vec<u8> {
        self.inner.send(id, usize::MAX)
    }

    /// When a reader has waited for long enough, or something arrives late.
    pub(super) fn next_due(&self) -> Duration {
        let unix_start = Duration::from_secs(UNIX_START);
        let wait = self.inner.next_due().map(Duration::from_millis);
        let wait = wait.map(|due| (due + self.behind).saturating_sub(unix_start));
        let late = self.abandoned.iter().map(Abandoned::next_due);
        late.chain(wait).fold(Duration::MAX, Duration::min)
    }

    /// The messages that were appended since the last call.
    pub(super) fn take_appended(&mut self) -> impl Iterator<Item = Appended> {
        let added = std::mem::take(&mut self.inner.added).into_iter();
        added.filter_map(|fields| {
            let text = |index: usize| String::from_utf8(fields[index].clone()).expect("UTF-8");
            // A probe is no message.
            (text(0) == "r").then(|| Appended {
                room: text(1),
                first: Position {
                    epoch: text(3),
                    seq: text(5).parse().expect("a number"),
                },
                texts: text(11).split('\n').map(ToOwned::to_owned).collect(),
            })
        })
    }

    /// What was sent on a connection that is over for its node arrives.
    pub(super) fn adopt(&mut self, pipe: Pipe) {
        self.abandoned.push(Abandoned::new(pipe));
    }

    pub(super) fn serve_abandoned(&mut self, random: &mut Random) {
        let mut abandoned = std::mem::take(&mut self.abandoned);
        abandoned.retain_mut(|pipe| pipe.serve(self, random));
        self.abandoned.append(&mut abandoned);
    }

    pub(super) fn stall_until(&mut self, time: Duration) {
        self.stalled_until = time;
    }

    pub(super) fn be_away_until(&mut self, time: Duration) {
        self.away_until = time;
        self.stalled_until = Duration::ZERO;
        self.abandoned.clear();
    }

    /// All that can end by itself ends.
    pub(super) fn recover(&mut self) {
        (self.refused_percent, self.unanswered_percent) = (0, 0);
        self.stalled_until = self.stalled_until.min(self.now);
        self.away_until = self.away_until.min(self.now);
    }

    /// Another run of it goes on with all it had. That it is behind is told until a node has learned it: one that was
    /// promoted, or began with an old copy, and is started again before any node reaches it looks whole to them
    /// (docs/nodes.md).
    pub(super) fn restart(&mut self) {
        if self.inner.is_run_known() {
            (self.inner.has_log, self.inner.is_promoted) = (true, false);
        }
        self.inner.restart();
    }

    pub(super) fn trim(&mut self, left: usize) {
        self.inner.trim(left);
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        self.inner.snapshot()
    }

    /// A replica takes over, or another run begins with what was last written to a disk. Its clock is another one.
    pub(super) fn go_back_to(&mut self, snapshot: Snapshot, is_replica: bool, behind: Duration) {
        self.inner.fail_over_to(snapshot);
        self.behind = behind;
        self.were_counts_disturbed |= behind > Duration::from_secs(1);
        self.inner.set_clock(self.unix_ms());
        (self.inner.has_log, self.inner.is_promoted) = (is_replica, is_replica);
    }

    /// It knows no script any more.
    pub(super) fn flush_scripts(&mut self) {
        self.inner.flush_scripts();
    }

    pub(super) fn flush(&mut self) {
        self.inner.flush_all();
    }

    fn unix_ms(&self) -> u64 {
        let time = Duration::from_secs(UNIX_START) + self.now;
        time.saturating_sub(self.behind).as_millis() as u64
    }
}
