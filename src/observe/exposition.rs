//! What a scrape is told: all counters as OpenMetrics text.
//!
//! The text is made of a copy of the numbers, so that counting needs neither a registry nor atomics.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeMetric, NoLabelSet, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use strum::VariantArray;

use super::close_reason::CloseKind;
use super::metrics::{Metrics, Transport};
use super::process::Process;
use crate::http::status::Refusal;

/// The text's media type.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All that is told, as it was at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// What happened since the start.
    pub metrics: Metrics,
    /// What there is.
    pub state: State,
    /// What compression has saved since the start.
    pub compression: Compression,
    /// What the kernel counts.
    pub process: Option<Process>,
}

/// What there is, each beside its bound.
#[derive(Debug)]
#[expect(missing_docs, reason = "the metrics' help says it")]
pub struct State {
    pub max_clients: usize,
    pub rooms: usize,
    pub max_rooms: usize,
    pub queued_len: usize,
    pub max_queued: usize,
    pub history_len: usize,
    pub max_history: usize,
}

/// The messages that were compressed, in bytes, each counted once however many readers it has.
#[derive(Debug)]
pub struct Compression {
    /// As they were published.
    pub input_len: u64,
    /// As they are sent.
    pub output_len: u64,
}

impl Snapshot {
    /// The OpenMetrics text.
    pub fn into_text(self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = text::encode(&mut text, &registry);
        text
    }
}

impl Collector for Snapshot {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families(encoder);
        families.info(
            "fanfare_build",
            "The version of the program",
            &[("version", env!("CARGO_PKG_VERSION"))],
        )?;
        self.state.encode(&self.metrics, &mut families)?;
        encode_connections(&self.metrics, &mut families)?;
        encode_messages(&self.metrics, &mut families)?;
        self.compression.encode(&mut families)?;
        encode_turns(&self.metrics, &mut families)?;
        match &self.process {
            Some(process) => process.encode(&mut families),
            None => Ok(()),
        }
    }
}

impl State {
    fn encode(&self, metrics: &Metrics, families: &mut Families<'_>) -> fmt::Result {
        let transports = Transport::VARIANTS.iter();
        let clients = transports.map(|&transport| (transport.name(), metrics.clients(transport)));
        families.gauges("fanfare_clients", "Clients connected", "transport", clients)?;
        for (name, help, number) in [
            (
                "fanfare_max_clients",
                "How many clients may be connected (--max-clients)",
                self.max_clients,
            ),
            ("fanfare_rooms", "Rooms that exist", self.rooms),
            (
                "fanfare_max_rooms",
                "How many rooms there may be (--max-rooms)",
                self.max_rooms,
            ),
        ] {
            families.gauge(name, help, None, number)?;
        }
        for (name, help, len) in [
            (
                "fanfare_queued",
                "Bytes queued for clients, those that several share counted once",
                self.queued_len,
            ),
            (
                "fanfare_max_queued",
                "How many bytes may be queued (--max-queued)",
                self.max_queued,
            ),
            (
                "fanfare_history",
                "Bytes of kept messages that no client waits for",
                self.history_len,
            ),
            (
                "fanfare_max_history",
                "How many bytes of messages may be kept (--max-history)",
                self.max_history,
            ),
        ] {
            families.gauge(name, help, Some(&Unit::Bytes), len)?;
        }
        Ok(())
    }
}

fn encode_connections(metrics: &Metrics, families: &mut Families<'_>) -> fmt::Result {
    for (name, help, count) in [
        (
            "fanfare_accepted_connections",
            "Connections accepted",
            metrics.accepted,
        ),
        (
            "fanfare_accept_failures",
            "Connections that failed before they were accepted",
            metrics.accept_failures,
        ),
        (
            "fanfare_turned_away_connections",
            "Connections closed without an answer, because too many were being refused",
            metrics.turned_away,
        ),
        (
            "fanfare_rate_warnings",
            "Clients warned for their message rate (--message-rate)",
            metrics.rate_warnings,
        ),
    ] {
        families.counter(name, help, None, count)?;
    }
    let kinds = CloseKind::VARIANTS.iter();
    let closes = kinds.map(|&kind| (kind.name(), metrics.closed_by_kind(kind)));
    families.counters(
        "fanfare_closes",
        "Connections closed, by reason",
        "reason",
        closes,
    )?;
    let refusals = Refusal::VARIANTS.iter();
    let refusals = refusals.map(|&refusal| (refusal.name(), metrics.refused(refusal)));
    families.counters(
        "fanfare_refusals",
        "Requests refused, by reason",
        "reason",
        refusals,
    )
}

