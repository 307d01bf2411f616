//! How the swarm reads messages that may be compressed. What they become is known by the text alone, as without compression.

use super::inflater::SharedInflater;
use super::message::Line;
use super::scan::{Counted, Follower};
use super::wire;

/// One reader.
#[derive(Default)]
pub(crate) struct Deflated {
    /// The start of a frame whose end has not arrived.
    kept: Vec<u8>,
    /// The number of the compressed message that should come next.
    position: u64,
    /// For one that reads every message.
    follower: Option<Box<Follower>>,
}

impl Deflated {
    /// Makes it read every message.
    pub(crate) fn observe(&mut self) {
        self.follower = Some(Box::default());
    }

    pub(crate) fn is_observer(&self) -> bool {
        self.follower.is_some()
    }

    /// Reads what arrived; `on_line` gets the lines of an observer.
    pub(crate) fn feed(
        &mut self,
        input: &[u8],
        message_len: usize,
        inflater: &mut SharedInflater,
        mut on_line: impl FnMut(Line),
    ) -> Counted {
        let mut kept = std::mem::take(&mut self.kept);
        let mut rest = wire::behind(&mut kept, input);
        let mut counted = Counted::default();
        while let Some((header, payload)) = wire::take_frame(&mut rest) {
            if !header.is_text() {
                continue;
            }
            let text = match header.is_deflated {
                true => inflater.inflate(payload, &mut self.position),
                false => Some(payload),
            };
            counted += match (text, &mut self.follower) {
                (None, _) => Counted::DAMAGED,
                (Some(text), None) => Counted::by_len(text.len(), message_len),
                (Some(text), Some(follower)) => follower.read_text(text, &mut on_line),
            };
        }
        self.kept = rest.to_vec();
        counted
    }
}
