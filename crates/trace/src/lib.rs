//! Traces: the identity of a call among the requests that led to it, and the spans of what it did.
//!
//! Every part of a call adds its spans to the call's [`CallTrace`], which costs a push under a lock that no other call takes.
//! The server decides at the end of the call if they are exported: the call was sampled, or it failed. This crate
//! knows neither HTTP nor the protocol of collectors.

mod context;
mod ids;

pub use context::{STATE, TraceParent};
pub use ids::{SpanId, TraceId};

use parking_lot::Mutex;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// The most spans of one call; further ones are counted.
pub const SPANS: usize = 64;

/// The trace of one call.
#[derive(Debug)]
pub struct CallTrace {
    /// The trace that the call belongs to.
    pub id: TraceId,
    /// The span of the request for the call.
    pub root: SpanId,
    /// The span of the engine's work, to which all that the call does belongs.
    pub call: SpanId,
    /// The span of the request that led to it, and the state of its tracer.
    pub parent: Option<TraceParent>,
    /// True if its spans are exported however it ends.
    pub sampled: bool,
    /// The time at which the request for the call was accepted.
    pub began: SystemTime,
    clock: Instant,
    /// Nanoseconds from then to the begin and the end of the instantiation; `NEVER` if there was none.
    instantiated: [AtomicU64; 2],
    spans: Mutex<Vec<Span>>,
    left_out: AtomicU32,
}

/// Two are the same if they are of the same request.
impl PartialEq for CallTrace {
    fn eq(&self, other: &Self) -> bool {
        (self.id, self.root) == (other.id, other.root)
    }
}

impl Eq for CallTrace {}

const NEVER: u64 = u64::MAX;

/// A piece of work that has ended.
#[derive(Clone, Debug)]
pub struct Span {
    /// Its id.
    pub id: SpanId,
    /// The operation. Never anything that a guest or a client chose, beyond the name of a granted command.
    pub name: Cow<'static, str>,
    /// True for a request to another server.
    pub is_client: bool,
    /// The time at which it began.
    pub at: SystemTime,
    /// The time that it took.
    pub took: Duration,
    /// The code of what went wrong.
    pub failed: Option<&'static str>,
    /// Facts about it, each under its name.
    pub attributes: Vec<(&'static str, Value)>,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(Box<str>),
    /// A number.
    Number(i64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl CallTrace {
    /// The trace of a call that begins now.
    #[must_use]
    pub fn begin(parent: Option<TraceParent>, sampled: bool) -> Arc<Self> {
        Arc::new(Self {
            id: parent.as_ref().map_or_else(TraceId::random, |of| of.trace),
            root: SpanId::random(),
            call: SpanId::random(),
            parent,
            sampled,
            began: SystemTime::now(),
            clock: Instant::now(),
            instantiated: [AtomicU64::new(NEVER), AtomicU64::new(NEVER)],
            spans: Mutex::default(),
            left_out: AtomicU32::new(0),
        })
    }

    /// Notes that the instantiation of the call begins, and that it ended.
    pub fn instantiates(&self) {
        let [began, _] = &self.instantiated;
        began.store(self.now(), Ordering::Relaxed);
    }

    /// Notes that the instantiation of the call ended.
    pub fn is_instantiated(&self) {
        let [_, ended] = &self.instantiated;
        ended.store(self.now(), Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_nanos()).unwrap_or(NEVER - 1)
    }

    /// The time from the begin of the call's trace until its instance was begun, and the time that it took.
    #[must_use]
    pub fn instantiation(&self) -> Option<(Duration, Duration)> {
        let [began, ended] = self.instantiated.each_ref();
        let (began, ended) = (began.load(Ordering::Relaxed), ended.load(Ordering::Relaxed));
        let took = (ended != NEVER).then(|| ended.checked_sub(began))??;
        Some((Duration::from_nanos(began), Duration::from_nanos(took)))
    }

    /// The time since the begin of the call's trace.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Adds a span of the call's work.
    pub fn add(&self, span: Span) {
        let mut spans = self.spans.lock();
        match spans.len() < SPANS {
            true => spans.push(span),
            false => drop(self.left_out.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// Takes the spans of the call's work, and the number of those that had no room.
    #[must_use]
    pub fn take(&self) -> (Vec<Span>, u32) {
        let spans = std::mem::take(&mut *self.spans.lock());
        (spans, self.left_out.load(Ordering::Relaxed))
    }

    /// The context of a request that the call makes, whose span is `span`.
    #[must_use]
    pub fn child(&self, span: SpanId) -> TraceParent {
        TraceParent {
            trace: self.id,
            span,
            sampled: self.sampled,
            state: self.parent.as_ref().and_then(|of| of.state.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(name: &'static str) -> Span {
        Span {
            id: SpanId::random(),
            name: name.into(),
            is_client: false,
            at: SystemTime::now(),
            took: Duration::ZERO,
            failed: None,
            attributes: vec![],
        }
    }

    #[test]
    fn spans_are_bounded_and_counted() {
        let trace = CallTrace::begin(None, true);
        for _ in 0..SPANS + 5 {
            trace.add(span("a"));
        }
        let (spans, left_out) = trace.take();
        assert_eq!((spans.len(), left_out), (SPANS, 5));
    }

    #[test]
    fn a_call_goes_on_with_the_trace_of_its_caller() {
        let caller = CallTrace::begin(None, true);
        let child = CallTrace::begin(Some(caller.child(caller.call)), false);
        assert_eq!(child.id, caller.id);
        assert_ne!(child.root, caller.root);
        assert_eq!(child.parent.as_ref().unwrap().span, caller.call);
        assert!(child.instantiation().is_none());
        child.instantiates();
        child.is_instantiated();
        assert!(child.instantiation().is_some());
    }
}
