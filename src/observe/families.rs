//! Encodes families of metrics as OpenMetrics text.

use std::fmt;

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeMetric, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use super::times::Times;

/// Encodes metrics of one name each: without labels, or one for each value of a label.
pub(super) struct Families<'a>(pub(super) DescriptorEncoder<'a>);

impl Families<'_> {
    pub(super) fn counter(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        value: impl EncodeCounterValue,
    ) -> fmt::Result {
        self.single(name, help, unit, &ConstCounter::new(value))
    }

    pub(super) fn gauge(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        value: impl EncodeGaugeValue,
    ) -> fmt::Result {
        self.single(name, help, unit, &ConstGauge::new(value))
    }

    fn single(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        metric: &impl EncodeMetric,
    ) -> fmt::Result {
        let kind = metric.metric_type();
        metric.encode(self.0.encode_descriptor(name, help, unit, kind)?)
    }

    pub(super) fn times<const BOUNDS: usize>(
        &mut self,
        name: &str,
        help: &str,
        times: &Times<BOUNDS>,
    ) -> fmt::Result {
        let (unit, kind) = (Some(&Unit::Seconds), MetricType::Histogram);
        let buckets: Vec<(f64, u64)> = times.buckets().collect();
        let (sum, count) = (times.sum().as_secs_f64(), times.count());
        let mut encoder = self.0.encode_descriptor(name, help, unit, kind)?;
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    pub(super) fn counters(
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

    pub(super) fn gauges(
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

    pub(super) fn info(&mut self, name: &str, help: &str, labels: &[(&str, &str)]) -> fmt::Result {
        let mut encoder = self
            .0
            .encode_descriptor(name, help, None, MetricType::Info)?;
        encoder.encode_info(&labels)
    }
}
