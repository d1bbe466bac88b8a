//! The points of the charts: what functions did in each step of the last while, in memory.
//!
//! The metrics only count ([`crate::metrics`]); a task takes their differences. A function that was not called in a step has
//! no point there, so that those which are seldom called take no room.

use super::Console;
use crate::metrics::{Snapshot, VersionFigures};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

/// The steps that are kept.
pub(super) const STEPS: usize = 240;
/// The groups of times.
pub(super) const GROUPS: usize = Snapshot::BOUNDS.len() + 1;

/// Calls of one step, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Point {
    /// The number of its step.
    pub(super) step: u64,
    pub(super) calls: u64,
    /// Calls that failed through anything but their request.
    pub(super) faults: u64,
    /// Calls that failed through their request.
    pub(super) client_faults: u64,
    /// Calls by their time.
    pub(super) times: [u32; GROUPS],
}

impl Point {
    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.faults += other.faults;
        self.client_faults += other.client_faults;
        for (sum, more) in self.times.iter_mut().zip(other.times) {
            *sum += more;
        }
    }

    /// The time, in seconds, that a part of the calls does not exceed; `None` without calls. Within a group, calls are
    /// taken to be spread evenly.
    pub(super) fn quantile(&self, part: f64) -> Option<f64> {
        let all: u64 = self.times.iter().map(|count| u64::from(*count)).sum();
        if all == 0 {
            return None;
        }
        let wanted = all as f64 * part;
        let (mut before, mut low) = (0.0, 0.0);
        for (at, count) in self.times.iter().enumerate() {
            let count = f64::from(*count);
            // The last group has no bound; its calls are given that of the one before.
            let high = Snapshot::BOUNDS.get(at).copied().unwrap_or(low);
            if before + count >= wanted && count > 0.0 {
                return Some(low + (high - low) * (wanted - before) / count);
            }
            before += count;
            low = high;
        }
        Some(low)
    }
}

/// The sum of points.
pub(super) fn sum(points: &[Point]) -> Point {
    let mut sum = Point::default();
    for point in points {
        sum.add(point);
    }
    sum
}

/// The points of all functions, and of each version.
pub(super) struct History {
    pub(super) step: Duration,
    points: Mutex<Points>,
    /// The number of the current step.
    now: watch::Sender<u64>,
}

#[derive(Default)]
struct Points {
    /// The step before which everything is forgotten.
    now: u64,
    /// The counts at the last step.
    counts: HashMap<(Box<str>, i64), Counts>,
    all: VecDeque<Point>,
    versions: HashMap<(Box<str>, i64), VecDeque<Point>>,
}

/// Counts since the start.
struct Counts {
    calls: u64,
    faults: u64,
    client_faults: u64,
    times: [u64; GROUPS],
}

/// The history of one version of a function.
pub(super) struct VersionHistory {
    /// The name of the function, or its number.
    pub(super) function: String,
    pub(super) version: i64,
    pub(super) points: Vec<Point>,
}

impl History {
    pub(super) fn new(step: Duration) -> Self {
        Self {
            step,
            points: Mutex::default(),
            now: watch::Sender::new(0),
        }
    }

    /// Notes each step that begins.
    pub(super) fn steps(&self) -> watch::Receiver<u64> {
        self.now.subscribe()
    }

    /// Takes the counts of a step that ended.
    fn take(&self, figures: Vec<VersionFigures>) {
        let mut points = self.points.lock();
        points.take(figures);
        let now = points.now;
        drop(points);
        self.now.send_replace(now);
    }

    /// The points of all functions, one for each step up to now, the oldest first.
    pub(super) fn all(&self) -> Vec<Point> {
        let points = self.points.lock();
        spread(points.all.iter(), points.now)
    }

    /// The points of a function by its name or number, over all its versions.
    pub(super) fn of(&self, function: &str) -> Vec<Point> {
        let points = self.points.lock();
        let own = points
            .versions
            .iter()
            .filter(|((of, _), _)| **of == *function);
        spread(own.flat_map(|(_, points)| points), points.now)
    }

    /// The points of one version of a function.
    pub(super) fn of_version(&self, function: &str, version: i64) -> Vec<Point> {
        let points = self.points.lock();
        let key: (Box<str>, i64) = (function.into(), version);
        let own = points.versions.get(&key);
        spread(own.into_iter().flatten(), points.now)
    }

    /// The histories of the versions that were called most in the last while, up to `limit` of them.
    pub(super) fn busiest(&self, limit: usize) -> Vec<VersionHistory> {
        let points = self.points.lock();
        let mut all: Vec<_> = points
            .versions
            .iter()
            .map(|(key, of)| (of.iter().map(|point| point.calls).sum::<u64>(), key, of))
            .collect();
        all.sort_unstable_by(|(calls, key, _), (others, other, _)| {
            others.cmp(calls).then(key.cmp(other))
        });
        all.into_iter()
            .take(limit)
            .map(|(_, (function, version), of)| VersionHistory {
                function: function.to_string(),
                version: *version,
                points: spread(of.iter(), points.now),
            })
            .collect()
    }
}

