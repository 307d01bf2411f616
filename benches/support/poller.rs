//! Edge-triggered epoll, as thin as it gets: the floor and the swarm must both cost next to nothing.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{Nsecs, Timespec};
use rustix::io::Errno;

/// Bytes, or the end of them.
pub(crate) const INPUT: EventFlags = EventFlags::IN.union(EventFlags::RDHUP);
/// Room to write as well, where some is owed.
pub(crate) const INPUT_AND_ROOM: EventFlags = INPUT.union(EventFlags::OUT);

/// Few enough that a sender among the clients is served soon, many enough that the wait itself does not count.
const EVENTS_PER_WAIT: usize = 256;

/// A set of sockets, each known by a token.
pub(crate) struct Poller {
    epoll: OwnedFd,
    ready: Vec<Event>,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let ready = Vec::with_capacity(EVENTS_PER_WAIT);
        Ok(Self { epoll, ready })
    }

    /// Reports `socket` under `token` at every edge of `interest`, until it is closed.
    pub(crate) fn add(
        &self,
        socket: impl AsFd,
        token: usize,
        interest: EventFlags,
    ) -> io::Result<()> {
        let token = EventData::new_u64(token as u64);
        epoll::add(&self.epoll, socket, token, interest | EventFlags::ET)?;
        Ok(())
    }

    /// Reports `socket`, which was added under `token`, at every edge of another `interest` from now on, and at once where
    /// there is one already.
    pub(crate) fn change(
        &self,
        socket: impl AsFd,
        token: usize,
        interest: EventFlags,
    ) -> io::Result<()> {
        let token = EventData::new_u64(token as u64);
        epoll::modify(&self.epoll, socket, token, interest | EventFlags::ET)?;
        Ok(())
    }

    /// Waits until something is ready, for ever if `timeout` is `None`; returns how much is.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        let timeout = timeout.map(|limit| Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: Nsecs::from(limit.subsec_nanos()),
        });
        self.ready.clear();
        match epoll::wait(
            &self.epoll,
            spare_capacity(&mut self.ready),
            timeout.as_ref(),
        ) {
            Ok(_) | Err(Errno::INTR) => Ok(self.ready.len()),
            Err(error) => Err(error.into()),
        }
    }

    /// The `index`th ready socket.
    pub(crate) fn ready(&self, index: usize) -> Option<Ready> {
        let Event { flags, data, .. } = *self.ready.get(index)?;
        let ended = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
        Some(Ready {
            token: usize::try_from(data.u64()).ok()?,
            has_ended: flags.intersects(ended),
            has_room: flags.contains(EventFlags::OUT),
        })
    }
}

/// What is known of a ready socket. It may have input in any case.
pub(crate) struct Ready {
    pub(crate) token: usize,
    /// The other side has stopped sending.
    pub(crate) has_ended: bool,
    /// It can be written to; only where that was asked for.
    pub(crate) has_room: bool,
}
