//! What happens between two turns: newcomers, failing listeners, wakes without cause, time, and what players do.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use fanfare::client::timers::SLOWEST_READER;
use fanfare::http::route::Role;

use crate::actions::act;
use crate::player::{Player, Stage};
use crate::seats::place;
use crate::simulation::{PLAYERS_MAX, SECOND, Simulation};
use crate::world::deflate::DEFLATE_OFFER;
use crate::world::{UPGRADE, client_id};

/// Errors of accept, of which the numbers are Linux's: EMFILE, ENFILE, ENOBUFS, ECONNABORTED, EPROTO, EINTR.
const ACCEPT_ERRORS: [i32; 6] = [24, 23, 105, 103, 71, 4];

impl Simulation {
    /// One thing happens.
    pub(crate) fn step(&mut self) {
        let Self {
            random,
            players,
            world,
            ..
        } = self;
        match random.below(100) {
            0..12 => self.connect(),
            12..15 => {
                let error = io::Error::from_raw_os_error(*random.pick(&ACCEPT_ERRORS));
                world.network.backlog.push_back(Err(error));
                world.engine.note_acceptable(Role::Public);
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
                let burst_max = self.burst_max(&self.players[index]);
                let Self {
                    random,
                    config,
                    players,
                    ..
                } = self;
                act(&mut players[index], choice, burst_max, random, config);
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
        let upgrade = if random.chance(30) {
            let bits = *random.pick(&[8, 10, 15, 15]);
            let offer = format!("{DEFLATE_OFFER}; server_max_window_bits={bits}\r\n\r\n");
            upgrade.replace("\r\n\r\n", &format!("\r\n{offer}"))
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
        if random.chance(25) {
            player.pace = Some(SLOWEST_READER as usize * random.between(105, 300) / 100);
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

    /// How many messages at once a player may send: no more than a slow server reads of one client in not much
    /// longer than the pong wait. What comes behind them, a pong included, would be late by its own fault.
    fn burst_max(&self, player: &Player) -> usize {
        if self.cost.is_none() || player.stage != Stage::Member {
            return usize::MAX;
        }
        let turns =
            self.config.timeouts.pong_wait.as_millis() * 5 / 4 / self.cost.max().as_millis();
        let messages = turns as usize * self.config.chat.send_queue;
        messages.saturating_sub(player.said.len() - self.words_of(player))
    }
}
