//! What a swarm was sent and should have been sent: the books by which nothing is lost or doubled unnoticed.

use super::scan::Counted;

/// The books of all rooms.
pub(super) struct Books {
    rooms: Vec<Room>,
    /// Lines that are due at readers which are still there.
    due: u64,
    /// Lines that arrived at them.
    received: u64,
    pub(super) tally: Tally,
}

#[derive(Clone, Copy, Default)]
struct Room {
    sent: u64,
    /// Clients that are still there and read all that comes.
    readers: u64,
}

/// What went wrong, and what went right, since the swarm began.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Lines that arrived, at whatever client.
    pub(crate) lines: u64,
    /// Bytes that arrived, at whatever client.
    pub(crate) bytes: u64,
    /// Connections that the server ended.
    pub(crate) disconnects: u64,
    /// Frames that are no whole number of messages, lines that an observer could not read or missed, and ids that are not the next.
    pub(crate) damaged: u64,
}

impl Books {
    pub(super) fn new(rooms: usize) -> Self {
        Self {
            rooms: vec![Room::default(); rooms],
            due: 0,
            received: 0,
            tally: Tally::default(),
        }
    }

    pub(super) fn room_count(&self) -> usize {
        self.rooms.len()
    }

    /// A reader came before the first message.
    pub(super) fn add_reader(&mut self, room: usize) {
        self.rooms[room].readers += 1;
    }

    /// A reader that is there no more, or no longer reads all that comes; it had so many `lines`.
    pub(super) fn remove_reader(&mut self, room: usize, lines: u64) {
        let room = &mut self.rooms[room];
        room.readers -= 1;
        self.due -= room.sent;
        self.received -= lines;
    }

    /// Every reader in `room` is to get so many messages more.
    pub(super) fn note_sent(&mut self, room: usize, messages: u64) {
        let room = &mut self.rooms[room];
        room.sent += messages;
        self.due += messages * room.readers;
    }

    pub(super) fn note_received(&mut self, counted: Counted, by_reader: bool) {
        self.tally.lines += counted.lines;
        self.tally.bytes += counted.bytes;
        self.tally.damaged += counted.damaged;
        if by_reader {
            self.received += counted.lines;
        }
    }

    /// Whether every reader that is still there has had every message.
    pub(super) fn is_complete(&self) -> bool {
        self.received >= self.due
    }

    /// How far the lines that a reader had are from those that it should have had.
    pub(super) fn losses(&self, room: usize, lines: u64) -> u64 {
        self.rooms[room].sent.abs_diff(lines)
    }

    /// Counts from here on, as if nothing had been sent or received.
    pub(super) fn forget(&mut self) {
        self.due = 0;
        self.received = 0;
        self.rooms.iter_mut().for_each(|room| room.sent = 0);
    }
}
