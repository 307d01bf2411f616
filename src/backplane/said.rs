//! What one room of this node says at once: an entry, until it is in the stream.

use std::rc::Rc;
use std::time::Duration;

use crate::id::ClientId;
use crate::room::batch::push_line;
use crate::room::id::Id;

/// The text at which an entry is full, in bytes. Only a single message, or a publication with a key, may make it longer.
pub const ENTRY_TEXT_MAX: usize = 64 * 1024;

/// What a client is told about what it published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Appended { by: ClientId, id: Id },
    GaveUp { by: ClientId },
}

/// Messages of one client in one entry, one behind the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// Who published them; `None` once it was told.
    pub(super) by: Option<ClientId>,
    pub(super) said_at: Duration,
    len: usize,
    pub(super) count: u32,
    /// Whether the client waits for the id of the last of them.
    pub(super) is_post: bool,
}

impl Part {
    /// A message that has still to be put into an entry.
    pub(super) fn new(by: ClientId, said_at: Duration) -> Self {
        Self {
            by: Some(by),
            said_at,
            len: 0,
            count: 1,
            is_post: false,
        }
    }
}

/// What one room of this node says at once.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) room: Rc<str>,
    pub(super) key: Option<Box<[u8]>>,
    /// This node's count of its entries; 0 until it is sent.
    pub(super) counter: u64,
    pub(super) count: u32,
    /// The messages, each with a line feed behind it.
    pub(super) text: Vec<u8>,
    pub(super) parts: Vec<Part>,
    pub(super) begun_at: Duration,
    pub(super) sent_at: Duration,
    pub(super) is_over: bool,
}

impl Said {
    /// The messages, joined by line feeds.
    pub(super) fn text(&self) -> &[u8] {
        self.text.strip_suffix(b"\n").unwrap_or_default()
    }

    pub(super) fn held_len(&self) -> usize {
        let parts = self.parts.len() * size_of::<Part>();
        let key = self.key.as_ref().map_or(0, |key| key.len());
        size_of::<Self>() + self.room.len() + self.text.len() + parts + key
    }

    pub(super) fn push(&mut self, part: Part, message: &str) {
        let before = self.text.len();
        push_line(message, &mut self.text);
        self.text.push(b'\n');
        self.count += 1;
        let len = self.text.len() - before;
        if let Some(last) = self.parts.last_mut()
            && last.by == part.by
            && last.said_at == part.said_at
            && !last.is_post
        {
            last.len += len;
            last.count += 1;
        } else {
            self.parts.push(Part { len, ..part });
        }
    }

    /// Removes the parts that are to be dropped from an entry that was not sent, with their text.
    pub(super) fn retain(&mut self, mut keeps: impl FnMut(&Part) -> bool) {
        let (mut from, mut to) = (0, 0);
        let text = &mut self.text;
        let mut count = 0;
        self.parts.retain(|part| {
            let keeps = keeps(part);
            if keeps {
                text.copy_within(from..from + part.len, to);
                to += part.len;
                count += part.count;
            }
            from += part.len;
            keeps
        });
        text.truncate(to);
        self.count = count;
    }
}
