//! Exemplars of OpenMetrics: a bucket of the times of calls names a call whose trace was exported.
//!
//! The library writes exemplars only of its own histograms, which take a lock for every call, and makes none of values that
//! it did not count itself. So they are added to what it wrote: each line of a bucket may end with one.

use super::Metrics;
use super::function::Exemplar;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::time::UNIX_EPOCH;

/// The beginning of the lines that may have an exemplar.
const BUCKET: &str = "iof_call_duration_seconds_bucket{";
/// The label of the bound, which is the first, and the end of the labels.
const BOUND: &str = "le=\"";
const END: &str = "} ";

/// The exposition with the exemplars of all functions.
pub(super) fn add(text: &str, metrics: &Metrics) -> String {
    let functions = metrics.functions();
    let known: HashMap<_, _> = functions
        .iter()
        .map(|of| {
            let labels = format!("function=\"{}\",version=\"{}\"", of.name, of.version);
            (labels, of.exemplars())
        })
        .filter(|(_, exemplars)| !exemplars.is_empty())
        .collect();
    match known.is_empty() {
        true => text.to_owned(),
        false => with(text, &known),
    }
}

fn with(text: &str, known: &HashMap<String, BTreeMap<usize, Exemplar>>) -> String {
    let mut written = String::with_capacity(text.len() + (known.len() << 10));
    let (mut series, mut bucket) = ("", 0);
    for line in text.lines() {
        written.push_str(line);
        if let Some(labels) = labels(line) {
            // The buckets of a series follow one another.
            bucket = if labels == series { bucket + 1 } else { 0 };
            series = labels;
            if let Some(exemplar) = known.get(labels).and_then(|all| all.get(&bucket)) {
                push(&mut written, exemplar);
            }
        }
        written.push('\n');
    }
    written
}

fn push(line: &mut String, exemplar: &Exemplar) {
    let at = exemplar.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let _ = write!(
        line,
        " # {{trace_id=\"{}\"}} {} {:.3}",
        exemplar.trace,
        exemplar.seconds,
        at.as_secs_f64()
    );
}

/// The labels of a bucket's series, without its bound.
fn labels(line: &str) -> Option<&str> {
    let labels = line.strip_prefix(BUCKET)?.strip_prefix(BOUND)?;
    let (_, labels) = labels.split_once("\",")?;
    labels.split_once(END).map(|(labels, _)| labels)
}
