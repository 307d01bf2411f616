//! What may befall one peer of a made-up world.

use std::io::ErrorKind;
use std::time::Duration;

use crate::world::{Peer, UPGRADE, World, masked_frame};

#[derive(Debug, arbitrary::Arbitrary)]
pub enum Step {
    Send(Vec<u8>),
    Frame(u8, Vec<u8>),
    Upgrade,
    ReadMax(u8),
    WriteMax(u8),
    Room(u16),
    Shut,
    ReadError(bool),
    WriteError(bool),
    Pass(u8),
}

impl Step {
    /// Lets it happen to `peer`; while time passes, `witness` answers its pings.
    pub fn apply(self, world: &mut World, peer: &Peer, witness: &Peer) {
        match self {
            Self::Send(bytes) => peer.send(&bytes),
            Self::Frame(first, payload) => {
                peer.send(&masked_frame(first, &payload[..payload.len().min(600)]));
            }
            Self::Upgrade => peer.send(UPGRADE),
            Self::ReadMax(max) => peer.socket().read_max = usize::from(max).max(1),
            Self::WriteMax(max) => peer.socket().write_max = usize::from(max).max(1),
            Self::Room(room) => peer.set_room(room.into()),
            Self::Shut => peer.shut(),
            Self::ReadError(is_fatal) => peer.socket().read_errors.push_back(kind(is_fatal).into()),
            Self::WriteError(is_fatal) => {
                peer.socket().write_errors.push_back(kind(is_fatal).into());
            }
            Self::Pass(tenths) => {
                world.pass(Duration::from_millis(u64::from(tenths) * 100));
                witness.send(&masked_frame(0x8a, b""));
            }
        }
    }
}

fn kind(is_fatal: bool) -> ErrorKind {
    if is_fatal {
        ErrorKind::ConnectionReset
    } else {
        ErrorKind::Interrupted
    }
}
