//! What the floor owes to clients whose sockets are full.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::{SendFlags, send};

use super::super::poller::{INPUT_AND_ROOM, Poller};
use super::descriptor::{ByDescriptor, descriptor, take};

/// What a client that does not read may make the floor keep, so that a bench with laggards does not eat the machine.
const BACKLOG_MAX: usize = 1024 * 1024;

#[derive(Default)]
pub(super) struct Backlog(ByDescriptor<Vec<u8>>);

impl Backlog {
    /// Sends `bytes` to all `members`, and keeps what a full socket does not take.
    pub(super) fn deliver(
        &mut self,
        members: &[OwnedFd],
        bytes: &[u8],
        poller: &Poller,
    ) -> io::Result<()> {
        for member in members {
            if !self.0.is_empty()
                && let Some(owed) = self.0.get_mut(&descriptor(member))
            {
                owed.extend_from_slice(bytes);
                continue;
            }
            let sent = send(member, bytes, SendFlags::NOSIGNAL).unwrap_or(0);
            if sent < bytes.len() {
                let fd = descriptor(member);
                self.0.insert(fd, bytes[sent..].to_vec());
                // Room is waited for only where it is needed.
                poller.change(member, fd, INPUT_AND_ROOM)?;
            }
        }
        Ok(())
    }

    /// Offers a client that fell behind what it is owed.
    pub(super) fn drain(&mut self, fd: usize, member: &OwnedFd) {
        let Some(owed) = self.0.get_mut(&fd) else {
            return;
        };
        let sent = send(member, owed, SendFlags::NOSIGNAL).unwrap_or(0);
        owed.drain(..sent);
        if owed.is_empty() {
            self.0.remove(&fd);
        }
    }

    pub(super) fn forget(&mut self, fd: usize) {
        take(&mut self.0, fd);
    }

    /// Clients that are owed more than the floor keeps.
    pub(super) fn laggards(&self) -> Vec<usize> {
        let too_late = |(fd, owed): (&usize, &Vec<u8>)| (owed.len() > BACKLOG_MAX).then_some(*fd);
        self.0.iter().filter_map(too_late).collect()
    }
}
