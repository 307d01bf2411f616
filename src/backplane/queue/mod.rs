//! What was published here and is not known to be in the stream yet.
//!
//! Entries stand in one queue, in the order in which they were begun. Those at its front were sent; behind them are those
//! that wait, and the last one of each room still takes what is published there. An answer ends an entry, and so does
//! reading it back; what waited for too long is given up.

mod give_up;

use std::collections::{HashMap, HashSet, VecDeque};
use std::iter;
use std::mem;
use std::rc::Rc;
use std::time::Duration;

use super::said::{ENTRY_TEXT_MAX, Part, Said, Told};
use crate::id::ClientId;
use crate::room::batch::trimmed;
use crate::room::id::Id;

/// The most entries that are sent and not answered.
pub const IN_FLIGHT_MAX: usize = 128;
/// The most text that is sent and not answered, in bytes, unless it is one entry.
pub const IN_FLIGHT_LEN_MAX: usize = 4 * 1024 * 1024;
/// How many buffers of entries are kept for the next ones.
const SPARES_MAX: usize = 32;
/// What a kept buffer may hold, in bytes.
const SPARE_CAPACITY_MAX: usize = 2 * ENTRY_TEXT_MAX;
/// What a kept list of parts may hold.
const SPARE_PARTS_MAX: usize = 1024;

/// The queue of entries.
#[derive(Debug, Default)]
pub(super) struct Queue {
    entries: VecDeque<Said>,
    /// The place of the first entry, counted from the start.
    first: u64,
    /// Behind the last entry that was ever sent.
    sent_end: u64,
    /// Behind the last entry that was sent on this connection.
    next: u64,
    in_flight: usize,
    in_flight_len: usize,
    held_len: usize,
    /// The last entry of each room that still takes messages.
    open: HashMap<Rc<str>, u64>,
    /// Where the last message went.
    last_open: Option<u64>,
    /// Clients whose messages are taken back at the end of the turn.
    withdrawn: HashSet<ClientId>,
    told: VecDeque<Told>,
    gave_up_at: Option<Duration>,
    spares: Vec<(Vec<u8>, Vec<Part>)>,
}

impl Queue {
    /// Publishes a message.
    pub(super) fn say(&mut self, room: &str, by: ClientId, message: &str, now: Duration) {
        let place = self.open_entry(room, message.len(), now);
        self.push_all(place, by, iter::once(message), now);
    }

