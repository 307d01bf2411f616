//! What a world with rooms is set to.

use std::time::Duration;

use fanfare::config::{Config, SlowPolicy};

use super::SECOND;
use crate::random::Random;
use crate::world::ledger::Rules;

/// Which bound on history bites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bite {
    Count,
    Age,
    Size,
    Everything,
}

/// Settings, of which the extremes are as likely as the rest, and what they promise.
pub(crate) fn draw(random: &mut Random) -> (Config, Rules) {
    let mut config = Config::default();
    let longest_queue = *random.pick(&[3, 40]);
    config.chat.send_queue = random.between(1, longest_queue);
    config.chat.slow = *random.pick(&[SlowPolicy::Close, SlowPolicy::Skip]);
    config.chat.max_message = random.between(60, 600);
    config.chat.message_rate = 0;
    config.timeouts.write_wait = SECOND * random.between(3, 30) as u32;
    config.timeouts.pong_wait = SECOND * random.between(10, 60) as u32;
    config.compression.deflate = random.chance(80);
    config.compression.deflate_min = *random.pick(&[1, 30, 200]);
    config.compression.deflate_level = *random.pick(&[1, 3, 6]);
    let bite = *random.pick(&[
        Bite::Count,
        Bite::Count,
        Bite::Age,
        Bite::Size,
        Bite::Everything,
    ]);
    let rooms = &mut config.rooms;
    rooms.history = *random.pick(&[0, 1, 2, 5, 20, 60]);
    rooms.history_age = 3_600 * SECOND;
    (rooms.history_size, rooms.max_history) = (1 << 30, 1 << 30);
    if matches!(bite, Bite::Age | Bite::Size) {
        rooms.history = 10_000;
    }
    if matches!(bite, Bite::Age | Bite::Everything) {
        rooms.history_age = SECOND * random.between(1, 60) as u32;
    }
    if matches!(bite, Bite::Size | Bite::Everything) {
        rooms.history_size = random.between(200, 12_000);
        rooms.max_history = random.between(200, 20_000);
    }
    rooms.linger = Duration::from_millis(*random.pick(&[0, 0, 0, 10, 250, 3_000]));
    let rules = Rules {
        history: rooms.history.into(),
        age: rooms.history_age,
        has_size_bounds: matches!(bite, Bite::Size | Bite::Everything),
        linger: rooms.linger,
        send_queue: config.chat.send_queue as u64,
        skips: config.chat.slow == SlowPolicy::Skip,
    };
    (config, rules)
}
