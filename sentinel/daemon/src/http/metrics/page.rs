//! Families of lines, by the table.

use std::{collections::HashMap, fmt};

use prometheus_client::{
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet},
    metrics::{MetricType, exemplar::Exemplar},
};

use super::table::{Kind, Metric};
use crate::meters::Distribution;

/// What is being written.
pub(super) struct Page<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl<'a> Page<'a> {
    pub(super) const fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Page { encoder }
    }

    /// A family of gauges: the values of its labels, and the value.
    pub(super) fn gauge<'s, const N: usize>(
        &mut self,
        metric: Metric,
        samples: impl IntoIterator<Item = ([&'s str; N], f64)>,
    ) -> fmt::Result {
        self.family(metric, samples, |encoder, value| encoder.encode_gauge(&value))
    }

    /// A family of counters.
    pub(super) fn counter<'s, const N: usize>(
        &mut self,
        metric: Metric,
        samples: impl IntoIterator<Item = ([&'s str; N], u64)>,
    ) -> fmt::Result {
        let none: Option<&Exemplar<NoLabelSet, f64>> = None;
        self.family(metric, samples, |encoder, value| encoder.encode_counter(&value, none))
    }

    /// A family of histograms.
    pub(super) fn histogram<'s, const N: usize>(
        &mut self,
        metric: Metric,
        samples: impl IntoIterator<Item = ([&'s str; N], Distribution)>,
    ) -> fmt::Result {
        let none: Option<&HashMap<usize, Exemplar<NoLabelSet, f64>>> = None;
        self.family(metric, samples, |encoder, value| {
            encoder.encode_histogram(value.sum, value.count, &value.buckets, none)
        })
    }

    fn family<'s, const N: usize, V>(
        &mut self,
        metric: Metric,
        samples: impl IntoIterator<Item = ([&'s str; N], V)>,
        encode: impl Fn(&mut MetricEncoder<'_>, V) -> fmt::Result,
    ) -> fmt::Result {
        let kind = match metric.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
        };
        // The encoder adds what counters end with.
        let name = metric.name.strip_suffix("_total").unwrap_or(metric.name);
        let mut family = self.encoder.encode_descriptor(name, metric.help, None, kind)?;
        for (values, sample) in samples {
            debug_assert_eq!(metric.labels.len(), N, "{}", metric.name);
            let labels: [(&str, &str); N] = std::array::from_fn(|at| (metric.labels[at], values[at]));
            if N == 0 {
                encode(&mut family, sample)?;
            } else {
                encode(&mut family.encode_family(&labels)?, sample)?;
            }
        }
        Ok(())
    }
}
