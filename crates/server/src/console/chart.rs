//! Charts, as SVG that the page has whole: they take no script, and show the same to everybody who may see the page.

use super::history::{GROUPS, Point, STEPS};
use super::words;
use crate::metrics::Snapshot;
use maud::{Markup, html};
use std::fmt::Write as _;
use std::time::Duration;

/// The height of a chart, in its own units; its width is one unit for each step.
const HEIGHT: f64 = 100.0;
/// Columns of the map of times.
const COLUMNS: usize = 60;
/// Points of a small chart in a table.
const SPARK: usize = 60;

/// A line of a chart: a value for each step, in its order, up to now.
pub(super) struct Line {
    pub(super) name: &'static str,
    /// The class that gives it its colour: `calls`, `faults`, `p50`, `p99`.
    pub(super) class: &'static str,
    pub(super) values: Vec<Option<f64>>,
}

/// A mark on the time axis.
pub(super) struct Mark {
    /// The time since, in seconds.
    pub(super) ago: f64,
    pub(super) text: String,
}

/// The steps in seconds of a whole chart.
fn span(step: Duration) -> f64 {
    step.as_secs_f64() * STEPS as f64
}

/// A chart of lines, from 0 up to the least round number above all of them, which `unit` writes.
pub(super) fn lines(
    title: &str,
    lines: &[Line],
    marks: &[Mark],
    step: Duration,
    unit: fn(f64) -> String,
) -> Markup {
    let values = lines.iter().flat_map(|line| line.values.iter().flatten());
    let top = round_up(values.copied().fold(0.0, f64::max));
    let span = span(step);
    let marks = marks.iter().filter(|mark| mark.ago < span);
    let last = |line: &Line| line.values.iter().rev().flatten().next().copied();
    let label: Vec<_> = lines
        .iter()
        .map(|line| format!("{}: {}", line.name, last(line).map_or("none".into(), unit)))
        .collect();
    html! {
        figure class="chart" {
            figcaption {
                span { (title) }
                span class="legend" {
                    @for line in lines { span class=(format!("key {}", line.class)) { (line.name) } }
                }
            }
            div class="plot" {
                div class="axis" aria-hidden="true" { span { (unit(top)) } span { (unit(top / 2.0)) } span { (unit(0.0)) } }
                svg role="img" aria-label=(format!("{title}. Newest: {}.", label.join(", "))) viewBox=(format!("0 0 {STEPS} {HEIGHT}"))
                    preserveAspectRatio="none" {
                    @for at in [0.0, 0.5, 1.0] {
                        line class="grid" x1="0" x2=(STEPS) y1=(at * HEIGHT) y2=(at * HEIGHT) {}
                    }
                    @for line in lines {
                        path class=(line.class) d=(path(&line.values, STEPS, top)) {}
                    }
                    @for mark in marks {
                        @let x = at(mark.ago, step);
                        line class="mark" x1=(x) x2=(x) y1="0" y2=(HEIGHT) { title { (mark.text) } }
                    }
                }
            }
            (times(step))
        }
    }
}

/// A map of how many calls took how long: a column for some steps, a row for each group of times.
pub(super) fn map(title: &str, points: &[Point], step: Duration) -> Markup {
    let columns = columns(points);
    let most = columns.iter().flat_map(|column| column.times).max();
    let most = f64::from(most.unwrap_or(0).max(1));
    let bound = |row: usize| Snapshot::BOUNDS.get(row).copied().unwrap_or_default();
    let calls: u64 = points.iter().map(|point| point.calls).sum();
    html! {
        figure class="chart" {
            figcaption {
                span { (title) }
                span class="legend" { span class="few" { "few" } span class="scale" aria-hidden="true" {} span { "many calls" } }
            }
            div class="plot" {
                div class="axis" aria-hidden="true" {
                    span { (words::seconds(bound(GROUPS - 2))) } span { (words::seconds(bound(GROUPS / 2 - 1))) } span { (words::seconds(bound(0))) }
                }
                svg role="img" class="map" aria-label=(format!("{title}: {calls} calls")) viewBox=(format!("0 0 {COLUMNS} {GROUPS}"))
                    preserveAspectRatio="none" {
                    @for (x, column) in columns.iter().enumerate() {
                        @for (row, count) in column.times.iter().enumerate().filter(|(_, count)| **count > 0) {
                            rect class=(heat(f64::from(*count), most)) x=(x) y=(GROUPS - 1 - row) width="1" height="1" {}
                        }
                    }
                }
            }
            (times(step))
        }
    }
}

