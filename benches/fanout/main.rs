//! Fan-out over real sockets: the shipped server beside the floor (the least that epoll can do) and a rival (a chat on tokio), in
//! one run and in turns, so that their ratios hold on a noisy machine.
//!
//! `cargo bench --bench fanout -- --help` tells how to pick a part of it.

mod cases;
mod crowd;
mod list;
mod plot;
mod publisher;
mod report;
mod resume;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each bench uses a part of it")]
mod support;
mod trial;
mod visitors;

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use clap::builder::PossibleValuesParser;

use cases::{Case, Load, Pair, Schedule};
use list::SCENARIOS;
use report::{Rounds, entry, print_bystanders, print_table};
use support::journal::{self, Journal};
use support::machine::{self, Cores};
use support::procfs::Bystanders;
use support::serve_if_child;
use support::server::{Choice, Kind, Launch, Needs};
use support::text::grouped;
use trial::{Contestant, Outcome, Trial};

/// The name of the journal.
const BENCH: &str = "fanout";
/// fanfare runs as it is shipped, but for the message rate above which it closes a client.
const FANFARE_FLAGS: &[&str] = &["--message-rate", "4000000000"];
/// The contestants of a round take turns this often.
const SLICES: u32 = 3;
/// What `--quick` makes of every case: enough to prove that it runs, too little to measure.
const QUICK_CLIENTS: usize = 50;
const QUICK_DURATION: Duration = Duration::from_millis(40);

/// Fan-out of fanfare beside the floor and a rival.
#[derive(Parser)]
#[command(name = "cargo bench --bench fanout --")]
struct Arguments {
    /// Run only this scenario; may be repeated
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(SCENARIOS))]
    scenario: Vec<String>,
    #[command(flatten)]
    choice: Choice,
    /// Measure every server this many times in every case, taking turns
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// Seconds of load in one measurement
    #[arg(long, value_name = "S", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Use this many clients wherever there is more than one
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..))]
    clients: Option<u16>,
    /// Keep this many messages of each sender in flight, wherever senders do so
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    in_flight: Option<u16>,
    /// Prove that everything runs, in a few seconds
    #[arg(long)]
    quick: bool,
    /// Measure nothing: draw the last run into this directory as SVG
    #[arg(long, value_name = "DIR")]
    plot: Option<PathBuf>,
    /// What cargo passes to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> io::Result<()> {
    serve_if_child()?;
    let arguments = Arguments::parse();
    match &arguments.plot {
        Some(dir) => plot::draw(&journal::read(BENCH)?, dir),
        None => run(&arguments),
    }
}

fn run(arguments: &Arguments) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let plan = Plan::new(arguments);
    let machine = machine::describe();
    writeln!(
        out,
        "{machine}; medians of {} rounds, {:?} each",
        plan.rounds, plan.duration
    )?;
    if plan.launch.cores.is_none() {
        writeln!(
            out,
            "only one core: server and swarm share it, so the rates are not the server's own"
        )?;
    }
    let mut journal = Journal::create(BENCH, &machine)?;
    let mut wrong = 0;
    for case in cases(arguments, &mut out)? {
        wrong += match case.load {
            Load::Resume(pair) => plan.run_resume(&case, pair, &mut journal, &mut out)?,
            _ => plan.run_case(&case, &mut journal, &mut out)?,
        };
    }
    if wrong > 0 {
        let wrong = grouped(wrong);
        return Err(io::Error::other(format!(
            "{wrong} messages of fanfare or the floor were lost, doubled or damaged"
        )));
    }
    Ok(())
}

/// How often and how long.
struct Plan<'a> {
    rounds: usize,
    duration: Duration,
    launch: Launch<'a>,
}

impl<'a> Plan<'a> {
    fn new(arguments: &'a Arguments) -> Self {
        let launch = Launch {
            cores: Cores::pick(),
            fanfare_flags: FANFARE_FLAGS,
            needs: Needs::default(),
            choice: &arguments.choice,
        };
        let (rounds, duration) = if arguments.quick {
            (1, QUICK_DURATION)
        } else {
            let duration = Duration::from_secs(arguments.seconds);
            (usize::from(arguments.rounds), duration)
        };
        Self {
            rounds,
            duration,
            launch,
        }
    }

