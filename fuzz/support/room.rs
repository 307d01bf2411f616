//! One room and its readers, and the model of both: what happens to them, and what must hold after it.

use std::time::Duration;

use fanfare::config::{Config, SlowPolicy};

use crate::world::World;
use crate::world::ledger::{Asked, Ledger, Rules, message};
use crate::world::listener::{Kind, Position};
use crate::world::publisher::Post;
use crate::world::reader::Reader;

const READERS_MAX: usize = 8;
/// No room is forgotten so soon.
const TIME_MAX: Duration = Duration::from_secs(250);
const TENTH: Duration = Duration::from_millis(100);

#[derive(Debug, arbitrary::Arbitrary)]
pub struct Settings {
    history: u8,
    history_size: Option<u16>,
    age: u8,
    send_queue: u8,
    skips: bool,
    linger: bool,
    short_means_blocked: bool,
    /// How long a batch must be to be compressed.
    deflate_min: u8,
}

#[derive(Debug, arbitrary::Arbitrary)]
pub enum Step {
    Publish(u8),
    PublishMany(u8, u8),
    /// A reader that is new.
    Join(u8, Option<u8>),
    /// A reader that was there before goes on so many messages before its last, or behind the room's.
    Resume(u8, i8, Option<u8>),
    Stall(u8),
    Drain(u8, u16),
    WriteMax(u8, u8),
    /// So many bytes of what was on its way still arrive.
    Leave(u8, u16),
    Pass(u8),
}

pub struct Room {
    world: World,
    rules: Rules,
    ledger: Ledger,
    readers: Vec<Reader>,
    published: usize,
    history_size: usize,
}

impl Room {
    pub fn new(settings: &Settings) -> Self {
        let mut config = Config::default();
        config.chat.send_queue = usize::from(settings.send_queue % 16) + 1;
        config.chat.slow = match settings.skips {
            true => SlowPolicy::Skip,
            false => SlowPolicy::Close,
        };
        config.compression.deflate = true;
        config.compression.deflate_min = settings.deflate_min.into();
        config.compression.deflate_level = 1;
        config.rooms.history = settings.history.into();
        config.rooms.history_size = settings.history_size.map_or(1 << 30, usize::from);
        config.rooms.history_age = TENTH * (u32::from(settings.age) + 1);
        config.rooms.linger = TENTH * u32::from(settings.linger);
        let rules = Rules {
            history: settings.history.into(),
            age: config.rooms.history_age,
            has_size_bounds: settings.history_size.is_some(),
            linger: config.rooms.linger,
            send_queue: config.chat.send_queue as u64,
            skips: settings.skips,
        };
        let history_size = config.rooms.history_size;
        let mut world = World::new(config);
        world.network.short_means_blocked = settings.short_means_blocked;
        Self {
            world,
            rules,
            ledger: Ledger::new("room"),
            readers: Vec::new(),
            published: 0,
            history_size,
        }
    }

    pub fn apply(&mut self, step: &Step) {
        match *step {
            Step::Publish(len) => self.publish(1, len),
            Step::PublishMany(count, len) => self.publish(usize::from(count), len),
            Step::Join(kind, last) if self.readers.len() < READERS_MAX => {
                let kind = Kind::ALL[usize::from(kind) % Kind::ALL.len()];
                self.readers.push(Reader::new(format!("{kind:?}"), 0, kind));
                self.connect(self.readers.len() - 1, None, last);
            }
            Step::Resume(by, from, last) => self.resume(by, from, last),
            Step::Stall(by) => self.limit(by, |socket| socket.room = 0),
            Step::Drain(by, room) => {
                self.limit(by, |_| {});
                if let Some(listener) = self.reader(by).and_then(|it| it.listener.as_ref()) {
                    listener.peer.set_room(room.into());
                }
            }
            Step::WriteMax(by, max) => {
                self.limit(by, |socket| socket.write_max = usize::from(max).max(1));
            }
            Step::Leave(by, len) => self.leave(by, len),
            Step::Pass(tenths) if self.world.now < TIME_MAX => self.pass(TENTH * tenths.into()),
            Step::Join(..) | Step::Pass(_) => {}
        }
        self.settle();
    }

