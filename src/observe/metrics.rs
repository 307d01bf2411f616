//! Counters of what happens.

use super::close_reason::CloseReason;

/// What happened since the start.
#[derive(Debug, Default, Clone)]
pub struct Metrics {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections that failed before they were accepted.
    pub accept_failures: u64,
    /// Connections closed without an answer, because too many were being refused already.
    pub turned_away: u64,
    /// Clients warned for their message rate.
    pub rate_warnings: u64,
    /// Clients that joined a room.
    pub joined: u64,
    /// Messages published.
    pub messages: u64,
    /// Messages offered to a member, summed over all members.
    pub deliveries: u64,
    closed: [u64; CloseReason::KINDS],
}

impl Metrics {
    /// Counts a connection that was closed.
    pub fn count_closed(&mut self, reason: CloseReason) {
        if let Some(count) = self.closed.get_mut(reason.index()) {
            *count += 1;
        }
    }

    /// How many connections were closed for a reason of this kind, whatever the details.
    pub fn closed(&self, reason: CloseReason) -> u64 {
        self.closed.get(reason.index()).copied().unwrap_or_default()
    }
}
