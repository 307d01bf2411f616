//! The guarantee of rooms, played from seeds: readers of every framing come, stall, are cut anywhere and come back
//! with what they last received, while others publish, history is let go and rooms are forgotten.
//!
//! What each reader received over all its connections is checked against a model of its room: dense, in order, each
//! message once, every hole announced with its size, and the same text under the same id for all.

mod posts;
pub(crate) mod settings;
pub(crate) mod steps;

use std::time::Duration;

use crate::random::Random;
use crate::world::ledger::{Ledger, Rules};
use crate::world::listener::{Item, Kind, Position, Start};
use crate::world::publisher::{Post, take_answer};
use crate::world::reader::Reader;
use crate::world::{Peer, World};

const SECOND: Duration = Duration::from_secs(1);
/// How long a room is remembered.
const ROOM_MEMORY: Duration = Duration::from_secs(300);
/// How much later a room may be forgotten than it might: it is looked at when its history was to expire.
const FORGET_SLACK: Duration = Duration::from_secs(5);
/// How long a connection may be there when its client has left the room already.
const CLOSING_MAX: Duration = Duration::from_secs(70);
const NAMES: [&str; 3] = ["", "a", "Room-2_~."];

/// A publication that is not answered yet.
struct Pending {
    peer: Peer,
    post: Post,
    room: usize,
    messages: Vec<String>,
}

/// A key that was used, when, and the answer to it.
struct UsedKey {
    room: usize,
    at: Duration,
    post: Post,
    answer: Position,
}

/// How much happened, so that a simulation in which something never happens is noticed.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Happened {
    pub(crate) resumes: u64,
    pub(crate) gaps: u64,
    pub(crate) unknown_gaps: u64,
    pub(crate) skips: u64,
    pub(crate) forgotten_rooms: u64,
    pub(crate) repeated_posts: u64,
    pub(crate) deflated: u64,
}

impl Happened {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            resumes: self.resumes + other.resumes,
            gaps: self.gaps + other.gaps,
            unknown_gaps: self.unknown_gaps + other.unknown_gaps,
            skips: self.skips + other.skips,
            forgotten_rooms: self.forgotten_rooms + other.forgotten_rooms,
            repeated_posts: self.repeated_posts + other.repeated_posts,
            deflated: self.deflated + other.deflated,
        }
    }

    pub(crate) fn counts(self) -> [(&'static str, u64); 7] {
        [
            ("resumes", self.resumes),
            ("gaps", self.gaps),
            ("unknown gaps", self.unknown_gaps),
            ("skips", self.skips),
            ("forgotten rooms", self.forgotten_rooms),
            ("repeated posts", self.repeated_posts),
            ("deflated", self.deflated),
        ]
    }
}

pub(crate) struct Guarantee {
    random: Random,
    world: World,
    rules: Rules,
    message_max: usize,
    /// How much memory the history of a room may take, and that of all.
    history_max: (usize, usize),
    ledgers: Vec<Ledger>,
    readers: Vec<Reader>,
    pending: Vec<Pending>,
    keys: Vec<UsedKey>,
    /// A connection was cut, and the server may not know it yet.
    has_cut: bool,
    published: u64,
    born: usize,
    happened: Happened,
}

