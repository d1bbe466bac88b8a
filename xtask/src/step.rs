//! The output of a chore: its steps, their durations, errors and next steps.

use std::{
    fmt,
    io::Write,
    time::{Duration, Instant},
};

/// The reason why a chore cannot continue.
#[derive(Debug)]
pub(crate) struct Problem {
    message: String,
    next: Option<String>,
}

/// The result of a chore.
pub(crate) type Outcome<T = ()> = Result<T, Problem>;

impl Problem {
    pub(crate) fn new(message: impl fmt::Display) -> Self {
        Self {
            message: message.to_string(),
            next: None,
        }
    }

    /// Adds the next step for the reader.
    pub(crate) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "problem: {}", self.message)?;
        match &self.next {
            Some(next) => write!(f, "\nnext: {next}"),
            None => Ok(()),
        }
    }
}

/// Announces a step, does it, and prints how long it took. The step may print lines of its own in between.
pub(crate) fn step<T>(title: &str, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    println!("== {title}");
    let _ = std::io::stdout().flush();
    let start = Instant::now();
    let outcome = work();
    let took = seconds(start.elapsed());
    match &outcome {
        Ok(_) => println!("   done in {took}"),
        Err(_) => println!("   failed after {took}"),
    }
    outcome
}

/// A duration for people.
pub(crate) fn seconds(duration: Duration) -> String {
    match duration.as_secs() {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        whole => format!("{} min {} s", whole / 60, whole % 60),
    }
}
