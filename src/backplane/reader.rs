//! The connection that reads: one `XREAD` at a time, and the next one when all entries of the last were taken.

use std::collections::VecDeque;
use std::time::Duration;

use super::command::Encoder;
use super::entry::{Entry, Page};
use super::facts::Facts;
use super::link::Link;
use super::login;
use super::lost::Lost;
use super::reply::Reply;
use super::settings::Settings;
use super::stream_id::StreamId;

/// How long the broker waits for an entry before it answers that there is none.
pub const READ_BLOCK: Duration = Duration::from_secs(1);
/// The most entries of a reply. So many full ones are shorter than the longest reply.
pub const READ_ENTRIES_MAX: u64 = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Login,
    Facts,
    Entries { blocks: bool },
}

#[derive(Debug)]
pub(super) struct Reader {
    pub(super) link: Link,
    asked: VecDeque<Asked>,
    /// Whether the broker is the one that is appended to.
    is_greeted: bool,
    page: Option<Page>,
    /// The last entry that was taken, or where reading begins.
    pub(super) position: StreamId,
    /// The tail that has to be reached first.
    fill_to: Option<StreamId>,
    /// How many reads were asked for.
    pub(super) reads: u64,
    /// How many entries are asked for: less after a reply that was too large.
    count: u64,
}

impl Reader {
    pub(super) fn new(reply_max: usize) -> Self {
        Self {
            link: Link::new(reply_max),
            asked: VecDeque::new(),
            is_greeted: false,
            page: None,
            position: StreamId::START,
            fill_to: None,
            reads: 0,
            count: READ_ENTRIES_MAX,
        }
    }

    pub(super) fn close(&mut self, has_socket: bool, lost: &Lost) {
        self.link.close(has_socket);
        self.asked.clear();
        self.is_greeted = false;
        self.page = None;
        self.fill_to = None;
        if lost.is_too_large {
            self.count = (self.count / 2).max(1);
        }
    }

    /// Where reading begins once the connection is there.
    pub(super) fn begin(&mut self, position: StreamId, tail: StreamId) {
        self.position = position;
        self.fill_to = Some(tail);
    }

    pub(super) fn greet(&mut self, settings: &Settings) {
        let logins = login::encode(settings, self.link.out());
        self.asked.extend((0..logins).map(|_| Asked::Login));
        self.asked.push_back(Asked::Facts);
        let mut encoder = Encoder::new(self.link.out(), &settings.prefix);
        encoder.command("INFO", 2).text(b"server");
    }

    /// Whether a whole reply waits, or entries wait to be taken.
    pub(super) fn is_busy(&self) -> bool {
        self.page.is_some() || self.link.replies.has_whole()
    }

    /// Whether a whole reply waits to be read.
    pub(super) fn has_reply(&self) -> bool {
        self.page.is_none() && self.link.replies.has_whole()
    }

    /// Whether entries wait to be taken.
    pub(super) fn has_entries(&self) -> bool {
        self.page.as_ref().is_some_and(|page| !page.is_over())
    }

    /// How much longer than usual the answer may take that is waited for.
    pub(super) fn extra_wait(&self) -> Duration {
        match self.asked.front() {
            Some(Asked::Entries { blocks: true }) => READ_BLOCK,
            _ => Duration::ZERO,
        }
    }

    /// Whether the tail was reached that had to be.
    pub(super) fn is_filled(&self) -> bool {
        self.is_greeted && self.fill_to.is_none()
    }

    /// Notes that the tail is reached. Whether this is news.
    pub(super) fn note_filled(&mut self) -> bool {
        let is_news = self.is_greeted && self.fill_to.is_some_and(|tail| self.position >= tail);
        if is_news {
            self.fill_to = None;
        }
        is_news
    }

