//! What players do, and what befalls them.

use std::io::{self, ErrorKind};

use fanfare::config::Config;

use crate::player::{Player, Stage};
use crate::random::Random;
use crate::world::masked_frame;

/// Errors of sockets that end them: ECONNRESET, EPIPE, ETIMEDOUT, ENOBUFS.
const SOCKET_ERRORS: [i32; 4] = [104, 32, 110, 105];

/// One player does something; of a hundred choices, those from 29 on are a player's.
/// It sends `burst_max` messages at most.
pub(crate) fn act(
    player: &mut Player,
    choice: usize,
    burst_max: usize,
    random: &mut Random,
    config: &Config,
) {
    let speaks = player.is_open() && !player.is_silent && !player.is_mid_message;
    match choice {
        50 if speaks && !player.is_mute => {
            // It also says that it is alive, and so may take its time.
            for _ in 0..random.between(30, 150) {
                player.say(random, config);
                player.outgoing.extend(masked_frame(0x8a, b"alive"));
            }
        }
        ..54 if speaks => {
            let count = match choice {
                ..50 => random.between(1, 4),
                53 => random.between(300, 700),
                _ => random.between(30, 150),
            };
            (0..count.min(burst_max)).for_each(|_| player.say(random, config));
        }
        ..68 if speaks => speak(player, choice, random, config),
        68.. => disturb(player, choice, random),
        _ => {}
    }
}

fn speak(player: &mut Player, choice: usize, random: &mut Random, config: &Config) {
    match choice {
        ..58 => (0..random.between(1, 50)).for_each(|_| player.ping()),
        58..61 => {
            let (bytes, code) = rubbish(player, random, config);
            player.outgoing.extend(bytes);
            player.outgoing.extend(b"and whatever else");
            player.expected_close = Some(code);
            player.is_silent = true;
        }
        61..64 => {
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
        64..66 => {
            let whole = masked_frame(0x81, b"never finished");
            player
                .outgoing
                .extend(&whole[..random.between(1, whole.len() - 1)]);
            player.is_silent = true;
            player.is_calm = false;
        }
        66 => {
            player
                .outgoing
                .extend(masked_frame(0x01, b"never finished"));
            player.is_mid_message = true;
            player.is_calm = false;
        }
        _ => (player.is_mute, player.is_calm) = (true, false),
    }
}

/// Sockets take less, give less, or fail.
fn disturb(player: &mut Player, choice: usize, random: &mut Random) {
    let peer = player.peer.clone();
    match choice {
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
        92..94 => break_socket(player, random),
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

fn break_socket(player: &mut Player, random: &mut Random) {
    player.is_calm = false;
    player.is_silent = true;
    let error = io::Error::from_raw_os_error(*random.pick(&SOCKET_ERRORS));
    if random.chance(50) {
        player.peer.socket().write_errors.push_back(error);
    } else {
        player.peer.reset();
    }
}

/// Words that end a connection, and the close code that they bring.
fn rubbish(player: &Player, random: &mut Random, config: &Config) -> (Vec<u8>, u16) {
    let is_echo = player.stage == Stage::Echo;
    let too_long = u16::try_from(config.chat.max_message + 1).expect("small settings");
    let [high, low] = too_long.to_be_bytes();
    let (bytes, code): (Vec<u8>, u16) = match random.below(if is_echo { 12 } else { 13 }) {
        0 => (vec![0x81, 0x01, b'x'], 1002),
        1 if player.window_bits.is_some() => (masked_frame(0xc1, b"\x06no block"), 1007),
        1 => (masked_frame(0xc1, b"reserved"), 1002),
        2 => (masked_frame(0x83, b"no opcode"), 1002),
        3 => (masked_frame(0x09, b"half a ping"), 1002),
        4 => (masked_frame(0x89, &[0; 126]), 1002),
        5 => (masked_frame(0x80, b"nothing to continue"), 1002),
        6 => (vec![0x81, 0xfe, 0, 5], 1002),
        7 => (vec![0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0], 1002),
        8 => (masked_frame(0x88, b"\x03\xed"), 1002),
        9 => (masked_frame(0x88, b"\x03"), 1002),
        10 => (vec![0x81, 0xfe, high.max(1), low, 1, 2, 3, 4], 1009),
        11 => (masked_frame(0x81, b"bad \xff"), 1007),
        _ => (masked_frame(0x82, b"bad \xff"), 1003),
    };
    (bytes, code)
}
