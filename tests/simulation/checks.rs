//! What must hold after every turn.

use std::time::Duration;

use fanfare::config::{READ_LEN, REFUSED_CLIENTS_MAX};
use fanfare::observe::CloseReason;

use crate::player::Stage;
use crate::simulation::{SLACK, Simulation};

impl Simulation {
    /// A client for which something is queued may be dropped when too much is queued in all; no other may.
    pub(crate) fn excuse_overloads(&mut self, before: u64) {
        let dropped = self.world.engine.metrics().closed(CloseReason::Overload) - before;
        let excused = self
            .players
            .iter_mut()
            .filter(|it| it.is_calm && it.peer.is_closed() && it.may_be_owed())
            .take(dropped as usize);
        excused.for_each(|player| player.is_calm = false);
    }

    pub(crate) fn check(&self) {
        let engine = &self.world.engine;
        assert!(engine.client_count() <= self.client_limit + REFUSED_CLIENTS_MAX);
        assert!(
            engine.deadline_count() <= engine.client_count(),
            "one deadline for each client at most"
        );
        // What was queued after the last check is some pings and close frames, and the rest of one read.
        assert!(engine.queued_len() <= self.config.chat.max_queued + READ_LEN + 4096);
        let is_over = self.is_shutting_down || self.witness.stage == Stage::Told(1001);
        assert!(
            is_over || !self.witness.peer.is_closed(),
            "the witness was closed"
        );
        for player in &self.players {
            let name = &player.name;
            let is_gone = player.peer.is_closed() || !player.peer.is_registered();
            let is_suspect = player.is_suspect(self.world.now, &self.config) || self.has_rate_limit;
            if player.stage == Stage::Member && !is_suspect && !is_gone {
                let lag = self.order.len().saturating_sub(*player.next_line.end());
                // A begun frame and what waits behind it, each up to twice the queue and what one turn brings.
                assert!(
                    lag <= 4 * self.config.chat.send_queue + self.largest_turn,
                    "{name} is {lag} messages behind"
                );
            }
            if let Some((wait, due)) = player.due {
                assert!(
                    is_gone || self.world.now <= due + SLACK + player.patience() + self.lateness(),
                    "{name} is overdue: {wait:?}"
                );
            }
            if !player.is_calm {
                continue;
            }
            match player.stage {
                Stage::Told(503) => {}
                Stage::Told(1008) if self.has_rate_limit => {}
                Stage::Told(1001) if self.is_shutting_down => {}
                Stage::Told(code) => assert_eq!(Some(code), player.expected_close, "{name}'s end"),
                // A second signal cuts everybody off; whom the first one may is checked beside it.
                _ if self.is_shutting_down => {}
                _ if player.peer.is_registered() => assert!(!is_gone, "{name} was cut off"),
                _ => {}
            }
        }
    }

    /// How much later than usual the server may do things, where turns take time or edges come late.
    fn lateness(&self) -> Duration {
        // A burst that lies before may take so many turns.
        self.cost.max() * 200
    }
}