    /// Everybody takes what there is, and has everything then; at last nothing is left.
    pub fn end(&mut self) {
        self.readers.iter_mut().for_each(Reader::wake);
        self.pass(Duration::from_secs(2));
        for reader in self.readers.iter().filter(|it| it.listener.is_some()) {
            reader.check_caught_up(&self.ledger, &self.rules);
        }
        for by in 0..self.readers.len() {
            self.leave(by as u8, u16::MAX);
        }
        self.pass(Duration::from_secs(60));
        let engine = &self.world.engine;
        assert_eq!((engine.client_count(), engine.queued_len()), (0, 0));
        self.ledger.check_runs();
        self.ledger.check_order();
        self.pass(self.rules.age + Duration::from_secs(302));
        let engine = &self.world.engine;
        assert_eq!((engine.history_len(), engine.room_count()), (0, 0));
    }

    fn publish(&mut self, count: usize, len: u8) {
        let numbers = self.published..self.published + count;
        self.published += count;
        let text = |number| message("p", number) + &"x".repeat(len.into());
        let texts: Vec<String> = numbers.map(text).collect();
        if texts.is_empty() {
            return;
        }
        for text in &texts {
            self.ledger.publish(text, self.world.now);
        }
        let (status, id) = self.world.post(&Post::lines("room", &texts));
        assert_eq!(status, 200);
        let id = Position::parse(&id);
        assert_eq!(id.seq, self.ledger.head());
        for (text, back) in texts.iter().rev().zip(0..) {
            self.ledger.observe_message(&id.at(id.seq - back), text);
        }
    }

    fn connect(&mut self, index: usize, since: Option<Position>, last: Option<u8>) {
        let has_laggards = self
            .readers
            .iter()
            .any(|it| it.listener.is_some() && !it.is_steady);
        let reader = &mut self.readers[index];
        let mut query = String::new();
        if let Some(last) = last {
            query += &format!("last={last}&");
        }
        if let Some(since) = &since {
            query += &format!("since={since}");
        }
        let listener = self.world.listen(reader.kind, "room", &query);
        let asked = Asked {
            since,
            last: last.map(Into::into),
            at: self.world.now,
            head_min: self.ledger.head(),
            head_max: Some(self.ledger.head()),
            has_laggards,
        };
        reader.begin(listener, asked);
    }

    fn resume(&mut self, by: u8, from: i8, last: Option<u8>) {
        let Some(index) = self
            .index(by)
            .filter(|&it| self.readers[it].listener.is_none())
        else {
            return;
        };
        let since = self.readers[index].position.as_ref().map(|position| {
            let seq = match from {
                0.. => position.seq.saturating_sub(from as u64),
                _ => self.ledger.head() + u64::from(from.unsigned_abs()),
            };
            position.at(seq)
        });
        self.connect(index, since, last);
    }

    fn limit(&mut self, by: u8, change: impl FnOnce(&mut crate::world::Socket)) {
        if let Some(reader) = self.reader(by)
            && let Some(listener) = &reader.listener
        {
            change(&mut listener.peer.socket());
            reader.is_steady = false;
        }
    }

    fn leave(&mut self, by: u8, len: u16) {
        let Some(index) = self.index(by) else {
            return;
        };
        let reader = &mut self.readers[index];
        if let Some(listener) = &reader.listener {
            let peer = listener.peer.clone();
            peer.socket().outbound.truncate(len.into());
            reader.is_steady = false;
            reader.hear(&mut self.ledger, &self.rules);
            reader.end(&mut self.ledger);
            peer.shut();
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.world.now + time;
        loop {
            self.settle();
            let wait = self.world.wait().unwrap_or(time).max(TENTH / 100);
            if self.world.now >= end {
                return;
            }
            self.world.now = end.min(self.world.now + wait);
        }
    }

    fn settle(&mut self) {
        loop {
            self.world.settle();
            for reader in &mut self.readers {
                reader.hear(&mut self.ledger, &self.rules);
                reader.check_start(&self.ledger, &self.rules);
            }
            // Pongs may have been sent.
            if !self.world.has_edges() {
                break;
            }
        }
        let engine = &self.world.engine;
        let history_max = match self.rules.history {
            0 => 0,
            _ => self.history_size,
        };
        assert!(engine.history_len() <= history_max);
        assert_eq!(engine.metrics().messages(), self.published as u64);
    }

    fn index(&self, by: u8) -> Option<usize> {
        usize::from(by).checked_rem(self.readers.len())
    }

    fn reader(&mut self, by: u8) -> Option<&mut Reader> {
        let index = self.index(by)?;
        self.readers.get_mut(index)
    }
}
