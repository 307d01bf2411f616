//! What clients cost that send nothing: memory and processor time of the shipped server with many connected,
//! beside the floor (the least that epoll can do) and a rival (a chat on tokio).
//!
//! `cargo bench --bench idle -- --help` tells how to pick a part of it.

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each bench uses a part of it")]
mod support;

use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::json;

use support::client::Seat;
use support::format::Format;
use support::journal::Journal;
use support::machine::{self, Cores};
use support::serve_if_child;
use support::server::{Choice, Kind, Launch, Needs, Server};
use support::swarm::Swarm;
use support::text::{duration, grouped};

/// No ping falls into the measurement: this is the cost between pings.
const FANFARE_FLAGS: &[&str] = &["--pong-wait", "2h", "--ping-period", "1h"];
/// The same with a room for each client, and nothing kept in it.
const ROOMS_FLAGS: &[&str] = &[
    "--pong-wait",
    "2h",
    "--ping-period",
    "1h",
    "--history",
    "0",
    "--max-rooms",
    "100000",
];
/// What `--quick` makes of it: enough to prove that it runs, too little to measure.
const QUICK_CLIENTS: [usize; 2] = [50, 150];
const QUICK_WINDOW: Duration = Duration::from_millis(100);
const MESSAGE_LEN: usize = 64;

/// Memory and processor time of idle clients.
#[derive(Parser)]
#[command(name = "cargo bench --bench idle --")]
struct Arguments {
    #[command(flatten)]
    choice: Choice,
    /// The larger number of clients; a tenth of it is the smaller one
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u16).range(10..))]
    clients: u16,
    /// Seconds for which the processor time is watched
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Put each client into a room of its own; the rival, which has one room, is left out
    #[arg(long)]
    rooms: bool,
    /// Prove that everything runs, in a second
    #[arg(long)]
    quick: bool,
    /// What cargo passes to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

/// How many idle clients, and for how long.
struct Plan<'a> {
    few: usize,
    many: usize,
    window: Duration,
    /// Whether each client has a room of its own.
    has_rooms: bool,
    launch: Launch<'a>,
}

/// What a number of idle clients cost.
struct Cost {
    resident: u64,
    cpu_us_per_s: f64,
}

fn main() -> io::Result<()> {
    serve_if_child()?;
    let arguments = Arguments::parse();
    let mut out = io::stdout().lock();
    let plan = Plan::new(&arguments, &mut out)?;
    let machine = machine::describe();
    let mut journal = Journal::create("idle", &machine)?;
    writeln!(out, "{machine}; {:?} of watching each\n", plan.window)?;
    let [few, many] = [plan.few, plan.many].map(|clients| grouped(clients as u64));
    writeln!(
        out,
        "{:8} {:>15} {:>18} {:>18} {:>18} {:>18}",
        "",
        "bytes per client",
        format!("resident, {few}"),
        format!("resident, {many}"),
        format!("CPU/s, {few}"),
        format!("CPU/s, {many}"),
    )?;
    for kind in arguments.choice.kinds() {
        if arguments.rooms && kind == Kind::Rival {
            continue;
        }
        let (few, many) = plan.measure(kind)?;
        let growth = many.resident as f64 - few.resident as f64;
        let bytes_per_client = growth / (plan.many - plan.few) as f64;
        writeln!(
            out,
            "{kind:8} {bytes_per_client:>15.0} {:>14} KiB {:>14} KiB {:>18} {:>18}",
            grouped(few.resident / 1024),
            grouped(many.resident / 1024),
            duration(few.cpu_us_per_s),
            duration(many.cpu_us_per_s),
        )?;
        journal.write(&json!({
            "server": kind.name(),
            "clients": [plan.few, plan.many],
            "resident_bytes": [few.resident, many.resident],
            "bytes_per_client": bytes_per_client,
            "cpu_us_per_s": [few.cpu_us_per_s, many.cpu_us_per_s],
        }))?;
    }
    Ok(())
}

impl<'a> Plan<'a> {
    fn new(arguments: &'a Arguments, out: &mut impl Write) -> io::Result<Self> {
        let launch = Launch {
            cores: Cores::pick(),
            fanfare_flags: if arguments.rooms {
                ROOMS_FLAGS
            } else {
                FANFARE_FLAGS
            },
            needs: Needs::default(),
            choice: &arguments.choice,
        };
        if arguments.quick {
            let [few, many] = QUICK_CLIENTS;
            return Ok(Self {
                few,
                many,
                window: QUICK_WINDOW,
                has_rooms: arguments.rooms,
                launch,
            });
        }
        let wanted = usize::from(arguments.clients);
        let many = wanted.min(machine::descriptors_max());
        if many < wanted {
            writeln!(
                out,
                "only {} clients, more descriptors are not allowed",
                grouped(many as u64)
            )?;
        }
        let window = Duration::from_secs(arguments.seconds);
        Ok(Self {
            few: many / 10,
            many,
            window,
            has_rooms: arguments.rooms,
            launch,
        })
    }

    /// The cost of few clients, then of many, at one and the same server.
    fn measure(&self, kind: Kind) -> io::Result<(Cost, Cost)> {
        let server = Server::start(kind, self.launch)?;
        let rooms = if self.has_rooms { self.many } else { 1 };
        let mut swarm = Swarm::new(server.addr, rooms, MESSAGE_LEN)?;
        let seat = |client| Seat {
            format: Format::Plain,
            room: client % rooms,
        };
        swarm.join(&(0..self.few).map(seat).collect::<Vec<_>>())?;
        let few = self.watch(&server)?;
        swarm.join(&(self.few..self.many).map(seat).collect::<Vec<_>>())?;
        let many = self.watch(&server)?;
        Ok((few, many))
    }

    fn watch(&self, server: &Server) -> io::Result<Cost> {
        let before = server.settled_cpu()?;
        let start = Instant::now();
        thread::sleep(self.window);
        let used = server.cpu()? - before;
        Ok(Cost {
            resident: server.resident()?,
            cpu_us_per_s: used.total.as_secs_f64() * 1e6 / start.elapsed().as_secs_f64(),
        })
    }
}
