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
mod guarantee;
mod nodes;
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

use endings::{ENDS, Tally};
use guarantee::{Guarantee, Happened};
use nodes::Nodes;
use simulation::Simulation;

const SEEDS: Range<u64> = 0..1_200;
const NODES_SEEDS: Range<u64> = 0..120;

#[test]
fn whatever_peers_sockets_and_time_do_all_members_receive_the_same_and_nothing_is_left_behind() {
    let tallies = play_all(SEEDS, |seed| Simulation::new(seed).run());
    let sum = |sum: Tally, ends: Tally| std::array::from_fn(|kind| sum[kind] + ends[kind]);
    let tally: Tally = tallies.into_iter().fold([0; ENDS.len()], sum);
    let names = ENDS.iter().map(|end| end.name());
    check_happened(SEEDS, names.zip(tally));
}

#[test]
fn whatever_happens_readers_that_come_back_get_each_message_once_or_are_told_what_is_missing() {
    let all = play_all(SEEDS, |seed| Guarantee::new(seed).run());
    let sum = all.into_iter().fold(Happened::default(), Happened::plus);
    check_happened(SEEDS, sum.counts());
}

#[test]
fn whatever_befalls_nodes_and_their_broker_all_readers_get_each_message_once_or_are_told_what_is_missing()
 {
    let all = play_all(NODES_SEEDS, |seed| Nodes::new(seed).run());
    let sum = all
        .into_iter()
        .fold(nodes::Happened::default(), nodes::Happened::plus);
    check_happened(NODES_SEEDS, sum.counts());
}

/// A simulation in which something never happens says nothing about it.
fn check_happened<'a>(usual: Range<u64>, counts: impl IntoIterator<Item = (&'a str, u64)>) {
    for (name, count) in counts {
        eprintln!("{name:>16} {count}");
        assert!(seeds(&usual) != usual || count > 0, "{name} never happened");
    }
}

fn seeds(usual: &Range<u64>) -> Range<u64> {
    std::env::var("FANFARE_SEEDS").map_or(usual.clone(), |text| {
        parse(&text).expect("FANFARE_SEEDS is a seed or a range of seeds, as in 0..2000")
    })
}

/// Plays all seeds. None may fail.
fn play_all<T: Send>(usual: Range<u64>, play: fn(u64) -> T) -> Vec<T> {
    let seeds = seeds(&usual);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let (mut outcomes, mut failed) = (Vec::new(), Vec::new());
    thread::scope(|scope| {
        let runners: Vec<_> = (0..threads)
            .map(|first| {
                let seeds = seeds.clone().skip(first).step_by(threads);
                // What a seed panics with is printed already.
                let play = move |seed| panic::catch_unwind(|| play(seed)).map_err(|_| seed);
                scope.spawn(move || seeds.map(play).collect::<Vec<_>>())
            })
            .collect();
        for outcome in runners.into_iter().flat_map(|runner| {
            let outcomes = runner.join();
            outcomes.unwrap_or_else(|cause| panic::resume_unwind(cause))
        }) {
            match outcome {
                Ok(outcome) => outcomes.push(outcome),
                Err(seed) => failed.push(seed),
            }
        }
    });
    failed.sort_unstable();
    assert!(
        failed.is_empty(),
        "{} seeds failed; replay: FANFARE_SEEDS={} cargo test --test simulation; all: {failed:?}",
        failed.len(),
        failed.first().copied().unwrap_or_default()
    );
    outcomes
}

fn parse(text: &str) -> Option<Range<u64>> {
    match text.split_once("..") {
        Some((low, high)) => Some(low.parse().ok()?..high.parse().ok()?),
        None => text.parse().ok().map(|seed| seed..seed + 1),
    }
}