    /// Asks for more if nothing is asked and nothing waits. `blocks`: unless entries are there, the broker is to wait.
    pub(super) fn read_on(&mut self, settings: &Settings, may_block: bool) {
        let is_idle = self.asked.is_empty() && !self.is_busy();
        if !self.is_greeted || !is_idle {
            return;
        }
        let blocks = may_block && self.is_filled();
        self.asked.push_back(Asked::Entries { blocks });
        self.reads += 1;
        let mut encoder = Encoder::new(self.link.out(), &settings.prefix);
        encoder.command("XREAD", if blocks { 8 } else { 6 });
        encoder.text(b"COUNT").number(self.count);
        if blocks {
            encoder.text(b"BLOCK").millis(READ_BLOCK);
        }
        encoder.text(b"STREAMS").key(&[b"stream"]);
        encoder.stream_id(self.position);
    }

    /// Reads the next reply, if it is whole. Whether it was one to a read that found nothing.
    pub(super) fn next_reply(&mut self, run: Option<&str>) -> Result<bool, Lost> {
        if self.page.is_some() || !self.link.replies.has_whole() {
            return Ok(false);
        }
        match self.asked.pop_front() {
            None => Err(Lost::unexpected()),
            Some(Asked::Entries { .. }) => self.read_page(),
            Some(asked) => self.read_greeting(asked, run).map(|()| false),
        }
    }

    fn read_greeting(&mut self, asked: Asked, run: Option<&str>) -> Result<(), Lost> {
        let answer = self
            .link
            .replies
            .next(|reply| match (asked, reply.error()) {
                (Asked::Login, Some(error)) => Err(Lost::login(error)),
                (_, Some(error)) => Err(Lost::error(error)),
                (Asked::Login, None) => Ok(None),
                (_, None) => {
                    let mut facts = Facts::default();
                    facts.read(reply.text().ok_or_else(Lost::unexpected)?);
                    Ok(facts.run)
                }
            })?;
        let told = answer.unwrap_or(Err(Lost::unexpected()))?;
        if asked == Asked::Facts {
            if told.is_none() || told.as_deref() != run {
                return Err(Lost::new("the two connections reach different servers"));
            }
            self.is_greeted = true;
        }
        Ok(())
    }

    fn read_page(&mut self) -> Result<bool, Lost> {
        let mut is_nothing = false;
        let Some((bytes, frame)) = self.link.replies.take()? else {
            return Ok(false);
        };
        let reply = Reply::new(&bytes, &frame);
        if let Some(error) = reply.error() {
            return Err(Lost::error(error));
        }
        if reply.is_null() {
            is_nothing = true;
            self.fill_to = self.fill_to.map(|_| self.position);
            self.link.replies.recycle(bytes);
        } else {
            let page = Page::new(bytes, frame).ok_or_else(Lost::unexpected)?;
            if page.count() as u64 > self.count {
                return Err(Lost::unexpected());
            }
            self.page = Some(page);
        }
        Ok(is_nothing)
    }

    /// Takes the next entry: what it is, unless it is malformed.
    pub(super) fn take_entry(&mut self) -> Result<Option<Option<Entry>>, Lost> {
        if self.page.as_ref().is_some_and(Page::is_over) {
            self.end_page();
        }
        let Some(page) = &mut self.page else {
            return Ok(None);
        };
        let (id, entry) = page.take().ok_or_else(Lost::unexpected)?;
        if id <= self.position {
            return Err(Lost::new("entries are told out of their order"));
        }
        self.position = id;
        Ok(Some(entry))
    }

    /// Lets a page go whose entries were all taken.
    pub(super) fn end_page(&mut self) {
        if let Some(page) = self.page.take_if(|page| page.is_over()) {
            self.link.replies.recycle(page.into_buffer());
            self.count = (self.count + 1).min(READ_ENTRIES_MAX);
        }
    }

    /// The page that the last entry was taken from.
    pub(super) fn page(&self) -> Option<&Page> {
        self.page.as_ref()
    }

    /// Whether nothing is asked.
    pub(super) fn is_answered(&self) -> bool {
        self.asked.is_empty()
    }

    pub(super) fn held_len(&self) -> usize {
        self.link.held_len() + self.page.as_ref().map_or(0, Page::len)
    }
}
