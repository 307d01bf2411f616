//! What was measured, for people and for programs: a table per case, and a journal entry per measurement.

use std::io;

use serde_json::{Value, json};

use crate::cases::{Case, Variant};
use crate::support::server::Kind;
use crate::support::text::{duration, grouped, whole};
use crate::trial::{Contestant, Outcome};

/// Cores that others may use before a table carries a warning.
const BYSTANDERS_MAX: f64 = 0.05;

/// The outcomes of one contestant, round by round.
pub(crate) struct Rounds {
    pub(crate) contestant: Contestant,
    pub(crate) outcomes: Vec<Outcome>,
}

impl Rounds {
    pub(crate) fn new(contestant: Contestant) -> Self {
        Self {
            contestant,
            outcomes: Vec::new(),
        }
    }

    fn median(&self, measure: impl Fn(&Outcome) -> f64) -> f64 {
        median(self.outcomes.iter().map(measure).collect())
    }

    /// The median of what `self` and `other` were to each other within each round, so that slow drifts of the machine cancel out.
    fn median_ratio(&self, other: &Self, measure: impl Fn(&Outcome) -> f64) -> f64 {
        let pairs = self.outcomes.iter().zip(&other.outcomes);
        median(
            pairs
                .map(|(own, other)| measure(own) / measure(other))
                .collect(),
        )
    }

    /// Messages that were lost, damaged, doubled or in the wrong place.
    pub(crate) fn wrong(&self) -> u64 {
        self.total(|outcome| outcome.losses + outcome.damaged)
    }

    fn total(&self, count: impl Fn(&Outcome) -> u64) -> u64 {
        self.outcomes.iter().map(count).sum()
    }
}

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match (values.len(), values.len() / 2) {
        (0, _) => f64::NAN,
        (len, middle) if len % 2 == 0 => f64::midpoint(values[middle - 1], values[middle]),
        (_, middle) => values[middle],
    }
}

/// Prints the medians of `all` and how they compare. `bystanders` is how many cores others used in each round.
pub(crate) fn print_table(
    out: &mut impl io::Write,
    case: &Case,
    all: &[Rounds],
    bystanders: Vec<f64>,
) -> io::Result<()> {
    let references = references(all);
    writeln!(out, "\n{case}")?;
    print_head(out, case, &references)?;
    for rounds in all {
        print_row(out, case, rounds)?;
        for kind in &references {
            write!(out, " {:>18}", beside(case, all, rounds, *kind))?;
        }
        writeln!(out)?;
    }
    print_bystanders(out, bystanders)?;
    print_laggards(out, all)?;
    print_savings(out, all)
}

/// Warns if others used the machine as well, which spoils latencies first.
pub(crate) fn print_bystanders(out: &mut impl io::Write, bystanders: Vec<f64>) -> io::Result<()> {
    let bystanders = median(bystanders);
    if bystanders > BYSTANDERS_MAX {
        writeln!(
            out,
            "  not quiet: other programs used {bystanders:.2} of a core"
        )?;
    }
    Ok(())
}

/// The servers that took part and that others are compared with: all but fanfare itself.
fn references(all: &[Rounds]) -> Vec<Kind> {
    let took_part = |kind: &Kind| all.iter().any(|rounds| rounds.contestant.kind == *kind);
    let mut references = Kind::ALL.to_vec();
    references.retain(|kind| *kind != Kind::Fanfare && took_part(kind));
    references
}

fn print_head(out: &mut impl io::Write, case: &Case, references: &[Kind]) -> io::Result<()> {
    let unit = case.unit();
    write!(
        out,
        "{:18} {:>12} {:>12} {:>6} {:>8} {:>9} {:>9} {:>9} {:>6} {:>7} ",
        "",
        format!("{}/s", plural(unit)),
        format!("CPU/{unit}"),
        "user",
        "bytes",
        "p50",
        "p99",
        "p99.9",
        "lost",
        "dropped",
    )?;
    let speed = if case.is_paced() { "p99" } else { "rate" };
    for kind in references {
        write!(out, " {:>18}", format!("{kind}: {speed} CPU"))?;
    }
    writeln!(out)
}

fn print_row(out: &mut impl io::Write, case: &Case, rounds: &Rounds) -> io::Result<()> {
    let Contestant { kind, variant } = rounds.contestant;
    let name = match variant {
        Variant::Usual => kind.to_string(),
        Variant::Laggards => format!("{kind}, laggards"),
        Variant::Plain => format!("{kind}, plain"),
    };
    let bytes = rounds.median(Outcome::bytes_per_delivery);
    write!(
        out,
        "  {name:18} {:>10} {:>12} {:>5.0}% {:>8} {:>9} {:>9} {:>9} {:>6} {:>7} ",
        grouped(whole(rounds.median(Outcome::deliveries_per_s))),
        duration(rounds.median(Outcome::cpu_us_per_delivery)),
        100.0 * rounds.median(|outcome| outcome.cpu.user_share()),
        match case.has_readers() {
            true => format!("{bytes:.1}"),
            false => "-".to_owned(),
        },
        duration(rounds.median(|outcome| real(outcome.p50_us))),
        duration(rounds.median(|outcome| real(outcome.p99_us))),
        duration(rounds.median(|outcome| real(outcome.p999_us))),
        rounds.wrong(),
        rounds.total(|outcome| outcome.disconnects),
    )
}

