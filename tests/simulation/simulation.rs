//! One seed: settings, players, a few hundred steps, and the end of everything.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use fanfare::config::{CLOSE_WAIT, Config, REFUSED_CLIENTS_MAX};
use fanfare::hub::ClientId;
use fanfare::metrics::End;
use fanfare::status::Refusal;
use fanfare::ws::close::ProtocolError;

use crate::player::{Player, Stage, rubbish};
use crate::random::Random;
use crate::world::{Peer, UPGRADE, World, masked_frame};

const PLAYERS_MAX: usize = 14;
/// Deadlines have a grain of a tenth of a second, and one tick of doubt.
const SLACK: Duration = Duration::from_millis(300);
const SECOND: Duration = Duration::from_secs(1);
/// Errors of accept, of which the numbers are Linux's: EMFILE, ENFILE, ENOBUFS, ECONNABORTED, EPROTO, EINTR.
const ACCEPT_ERRORS: [i32; 6] = [24, 23, 105, 103, 71, 4];
/// Errors of sockets that end them: ECONNRESET, EPIPE, ETIMEDOUT, ENOBUFS.
const SOCKET_ERRORS: [i32; 4] = [104, 32, 110, 105];

/// One world, played from one seed.
pub(crate) struct Simulation {
    random: Random,
    config: Config,
    client_limit: usize,
    world: World,
    /// A calm member from the first moment to the last, which hears everything.
    witness: Player,
    /// All lines in the one order.
    order: Vec<String>,
    players: Vec<Player>,
    born: usize,
    has_rate_limit: bool,
}

