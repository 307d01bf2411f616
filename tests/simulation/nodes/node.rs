//! A node: the shipped engine in its made-up world, and its connections to the broker.

use std::time::Duration;

use fanfare::backplane::Backplane;

use super::broker::Broker;
use super::wire::Wires;
use crate::random::Random;
use crate::world::World;

/// A process with clients, and its connections to the broker.
pub(super) struct Node {
    pub(super) world: World,
    pub(super) wires: Wires,
}

impl Node {
    pub(super) fn backplane(&mut self) -> &mut Backplane {
        self.parts().0
    }

    fn parts(&mut self) -> (&mut Backplane, &mut Wires) {
        let backplane = self.world.engine.backplane_mut();
        (backplane.expect("rooms are shared"), &mut self.wires)
    }

    /// When there is something to do.
    pub(super) fn next_due(&mut self) -> Duration {
        if self.world.has_edges() {
            return Duration::ZERO;
        }
        let due = self.world.engine.next_due();
        let (backplane, wires) = self.parts();
        due.min(wires.node_due(backplane))
    }

    pub(super) fn turn(&mut self, random: &mut Random, broker: &mut Broker) {
        self.world.now = broker.now();
        let (backplane, wires) = self.parts();
        wires.before_turn(backplane, random, broker);
        self.world.turn();
        let (backplane, wires) = self.parts();
        wires.after_turn(backplane, random, broker);
    }
}