    /// Measures `case` and prints it; returns how many messages went wrong at servers of ours.
    fn run_case(
        &self,
        case: &Case,
        journal: &mut Journal,
        out: &mut impl Write,
    ) -> io::Result<u64> {
        let contestants = contestants(self.launch.choice, case);
        let mut all: Vec<_> = contestants.iter().copied().map(Rounds::new).collect();
        let mut bystanders = Vec::new();
        for round in 0..self.rounds {
            let watch = Bystanders::watch()?;
            let outcomes = self.round(round, case, &contestants)?;
            bystanders.push(watch.cores_used()?);
            for (rounds, outcome) in all.iter_mut().zip(outcomes) {
                journal.write(&entry(case, round, rounds.contestant, &outcome))?;
                rounds.outcomes.push(outcome);
            }
        }
        print_table(out, case, &all, bystanders)?;
        let ours = all.iter();
        let ours = ours.filter(|rounds| rounds.contestant.kind != Kind::Rival);
        Ok(ours.map(Rounds::wrong).sum())
    }

    /// The same for a case whose contestants run one after the other, since each has all the sockets that there can be.
    fn run_resume(
        &self,
        case: &Case,
        pair: Pair,
        journal: &mut Journal,
        out: &mut impl Write,
    ) -> io::Result<u64> {
        let of = |contestant: Contestant| resume::report::Rounds {
            kind: contestant.kind,
            outcomes: Vec::new(),
        };
        let contestants = contestants(self.launch.choice, case);
        let mut all: Vec<_> = contestants.into_iter().map(of).collect();
        let mut wrong = 0;
        let mut bystanders = Vec::new();
        for round in 0..self.rounds {
            let watch = Bystanders::watch()?;
            let first = round % all.len();
            let (late, early) = all.split_at_mut(first);
            for rounds in early.iter_mut().chain(late) {
                let outcome = resume::measure(rounds.kind, case, pair, self.duration, self.launch)?;
                journal.write(&resume::report::entry(case, round, rounds.kind, &outcome))?;
                wrong += outcome.wrong + outcome.disconnects;
                rounds.outcomes.push(outcome);
            }
            bystanders.push(watch.cores_used()?);
        }
        resume::report::print_table(out, case, &all)?;
        print_bystanders(out, bystanders)?;
        Ok(wrong)
    }

    /// Starts every contestant afresh and loads them in turns, in slices so short that a change
    /// in the machine's speed hits all of them. Over the rounds, each gets to be first as often.
    fn round(
        &self,
        round: usize,
        case: &Case,
        contestants: &[Contestant],
    ) -> io::Result<Vec<Outcome>> {
        let slice = case.longer(self.duration) / SLICES;
        let start = |contestant: &Contestant| Trial::start(*contestant, case, slice, self.launch);
        let mut trials = contestants
            .iter()
            .map(start)
            .collect::<io::Result<Vec<_>>>()?;
        let slices = SLICES as usize;
        for first in round * slices..(round + 1) * slices {
            let first = first % trials.len();
            let (late, early) = trials.split_at_mut(first);
            for trial in early.iter_mut().chain(late) {
                trial.load(slice)?;
            }
        }
        trials.into_iter().map(Trial::finish).collect()
    }
}

/// The cases that were asked for, with no more clients than the descriptor limit allows
/// for all contestants together; equal ones only once.
fn cases(arguments: &Arguments, out: &mut impl Write) -> io::Result<Vec<Case>> {
    let mut cases: Vec<Case> = Vec::new();
    for mut case in list::ALL {
        if !arguments.scenario.is_empty()
            && !arguments.scenario.iter().any(|name| name == case.scenario)
        {
            continue;
        }
        if let (Load::Chat(Schedule::Windows { in_flight, .. }), Some(wanted)) =
            (&mut case.load, arguments.in_flight)
        {
            *in_flight = wanted.into();
        }
        if case.has_crowd() {
            case.clients = arguments.clients.map_or(case.clients, usize::from);
            if arguments.quick {
                case.clients = case.clients.min(QUICK_CLIENTS);
            }
        }
        case.limit_clients(clients_max(&arguments.choice, &case), out)?;
        if !cases.contains(&case) {
            cases.push(case);
        }
    }
    Ok(cases)
}

/// The clients that each contestant can have, with all that are there at once.
fn clients_max(choice: &Choice, case: &Case) -> usize {
    let at_once = match case.load {
        Load::Resume(_) => 1,
        _ => contestants(choice, case).len().max(1),
    };
    machine::descriptors_max() / at_once
}

/// Who takes part in `case`: the servers that were asked for, the variants of each one after the other.
fn contestants(choice: &Choice, case: &Case) -> Vec<Contestant> {
    let of = |kind| {
        let variants = case.variants(kind).iter();
        variants.map(move |variant| Contestant {
            kind,
            variant: *variant,
        })
    };
    let can_take_part = |kind: &Kind| case.is_open_to(*kind, choice.has_own_rival());
    choice.kinds().filter(can_take_part).flat_map(of).collect()
}