impl Simulation {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let pong_wait = SECOND * random.between(2, 40) as u32;
        let has_rate_limit = random.chance(10);
        let config = Config {
            send_queue: random.between(1, 40),
            max_message: random.between(40, 600),
            max_queued: random.between(200, 1_000) * 1024,
            message_rate: if has_rate_limit { 20 } else { 0 },
            max_clients_per_ip: random.chance(30).then(|| random.between(1, 5)),
            echo: true,
            pong_wait,
            ping_period: Some(pong_wait / random.between(2, 5) as u32),
            write_wait: SECOND * random.between(1, 20) as u32,
            request_timeout: SECOND * random.between(1, 20) as u32,
            ..Config::default()
        };
        let client_limit = random.between(3, 2 * PLAYERS_MAX);
        let mut world = World::with_limit(config.clone(), client_limit);
        let peer = world.connect_from(SocketAddr::from(([127, 0, 0, 9], 1)));
        peer.send(UPGRADE);
        let mut simulation = Self {
            random,
            config,
            client_limit,
            world,
            witness: Player::new("w".to_owned(), peer),
            order: Vec::new(),
            players: Vec::new(),
            born: 0,
            has_rate_limit,
        };
        simulation.settle();
        simulation
    }

    pub(crate) fn run(mut self) {
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
        match self.random.below(3) {
            0 => self.vanish(),
            1 => self.leave(),
            _ => self.shut_down(),
        }
        assert_eq!(self.world.engine.client_count(), 0, "every slot is free");
        assert_eq!(
            self.world.engine.queued_len(),
            0,
            "every byte is given back"
        );
        assert_eq!(
            self.world.engine.metrics().accepted,
            self.ended(),
            "ends and beginnings"
        );
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
                let id = random.below(2 * PLAYERS_MAX);
                world
                    .engine
                    .note_ready(ClientId(id), random.chance(50), true, false);
                world
                    .engine
                    .note_ready(ClientId(id << 30 | 1 << 20), true, true, true);
            }
            20..28 => {
                let wait = Duration::from_millis(random.below(3_000) as u64);
                self.pass(wait);
            }
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
        self.born += 1;
        let peer = self.world.connect_from((ip, 1).into());
        let mut player = Player::new(name, peer);
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
            _ => player.outgoing.extend(upgrade.bytes()),
        }
        if random.chance(20) {
            player.peer.socket().read_max = random.between(1, 50);
        }
        self.players.push(player);
    }

    /// Lets time pass as the loop would: it sleeps until something is due.
    fn pass(&mut self, time: Duration) {
        let end = self.world.now + time;
        loop {
            for player in &mut self.players {
                player.deliver(usize::MAX);
            }
            self.settle();
            if self.world.now >= end {
                return;
            }
            let sleep = self.world.engine.wait(self.world.now).unwrap_or(time);
            let sleep = sleep.max(Duration::from_millis(1));
            self.world.now = end.min(self.world.now + sleep);
        }
    }

    /// Takes turns until nothing is left to do now. A long message read byte by byte takes many.
    fn settle(&mut self) {
        for _ in 0..200_000 {
            self.turn();
            self.witness.deliver(usize::MAX);
            let is_idle = self.world.engine.wait(self.world.now) != Some(Duration::ZERO);
            if self.world.engine.is_shut_down() || (is_idle && !self.world.has_edges()) {
                return;
            }
        }
        panic!("the loop spins");
    }

    /// Takes one turn, and checks all that must hold after it.
    fn turn(&mut self) {
        let before = self.order.len();
        self.world.turn();
        self.hear_witness();
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
                    assert_eq!((first, &payload[..]), (0x88, &b"\x03\xe9"[..]));
                    self.witness.stage = Stage::Told(1001);
                }
            }
        }
    }

    fn check(&self) {
        let engine = &self.world.engine;
        assert!(engine.client_count() <= self.client_limit + REFUSED_CLIENTS_MAX);
        // What was queued after the last check is some pings and close frames.
        assert!(engine.queued_len() <= self.config.max_queued + 4096);
        let is_over = !self.witness.peer.is_closed() || self.witness.stage == Stage::Told(1001);
        assert!(is_over, "the witness was closed");
        for player in &self.players {
            let name = &player.name;
            let is_gone = player.peer.is_closed() || !player.peer.is_accepted();
            let is_suspect = player.is_suspect(self.world.now, &self.config) || self.has_rate_limit;
            if player.stage == Stage::Member && !is_suspect && !is_gone {
                let lag = self.order.len().saturating_sub(*player.next_line.end());
                assert!(
                    lag <= 2 * self.config.send_queue,
                    "{name} is {lag} messages behind"
                );
            }
            if let Some((wait, due)) = player.due {
                assert!(
                    is_gone || self.world.now <= due + SLACK,
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
    fn words_of(&self, player: &Player) -> usize {
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

    /// Everybody is gone at once, without a word: the deadlines alone have to clear up.
    fn vanish(&mut self) {
        for player in self.players.iter_mut().chain([&mut self.witness]) {
            player.is_calm = false;
            player.is_mute = true;
            player.outgoing.clear();
            player.peer.set_room(0);
        }
        self.witness.stage = Stage::Told(1001);
        let config = &self.config;
        let longest = config.request_timeout.max(config.pong_wait) + config.write_wait;
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
        self.pass(self.config.request_timeout + self.config.write_wait + 3 * CLOSE_WAIT);
    }

    /// The server goes, and tells everybody after what they are owed.
    fn shut_down(&mut self) {
        self.catch_up();
        self.world.engine.begin_shutdown();
        self.witness.stage = Stage::Told(1001);
        self.settle();
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
        self.pass(self.config.drain + SLACK);
        assert!(self.world.engine.is_shut_down());
    }

    /// Lets everybody take what there is, and sees that nothing is missing.
    fn catch_up(&mut self) {
        for player in &mut self.players {
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
            .filter(|player| player.is_calm && player.peer.is_accepted())
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

    fn ended(&self) -> u64 {
        let ends = [
            End::PeerClosed,
            End::PeerGone,
            End::Broken(ErrorKind::Other),
            End::Protocol(ProtocolError::InvalidUtf8),
            End::Refused(Refusal::Late),
            End::Answered,
            End::Idle,
            End::Stuck,
            End::PongTimeout,
            End::MessageTimeout,
            End::WriteTimeout,
            End::RateExceeded,
            End::Overload,
            End::Shutdown,
        ];
        assert_eq!(ends.len(), End::KINDS);
        ends.iter()
            .map(|end| self.world.engine.metrics().ended(*end))
            .sum()
    }
}

/// One player does something.
fn act(player: &mut Player, choice: usize, random: &mut Random, config: &Config) {
    let peer = player.peer.clone();
    let speaks = player.is_open() && !player.is_silent;
    match choice {
        28..50 if speaks => {
            for _ in 0..random.between(1, 4) {
                player.say(random, config);
            }
        }
        50..54 if speaks => {
            for _ in 0..random.between(30, 150) {
                player.say(random, config);
            }
        }
        54..58 if speaks => (0..random.between(1, 50)).for_each(|_| player.ping()),
        58..61 if speaks => {
            let (bytes, code) = rubbish(random, config, player.stage == Stage::Echo);
            player.outgoing.extend(bytes);
            player.outgoing.extend(b"and whatever else");
            player.expected_close = Some(code);
            player.is_silent = true;
        }
        61..64 if speaks => {
            let code = *random.pick(&[1000, 1001, 3000, 4999]);
            player
                .outgoing
                .extend(masked_frame(0x88, &u16::to_be_bytes(code)));
            player
                .outgoing
                .extend(masked_frame(0x81, b"said after the end"));
            player.expected_close = Some(code);
            player.is_silent = true;
        }
        64..66 if speaks => {
            let whole = masked_frame(0x81, b"never finished");
            player
                .outgoing
                .extend(&whole[..random.between(1, whole.len() - 1)]);
            player.is_silent = true;
            player.is_calm = false;
        }
        66..68 if speaks => (player.is_mute, player.is_calm) = (true, false),
        68..78 if player.is_open() => {
            player.is_calm = false;
            peer.set_room(*random.pick(&[0, 0, 1, 100, 3_000]));
        }
        78..84 => peer.set_room(usize::MAX),
        84..87 if player.is_open() => {
            player.is_calm = false;
            peer.socket().write_max = random.between(1, 200);
        }
        87..90 => peer.socket().read_max = random.between(50, 5_000),
        90..92 => {
            peer.socket()
                .read_errors
                .push_back(ErrorKind::Interrupted.into());
            peer.socket()
                .write_errors
                .push_back(ErrorKind::Interrupted.into());
        }
        92..94 => break_socket(player, &peer, random),
        94..96 => {
            player.is_calm = false;
            player.is_silent = true;
            player.deliver(usize::MAX);
            peer.shut();
        }
        96..98 if matches!(player.stage, Stage::Told(_)) => peer.shut(),
        _ => {}
    }
}

fn break_socket(player: &mut Player, peer: &Peer, random: &mut Random) {
    player.is_calm = false;
    player.is_silent = true;
    let error = io::Error::from_raw_os_error(*random.pick(&SOCKET_ERRORS));
    if random.chance(50) {
        peer.socket().write_errors.push_back(error);
    } else {
        peer.reset();
    }
}