/// How much better than `kind` under the same load: deliveries per second (the inverse of p99 where the rate is given), and deliveries
/// per second of processor time.
fn beside(case: &Case, all: &[Rounds], rounds: &Rounds, kind: Kind) -> String {
    let reference = Contestant {
        kind,
        ..rounds.contestant
    };
    let Some(reference) = find(all, reference) else {
        return String::new();
    };
    if kind == rounds.contestant.kind {
        return "-".to_owned();
    }
    let speed = if case.is_paced() {
        reference.median_ratio(rounds, |outcome| real(outcome.p99_us))
    } else {
        rounds.median_ratio(reference, Outcome::deliveries_per_s)
    };
    let thrift = reference.median_ratio(rounds, Outcome::cpu_us_per_delivery);
    format!("{} {}", ratio(speed), ratio(thrift))
}

/// What the laggards did to the others, server by server.
fn print_laggards(out: &mut impl io::Write, all: &[Rounds]) -> io::Result<()> {
    for (with, without) in pairs(all, Variant::Laggards) {
        writeln!(
            out,
            "  {}: with laggards {} of the messages/s, p99 x {:.2}; memory grows by {} KiB, without them by {} KiB",
            with.contestant.kind,
            ratio(with.median_ratio(without, Outcome::messages_per_s)),
            with.median_ratio(without, |outcome| real(outcome.p99_us)),
            grouped(whole(with.median(|outcome| real(outcome.growth / 1024)))),
            grouped(whole(without.median(|outcome| real(outcome.growth / 1024)))),
        )?;
    }
    Ok(())
}

/// What compressing saves, server by server.
fn print_savings(out: &mut impl io::Write, all: &[Rounds]) -> io::Result<()> {
    for (plain, deflated) in pairs(all, Variant::Plain) {
        writeln!(
            out,
            "  {}: beside plain readers {} of the CPU/delivery, {} of the bytes",
            plain.contestant.kind,
            ratio(deflated.median_ratio(plain, Outcome::cpu_us_per_delivery)),
            ratio(deflated.median_ratio(plain, Outcome::bytes_per_delivery)),
        )?;
    }
    Ok(())
}

/// Each contestant of such a variant, and the same server as usual.
fn pairs(all: &[Rounds], variant: Variant) -> impl Iterator<Item = (&Rounds, &Rounds)> {
    let of_variant = move |rounds: &&Rounds| rounds.contestant.variant == variant;
    all.iter().filter(of_variant).filter_map(|rounds| {
        let usual = Contestant {
            variant: Variant::Usual,
            ..rounds.contestant
        };
        Some((rounds, find(all, usual)?))
    })
}

fn find(all: &[Rounds], contestant: Contestant) -> Option<&Rounds> {
    all.iter().find(|rounds| rounds.contestant == contestant)
}

/// Percent where it is close, a factor where it is not.
pub(crate) fn ratio(value: f64) -> String {
    if (0.2..2.0).contains(&value) {
        format!("{:.1}%", 100.0 * value)
    } else {
        format!("x{value:.2}")
    }
}

fn plural(unit: &str) -> String {
    unit.strip_suffix('y')
        .map_or_else(|| format!("{unit}s"), |stem| format!("{stem}ies"))
}

fn real(count: u64) -> f64 {
    count as f64
}

/// One measurement, as the journal has it.
pub(crate) fn entry(case: &Case, round: usize, contestant: Contestant, outcome: &Outcome) -> Value {
    json!({
        "scenario": case.scenario,
        "clients": case.clients,
        "message_len": case.message_len,
        "in_flight": case.in_flight(),
        "format": case.with(contestant.variant).format.name(),
        "rooms": case.rooms(),
        "linger_ms": case.linger_ms,
        "server": contestant.kind.name(),
        "laggards": contestant.variant == Variant::Laggards,
        "round": round,
        "messages": outcome.messages,
        "deliveries": outcome.deliveries,
        "elapsed_s": outcome.elapsed.as_secs_f64(),
        "deliveries_per_s": outcome.deliveries_per_s(),
        "cpu_us_per_delivery": outcome.cpu_us_per_delivery(),
        "bytes_per_delivery": outcome.bytes_per_delivery(),
        "user_share": outcome.cpu.user_share(),
        "p50_us": outcome.p50_us,
        "p99_us": outcome.p99_us,
        "p999_us": outcome.p999_us,
        "losses": outcome.losses,
        "damaged": outcome.damaged,
        "disconnects": outcome.disconnects,
        "growth_bytes": outcome.growth,
    })
}
