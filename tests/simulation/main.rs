//! A simulated world around the shipped engine: seeded peers that talk, stall, flood, vanish and speak
//! rubbish, sockets and listeners that fail, time that passes; and what must hold after every turn.
//!
//! `FANFARE_SEEDS=5000..9000 cargo test --test simulation` tries other seeds, `FANFARE_SEEDS=123` one.

#![allow(
    clippy::panic,
    clippy::print_stderr,
    reason = "a seed that fails says so, and why"
)]

mod actions;
mod checks;
mod costs;
mod endings;
mod player;
#[path = "../common/random.rs"]
mod random;
mod seats;
mod simulation;
mod steps;
mod waits;
#[path = "../world/mod.rs"]
mod world;

use std::ops::Range;
use std::panic;
use std::thread;

use fanfare::observe::CloseReason;

use endings::{ENDS, Tally};
use simulation::Simulation;

const SEEDS: Range<u64> = 0..2_000;

#[test]
fn whatever_peers_sockets_and_time_do_all_members_receive_the_same_and_nothing_is_left_behind() {
    let seeds = std::env::var("FANFARE_SEEDS").map_or(SEEDS, |text| {
        parse(&text).expect("FANFARE_SEEDS is a seed or a range of seeds, as in 0..2000")
    });
    let (tally, failed) = run_all(&seeds);
    assert!(
        failed.is_empty(),
        "{} seeds failed; replay: FANFARE_SEEDS={} cargo test --test simulation; all: {failed:?}",
        failed.len(),
        failed.first().copied().unwrap_or_default()
    );
    for (end, count) in ENDS.iter().zip(tally) {
        eprintln!("{:>16} {count}", end.name());
        // A simulation in which something never happens says nothing about it.
        assert!(seeds != SEEDS || count > 0, "{} never happened", end.name());
    }
}

/// Plays all seeds: how many connections ended how, and the seeds that failed.
fn run_all(seeds: &Range<u64>) -> (Tally, Vec<u64>) {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut tally = [0; CloseReason::KINDS];
    let mut failed = Vec::new();
    thread::scope(|scope| {
        let runners: Vec<_> = (0..threads)
            .map(|first| {
                let seeds = seeds.clone().skip(first).step_by(threads);
                scope.spawn(move || seeds.map(run).collect::<Vec<_>>())
            })
            .collect();
        for outcome in runners.into_iter().flat_map(|runner| {
            let outcomes = runner.join();
            outcomes.unwrap_or_else(|cause| panic::resume_unwind(cause))
        }) {
            match outcome {
                Ok(ends) => tally = std::array::from_fn(|kind| tally[kind] + ends[kind]),
                Err(seed) => failed.push(seed),
            }
        }
    });
    failed.sort_unstable();
    (tally, failed)
}

/// Plays one seed. What it panics with is printed already.
fn run(seed: u64) -> Result<Tally, u64> {
    panic::catch_unwind(|| Simulation::new(seed).run()).map_err(|_| seed)
}

fn parse(text: &str) -> Option<Range<u64>> {
    match text.split_once("..") {
        Some((low, high)) => Some(low.parse().ok()?..high.parse().ok()?),
        None => text.parse().ok().map(|seed| seed..seed + 1),
    }
}
