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
mod endings;
mod player;
#[path = "../common/random.rs"]
mod random;
mod seats;
mod simulation;
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
fn whatever_peers_sockets_and_time_do_everybody_hears_the_same_and_nothing_is_left_behind() {
    let seeds = std::env::var("FANFARE_SEEDS").map_or(SEEDS, |text| {
        parse(&text).expect("FANFARE_SEEDS is a seed or a range of seeds, as in 0..2000")
    });
    let tally = run_all(&seeds);
    for (end, count) in ENDS.iter().zip(tally) {
        eprintln!("{:>16} {count}", end.name());
        // A simulation in which something never happens says nothing about it.
        assert!(seeds != SEEDS || count > 0, "{} never happened", end.name());
    }
}

fn add(a: Tally, b: Tally) -> Tally {
    std::array::from_fn(|kind| a[kind] + b[kind])
}

fn run_all(seeds: &Range<u64>) -> Tally {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let runners: Vec<_> = (0..threads)
            .map(|first| {
                let seeds = seeds.clone().skip(first).step_by(threads);
                scope.spawn(move || seeds.map(run).fold([0; CloseReason::KINDS], add))
            })
            .collect();
        runners
            .into_iter()
            .map(|runner| {
                runner
                    .join()
                    .unwrap_or_else(|cause| panic::resume_unwind(cause))
            })
            .fold([0; CloseReason::KINDS], add)
    })
}

fn run(seed: u64) -> Tally {
    let outcome = panic::catch_unwind(|| Simulation::new(seed).run());
    outcome.unwrap_or_else(|cause| {
        eprintln!("seed {seed} failed; replay: FANFARE_SEEDS={seed} cargo test --test simulation");
        panic::resume_unwind(cause);
    })
}

fn parse(text: &str) -> Option<Range<u64>> {
    match text.split_once("..") {
        Some((low, high)) => Some(low.parse().ok()?..high.parse().ok()?),
        None => text.parse().ok().map(|seed| seed..seed + 1),
    }
}
