//! Two pictures of a run: what a delivery costs as the room grows, and how many deliveries a second come out as the load does.
//! Plain SVG that adapts to a light or dark page.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::Value;

use crate::report::median;
use crate::support::server::Kind;
use crate::support::text::grouped;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 430.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 640.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 350.0;
/// Names at the ends of lines stay this far apart.
const NAME_GAP: f64 = 16.0;

const STYLE: &str = "
  svg { font: 13px system-ui, sans-serif; }
  .page { fill: #ffffff; } .text { fill: #1f2328; } .faint { fill: #59636e; }
  .grid { stroke: #d1d9e0; } .line { fill: none; stroke-width: 2; }
  .fanfare { stroke: #0969da; } .floor { stroke: #59636e; stroke-dasharray: 7 4; } .rival { stroke: #bc4c00; stroke-dasharray: 2 3; }
  .dot { stroke-dasharray: none; stroke-width: 2; fill: #ffffff; }
  @media (prefers-color-scheme: dark) {
    .page, .dot { fill: #0d1117; } .text { fill: #f0f6fc; } .faint { fill: #9198a1; } .grid { stroke: #3d444d; }
    .fanfare { stroke: #4493f8; } .floor { stroke: #9198a1; } .rival { stroke: #f0883e; }
  }
";

/// Draws what `journal` has into `dir`; a picture without measurements is left out.
pub(crate) fn draw(journal: &[Value], dir: &Path) -> io::Result<()> {
    let machine = journal.first().and_then(|entry| entry["machine"].as_str());
    fs::create_dir_all(dir)?;
    for chart in [cost(journal), rate(journal)] {
        if chart.series.iter().any(|series| !series.points.is_empty()) {
            let path = dir.join(chart.file);
            fs::write(path, chart.svg(machine.unwrap_or_default()))?;
        }
    }
    Ok(())
}

struct Chart {
    file: &'static str,
    title: String,
    x_label: &'static str,
    y_label: &'static str,
    y_scale: Scale,
    series: Vec<Series>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scale {
    FromZero,
    Logarithmic,
}

struct Series {
    kind: Kind,
    points: Vec<(f64, f64)>,
}

/// Server time a delivery against the number of clients, one message a turn.
fn cost(journal: &[Value]) -> Chart {
    let chosen = |entry: &Value| entry["scenario"] == "turn" && entry["message_len"] == 64;
    Chart {
        file: "cpu-per-delivery.svg",
        title: "Server CPU time a delivery, one 64-byte message a turn".to_owned(),
        x_label: "clients",
        y_label: "microseconds (less is better)",
        y_scale: Scale::FromZero,
        series: series(journal, chosen, "clients", "cpu_us_per_delivery"),
    }
}

/// Deliveries a second against the messages in flight, in the largest room.
fn rate(journal: &[Value]) -> Chart {
    let flood = |entry: &&Value| entry["scenario"] == "flood" && entry["message_len"] == 64;
    let clients = journal
        .iter()
        .filter(flood)
        .filter_map(|entry| entry["clients"].as_u64())
        .max();
    let chosen = |entry: &Value| flood(&entry) && entry["clients"].as_u64() == clients;
    Chart {
        file: "deliveries-per-second.svg",
        title: format!(
            "64-byte messages delivered a second, {} clients",
            grouped(clients.unwrap_or_default())
        ),
        x_label: "messages in flight",
        y_label: "deliveries a second (more is better)",
        y_scale: Scale::Logarithmic,
        series: series(journal, chosen, "in_flight", "deliveries_per_s"),
    }
}

/// For every server the medians of `y` over the rounds, by `x`.
fn series(journal: &[Value], chosen: impl Fn(&Value) -> bool, x: &str, y: &str) -> Vec<Series> {
    let of = |kind: Kind| {
        let entries: Vec<_> = journal
            .iter()
            .filter(|entry| entry["server"] == kind.name() && chosen(entry))
            .collect();
        let mut places: Vec<_> = entries
            .iter()
            .filter_map(|entry| entry[x].as_u64())
            .collect();
        places.sort_unstable();
        places.dedup();
        let value = |place| {
            let there = entries
                .iter()
                .filter(|entry| entry[x].as_u64() == Some(place));
            median(there.filter_map(|entry| entry[y].as_f64()).collect())
        };
        let points = places
            .into_iter()
            .map(|place| (place as f64, value(place)))
            .collect();
        Series { kind, points }
    };
    Kind::ALL.into_iter().map(of).collect()
}

/// From values to pixels.
struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn place(&self, value: f64) -> f64 {
        let part = match self.scale {
            Scale::FromZero => value / self.high,
            Scale::Logarithmic => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        self.from + part * (self.to - self.from)
    }
}

impl Chart {
    fn svg(&self, machine: &str) -> String {
        let (x, y) = (self.x_axis(), self.y_axis());
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n<style>{STYLE}</style>\n<rect class=\"page\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"6\"/>\n",
            self.title
        );
        let mut text = |class: &str, anchor: &str, (left, top): (f64, f64), words: &str| {
            let words = words.replace('&', "&amp;").replace('<', "&lt;");
            // Writing to a `String` cannot fail.
            let _ = writeln!(
                svg,
                "<text class=\"{class}\" x=\"{left:.1}\" y=\"{top:.1}\" text-anchor=\"{anchor}\">{words}</text>"
            );
        };
        text("text", "start", (LEFT, 28.0), &self.title);
        text("faint", "start", (LEFT, 46.0), self.y_label);
        text(
            "faint",
            "middle",
            (f64::midpoint(LEFT, RIGHT), BOTTOM + 38.0),
            self.x_label,
        );
        text(
            "faint",
            "start",
            (LEFT, HEIGHT - 14.0),
            &format!("Medians on {machine}"),
        );
        for tick in self.x_ticks() {
            text(
                "faint",
                "middle",
                (x.place(tick), BOTTOM + 18.0),
                &short(tick),
            );
        }
        for tick in y.ticks() {
            text(
                "faint",
                "end",
                (LEFT - 8.0, y.place(tick) + 4.0),
                &short(tick),
            );
        }
        for (kind, top) in self.names(&y) {
            text("text", "start", (RIGHT + 10.0, top + 4.0), kind.name());
        }
        for tick in y.ticks() {
            let top = y.place(tick);
            let _ = writeln!(svg, "<path class=\"grid\" d=\"M{LEFT} {top:.1}H{RIGHT}\"/>");
        }
        for series in &self.series {
            svg += &series.svg(&x, &y);
        }
        svg + "</svg>\n"
    }

    fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        self.series
            .iter()
            .flat_map(|series| series.points.iter().copied())
    }

    fn x_axis(&self) -> Axis {
        let (low, high) = bounds(self.points().map(|point| point.0));
        Axis {
            scale: Scale::Logarithmic,
            low,
            high: high.max(low * 2.0),
            from: LEFT + 16.0,
            to: RIGHT,
        }
    }

    fn y_axis(&self) -> Axis {
        let (low, high) = bounds(self.points().map(|point| point.1));
        let (low, high) = match self.y_scale {
            Scale::FromZero => (0.0, high * 1.1),
            Scale::Logarithmic => (decade(low), decade(high) * 10.0),
        };
        Axis {
            scale: self.y_scale,
            low,
            high,
            from: BOTTOM,
            to: TOP,
        }
    }

    /// Where there is a measurement.
    fn x_ticks(&self) -> Vec<f64> {
        let mut ticks: Vec<_> = self.points().map(|point| point.0).collect();
        ticks.sort_by(f64::total_cmp);
        ticks.dedup();
        ticks
    }

    /// The names of the lines at their ends, pushed down where they would overlap.
    fn names(&self, y: &Axis) -> Vec<(Kind, f64)> {
        let last = |series: &Series| Some((series.kind, y.place(series.points.last()?.1)));
        let mut names: Vec<_> = self.series.iter().filter_map(last).collect();
        names.sort_by(|a, b| a.1.total_cmp(&b.1));
        let mut free = f64::NEG_INFINITY;
        for (_, top) in &mut names {
            *top = top.max(free);
            free = *top + NAME_GAP;
        }
        names
    }
}

impl Series {
    /// A line, and a dot where there is a measurement.
    fn svg(&self, x: &Axis, y: &Axis) -> String {
        let kind = self.kind;
        let (mut line, mut dots) = (String::new(), String::new());
        for &(at, value) in &self.points {
            let (left, top) = (x.place(at), y.place(value));
            // Writing to a `String` cannot fail.
            let _ = write!(line, "{left:.1},{top:.1} ");
            let _ = writeln!(
                dots,
                "<circle class=\"{kind} dot\" cx=\"{left:.1}\" cy=\"{top:.1}\" r=\"3.5\"/>"
            );
        }
        let line = line.trim_end();
        format!("<polyline class=\"line {kind}\" points=\"{line}\"/>\n{dots}")
    }
}

impl Axis {
    fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::FromZero => {
                let step = [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0]
                    .into_iter()
                    .find(|step| self.high / step < 8.0);
                let step = step.unwrap_or(self.high);
                (0_u8..8)
                    .map(|count| f64::from(count) * step)
                    .filter(|tick| *tick <= self.high)
                    .collect()
            }
            Scale::Logarithmic => std::iter::successors(Some(self.low), |tick| Some(tick * 10.0))
                .take_while(|tick| *tick <= self.high * 1.01)
                .collect(),
        }
    }
}

fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, 0.0), |(low, high), value| {
        (value.min(low), value.max(high))
    })
}

/// The power of ten at or below `value`.
fn decade(value: f64) -> f64 {
    10_f64.powf(value.log10().floor())
}

fn short(value: f64) -> String {
    match value {
        ..1e3 => format!("{value}"),
        ..1e6 => format!("{}k", value / 1e3),
        _ => format!("{}M", value / 1e6),
    }
}
