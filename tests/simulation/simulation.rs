//! One seed: settings, players, a few hundred steps, and what must hold after each turn.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use fanfare::config::{Config, READ_LEN, REFUSED_CLIENTS_MAX};
use fanfare::observe::CloseReason;

use crate::actions::act;
use crate::endings::Tally;
use crate::player::{Player, Stage};
use crate::random::Random;
use crate::seats::place;
use crate::world::{UPGRADE, World, client_id, masked_frame};

const PLAYERS_MAX: usize = 14;
/// Deadlines have a grain of a tenth of a second, and one tick of doubt.
pub(crate) const SLACK: Duration = Duration::from_millis(300);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// Errors of accept, of which the numbers are Linux's: EMFILE, ENFILE, ENOBUFS, ECONNABORTED, EPROTO, EINTR.
const ACCEPT_ERRORS: [i32; 6] = [24, 23, 105, 103, 71, 4];

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
    largest_turn: usize,
    pub(crate) players: Vec<Player>,
    born: usize,
    pub(crate) has_rate_limit: bool,
}

impl Simulation {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let pong_wait = SECOND * random.between(2, 40) as u32;
        let has_rate_limit = random.chance(10);
        let mut config = Config::default();
        config.chat.send_queue = random.between(1, 40);
        config.chat.max_message = random.between(40, 600);
        config.chat.max_queued = 1024
            * match random.chance(30) {
                true => random.between(4, 64),
                false => random.between(200, 1_000),
            };
        config.chat.message_rate = if has_rate_limit { 20 } else { 0 };
        config.chat.echo = true;
        config.network.max_clients_per_ip = random.chance(30).then(|| random.between(1, 5));
        config.timeouts.pong_wait = pong_wait;
        config.timeouts.ping_period = Some(pong_wait / random.between(2, 5) as u32);
        config.timeouts.write_wait = SECOND * random.between(1, 20) as u32;
        config.timeouts.request_timeout = SECOND * random.between(1, 20) as u32;
        config.timeouts.keep_alive = SECOND * random.between(1, 30) as u32;
        let client_limit = random.between(3, 2 * PLAYERS_MAX);
        let mut world = World::with_limit(config.clone(), client_limit);
        world.network.short_means_blocked = random.chance(50);
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
        };
        simulation.settle();
        simulation
    }

    pub(crate) fn run(mut self) -> Tally {
        for _ in 0..self.random.between(50, 300) {
            self.step();
            for player in &mut self.players {
                let is_slow = self.random.chance(30);
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

    /// One thing happens.
    fn step(&mut self) {
        let Self {
            random,
            config,
            players,
            world,
            ..
        } = self;
        match random.below(100) {
            0..12 => self.connect(),
            12..15 => {
                let error = io::Error::from_raw_os_error(*random.pick(&ACCEPT_ERRORS));
                world.network.backlog.push_back(Err(error));
                world.engine.note_acceptable();
            }
            15 => world
                .network
                .register_errors
                .push_back(io::Error::from_raw_os_error(28)),
            16..20 => {
                // Wakes without cause, of ids that are gone, in use again, or never were.
                let (slot, generation) = (random.below(2 * PLAYERS_MAX), random.below(60));
                let id = client_id(slot, generation);
                world.engine.note_ready(id, random.chance(50), true, false);
                let id = client_id(slot << 20, generation);
                world.engine.note_ready(id, true, true, true);
            }
            20..28 => {
                let wait = Duration::from_millis(random.below(3_000) as u64);
                self.pass(wait);
            }
            28 if self.has_rate_limit && random.chance(50) => self.flood(),
            28 => {
                let wait = SECOND * random.between(3, 30) as u32;
                self.pass(wait);
            }
            choice => {
                if players.is_empty() {
                    return;
                }
                let index = random.below(players.len());
                act(&mut players[index], choice, random, config);
            }
        }
    }

    fn connect(&mut self) {
        if self.players.len() >= PLAYERS_MAX {
            return;
        }
        let random = &mut self.random;
        let ip: IpAddr = match random.below(3) {
            0 => [10, 0, 0, random.below(2) as u8].into(),
            1 => [
                0x2001,
                0xdb8,
                0,
                random.below(2) as u16,
                0,
                0,
                0,
                random.below(9) as u16,
            ]
            .into(),
            _ => [127, 0, 0, 1].into(),
        };
        let is_echo = random.chance(15);
        let name = format!("{}{}", if is_echo { 'e' } else { 'p' }, self.born);
        let peer = self.world.connect_from((ip, 1).into());
        let mut player = Player::new(name, peer);
        player.number = self.born;
        player.place = place(ip);
        self.born += 1;
        if random.chance(15) {
            player
                .outgoing
                .extend(b"GET /nothing?here HTTP/1.1\r\nHost: a\r\n\r\n");
        }
        let upgrade = String::from_utf8_lossy(UPGRADE).into_owned();
        let upgrade = if is_echo {
            upgrade.replace("/ws", "/echo")
        } else {
            upgrade
        };
        match random.below(20) {
            0 => {
                player.outgoing.extend(b"\0GET / HTTP/1.1\r\n\r\n");
                player.expected_close = Some(400);
                player.is_silent = true;
            }
            1 | 2 => {
                let part = random.below(upgrade.len());
                player.outgoing.extend(&upgrade.as_bytes()[..part]);
                player.is_silent = true;
                player.is_calm = false;
            }
            3 => {
                player
                    .outgoing
                    .extend(b"GET /no HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
                player.expected_close = Some(404);
                player.is_silent = true;
            }
            4 => {
                player
                    .outgoing
                    .extend(b"GET /no HTTP/1.1\r\nHost: a\r\n\r\n");
                player.is_silent = true;
                player.is_calm = false;
            }
            _ => player.outgoing.extend(upgrade.bytes()),
        }
        if random.chance(20) {
            player.peer.socket().read_max = random.between(1, 50);
        }
        self.players.push(player);
    }

    /// One player says more than the rate allows, for longer than a warning lasts.
    fn flood(&mut self) {
        let Some(index) = self.players.iter().position(Player::is_open) else {
            return;
        };
        for _ in 0..60 {
            let player = &mut self.players[index];
            if !player.is_open() || player.is_silent || player.is_mid_message {
                return;
            }
            (0..8).for_each(|_| player.say(&mut self.random, &self.config));
            self.pass(SECOND / 4);
        }
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

    /// Takes turns until nothing is left to do now. A long message read byte by byte takes many.
    pub(crate) fn settle(&mut self) {
        for _ in 0..200_000 {
            self.turn();
            self.witness.deliver(usize::MAX);
            let is_idle = self.world.wait() != Some(Duration::ZERO);
            if self.world.engine.is_shut_down() || (is_idle && !self.world.has_edges()) {
                return;
            }
        }
        panic!("the loop spins");
    }

    /// Takes one turn, and checks all that must hold after it.
    fn turn(&mut self) {
        let before = self.order.len();
        let overloads = self.world.engine.metrics().closed(CloseReason::Overload);
        let seated = self.seated();
        self.world.turn();
        self.seat_newcomers(seated);
        self.excuse_overloads(overloads);
        self.hear_witness();
        self.largest_turn = self.largest_turn.max(self.order.len() - before);
        for player in &mut self.players {
            player.listen(&self.order, before);
            player.watch_time(self.world.now, &self.config);
        }
        self.check();
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

    /// Whoever is owed something may be dropped when all together are owed too much; nobody else may.
    fn excuse_overloads(&mut self, before: u64) {
        let dropped = self.world.engine.metrics().closed(CloseReason::Overload) - before;
        let excused = self
            .players
            .iter_mut()
            .filter(|it| it.is_calm && it.peer.is_closed() && it.may_be_owed())
            .take(dropped as usize);
        excused.for_each(|player| player.is_calm = false);
    }

    fn check(&self) {
        let engine = &self.world.engine;
        assert!(engine.client_count() <= self.client_limit + REFUSED_CLIENTS_MAX);
        // What was queued after the last check is some pings and close frames, and the rest of one read.
        assert!(engine.queued_len() <= self.config.chat.max_queued + READ_LEN + 4096);
        let is_over = !self.witness.peer.is_closed() || self.witness.stage == Stage::Told(1001);
        assert!(is_over, "the witness was closed");
        for player in &self.players {
            let name = &player.name;
            let is_gone = player.peer.is_closed() || !player.peer.is_accepted();
            let is_suspect = player.is_suspect(self.world.now, &self.config) || self.has_rate_limit;
            if player.stage == Stage::Member && !is_suspect && !is_gone {
                let lag = self.order.len().saturating_sub(*player.next_line.end());
                // A begun frame and what waits behind it, each up to twice the queue and what one turn brings.
                assert!(
                    lag <= 4 * self.config.chat.send_queue + self.largest_turn,
                    "{name} is {lag} messages behind"
                );
            }
            if let Some((wait, due)) = player.due {
                assert!(
                    is_gone || self.world.now <= due + SLACK + player.patience(),
                    "{name} is overdue: {wait:?}"
                );
            }
            if !player.is_calm {
                continue;
            }
            match player.stage {
                Stage::Told(503) => {}
                Stage::Told(1008) if self.has_rate_limit => {}
                Stage::Told(1001) if self.witness.stage == Stage::Told(1001) => {}
                Stage::Told(code) => assert_eq!(Some(code), player.expected_close, "{name}'s end"),
                _ if player.peer.is_accepted() => assert!(!is_gone, "{name} was cut off"),
                _ => {}
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
