//! The first part of a turn: connections are accepted, or refused for want of a seat.

use std::io::ErrorKind;

use tracing::{info, warn};

use super::clients::Admission;
use super::{Accepted, Engine, Network};
use crate::client::peer::PeerAddr;
use crate::client::{Client, Stream};
use crate::config::{
    ACCEPT_REST, ACCEPTS_PER_TURN, ADMIN_CLIENTS_MAX, LISTEN_BACKLOG, REFUSED_CLIENTS_MAX,
};
use crate::http::route::Role;
use crate::http::status::Refusal;
use crate::time::Tick;

/// What is known of the listeners of one role.
#[derive(Debug, Default)]
pub(super) struct AcceptState {
    /// Connections may be waiting, which is not looked at before the rest is over.
    is_acceptable: bool,
    /// Until when nothing is accepted.
    rest: Option<Tick>,
}

impl<S: Stream> Engine<S> {
    /// Remembers that connections may be waiting at a listener of this role.
    pub fn note_acceptable(&mut self, role: Role) {
        self.accept_state_mut(role).is_acceptable = true;
    }

    /// Accepts what waits, within the budgets of a turn. Those who operate the server come first, and whatever
    /// keeps the public waiting does not keep them. In the turn in which the drain begins all that waits is accepted: who
    /// has connected by then gets an answer.
    pub(super) fn accept(&mut self, network: &mut impl Network<Stream = S>) {
        self.accept_for(Role::Admin, ADMIN_CLIENTS_MAX, network);
        let is_last = self.is_drain_due(self.now);
        self.public_accept.is_acceptable |= is_last;
        let budget = match is_last {
            true => LISTEN_BACKLOG.into(),
            false => ACCEPTS_PER_TURN,
        };
        self.accept_for(Role::Public, budget, network);
        if is_last || self.is_draining() {
            network.close_public();
        }
    }

    fn accept_for(&mut self, role: Role, budget: usize, network: &mut impl Network<Stream = S>) {
        let now = self.now;
        let state = self.accept_state_mut(role);
        if state.rest.is_some_and(|due| due <= now) {
            state.rest = None;
        }
        if !self.may_accept_for(role) {
            return;
        }
        for _ in 0..budget {
            if self.is_full(role) && self.refused_count >= REFUSED_CLIENTS_MAX {
                return self.rest_from_accepting(role);
            }
            match network.accept(role) {
                Ok(accepted) => self.admit(accepted),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => {
                        self.accept_state_mut(role).is_acceptable = false;
                        return;
                    }
                    // The connection is gone or may not be had; the next one may be better.
                    ErrorKind::Interrupted
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::ConnectionReset
                    | ErrorKind::PermissionDenied
                    | ErrorKind::HostUnreachable
                    | ErrorKind::NetworkUnreachable
                    | ErrorKind::NetworkDown
                    | ErrorKind::TimedOut => self.metrics.accept_failures += 1,
                    // Descriptors or memory have run out, and the connection is still there: trying
                    // again at once would spin.
                    _ => {
                        self.metrics.accept_failures += 1;
                        if self.log_limiter.allow(self.now) {
                            warn!(%error, clients = self.clients.len(), "cannot accept, resting");
                        }
                        return self.rest_from_accepting(role);
                    }
                },
            }
        }
    }

    /// Lets connections wait in the backlog until a client leaves, or a while has passed.
    fn rest_from_accepting(&mut self, role: Role) {
        self.accept_state_mut(role).rest = Some(self.now.after(ACCEPT_REST));
    }

    fn accept_state_mut(&mut self, role: Role) -> &mut AcceptState {
        match role {
            Role::Public => &mut self.public_accept,
            Role::Admin => &mut self.admin_accept,
        }
    }

    /// Whether as many clients of this role are connected as may be, not counting those that were refused.
    fn is_full(&self, role: Role) -> bool {
        match role {
            Role::Public => {
                self.clients.len() - self.refused_count - self.admin_count >= self.client_limit
            }
            Role::Admin => self.admin_count >= ADMIN_CLIENTS_MAX,
        }
    }

    /// Whether connections may be waiting that may be accepted now.
    pub(super) fn may_accept(&self) -> bool {
        self.may_accept_for(Role::Admin) || self.may_accept_for(Role::Public)
    }

    /// Whether connections may be waiting at listeners of this role, which neither rest nor are closed.
    fn may_accept_for(&self, role: Role) -> bool {
        let (state, is_closed) = match role {
            Role::Public => (&self.public_accept, self.is_draining()),
            Role::Admin => (&self.admin_accept, false),
        };
        state.is_acceptable && state.rest.is_none() && !is_closed
    }

    /// When the rests from accepting are over.
    pub(super) fn accept_rests(&self) -> impl Iterator<Item = Tick> {
        let rests = [self.public_accept.rest, self.admin_accept.rest];
        rests.into_iter().flatten()
    }

    fn admit(&mut self, accepted: Accepted<S>) {
        let Accepted { stream, peer, role } = accepted;
        let has_proxy_header = self.requires_proxy_header(role);
        if has_proxy_header && !self.may_send_proxy_header(peer) {
            return self.log_turned_away(peer, "it is no trusted proxy (--trusted-proxy)");
        }
        let admission = self.take_seat(peer, role, has_proxy_header);
        if let Admission::Refused(refusal) = admission {
            if self.refused_count >= REFUSED_CLIENTS_MAX {
                return self.log_turned_away(peer, refusal.why());
            }
            self.refused_count += 1;
        }
        self.metrics.count_accepted();
        let mut client = Client::new(stream, peer, self.now, &self.config);
        if has_proxy_header {
            client.expect_proxy_header();
        }
        let id = self.clients.insert(client, admission);
        self.newcomers.push(id);
        // It is read from in this very turn, and only then gets its first deadline: most peers have sent
        // their request by then, and are spared one.
        self.enqueue(id);
    }

    /// A connection is closed at once, without an answer.
    fn log_turned_away(&mut self, peer: PeerAddr, why: &str) {
        self.metrics.turned_away += 1;
        if self.log_limiter.allow(self.now) {
            info!(%peer, "turned away: {why}");
        }
    }

    /// Takes a seat for a new client, if there is one. A client whose header is still to name its address takes none of
    /// those that an address has: proxies connect for many.
    fn take_seat(&mut self, peer: PeerAddr, role: Role, has_proxy_header: bool) -> Admission {
        if self.is_full(role) {
            return Admission::Refused(Refusal::TooManyClients);
        }
        match role {
            Role::Public if has_proxy_header => Admission::Unnamed,
            Role::Public if self.per_ip.enter(peer.ip()) => Admission::Public,
            Role::Public => Admission::Refused(Refusal::TooManyFromAddress),
            Role::Admin => {
                self.admin_count += 1;
                Admission::Admin
            }
        }
    }

    /// A client is gone: its descriptor is free for a connection that waits, and its seat, or the place kept for one
    /// that was refused.
    pub(super) fn note_leaver(&mut self, peer: PeerAddr, admission: Admission) {
        match admission {
            Admission::Refused(_) => self.refused_count -= 1,
            Admission::Public => self.per_ip.leave(peer.ip()),
            Admission::Unnamed => {}
            Admission::Admin => self.admin_count -= 1,
        }
        self.public_accept.rest = None;
        self.admin_accept.rest = None;
    }
}
