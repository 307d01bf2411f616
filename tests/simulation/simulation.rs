//! One seed: settings, players, a few hundred steps, and what must hold after each turn.

use std::net::SocketAddr;
use std::time::Duration;

use fanfare::config::Config;
use fanfare::observe::CloseReason;

use crate::costs::TurnCost;
use crate::endings::Tally;
use crate::player::{Player, Stage};
use crate::random::Random;
use crate::world::{UPGRADE, World, masked_frame};

pub(crate) const PLAYERS_MAX: usize = 14;
/// Deadlines have a grain of a tenth of a second, and one tick of doubt.
pub(crate) const SLACK: Duration = Duration::from_millis(300);
/// Where turns take time, others may be due before one has settled.
const SETTLE_MAX: Duration = Duration::from_secs(3);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// One world, played from one seed.
pub(crate) struct Simulation {
    pub(crate) random: Random,
    pub(crate) config: Config,
    pub(crate) client_limit: usize,
    pub(crate) world: World,
    /// A calm member from the first moment to the last, which hears everything.
    pub(crate) witness: Player,
    /// All lines in the one order.
    pub(crate) order: Vec<String>,
    /// The most lines that one turn brought.
    pub(crate) largest_turn: usize,
    pub(crate) players: Vec<Player>,
    pub(crate) born: usize,
    pub(crate) has_rate_limit: bool,
    pub(crate) cost: TurnCost,
    /// Whether the server was told to end, and closes one client after the other.
    pub(crate) is_shutting_down: bool,
}

