//! How a world ends, and what must be left of it: nothing.

use std::io::ErrorKind;
use std::time::Duration;

use fanfare::config::CLOSE_WAIT;
use fanfare::http::status::Refusal;
use fanfare::observe::CloseReason;
use fanfare::ws::close::ProtocolError;

use crate::costs::TurnCost;
use crate::player::Stage;
use crate::simulation::{SECOND, SLACK, Simulation};

/// How many connections ended in each of [`ENDS`].
pub(crate) type Tally = [u64; ENDS.len()];

/// Every way in which a connection can end without tokens, PROXY headers and other nodes, which have five more.
pub(crate) const ENDS: [CloseReason; CloseReason::KINDS - 5] = [
    CloseReason::PeerClosed,
    CloseReason::PeerGone,
    CloseReason::Broken(ErrorKind::Other),
    CloseReason::Protocol(ProtocolError::InvalidUtf8),
    CloseReason::Refused(Refusal::Late),
    CloseReason::Answered,
    CloseReason::Idle,
    CloseReason::Stuck,
    CloseReason::PongTimeout,
    CloseReason::MessageTimeout,
    CloseReason::WriteTimeout,
    CloseReason::RateExceeded,
    CloseReason::Overload,
    CloseReason::Shutdown,
];

impl Simulation {
    /// Ends the world in one of four ways, and looks at what is left. How many connections ended how.
    pub(crate) fn end(&mut self) -> Tally {
        match self.random.below(5) {
            0 => self.vanish(),
            1 => self.leave(),
            2 => self.shut_down(),
            _ => self.shut_down_amid_work(),
        }
        // What a client that is gone had left to the next turn is let go there.
        self.world.turn();
        let engine = &self.world.engine;
        assert_eq!(engine.client_count(), 0, "every slot is free");
        assert_eq!(engine.queued_len(), 0, "every byte is given back");
        let metrics = engine.metrics();
        let ends = ENDS.map(|end| metrics.closed(end));
        assert_eq!(
            metrics.accepted,
            ends.iter().sum::<u64>(),
            "ends and beginnings"
        );
        ends
    }

    /// Everybody is gone at once, without a word: the deadlines alone have to clear up.
    fn vanish(&mut self) {
        self.cost = TurnCost::NONE;
        for player in self.players.iter_mut().chain([&mut self.witness]) {
            player.is_calm = false;
            player.is_mute = true;
            player.outgoing.clear();
            player.peer.set_room(0);
        }
        self.witness.stage = Stage::Told(1001);
        let config = &self.config;
        let timeouts = &config.timeouts;
        let input = timeouts
            .request_timeout
            .max(timeouts.keep_alive)
            .max(timeouts.pong_wait);
        let longest = input + timeouts.write_wait;
        // The backlog may hold some who wait for a seat, and give up no earlier than they got one.
        let rounds = 1 + self.world.network.backlog.len() as u32;
        let time = (longest + 2 * CLOSE_WAIT + 2 * SECOND) * rounds;
        let end = self.world.now + time;
        while self.world.now < end {
            self.world.pass(SECOND);
        }
    }

    /// Everybody takes what there is, and leaves.
    fn leave(&mut self) {
        self.catch_up();
        for player in &mut self.players {
            player.is_calm = false;
            player.peer.shut();
        }
        self.pass(2 * SECOND);
        self.witness.stage = Stage::Told(1001);
        self.witness.peer.shut();
        let timeouts = &self.config.timeouts;
        let input = timeouts.request_timeout.max(timeouts.keep_alive);
        self.pass(input + timeouts.write_wait + 3 * CLOSE_WAIT);
    }