/// One point for each step that is kept, the last of which is `now`.
fn spread<'a>(points: impl Iterator<Item = &'a Point>, now: u64) -> Vec<Point> {
    let first = (now + 1).saturating_sub(STEPS as u64);
    let mut all: Vec<_> = (first..=now)
        .map(|step| Point {
            step,
            ..Point::default()
        })
        .collect();
    for point in points {
        let at = point
            .step
            .checked_sub(first)
            .and_then(|at| usize::try_from(at).ok());
        if let Some(sum) = at.and_then(|at| all.get_mut(at)) {
            sum.add(point);
        }
    }
    all
}

impl Points {
    fn take(&mut self, figures: Vec<VersionFigures>) {
        self.now += 1;
        let step = self.now;
        let mut all = Point {
            step,
            ..Point::default()
        };
        let mut counts = HashMap::with_capacity(figures.len());
        for of in figures {
            let key = (of.function.as_str().into(), of.version);
            let now = Counts::of(&of);
            let point = now.since(self.counts.get(&key), step);
            if point.calls > 0 {
                all.add(&point);
                self.versions
                    .entry(key.clone())
                    .or_default()
                    .push_back(point);
            }
            counts.insert(key, now);
        }
        self.counts = counts;
        self.all.push_back(all);
        let oldest = step.saturating_sub(STEPS as u64);
        let forget = |points: &mut VecDeque<Point>| {
            while points.front().is_some_and(|point| point.step <= oldest) {
                points.pop_front();
            }
            !points.is_empty()
        };
        forget(&mut self.all);
        self.versions.retain(|_, points| forget(points));
    }
}

impl Counts {
    fn of(figures: &VersionFigures) -> Self {
        let mut times = [0; GROUPS];
        for (time, (_, count)) in times.iter_mut().zip(&figures.times.buckets) {
            *time = *count;
        }
        Self {
            calls: figures.calls,
            faults: figures.faults,
            client_faults: figures.client_faults,
            times,
        }
    }

    /// The point of the counts since an earlier time. Counts that fell are of a version that was forgotten in between.
    fn since(&self, before: Option<&Self>, step: u64) -> Point {
        let zero = Self {
            calls: 0,
            faults: 0,
            client_faults: 0,
            times: [0; GROUPS],
        };
        let before = before
            .filter(|before| before.calls <= self.calls)
            .unwrap_or(&zero);
        let mut times = [0; GROUPS];
        for (at, time) in times.iter_mut().enumerate() {
            let more = self.times[at].saturating_sub(before.times[at]);
            *time = u32::try_from(more).unwrap_or(u32::MAX);
        }
        Point {
            step,
            calls: self.calls - before.calls,
            faults: self.faults.saturating_sub(before.faults),
            client_faults: self.client_faults.saturating_sub(before.client_faults),
            times,
        }
    }
}

/// Takes a sample in each step, for ever.
pub(super) async fn sample(console: Arc<Console>) {
    let mut interval = tokio::time::interval(console.history.step.max(Duration::from_millis(100)));
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    interval.tick().await;
    loop {
        interval.tick().await;
        console.history.take(console.app.metrics.versions());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{CallCost, Metrics};
    use crate::settings::MetricsSettings;

    #[test]
    fn a_step_has_what_was_called_in_it() {
        let metrics = Metrics::new(&MetricsSettings::default());
        let history = History::new(Duration::from_secs(1));
        let function = metrics.function(1, 2, "hello");
        let call = |ms| {
            let cost = CallCost {
                wall: Duration::from_millis(ms),
                ..CallCost::default()
            };
            function.called(None, cost);
        };
        call(3);
        call(4);
        history.take(metrics.versions());
        history.take(metrics.versions());
        call(300);
        history.take(metrics.versions());
        let calls: Vec<_> = history
            .of("hello")
            .iter()
            .map(|point| point.calls)
            .collect();
        assert_eq!(calls, [0, 2, 0, 1]);
        assert_eq!(history.all(), history.of("hello"));
        assert_eq!(history.all(), history.of_version("hello", 2));
        assert!(history.of("other").iter().all(|point| point.calls == 0));
        let versions = history.busiest(5);
        assert_eq!((&*versions[0].function, versions[0].version), ("hello", 2));
        let sum = sum(&versions[0].points);
        assert_eq!(sum.calls, 3);
        let median = sum.quantile(0.5).unwrap();
        assert!(median > 0.0025 && median <= 0.005, "{median}");
        assert!(sum.quantile(0.99).unwrap() > 0.25);
        for _ in 0..STEPS {
            history.take(metrics.versions());
        }
        assert!(history.busiest(5).is_empty());
        assert_eq!(history.all().len(), STEPS);
        assert_eq!(Point::default().quantile(0.5), None);
    }
}
