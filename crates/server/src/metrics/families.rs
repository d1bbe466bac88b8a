//! Families of metrics: a name, a help text, and a value for each set of labels.
//!
//! There is one list of them (`exposition`, `behind`). A scrape writes them as text while they are listed; the export by
//! OTLP takes them as they are. So both have the same names and the same values.

use super::histogram::Snapshot;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use std::fmt;

pub(super) const NONE: [(&str, &str); 0] = [];

/// The families of an exposition, one after the other.
pub(super) enum Families<'a, 'e> {
    /// They are written for Prometheus.
    Text(&'a mut DescriptorEncoder<'e>),
    /// They are collected.
    Collected(&'a mut Collected),
}

/// Families that are collected, whose names begin with a prefix.
pub(super) struct Collected {
    pub(super) prefix: &'static str,
    pub(super) families: Vec<Family>,
}

/// A family at a moment.
pub(crate) struct Family {
    /// The name, as `/metrics` has it.
    pub(crate) name: String,
    pub(crate) help: String,
    /// The unit by its name in `/metrics`, such as `seconds`; empty for counts.
    pub(crate) unit: &'static str,
    pub(crate) values: Values,
}

/// The values of a family, by their labels.
pub(crate) enum Values {
    Counters(Vec<(OwnedLabels, f64)>),
    Gauges(Vec<(OwnedLabels, f64)>),
    Histograms(Vec<(OwnedLabels, Snapshot)>),
}

type Labels<'a> = &'a [(&'a str, &'a str)];
/// The names of labels and their values.
pub(crate) type OwnedLabels = Vec<(String, String)>;

impl Families<'_, '_> {
    pub(super) fn counters<'l, V: AsRef<[(&'l str, &'l str)]>>(
        &mut self,
        described: (&str, &str),
        unit: Option<Unit>,
        values: impl IntoIterator<Item = (V, f64)>,
    ) -> fmt::Result {
        let encoder = match self {
            Self::Text(encoder) => encoder,
            Self::Collected(all) => {
                all.add(described, unit, Values::Counters(owned(values)));
                return Ok(());
            }
        };
        let mut family = family(encoder, described, unit.as_ref(), MetricType::Counter)?;
        for (labels, value) in values {
            let labels: Labels<'_> = labels.as_ref();
            family
                .encode_family(&labels)?
                .encode_counter::<NoLabelSet, _, f64>(&value, None)?;
        }
        Ok(())
    }

    pub(super) fn gauges<'l, V: AsRef<[(&'l str, &'l str)]>>(
        &mut self,
        described: (&str, &str),
        unit: Option<Unit>,
        values: impl IntoIterator<Item = (V, f64)>,
    ) -> fmt::Result {
        let encoder = match self {
            Self::Text(encoder) => encoder,
            Self::Collected(all) => {
                all.add(described, unit, Values::Gauges(owned(values)));
                return Ok(());
            }
        };
        let mut family = family(encoder, described, unit.as_ref(), MetricType::Gauge)?;
        for (labels, value) in values {
            let labels: Labels<'_> = labels.as_ref();
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    pub(super) fn histograms<'l, V: AsRef<[(&'l str, &'l str)]>>(
        &mut self,
        described: (&str, &str),
        unit: Unit,
        values: impl IntoIterator<Item = (V, Snapshot)>,
    ) -> fmt::Result {
        let encoder = match self {
            Self::Text(encoder) => encoder,
            Self::Collected(all) => {
                all.add(described, Some(unit), Values::Histograms(owned(values)));
                return Ok(());
            }
        };
        let mut family = family(encoder, described, Some(&unit), MetricType::Histogram)?;
        for (labels, of) in values {
            let labels: Labels<'_> = labels.as_ref();
            family
                .encode_family(&labels)?
                .encode_histogram::<NoLabelSet>(of.sum, of.count, &of.buckets, None)?;
        }
        Ok(())
    }
}

fn family<'s>(
    encoder: &'s mut DescriptorEncoder<'_>,
    (name, help): (&'s str, &str),
    unit: Option<&'s Unit>,
    kind: MetricType,
) -> Result<MetricEncoder<'s>, fmt::Error> {
    encoder.encode_descriptor(name, help, unit, kind)
}

fn owned<'l, V: AsRef<[(&'l str, &'l str)]>, T>(
    values: impl IntoIterator<Item = (V, T)>,
) -> Vec<(OwnedLabels, T)> {
    let text = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    values
        .into_iter()
        .map(|(labels, value)| (labels.as_ref().iter().map(text).collect(), value))
        .collect()
}

impl Collected {
    /// Adds a family. The ends of its name are those that the text has, too.
    fn add(&mut self, (name, help): (&str, &str), unit: Option<Unit>, values: Values) {
        let unit = match unit {
            Some(Unit::Seconds) => "seconds",
            Some(Unit::Bytes) => "bytes",
            _ => "",
        };
        let unit_end = if unit.is_empty() { "" } else { "_" };
        let end = match values {
            Values::Counters(_) => "_total",
            Values::Gauges(_) | Values::Histograms(_) => "",
        };
        self.families.push(Family {
            name: format!("{}{name}{unit_end}{unit}{end}", self.prefix),
            help: help.to_owned(),
            unit,
            values,
        });
    }
}
