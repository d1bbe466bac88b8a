//! The export of metrics: a snapshot of what `/metrics` shows, at each interval and at the end.
//!
//! All values are sums since the start of the process, so a snapshot that the collector does not take loses nothing: the next
//! one has it. None is kept, and none is sent twice.

use super::encode::{self, Resource};
use super::export::{Collector, Unsent};
use super::messages::{
    self, ExportMetricsServiceRequest, Gauge, Histogram, HistogramDataPoint, KeyValue, Metric,
    MetricData, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
};
use crate::app::App;
use crate::metrics::{Exemplar, Family, OwnedLabels, Snapshot, Values};
use crate::parsing::blocking;
use bytes::Bytes;
use prost::Message as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// The most values of one request: collectors refuse bodies of more than some mebibytes.
const VALUES: usize = 4096;
/// Sums since the start (`AggregationTemporality`).
const CUMULATIVE: i32 = 2;

/// The task that exports metrics. It ends when this is dropped.
pub(crate) struct MetricExport {
    /// The deadline of a stop.
    stop: watch::Sender<Option<Instant>>,
    _task: JoinSet<()>,
}

impl MetricExport {
    /// Starts the task for a server, if its metrics are exported; must be called in a runtime.
    pub(crate) fn start(app: &Arc<App>) -> Option<Self> {
        let (collector, interval) = app.otlp.metric_collector()?;
        let (stop, stopping) = watch::channel(None);
        let mut task = JoinSet::new();
        task.spawn(run(Arc::clone(app), collector, interval, stopping));
        Some(Self { stop, _task: task })
    }

    /// Sends a last snapshot, and ends soon after `deadline`.
    pub(crate) async fn stop(&self, deadline: Instant) {
        self.stop.send_replace(Some(deadline));
        let _ = tokio::time::timeout_at(deadline, self.stop.closed()).await;
    }
}

async fn run(
    app: Arc<App>,
    mut collector: Collector,
    interval: Duration,
    mut stopping: watch::Receiver<Option<Instant>>,
) {
    let mut stop = stopping.clone();
    loop {
        let export = async {
            tokio::time::sleep(interval).await;
            let sent = send(&app, &collector, collector.later()).await;
            collector.settle(1, &sent);
        };
        tokio::select! {
            () = export => {}
            _ = stop.wait_for(Option::is_some) => break,
        }
    }
    let deadline = stopping.borrow_and_update().unwrap_or_else(Instant::now);
    let sent = send(&app, &collector, deadline).await;
    collector.settle(1, &sent);
}

/// Sends a snapshot until `deadline`.
async fn send(app: &Arc<App>, collector: &Collector, deadline: Instant) -> Result<(), Unsent> {
    // Without the database the snapshot has all other figures.
    let jobs = app.store.job_figures().await.ok();
    let (from, instance) = (Arc::clone(app), Arc::clone(&collector.instance));
    let requests = blocking(move || {
        let families = from.metrics.snapshot(&from, jobs)?;
        Ok(requests(families, from.metrics.started(), &instance))
    });
    let requests = match requests.await {
        Ok(Ok(requests)) => requests,
        Ok(Err(std::fmt::Error)) | Err(_) => return Err(Unsent::unmade()),
    };
    for request in requests {
        collector.send(request, deadline).await?;
    }
    Ok(())
}

/// The bodies of the requests that export families, none of them with more than [`VALUES`] values.
fn requests(families: Vec<Family>, started: SystemTime, instance: &str) -> Vec<Bytes> {
    let times = Times {
        start: encode::nanoseconds(started),
        now: encode::nanoseconds(SystemTime::now()),
    };
    let (mut requests, mut metrics, mut values) = (vec![], vec![], 0);
    for metric in families
        .into_iter()
        .flat_map(|family| times.metrics(family))
    {
        let more = count(&metric);
        if values + more > VALUES && !metrics.is_empty() {
            requests.push(request(std::mem::take(&mut metrics), instance));
            values = 0;
        }
        values += more;
        metrics.push(metric);
    }
    if !metrics.is_empty() {
        requests.push(request(metrics, instance));
    }
    requests
}

