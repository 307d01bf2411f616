//! The first part of a turn: connections are accepted, or refused for want of a seat.

use std::io::ErrorKind;

use tracing::{info, warn};

use super::clients::Admission;
use super::{Accepted, Engine, Network};
use crate::client::peer::PeerAddr;
use crate::client::{Client, Stream};
use crate::config::{ACCEPT_REST, ACCEPTS_PER_TURN, REFUSED_CLIENTS_MAX};
use crate::http::route::Role;
use crate::http::status::Refusal;

impl<S: Stream> Engine<S> {
    /// Accepts what waits, within the budget of a turn.
    pub(super) fn accept(&mut self, network: &mut impl Network<Stream = S>) {
        if self.accept_rest.is_some_and(|due| due <= self.now) {
            self.accept_rest = None;
        }
        if !self.may_accept() {
            return;
        }
        for _ in 0..ACCEPTS_PER_TURN {
            if self.is_full() && self.refused_count >= REFUSED_CLIENTS_MAX {
                return self.rest_from_accepting();
            }
            match network.accept() {
                Ok(accepted) => self.admit(network, accepted),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => {
                        self.is_acceptable = false;
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
                        return self.rest_from_accepting();
                    }
                },
            }
        }
    }

    /// Lets connections wait in the backlog until a client leaves, or a while has passed.
    fn rest_from_accepting(&mut self) {
        self.accept_rest = Some(self.now.after(ACCEPT_REST));
    }

    /// Whether as many clients are connected as may be, not counting those that were refused.
    fn is_full(&self) -> bool {
        self.clients.len() - self.refused_count >= self.client_limit
    }

    /// Whether connections may be waiting and the listener neither rests nor is closed.
    pub(super) fn may_accept(&self) -> bool {
        self.is_acceptable && self.accept_rest.is_none() && self.drain.is_none()
    }

    fn admit(&mut self, network: &mut impl Network<Stream = S>, accepted: Accepted<S>) {
        let Accepted {
            mut stream,
            peer,
            role,
        } = accepted;
        let refusal = self.take_seat(peer);
        if let Some(refusal) = refusal
            && self.refused_count >= REFUSED_CLIENTS_MAX
        {
            self.metrics.turned_away += 1;
            if self.log_limiter.allow(self.now) {
                info!(%peer, "turned away: {}", refusal.why());
            }
            return;
        }
        let id = self.clients.next_id();
        if let Err(error) = network.register(&mut stream, id) {
            self.metrics.accept_failures += 1;
            if self.log_limiter.allow(self.now) {
                warn!(%error, %peer, "cannot watch a connection, closing it");
            }
            if refusal.is_none() {
                self.per_ip.leave(peer.ip());
            }
            return;
        }
        self.metrics.accepted += 1;
        let client = Client::new(stream, peer, self.now, &self.config);
        let admission = match (refusal, role) {
            (Some(refusal), _) => Admission::Refused(refusal),
            (None, Role::Public) => Admission::Public,
            (None, Role::Admin) => Admission::Admin,
        };
        self.clients.insert(client, admission);
        self.refused_count += usize::from(refusal.is_some());
        // It is read from in this very turn, and only then gets its first deadline: most peers have sent
        // their request by then, and are spared one.
        self.enqueue(id);
    }

    /// Takes a seat for a new client, or says why there is none.
    fn take_seat(&mut self, peer: PeerAddr) -> Option<Refusal> {
        if self.is_full() {
            Some(Refusal::TooManyClients)
        } else if !self.per_ip.enter(peer.ip()) {
            Some(Refusal::TooManyFromAddress)
        } else {
            None
        }
    }

    /// Gives back the seat of a client that is gone, or the place kept for one that was refused.
    pub(super) fn give_seat_back(&mut self, client: &Client<S>, is_refused: bool) {
        if is_refused {
            self.refused_count -= 1;
        } else {
            self.per_ip.leave(client.peer.ip());
        }
        // Its descriptor is free for a connection that waits.
        self.accept_rest = None;
    }
}