/// A small chart of calls for a row of a table.
pub(super) fn spark(points: &[Point]) -> Markup {
    let group = STEPS / SPARK;
    let padded = std::iter::repeat_n(Point::default(), STEPS.saturating_sub(points.len()));
    let all: Vec<_> = padded.chain(points.iter().copied()).collect();
    let values: Vec<_> = all
        .chunks(group)
        .map(|points| Some(points.iter().map(|point| point.calls as f64).sum()))
        .collect();
    let top = values.iter().flatten().copied().fold(0.0, f64::max);
    html! {
        svg class="spark" aria-hidden="true" viewBox=(format!("0 -4 {SPARK} {}", HEIGHT + 8.0)) preserveAspectRatio="none" {
            @if top > 0.0 {
                path class="calls" d=(path(&values, SPARK, top)) {}
            } @else {
                line class="grid" x1="0" x2=(SPARK) y1=(HEIGHT) y2=(HEIGHT) {}
            }
        }
    }
}

/// The axis of times below a chart.
fn times(step: Duration) -> Markup {
    let span = span(step);
    html! {
        div class="times" aria-hidden="true" {
            span { (words::seconds(span)) " ago" } span { (words::seconds(span / 2.0)) } span { "now" }
        }
    }
}

/// The place of a time, this long ago.
fn at(ago: f64, step: Duration) -> String {
    let steps = STEPS as f64 - ago / step.as_secs_f64().max(f64::EPSILON);
    format!("{:.1}", steps.clamp(0.0, STEPS as f64))
}

/// The path of a line that ends at the right; it is broken where there is no value.
fn path(values: &[Option<f64>], width: usize, top: f64) -> String {
    let first = width.saturating_sub(values.len());
    let mut path = String::new();
    let mut drawn = false;
    for (at, value) in values.iter().enumerate() {
        let Some(value) = value else {
            drawn = false;
            continue;
        };
        let y = HEIGHT - value / top.max(f64::MIN_POSITIVE) * HEIGHT;
        // A value holds for the whole of its step, and a lonely one is seen, too.
        let (x, to) = (first + at, first + at + 1);
        let command = if drawn { 'L' } else { 'M' };
        // Writing to a string does not fail.
        let _ = write!(path, "{command}{x} {y:.1}L{to} {y:.1}");
        drawn = true;
    }
    path
}

/// The least of 1, 2 and 5 and their tenfolds that is no less than a number; 1 for nothing.
fn round_up(number: f64) -> f64 {
    if number <= 0.0 || !number.is_finite() {
        return 1.0;
    }
    let ten = 10f64.powf(number.log10().floor());
    let least = [1.0, 2.0, 5.0, 10.0].into_iter().map(|of| of * ten);
    least.into_iter().find(|of| *of >= number).unwrap_or(number)
}

/// The points of a map's columns, the last of which ends now.
fn columns(points: &[Point]) -> Vec<Point> {
    let padded = std::iter::repeat_n(Point::default(), STEPS.saturating_sub(points.len()));
    let all: Vec<_> = padded.chain(points.iter().copied()).collect();
    let columns = all.chunks(STEPS / COLUMNS);
    columns.map(super::history::sum).collect()
}

/// One of five shades, by the order of magnitude.
fn heat(count: f64, most: f64) -> &'static str {
    let part = (1.0 + count).ln() / (1.0 + most).ln();
    match part {
        p if p > 0.8 => "h5",
        p if p > 0.6 => "h4",
        p if p > 0.4 => "h3",
        p if p > 0.2 => "h2",
        _ => "h1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_ends_at_the_right_and_breaks_where_nothing_is() {
        let values = [Some(1.0), None, Some(2.0)];
        assert_eq!(path(&values, 4, 2.0), "M1 50.0L2 50.0M3 0.0L4 0.0");
        assert_eq!(path(&[], 4, 0.0), "");
    }

    #[test]
    fn axes_end_at_round_numbers() {
        for (number, round) in [
            (0.0, 1.0),
            (0.03, 0.05),
            (1.0, 1.0),
            (1.1, 2.0),
            (7.0, 10.0),
            (420.0, 500.0),
        ] {
            assert!((round_up(number) - round).abs() < round / 1e6, "{number}");
        }
    }
}