fn encode_messages(metrics: &Metrics, families: &mut Families<'_>) -> fmt::Result {
    families.counters(
        "fanfare_messages",
        "Messages published, by what they came in",
        "via",
        [
            ("websocket", metrics.websocket_messages),
            ("http", metrics.http_messages),
        ],
    )?;
    for (name, help, count) in [
        (
            "fanfare_deliveries",
            "Messages published, each counted for every client that was in its room then",
            metrics.deliveries,
        ),
        (
            "fanfare_replayed_messages",
            "Kept messages queued for clients that joined",
            metrics.replayed,
        ),
        (
            "fanfare_skipped_messages",
            "Messages left out for clients that were too slow (--slow skip)",
            metrics.skipped,
        ),
        (
            "fanfare_joins",
            "Clients that joined a room",
            metrics.joined,
        ),
    ] {
        families.counter(name, help, None, count)?;
    }
    families.counters(
        "fanfare_resumes",
        "Clients that named the last message they had, by the answer",
        "answer",
        [
            ("resumed", metrics.resumed),
            ("gap", metrics.resumed_with_gap),
            ("unknown", metrics.resumed_unknown),
        ],
    )?;
    families.counter(
        "fanfare_sent",
        "Bytes that the sockets of clients took",
        Some(&Unit::Bytes),
        metrics.sent_len,
    )
}

impl Compression {
    fn encode(&self, families: &mut Families<'_>) -> fmt::Result {
        let bytes = Some(&Unit::Bytes);
        let help = "Bytes of messages that were compressed, before";
        families.counter("fanfare_deflate_input", help, bytes, self.input_len)?;
        let help = "Bytes of messages that were compressed, after";
        families.counter("fanfare_deflate_output", help, bytes, self.output_len)
    }
}

fn encode_turns(metrics: &Metrics, families: &mut Families<'_>) -> fmt::Result {
    let turns = &metrics.turns;
    let buckets: Vec<(f64, u64)> = turns.buckets().collect();
    let (sum, count) = (turns.sum().as_secs_f64(), turns.count());
    let help = "How long the loop worked between two waits";
    let mut encoder = families.0.encode_descriptor(
        "fanfare_turn",
        help,
        Some(&Unit::Seconds),
        MetricType::Histogram,
    )?;
    encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
}

impl Process {
    fn encode(&self, families: &mut Families<'_>) -> fmt::Result {
        let seconds = Some(&Unit::Seconds);
        families.gauge(
            "process_resident_memory",
            "Resident memory",
            Some(&Unit::Bytes),
            self.resident_len,
        )?;
        families.gauge("process_open_fds", "Open descriptors", None, self.open_fds)?;
        let max_fds = self.max_fds.map_or(f64::INFINITY, |max| max as f64);
        let help = "How many descriptors may be open";
        families.gauge("process_max_fds", help, None, max_fds)?;
        let help = "When the process was started, since 1970";
        families.gauge("process_start_time", help, seconds, self.start_seconds)?;
        let help = "Processor time in the program and in the kernel";
        families.counter("process_cpu", help, seconds, self.cpu_seconds)
    }
}

/// Encodes metrics of one name each: without labels, or one for each value of a label.
struct Families<'a>(DescriptorEncoder<'a>);

impl Families<'_> {
    fn counter<N: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        value: N,
    ) -> fmt::Result {
        let counter = ConstCounter::new(value);
        let kind = counter.metric_type();
        counter.encode(self.0.encode_descriptor(name, help, unit, kind)?)
    }

    fn gauge<N: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        value: N,
    ) -> fmt::Result {
        let gauge = ConstGauge::new(value);
        let kind = gauge.metric_type();
        gauge.encode(self.0.encode_descriptor(name, help, unit, kind)?)
    }

    fn counters(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        counts: impl IntoIterator<Item = (&'static str, u64)>,
    ) -> fmt::Result {
        let counts = counts.into_iter();
        let counts = counts.map(|(value, count)| (value, ConstCounter::new(count)));
        self.labelled(name, help, MetricType::Counter, label, counts)
    }

    fn gauges(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        numbers: impl IntoIterator<Item = (&'static str, u64)>,
    ) -> fmt::Result {
        let numbers = numbers.into_iter();
        let numbers = numbers.map(|(value, number)| (value, ConstGauge::new(number)));
        self.labelled(name, help, MetricType::Gauge, label, numbers)
    }

    fn labelled(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        label: &str,
        metrics: impl Iterator<Item = (&'static str, impl EncodeMetric)>,
    ) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, None, kind)?;
        for (value, metric) in metrics {
            metric.encode(encoder.encode_family(&[(label, value)])?)?;
        }
        Ok(())
    }

    fn info(&mut self, name: &str, help: &str, labels: &[(&str, &str)]) -> fmt::Result {
        let mut encoder = self
            .0
            .encode_descriptor(name, help, None, MetricType::Info)?;
        encoder.encode_info(&labels)
    }
}