impl Guarantee {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let (config, rules) = settings::draw(&mut random);
        let message_max = config.chat.max_message;
        let history_max = (config.rooms.history_size, config.rooms.max_history);
        let mut world = World::new(config);
        world.network.short_means_blocked = random.chance(50);
        world.network.events_max = random.chance(30).then(|| random.between(1, 3));
        Self {
            random,
            world,
            rules,
            message_max,
            history_max,
            ledgers: NAMES.map(Ledger::new).into(),
            readers: Vec::new(),
            pending: Vec::new(),
            keys: Vec::new(),
            has_cut: false,
            published: 0,
            born: 0,
            happened: Happened::default(),
        }
    }

    pub(crate) fn run(mut self) -> Happened {
        for _ in 0..self.random.between(30, 120) {
            self.step();
            match self.random.below(3) {
                0 => self.turn(),
                _ => self.settle(),
            }
        }
        self.catch_up();
        self.end();
        self.happened.skips = self.readers.iter().map(|reader| reader.skips).sum();
        self.happened.deflated = self.readers.iter().map(|reader| reader.deflated).sum();
        self.happened
    }

    /// Takes one turn, and checks what was received.
    fn turn(&mut self) {
        self.world.turn();
        for reader in &mut self.readers {
            if !reader.is_dozing || reader.is_cut_off() {
                reader.hear(&mut self.ledgers[reader.room], &self.rules);
            }
        }
    }

    /// Takes turns until nothing is left to do now, and checks what must hold then.
    fn settle(&mut self) {
        for _ in 0..20_000 {
            self.turn();
            let is_idle = self.world.wait() != Some(Duration::ZERO);
            if is_idle && !self.world.has_edges() {
                return self.check_settled();
            }
        }
        panic!("the loop spins");
    }

    fn check_settled(&mut self) {
        self.has_cut = false;
        for pending in std::mem::take(&mut self.pending) {
            self.take_answer(pending);
        }
        let now = self.world.now;
        for reader in &mut self.readers {
            let ledger = &mut self.ledgers[reader.room];
            if let Some(start) = reader.check_start(ledger, &self.rules) {
                match start {
                    Start::Fresh => {}
                    Start::Resumed => self.happened.resumes += 1,
                    Start::Gap(Some(_)) => self.happened.gaps += 1,
                    Start::Gap(None) => self.happened.unknown_gaps += 1,
                }
            }
            if let Some(listener) = &reader.listener
                && !listener.peer.is_closed()
            {
                ledger.active_at = now;
            }
        }
        for ledger in &mut self.ledgers {
            ledger.settled_head = ledger.head();
        }
        let engine = &self.world.engine;
        let (of_room, of_all) = self.history_max;
        let history_max = of_all.min(engine.room_count() * of_room);
        let history_len = engine.history_len();
        assert!(history_len <= history_max, "{history_len}, {history_max}");
        assert!(self.rules.history > 0 || engine.history_len() == 0);
        assert_eq!(
            engine.metrics().messages(),
            self.published,
            "what was published"
        );
    }

    /// The answer to a publication has the id of its last message.
    fn take_answer(&mut self, pending: Pending) {
        let answer = take_answer(&pending.peer).expect("it is answered at once");
        assert_eq!(answer.0, 200, "{answer:?}");
        pending.peer.shut();
        let id = Position::parse(&answer.1);
        let ledger = &mut self.ledgers[pending.room];
        for (text, back) in pending.messages.iter().rev().zip(0..) {
            ledger.observe_message(&id.at(id.seq - back), text);
        }
        let (room, post) = (pending.room, pending.post);
        let Some(key) = post.key.clone() else {
            return;
        };
        let is_same = |used: &&UsedKey| used.room == room && used.post.key.as_ref() == Some(&key);
        if let Some(used) = self.keys.iter().find(is_same) {
            assert_eq!(used.answer, id, "the answer to {key}");
            self.happened.repeated_posts += 1;
        } else {
            let at = self.world.now;
            self.keys.push(UsedKey {
                room,
                at,
                post,
                answer: id,
            });
        }
    }

    /// Lets time pass as the loop would: it sleeps until something is due.
    fn pass(&mut self, time: Duration) {
        let end = self.world.now + time;
        loop {
            self.settle();
            if self.world.now >= end {
                return;
            }
            let sleep = self.world.wait().unwrap_or(time);
            let sleep = sleep.max(Duration::from_millis(1));
            self.world.now = end.min(self.world.now + sleep);
        }
    }

    /// Everybody takes all there is. Everybody has everything then, and nothing is queued.
    fn catch_up(&mut self) {
        for reader in &mut self.readers {
            reader.wake();
        }
        self.settle();
        // One that was told how many listen when it joined is left out once, so that a count may be two periods late.
        self.pass(self.rules.linger + 3 * SECOND);
        for reader in &self.readers {
            if reader.listener.is_none() {
                continue;
            }
            reader.check_caught_up(&self.ledgers[reader.room], &self.rules);
            let neighbours = self.readers.iter().filter(|it| it.room == reader.room);
            let count = neighbours.filter(|it| it.listener.is_some()).count();
            assert!(
                !reader.wants_here || reader.here == Some(count),
                "{} was told that {:?} listen, not {count}",
                reader.name,
                reader.here
            );
        }
        let connected = self.readers.iter().filter(|it| it.listener.is_some());
        let engine = &self.world.engine;
        // A client that is being closed may be blocked.
        let has_others = engine.client_count() > connected.count();
        assert!(has_others || engine.queued_len() == 0, "all are caught up");
    }

    /// Everybody leaves, and nothing is left when everything is too old.
    fn end(&mut self) {
        for reader in &mut self.readers {
            if let Some(listener) = reader.end(&mut self.ledgers[reader.room]) {
                listener.peer.shut();
            }
        }
        self.pass(CLOSING_MAX);
        let engine = &self.world.engine;
        assert_eq!((engine.client_count(), engine.queued_len()), (0, 0));
        self.pass(self.rules.age + self.rules.linger + FORGET_SLACK);
        assert_eq!(self.world.engine.history_len(), 0, "all history is too old");
        self.pass(ROOM_MEMORY);
        let engine = &self.world.engine;
        assert_eq!((engine.room_count(), engine.deadline_count()), (0, 0));
        for ledger in &self.ledgers {
            ledger.check_runs();
            ledger.check_order();
        }
    }

    /// Finds out whether a room that may have been forgotten was. It is there then.
    fn probe(&mut self, room: usize) {
        let quiet = self.world.now - self.ledgers[room].active_at;
        if quiet < ROOM_MEMORY - CLOSING_MAX || !self.ledgers[room].is_known() {
            return;
        }
        self.settle();
        let mut listener = self.world.listen(Kind::NumberedLines, NAMES[room], "");
        self.settle();
        let items = listener.take();
        let Some(Item::Start(Start::Fresh, position)) = items.get(1) else {
            panic!("a probe received {items:?}");
        };
        let ledger = &mut self.ledgers[room];
        // Perhaps nobody has seen an id yet.
        let is_known = ledger.epoch().is_some_and(|epoch| *epoch == position.epoch);
        if !is_known && (ledger.epoch().is_some() || position.seq == 0) {
            assert!(
                quiet + CLOSING_MAX >= ROOM_MEMORY,
                "forgotten after {quiet:?}"
            );
            ledger.renew();
            self.keys.retain(|key| key.room != room);
            self.happened.forgotten_rooms += 1;
        }
        ledger.observe(position);
        assert_eq!(position.seq, ledger.head(), "a room begins at its end");
        let longest = self.rules.age + self.rules.linger + ROOM_MEMORY + FORGET_SLACK;
        assert!(
            ledger.head() == 0 || quiet <= longest,
            "it is there after {quiet:?}"
        );
        ledger.active_at = self.world.now;
        listener.peer.shut();
        self.settle();
    }
}
