//! What a scrape is told: all counters as OpenMetrics text.
//!
//! The text is made of a copy of the numbers, so that counting needs neither a registry nor atomics.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::{Registry, Unit};
use strum::VariantArray;

use super::backplane::BackplaneFigures;
use super::close_reason::CloseKind;
use super::families::Families;
use super::metrics::{CompressionCounts, Metrics, Transport};
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
    pub compression: CompressionCounts,
    /// The stream of several nodes, if this is one of them.
    pub backplane: Option<BackplaneFigures>,
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
        let help = "How long the loop worked between two waits";
        families.times("fanfare_turn", help, &self.metrics.turns)?;
        if let Some(backplane) = &self.backplane {
            backplane.encode(self.metrics.append_times(), &mut families)?;
        }
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

impl CompressionCounts {
    fn encode(&self, families: &mut Families<'_>) -> fmt::Result {
        let bytes = Some(&Unit::Bytes);
        let help = "Bytes of messages that were compressed, before";
        families.counter("fanfare_deflate_input", help, bytes, self.input_len)?;
        let help = "Bytes of messages that were compressed, after";
        families.counter("fanfare_deflate_output", help, bytes, self.output_len)
    }
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