    /// Publishes messages together, of which there is at least one. They stand in one entry, so that all of them are
    /// appended or none; with a key it is their own.
    pub(super) fn post<'a>(
        &mut self,
        room: &str,
        by: ClientId,
        messages: impl Iterator<Item = &'a str> + Clone,
        key: Option<&[u8]>,
        now: Duration,
    ) {
        let place = if let Some(key) = key {
            self.open.remove(room);
            self.last_open = None;
            self.begin(room.into(), Some(key.into()), now)
        } else {
            let lens = messages.clone().map(|message| message.len() + 1);
            self.open_entry(room, lens.sum(), now)
        };
        self.push_all(place, by, messages, now);
        // The last message of an entry is now the last one of a post.
        let entry = self.get_mut(place);
        if let Some(part) = entry.and_then(|entry| entry.parts.last_mut()) {
            part.is_post = true;
        }
    }

    /// Appends messages to an entry.
    fn push_all<'a>(
        &mut self,
        place: u64,
        by: ClientId,
        messages: impl Iterator<Item = &'a str>,
        now: Duration,
    ) {
        if let Some(entry) = self.get_mut(place) {
            let before = entry.held_len();
            messages.for_each(|message| entry.push(Part::new(by, now), trimmed(message)));
            let added = entry.held_len() - before;
            self.held_len += added;
        }
    }

    fn open_entry(&mut self, room: &str, message_len: usize, now: Duration) -> u64 {
        let has_room = |queue: &Self, place: u64| {
            queue.get(place).is_some_and(|entry| {
                *entry.room == *room && entry.text.len() + message_len < ENTRY_TEXT_MAX
            })
        };
        if let Some(place) = self.last_open
            && has_room(self, place)
        {
            return place;
        }
        let place = match self.open.get(room) {
            Some(place) if has_room(self, *place) => *place,
            _ => {
                let room: Rc<str> = room.into();
                let place = self.begin(room.clone(), None, now);
                self.open.insert(room, place);
                place
            }
        };
        self.last_open = Some(place);
        place
    }

    fn begin(&mut self, room: Rc<str>, key: Option<Box<[u8]>>, now: Duration) -> u64 {
        let place = self.first + self.entries.len() as u64;
        let (text, parts) = self.spares.pop().unwrap_or_default();
        let entry = Said {
            room,
            key,
            counter: 0,
            count: 0,
            text,
            parts,
            begun_at: now,
            sent_at: now,
            is_over: false,
        };
        self.held_len += entry.held_len();
        self.entries.push_back(entry);
        place
    }

    fn get(&self, place: u64) -> Option<&Said> {
        let index = usize::try_from(place.checked_sub(self.first)?).ok()?;
        self.entries.get(index)
    }

    fn get_mut(&mut self, place: u64) -> Option<&mut Said> {
        let index = usize::try_from(place.checked_sub(self.first)?).ok()?;
        self.entries.get_mut(index)
    }

    /// Takes the next entry to send on this connection, if there may be one more in flight. Returns its place and the
    /// counter of the unanswered entry before it.
    pub(super) fn next_to_send(&mut self, counter: &mut u64, now: Duration) -> Option<u64> {
        loop {
            let place = self.next;
            let entry = self.get(place)?;
            if !entry.is_over {
                let len = self.in_flight_len + entry.text.len();
                if self.in_flight > 0
                    && (self.in_flight >= IN_FLIGHT_MAX || len > IN_FLIGHT_LEN_MAX)
                {
                    return None;
                }
                self.in_flight += 1;
                self.in_flight_len = len;
                self.next += 1;
                self.note_sent(place, counter, now);
                return Some(place);
            }
            self.next += 1;
            self.sent_end = self.sent_end.max(self.next);
        }
    }

    fn note_sent(&mut self, place: u64, counter: &mut u64, now: Duration) {
        self.sent_end = self.sent_end.max(place + 1);
        self.last_open = self.last_open.filter(|open| *open != place);
        let index = usize::try_from(place.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let Some(entry) = self.entries.get_mut(index) else {
            return;
        };
        entry.sent_at = now;
        if entry.counter == 0 {
            *counter += 1;
            entry.counter = *counter;
            if self.open.get(&entry.room) == Some(&place) {
                self.open.remove(&entry.room);
            }
        }
    }

    /// An entry that is to be sent, and the counter of the unanswered one before it; `None` if it is over.
    pub(super) fn to_send(&self, place: u64) -> Option<(&Said, u64)> {
        let entry = self.get(place).filter(|entry| !entry.is_over)?;
        Some((entry, self.previous_counter(place)))
    }

    /// The counter of the last unanswered entry before a place; 0 if there is none.
    fn previous_counter(&self, place: u64) -> u64 {
        let index = usize::try_from(place.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let before = self.entries.iter().take(index).rev();
        let mut unanswered = before.filter(|entry| !entry.is_over);
        unanswered.next().map_or(0, |entry| entry.counter)
    }

    /// The counter of the last unanswered entry of those that were sent; 0 if there is none.
    pub(super) fn last_counter(&self) -> u64 {
        self.previous_counter(self.next)
    }

    /// An entry is in the stream. Returns how long that took; `None` if it was known already, or is given up.
    pub(super) fn note_appended(
        &mut self,
        place: u64,
        last: Id,
        now: Duration,
    ) -> Option<Duration> {
        let index = usize::try_from(place.checked_sub(self.first)?).ok()?;
        let entry = self.entries.get(index).filter(|entry| !entry.is_over)?;
        let sent_at = entry.sent_at;
        // The first publication with a key may have had fewer messages than this one.
        let before = last.seq.saturating_sub(entry.count.into());
        let mut count = 0;
        for part in &entry.parts {
            count += u64::from(part.count);
            if let (Some(by), true) = (part.by, part.is_post) {
                let id = Id {
                    seq: before.saturating_add(count).min(last.seq),
                    ..last
                };
                self.told.push_back(Told::Appended { by, id });
            }
        }
        self.end(place);
        self.pop_over();
        Some(now.saturating_sub(sent_at))
    }

    /// The place of the entry that has this counter.
    pub(super) fn find(&self, counter: u64) -> Option<u64> {
        let mut sent = self.entries.iter().zip(self.first..self.sent_end);
        let (_, place) = sent.find(|(entry, _)| entry.counter == counter)?;
        Some(place)
    }

    /// Ends an entry, which stays in the queue as an empty place until it is at the front.
    fn end(&mut self, place: u64) {
        let is_in_flight = place < self.next;
        let index = usize::try_from(place.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let Some(entry) = self.entries.get_mut(index).filter(|entry| !entry.is_over) else {
            return;
        };
        entry.is_over = true;
        self.held_len -= entry.held_len();
        if is_in_flight {
            self.in_flight -= 1;
            self.in_flight_len -= entry.text.len();
        }
        if self.open.get(&entry.room) == Some(&place) {
            self.open.remove(&entry.room);
        }
        self.last_open = self.last_open.filter(|open| *open != place);
        let (mut text, mut parts) = (mem::take(&mut entry.text), mem::take(&mut entry.parts));
        entry.key = None;
        let is_small = text.capacity() <= SPARE_CAPACITY_MAX && parts.capacity() <= SPARE_PARTS_MAX;
        if self.spares.len() < SPARES_MAX && is_small {
            text.clear();
            parts.clear();
            self.spares.push((text, parts));
        }
    }

    fn pop_over(&mut self) {
        while self.entries.front().is_some_and(|entry| entry.is_over) {
            self.entries.pop_front();
            self.first += 1;
        }
        self.next = self.next.max(self.first);
        self.sent_end = self.sent_end.max(self.first);
    }

    /// The connection is another one: all that is unanswered is to be sent on it.
    pub(super) fn restart(&mut self) {
        self.next = self.first;
        self.in_flight = 0;
        self.in_flight_len = 0;
    }

    pub(super) fn next_told(&mut self) -> Option<Told> {
        self.told.pop_front()
    }

    pub(super) fn has_told(&self) -> bool {
        !self.told.is_empty()
    }

    /// Whether anything is not known to be in the stream.
    pub(super) fn has_unanswered(&self) -> bool {
        // What is over does not stay at the front.
        !self.entries.is_empty()
    }

    /// The memory that is held for what is not answered, in bytes.
    pub(super) fn held_len(&self) -> usize {
        self.held_len
    }
}