    /// The server goes, and tells everybody after what they are owed.
    fn shut_down(&mut self) {
        self.catch_up();
        self.world.begin_shutdown();
        self.note_shutdown();
        // Their closes are spread over three quarters of the drain time.
        self.pass(self.config.timeouts.drain / 4 * 3 + SECOND / 5);
        self.witness.stage = Stage::Told(1001);
        for player in &mut self.players {
            let is_told = matches!(player.stage, Stage::Told(_) | Stage::Http);
            assert!(
                is_told || player.peer.is_closed(),
                "{} was not told",
                player.name
            );
            player.is_calm = false;
            if self.random.chance(70) {
                player.peer.shut();
            }
        }
        self.pass(self.config.timeouts.drain + SLACK);
        assert!(self.world.engine.is_shut_down());
    }

    /// From now on clients are closed one after the other, and requests are answered 503.
    fn note_shutdown(&mut self) {
        self.is_shutting_down = true;
        for player in &mut self.players {
            player.may_be_put_off = true;
        }
    }

    /// The signal comes after a sleep, or while something is left to do, and perhaps twice.
    fn shut_down_amid_work(&mut self) {
        let sleep = self.world.wait().unwrap_or(SECOND).min(SECOND);
        self.world.now += sleep * self.random.below(10) as u32 / 10;
        let drain = self.config.timeouts.drain;
        let signal = self.world.now;
        let drained = signal + drain;
        let owed = self.order.len();
        // Whom the drain keeps: they take all there is, and await the close frame.
        let mut kept = Vec::new();
        for player in &mut self.players {
            player.pace = None;
            player.is_calm &= player.is_open() && player.expected_close.is_none();
            if player.is_calm {
                kept.push(player.name.clone());
            }
        }
        self.world.begin_shutdown();
        self.note_shutdown();
        let second = self.random.chance(30).then(|| {
            let time = drain * self.random.below(10) as u32 / 10;
            signal + time
        });
        let end = second.unwrap_or(drained).min(drained);
        let mut is_cut = false;
        while self.world.now <= drained + SLACK + self.cost.max() {
            let began = self.world.now;
            if second.is_some_and(|second| second <= began) && !is_cut {
                is_cut = true;
                self.world.begin_shutdown();
            }
            self.turn();
            self.witness.deliver(usize::MAX);
            for player in &mut self.players {
                player.deliver(usize::MAX);
                let is_early = began < end.min(signal + CLOSE_WAIT);
                let is_kept = kept.contains(&player.name);
                assert!(
                    !(is_early && is_kept && player.peer.is_closed()),
                    "{} was cut {:?} after the signal",
                    player.name,
                    began - signal
                );
            }
            let wait = self.world.wait().unwrap_or(SECOND);
            self.world.now += wait.clamp(Duration::from_millis(1), SECOND / 20);
        }
        for player in self.players.iter().filter(|it| kept.contains(&it.name)) {
            // A second signal cuts off those whose time had not come.
            let is_told = player.stage == Stage::Told(1001);
            assert!(is_told || is_cut, "{} was not told", player.name);
            // Echoes of what was not read before the signal do not come.
            let has_all = player.name.starts_with('e') || *player.next_line.end() >= owed;
            assert!(has_all, "{} misses something", player.name);
        }
        self.witness.stage = Stage::Told(1001);
        assert!(self.world.engine.is_shut_down());
    }

    /// Lets everybody take what there is, and sees that nothing is missing.
    fn catch_up(&mut self) {
        self.cost = TurnCost::NONE;
        for player in &mut self.players {
            player.pace = None;
            player.peer.socket().write_max = usize::MAX;
            player.peer.set_room(usize::MAX);
        }
        self.pass(Duration::from_millis(1));
        for player in self.players.iter().filter(|player| player.is_open()) {
            assert!(
                player.has_heard_all(&self.order),
                "{} misses something",
                player.name
            );
        }
        for player in self
            .players
            .iter()
            .filter(|player| player.is_calm && player.peer.is_registered())
        {
            let is_cut = matches!(player.stage, Stage::Told(503)) || self.has_rate_limit;
            if player.stage == Stage::Echo || player.name.starts_with('e') || is_cut {
                continue;
            }
            assert_eq!(
                self.words_of(player),
                player.said.len(),
                "{} was heard",
                player.name
            );
        }
    }
}
