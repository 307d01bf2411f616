//! Two pictures of a run: CPU time per delivery as the room grows, and deliveries per second as the load does.

use std::error::Error;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;
use serde_json::Value;

use crate::report::median;
use crate::support::server::Kind;
use crate::support::text::grouped;

const SIZE: (u32, u32) = (760, 470);
const FOOTER_HEIGHT: i32 = 28;
const TEXT_COLOR: RGBColor = RGBColor(0x1f, 0x23, 0x28);
const FAINT_COLOR: RGBColor = RGBColor(0x59, 0x63, 0x6e);
const GRID_COLOR: RGBColor = RGBColor(0xd1, 0xd9, 0xe0);

type Point = (f64, f64);
type Drawn = Result<(), Box<dyn Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws what `journal` has into `dir`; a picture without measurements is left out.
pub(crate) fn draw(journal: &[Value], dir: &Path) -> io::Result<()> {
    let machine = journal.first().and_then(|entry| entry["machine"].as_str());
    fs::create_dir_all(dir)?;
    for chart in [cost(journal), rate(journal)] {
        if !chart.series.is_empty() {
            let drawn = chart.draw(dir, machine.unwrap_or_default());
            drawn.map_err(|error| io::Error::other(error.to_string()))?;
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

#[derive(Clone, Copy)]
enum Scale {
    FromZero,
    Logarithmic,
}

struct Series {
    kind: Kind,
    points: Vec<Point>,
}

/// Server time per delivery against the number of clients, one message per turn.
fn cost(journal: &[Value]) -> Chart {
    let chosen = |entry: &Value| entry["scenario"] == "turn" && entry["message_len"] == 64;
    Chart {
        file: "cpu-per-delivery.svg",
        title: "Server CPU time per delivery, one 64-byte message per turn".to_owned(),
        x_label: "clients",
        y_label: "microseconds (less is better)",
        y_scale: Scale::FromZero,
        series: series(journal, chosen, "clients", "cpu_us_per_delivery"),
    }
}

/// Deliveries per second against the messages in flight, in the largest room.
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
            "64-byte messages delivered per second, {} clients",
            grouped(clients.unwrap_or_default())
        ),
        x_label: "messages in flight",
        y_label: "deliveries per second (more is better)",
        y_scale: Scale::Logarithmic,
        series: series(journal, chosen, "in_flight", "deliveries_per_s"),
    }
}

/// For every server that was measured the medians of `y` over the rounds, by `x`.
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
        let points: Vec<_> = places
            .into_iter()
            .map(|place| (place as f64, value(place)))
            .collect();
        (!points.is_empty()).then_some(Series { kind, points })
    };
    Kind::ALL.into_iter().filter_map(of).collect()
}

impl Chart {
    fn draw(&self, dir: &Path, machine: &str) -> Drawn {
        let path = dir.join(self.file);
        let page = SVGBackend::new(&path, SIZE).into_drawing_area();
        // A page of its own, so that the lines can be told apart on a dark site as well.
        page.fill(&WHITE)?;
        let (chart, footer) = page.split_vertically(SIZE.1 as i32 - FOOTER_HEIGHT);
        let font = ("sans-serif", 12).into_font().color(&FAINT_COLOR);
        footer.draw_text(&format!("Medians on {machine}"), &font, (16, 4))?;
        let (low, high) = bounds(self.points().map(|point| point.1));
        match self.y_scale {
            Scale::FromZero => self.draw_lines(&chart, 0.0..high * 1.1)?,
            Scale::Logarithmic => {
                let decades = decade(low)..decade(high) * 10.0;
                self.draw_lines(&chart, decades.log_scale())?;
            }
        }
        Ok(page.present()?)
    }

    fn draw_lines<Y>(&self, area: &Area<'_>, y_range: Y) -> Drawn
    where
        Y: AsRangedCoord<Value = f64>,
        Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        let mut chart = ChartBuilder::on(area)
            .caption(
                &self.title,
                ("sans-serif", 18).into_font().color(&TEXT_COLOR),
            )
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(
                self.x_range().log_scale().with_key_points(self.x_ticks()),
                y_range,
            )?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID_COLOR)
            .axis_style(FAINT_COLOR)
            .label_style(("sans-serif", 13).into_font().color(&TEXT_COLOR))
            .x_desc(self.x_label)
            .y_desc(self.y_label)
            .x_label_formatter(&short)
            .y_label_formatter(&short)
            .draw()?;
        for series in &self.series {
            let style = style(series.kind);
            let line = LineSeries::new(series.points.iter().copied(), style);
            let line = line.point_size(3 + style.stroke_width);
            chart
                .draw_series(line)?
                .label(series.kind.name())
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], style));
        }
        chart
            .configure_series_labels()
            // No line comes there: costs stay far from zero, and rates rise.
            .position(SeriesLabelPosition::LowerRight)
            .label_font(("sans-serif", 14).into_font().color(&TEXT_COLOR))
            .legend_area_size(32)
            .margin(12)
            .background_style(WHITE)
            .border_style(GRID_COLOR)
            .draw()?;
        Ok(())
    }

    fn points(&self) -> impl Iterator<Item = Point> {
        self.series
            .iter()
            .flat_map(|series| series.points.iter().copied())
    }

    /// A little wider than the measurements, so that the outermost dots are whole.
    fn x_range(&self) -> Range<f64> {
        let (low, high) = bounds(self.points().map(|point| point.0));
        low * 0.8..high * 1.25
    }

    /// Where there is a measurement.
    fn x_ticks(&self) -> Vec<f64> {
        let mut ticks: Vec<_> = self.points().map(|point| point.0).collect();
        ticks.sort_by(f64::total_cmp);
        ticks.dedup();
        ticks
    }
}

/// Fanfare is drawn first and widest, so that it shows where the others lie on top of it.
fn style(kind: Kind) -> ShapeStyle {
    let (color, width) = match kind {
        Kind::Fanfare => (RGBColor(0x09, 0x69, 0xda), 5),
        Kind::Baseline => (RGBColor(0x82, 0x50, 0xdf), 2),
        Kind::Floor => (RGBColor(0x1f, 0x23, 0x28), 2),
        Kind::Rival => (RGBColor(0xbc, 0x4c, 0x00), 2),
    };
    color.filled().stroke_width(width)
}

fn bounds(values: impl Iterator<Item = f64>) -> Point {
    values.fold((f64::INFINITY, 0.0), |(low, high), value| {
        (value.min(low), value.max(high))
    })
}

/// The power of ten at or below `value`.
fn decade(value: f64) -> f64 {
    10_f64.powf(value.log10().floor())
}

fn short(value: &f64) -> String {
    match *value {
        value @ ..1e3 => format!("{value}"),
        value @ ..1e6 => format!("{}k", value / 1e3),
        value => format!("{}M", value / 1e6),
    }
}
