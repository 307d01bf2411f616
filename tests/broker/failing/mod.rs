//! What becomes of clients when the broker, or the way to it, fails.

mod answers;
mod away;
mod holes;
mod reasons;

use crate::common::Server;
use crate::node::{AWAY, THERE};

/// Ends a node and checks its log: so many outages, each told in one line when it began and, but for the last where
/// it is not over, in one when it was over. The lines of all outages.
pub(crate) fn outages(mut node: Server, count: usize) -> Vec<String> {
    node.signal("TERM");
    assert_eq!(node.wait_for_exit().code(), Some(0));
    let (_, log) = node.output();
    let away: Vec<_> = log.iter().filter(|it| it.contains(AWAY)).cloned().collect();
    let there = log.iter().filter(|it| it.contains(THERE)).count();
    assert_eq!(away.len(), count, "{away:?}");
    assert!((count..=count + 1).contains(&there), "{there}: {away:?}");
    away
}