fn request(metrics: Vec<Metric>, instance: &str) -> Bytes {
    let Resource { resource, scope } = encode::resource(instance);
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope),
                metrics,
            }],
        }],
    };
    request.encode_to_vec().into()
}

fn count(metric: &Metric) -> usize {
    match &metric.data {
        Some(MetricData::Gauge(gauge)) => gauge.data_points.len(),
        Some(MetricData::Sum(sum)) => sum.data_points.len(),
        Some(MetricData::Histogram(histogram)) => histogram.data_points.len(),
        None => 0,
    }
}

/// The time of the start, and that of a snapshot.
#[derive(Clone, Copy)]
struct Times {
    start: u64,
    now: u64,
}

impl Times {
    /// The messages of a family, each with at most [`VALUES`] values; none of a family without values.
    fn metrics(self, family: Family) -> Vec<Metric> {
        let data: Vec<_> = match family.values {
            Values::Counters(values) => parts(values, |labels, value| self.number(labels, value))
                .map(|data_points| {
                    MetricData::Sum(Sum {
                        data_points,
                        aggregation_temporality: CUMULATIVE,
                        is_monotonic: true,
                    })
                })
                .collect(),
            Values::Gauges(values) => parts(values, |labels, value| NumberDataPoint {
                start_time_unix_nano: 0,
                ..self.number(labels, value)
            })
            .map(|data_points| MetricData::Gauge(Gauge { data_points }))
            .collect(),
            Values::Histograms(values) => parts(values, |labels, of| self.histogram(labels, &of))
                .map(|data_points| {
                    MetricData::Histogram(Histogram {
                        data_points,
                        aggregation_temporality: CUMULATIVE,
                    })
                })
                .collect(),
        };
        // Units by the names of UCUM, as OTLP wants them.
        let unit = match family.unit {
            "seconds" => "s",
            "bytes" => "By",
            _ => "",
        };
        let metric = |data| Metric {
            name: family.name.clone(),
            description: family.help.clone(),
            unit: unit.to_owned(),
            data: Some(data),
        };
        data.into_iter().map(metric).collect()
    }

    fn number(self, labels: OwnedLabels, value: f64) -> NumberDataPoint {
        NumberDataPoint {
            attributes: attributes(labels),
            start_time_unix_nano: self.start,
            time_unix_nano: self.now,
            as_double: Some(value),
        }
    }

    fn histogram(self, labels: OwnedLabels, of: &Snapshot) -> HistogramDataPoint {
        HistogramDataPoint {
            attributes: attributes(labels),
            start_time_unix_nano: self.start,
            time_unix_nano: self.now,
            count: of.count,
            sum: Some(of.sum),
            bucket_counts: of.buckets.iter().map(|(_, count)| *count).collect(),
            // The last bucket has no bound.
            explicit_bounds: of
                .buckets
                .iter()
                .map(|(bound, _)| *bound)
                .filter(|bound| bound.is_finite())
                .collect(),
            exemplars: of.exemplars.iter().map(exemplar).collect(),
        }
    }
}

/// A call whose trace the collector has.
fn exemplar(of: &Exemplar) -> messages::Exemplar {
    messages::Exemplar {
        time_unix_nano: encode::nanoseconds(of.at),
        as_double: Some(of.seconds),
        span_id: of.span.0.to_vec(),
        trace_id: of.trace.0.to_vec(),
    }
}

/// The values of a family as points, in parts of at most [`VALUES`].
fn parts<T, P>(
    values: Vec<(OwnedLabels, T)>,
    point: impl Fn(OwnedLabels, T) -> P,
) -> impl Iterator<Item = Vec<P>> {
    let mut points = values
        .into_iter()
        .map(move |(labels, value)| point(labels, value));
    std::iter::from_fn(move || {
        let part: Vec<_> = points.by_ref().take(VALUES).collect();
        (!part.is_empty()).then_some(part)
    })
}

fn attributes(labels: OwnedLabels) -> Vec<KeyValue> {
    let labels = labels.into_iter();
    labels
        .map(|(name, value)| encode::text(&name, &value))
        .collect()
}
