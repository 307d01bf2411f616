//! Clients behind proxies: a connection's seat is that of the client whom the peer speaks for.

use std::mem;
use std::net::SocketAddr;

use super::Engine;
use super::clients::{Admission, Slot};
use crate::client::Stream;
use crate::client::peer::PeerAddr;
use crate::config::{Config, REFUSED_CLIENTS_MAX};
use crate::http::route::Role;
use crate::http::status::Refusal;
use crate::id::ClientId;
use crate::limits::PerIpLimit;
use crate::observe::CloseReason;
use crate::session::Context;

/// The address that a session has to know: none where no proxy is trusted.
pub(super) fn known_peer<S>(slot: &Slot<S>, config: &Config) -> Option<SocketAddr> {
    let peer = config.network.trusts_some().then_some(slot.client.peer);
    peer.map(PeerAddr::socket_addr)
}

/// Moves a seat to the address of the client that the peer speaks for, or to the peer's own if it speaks for none. Where
/// that has no seat left, the client is one of those that are refused; `false` if there is no place for it to be told so.
pub(super) fn move_seat<S>(
    slot: &mut Slot<S>,
    client: Option<SocketAddr>,
    per_ip: &mut PerIpLimit,
    refused_count: &mut usize,
    context: &mut Context<'_>,
) -> bool {
    let peer = &mut slot.client.peer;
    let before = mem::replace(peer, client.map_or(*peer, PeerAddr::from));
    context.peer = context.peer.map(|_| peer.socket_addr());
    match slot.admission {
        Admission::Public => per_ip.leave(before.ip()),
        Admission::Unnamed => slot.admission = Admission::Public,
        Admission::Admin | Admission::Refused(_) => return true,
    }
    if per_ip.enter(peer.ip()) {
        return true;
    }
    slot.admission = Admission::Refused(Refusal::TooManyFromAddress);
    context.unavailable = Some(Refusal::TooManyFromAddress);
    *refused_count += 1;
    *refused_count <= REFUSED_CLIENTS_MAX
}

impl<S: Stream> Engine<S> {
    /// Whether a connection must begin with a PROXY header.
    pub(super) fn requires_proxy_header(&self, role: Role) -> bool {
        self.config.network.proxy_protocol && role == Role::Public
    }

    /// Whether a peer may pass connections on. Where no proxy is trusted by its address, everybody may.
    pub(super) fn may_send_proxy_header(&self, peer: PeerAddr) -> bool {
        let network = &self.config.network;
        !network.trusts_some() || network.trusts(peer.ip())
    }

    /// Closes a connection without an answer: its client has no seat, and too many are told so already.
    pub(super) fn turn_away(&mut self, id: ClientId) {
        self.metrics.turned_away += 1;
        let reason = CloseReason::Refused(Refusal::TooManyFromAddress);
        self.disconnect(id, reason);
    }
}
