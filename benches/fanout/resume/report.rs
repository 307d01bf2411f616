//! The table of one case, and its journal entries.

use std::io;

use serde_json::{Value, json};

use super::{Meanwhile, Outcome};
use crate::cases::Case;
use crate::report::{median, ratio};
use crate::support::server::Kind;
use crate::support::text::{duration, grouped, whole};

/// The outcomes of one server, round by round.
pub(crate) struct Rounds {
    pub(crate) kind: Kind,
    pub(crate) outcomes: Vec<Outcome>,
}

/// What is told of the phases in which readers come.
type Phase = fn(&Outcome) -> Option<Meanwhile>;
const CONNECTING: Phase = |outcome| Some(outcome.connecting);
const RESUMING: Phase = |outcome| outcome.resuming;

impl Rounds {
    /// Of those rounds that have such a phase; `None` if none has.
    fn median(
        &self,
        phase: Phase,
        measure: impl Fn(&Outcome, &Meanwhile) -> Option<f64>,
    ) -> Option<f64> {
        let values = self.outcomes.iter();
        let values = values.filter_map(|outcome| measure(outcome, &phase(outcome)?));
        let values: Vec<_> = values.collect();
        (!values.is_empty()).then(|| median(values))
    }

    fn cpu_us(&self, phase: Phase, case: &Case) -> Option<f64> {
        self.median(phase, |outcome, phase| {
            outcome.cpu_us_per_reader(phase, case.clients)
        })
    }

    /// The median of p50, p99 and the longest round trip of the pair.
    fn round_trips(&self, phase: Phase) -> String {
        let of = |measure: fn(&Meanwhile) -> u64| {
            let median = self.median(phase, |_, phase| Some(measure(phase) as f64));
            median.map_or_else(|| "-".to_owned(), duration)
        };
        let [p50, p99, max] = [
            of(|phase| phase.p50_us),
            of(|phase| phase.p99_us),
            of(|phase| phase.max_us),
        ];
        format!("{p50:>9} {p99:>9} {max:>9}")
    }
}

/// Prints the medians of `all`, and what a connect and a resume cost beside a plain connect at the floor.
pub(crate) fn print_table(out: &mut impl io::Write, case: &Case, all: &[Rounds]) -> io::Result<()> {
    writeln!(out, "\n{case}")?;
    let trips = ["usual", "connecting", "resuming"]
        .map(|phase| format!("pair, {phase}: p50, p99, max"))
        .map(|head| format!("{head:>31}"));
    writeln!(
        out,
        "{:10} {:>12} {:>12} {:>10} {} {:>6} {:>7}  floor: connect resume",
        "",
        "CPU/connect",
        "CPU/resume",
        "resumes/s",
        trips.join(" "),
        "wrong",
        "dropped"
    )?;
    let floor = all.iter().find(|rounds| rounds.kind == Kind::Floor);
    for rounds in all {
        let cpu = |phase| {
            let cpu = rounds.cpu_us(phase, case);
            cpu.map_or_else(|| "-".to_owned(), duration)
        };
        let speed = rounds.median(RESUMING, |_, phase| {
            Some(case.clients as f64 / phase.elapsed.as_secs_f64())
        });
        let total = |count: fn(&Outcome) -> u64| rounds.outcomes.iter().map(count).sum::<u64>();
        writeln!(
            out,
            "  {:8} {:>12} {:>12} {:>10} {} {} {} {:>6} {:>7}  {}",
            rounds.kind,
            cpu(CONNECTING),
            cpu(RESUMING),
            speed.map_or_else(|| "-".to_owned(), |speed| grouped(whole(speed))),
            rounds.round_trips(|outcome| Some(outcome.usual)),
            rounds.round_trips(CONNECTING),
            rounds.round_trips(RESUMING),
            total(|outcome| outcome.wrong),
            total(|outcome| outcome.disconnects),
            beside(case, floor, rounds),
        )?;
    }
    Ok(())
}

/// How cheap a connect and a resume are beside a connect at the floor in the same round; more is better.
fn beside(case: &Case, floor: Option<&Rounds>, rounds: &Rounds) -> String {
    let Some(floor) = floor.filter(|floor| floor.kind != rounds.kind) else {
        return "-".to_owned();
    };
    let of = |phase: Phase| {
        let pairs = rounds.outcomes.iter().zip(&floor.outcomes);
        let ratios = pairs.filter_map(|(own, floor)| {
            let own = own.cpu_us_per_reader(&phase(own)?, case.clients)?;
            Some(floor.cpu_us_per_reader(&floor.connecting, case.clients)? / own)
        });
        let ratios: Vec<_> = ratios.collect();
        if ratios.is_empty() {
            "-".to_owned()
        } else {
            ratio(median(ratios))
        }
    };
    format!("{} {}", of(CONNECTING), of(RESUMING))
}

/// One measurement, as the journal has it.
pub(crate) fn entry(case: &Case, round: usize, kind: Kind, outcome: &Outcome) -> Value {
    let phase = |phase: &Meanwhile| {
        json!({
            "elapsed_s": phase.elapsed.as_secs_f64(),
            "cpu_s": phase.cpu.as_secs_f64(),
            "cpu_us_per_reader": outcome.cpu_us_per_reader(phase, case.clients),
            "p50_us": phase.p50_us,
            "p99_us": phase.p99_us,
            "max_us": phase.max_us,
        })
    };
    json!({
        "scenario": case.scenario,
        "case": case.to_string(),
        "clients": case.clients,
        "message_len": case.message_len,
        "server": kind.name(),
        "round": round,
        "usual": phase(&outcome.usual),
        "connecting": phase(&outcome.connecting),
        "resuming": outcome.resuming.as_ref().map(phase),
        "wrong": outcome.wrong,
        "disconnects": outcome.disconnects,
    })
}