impl Simulation {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let cost = TurnCost::new(&mut random);
        let has_rate_limit = cost.is_none() && random.chance(10);
        let config = settings(&mut random, has_rate_limit);
        let client_limit = random.between(3, 2 * PLAYERS_MAX);
        let mut world = World::with_limit(config.clone(), client_limit);
        // Where turns take time, each read and write moves as much as it can.
        world.network.short_means_blocked = !cost.is_none() || random.chance(50);
        let events_max = if cost.is_none() { 3 } else { 1 };
        world.network.events_max = random.chance(40).then(|| random.between(1, events_max));
        let peer = world.connect_from(SocketAddr::from(([127, 0, 0, 9], 1)));
        peer.send(UPGRADE);
        let mut simulation = Self {
            random,
            config,
            client_limit,
            world,
            witness: Player::new("w".to_owned(), peer),
            order: Vec::new(),
            largest_turn: 0,
            players: Vec::new(),
            born: 0,
            has_rate_limit,
            is_shutting_down: false,
            cost,
        };
        simulation.settle();
        simulation
    }

    pub(crate) fn run(mut self) -> Tally {
        for _ in 0..self.random.between(50, 300) {
            self.step();
            for player in &mut self.players {
                let is_late = !self.cost.is_none() && player.stage == Stage::Http;
                let is_slow = !is_late && self.random.chance(30);
                player.deliver(if is_slow {
                    self.random.below(40)
                } else {
                    usize::MAX
                });
            }
            match self.random.below(3) {
                0 => self.settle(),
                _ => self.turn(),
            }
            self.forget();
        }
        self.end()
    }

    /// Lets time pass as the loop would: it sleeps until something is due.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.world.now + time;
        loop {
            for player in &mut self.players {
                player.deliver(usize::MAX);
            }
            self.settle();
            if self.world.now >= end {
                return;
            }
            let sleep = self.world.wait().unwrap_or(time);
            let sleep = sleep.max(Duration::from_millis(1));
            self.world.now = end.min(self.world.now + sleep);
        }
    }

    /// Takes turns until nothing is left to do now, or work that never ends has taken a while. A long message
    /// read byte by byte takes many.
    pub(crate) fn settle(&mut self) {
        let end = self.world.now + SETTLE_MAX;
        for _ in 0..200_000 {
            self.turn();
            self.witness.deliver(usize::MAX);
            let is_idle = self.world.wait() != Some(Duration::ZERO);
            let is_settled = is_idle && !self.world.has_edges();
            if self.world.engine.is_shut_down() || is_settled || self.world.now >= end {
                return;
            }
        }
        panic!("the loop spins");
    }

    /// Takes one turn, and checks all that must hold after it.
    pub(crate) fn turn(&mut self) {
        let before = self.order.len();
        let calls = self.calls();
        let overloads = self.world.engine.metrics().closed(CloseReason::Overload);
        let seated = self.seated();
        self.world.turn();
        self.world.now += self.cost.of(self.calls() - calls);
        self.seat_newcomers(seated);
        self.excuse_overloads(overloads);
        self.hear_witness();
        self.largest_turn = self.largest_turn.max(self.order.len() - before);
        for player in &mut self.players {
            player.listen(&self.order, before, self.world.now);
            player.watch_time(self.world.now, &self.config);
            if !self.cost.is_none() {
                // It does not wait for the end of many turns.
                player.deliver(usize::MAX);
            }
        }
        if !self.cost.is_none() {
            self.witness.deliver(usize::MAX);
        }
        self.check();
    }

    /// How often the server has called a socket of those that are there.
    fn calls(&self) -> usize {
        let players = self.players.iter().chain([&self.witness]);
        let calls = players.map(|player| {
            let socket = player.peer.socket();
            socket.reads + socket.writes
        });
        calls.sum()
    }

    /// The witness is the first to hear what there is to be heard.
    fn hear_witness(&mut self) {
        for (first, payload) in self.witness.peer.take_frames() {
            match first {
                0x81 => {
                    let text = String::from_utf8(payload).expect("the server sends UTF-8");
                    self.order.extend(text.split('\n').map(ToOwned::to_owned));
                }
                0x89 => self.witness.outgoing.extend(masked_frame(0x8a, &payload)),
                _ => {
                    assert_eq!(
                        (first, &payload[..]),
                        (0x88, &b"\x03\xe9server is going away"[..])
                    );
                    self.witness.stage = Stage::Told(1001);
                }
            }
        }
    }

    /// Players whose connection is over make room for others, after a last look.
    fn forget(&mut self) {
        let heard: Vec<(String, usize)> = self
            .players
            .iter()
            .filter(|player| player.peer.is_closed())
            .map(|player| (player.name.clone(), player.said.len()))
            .collect();
        for (name, said) in heard {
            let index = self.players.iter().position(|player| player.name == name);
            let player = self.players.swap_remove(index.expect("it is there"));
            assert!(self.words_of(&player) <= said);
        }
    }

    /// How many of the player's messages were heard by all: its first ones, once each, in its order.
    pub(crate) fn words_of(&self, player: &Player) -> usize {
        let prefix = format!("{}.", player.name);
        let heard: Vec<&String> = self
            .order
            .iter()
            .filter(|line| line.starts_with(&prefix))
            .collect();
        let said: Vec<&String> = player.said.iter().take(heard.len()).collect();
        assert_eq!(heard, said, "what {} said", player.name);
        heard.len()
    }
}

/// Settings, of which the extremes are as likely as the rest.
fn settings(random: &mut Random, has_rate_limit: bool) -> Config {
    let longest_wait = *random.pick(&[4, 40]);
    let pong_wait = SECOND * random.between(2, longest_wait) as u32;
    let mut config = Config::default();
    let longest_queue = *random.pick(&[3, 40]);
    config.chat.send_queue = random.between(1, longest_queue);
    config.chat.max_message = random.between(40, 600);
    config.chat.max_queued = 1024
        * match random.chance(30) {
            true => random.between(4, 64),
            false => random.between(200, 1_000),
        };
    config.chat.message_rate = if has_rate_limit { 20 } else { 0 };
    config.chat.echo = true;
    config.compression.deflate = random.chance(80);
    config.compression.deflate_min = *random.pick(&[1, 30, 200]);
    config.compression.deflate_level = *random.pick(&[1, 3, 6]);
    config.network.max_clients_per_ip = random.chance(30).then(|| random.between(1, 5));
    config.timeouts.pong_wait = pong_wait;
    config.timeouts.ping_period = Some(pong_wait / random.between(2, 5) as u32);
    config.timeouts.write_wait = SECOND * random.between(1, 20) as u32;
    config.timeouts.request_timeout = SECOND * random.between(1, 20) as u32;
    config.timeouts.keep_alive = SECOND * random.between(1, 30) as u32;
    config.timeouts.drain = Duration::from_millis(random.between(1, 80) as u64 * 100);
    config
}
