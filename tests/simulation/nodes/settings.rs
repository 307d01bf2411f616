//! What nodes are set to, and which faults befall them.

use std::time::Duration;

use fanfare::backplane::Settings;
use fanfare::config::Config;

use crate::guarantee::settings;
use crate::random::Random;
use crate::world::ledger::Rules;

/// Which faults there are; each kind has those before it as well, the last one not always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Faults {
    /// Readers alone are cut.
    None,
    /// Connections to the broker are cut or stall, and the broker stalls.
    Links,
    /// The broker restarts with all it had, and nodes die.
    Restarts,
    /// Entries are cut off that not everybody has read.
    Trims,
    /// The broker forgets.
    Losses,
}

/// What a simulation is set to.
pub(super) struct Drawn {
    pub(super) config: Config,
    pub(super) rules: Rules,
    pub(super) faults: Faults,
    /// Whether entries are cut off.
    pub(super) trims: bool,
    /// History is never too short nor too old.
    pub(super) keeps_all: bool,
    pub(super) wait: Duration,
    pub(super) entries: u64,
    pub(super) password: Option<&'static str>,
    pub(super) db: u32,
}

pub(super) fn draw(random: &mut Random) -> Drawn {
    let (mut config, mut rules) = settings::draw(random);
    let faults = *random.pick(&[
        Faults::None,
        Faults::Links,
        Faults::Links,
        Faults::Restarts,
        Faults::Restarts,
        Faults::Trims,
        Faults::Losses,
        Faults::Losses,
    ]);
    let keeps_all = random.chance(50);
    if keeps_all {
        let rooms = &mut config.rooms;
        rooms.history = 100_000;
        rooms.history_age = Duration::from_secs(3_600 * 24);
        (rooms.history_size, rooms.max_history) = (1 << 30, 1 << 30);
        rules.history = rooms.history.into();
        rules.age = rooms.history_age;
        rules.has_size_bounds = false;
    }
    let trims = faults == Faults::Trims || faults == Faults::Losses && random.chance(50);
    let is_short = trims && random.chance(40);
    Drawn {
        rules,
        faults,
        trims,
        keeps_all,
        wait: Duration::from_millis(*random.pick(&[300, 1_000, 2_000, 5_000, 8_000])),
        entries: if is_short {
            random.between(20, 60) as u64
        } else {
            100_000
        },
        password: random.chance(50).then_some("open sesame"),
        db: *random.pick(&[0, 0, 3]),
        config,
    }
}

impl Drawn {
    /// Whether entries are cut off by themselves that may not have been read.
    pub(super) fn is_short(&self) -> bool {
        self.entries < 1_000
    }

    pub(super) fn backplane(&self) -> Settings {
        let rooms = &self.config.rooms;
        Settings {
            address: "broker:6379".to_owned(),
            user: None,
            password: self.password.map(Into::into),
            db: self.db,
            prefix: "fanfare".to_owned(),
            wait: self.wait,
            entries: self.entries,
            message_max: self.config.chat.max_message,
            history_age: (rooms.history > 0).then_some(rooms.history_age),
        }
    }
}
