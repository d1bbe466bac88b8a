//! The report of a test run, for people and for programs.

use crate::escape::line;
use serde::Serialize;
use serde_json::Value as Json;
use std::fmt;

/// The longest value that is shown to people, in characters.
const SHOWN: usize = 200;

/// The report of a whole run.
#[derive(Serialize)]
pub(super) struct Report {
    functions: Vec<FunctionReport>,
    passed: usize,
    /// The number of failed calls, of functions whose own tests failed, and of functions that could not be called at
    /// all.
    pub(super) failed: usize,
    skipped: usize,
}

/// The report of one function.
#[derive(Serialize)]
pub(super) struct FunctionReport {
    function: String,
    /// The outcome of its own tests.
    tests: Outcome,
    /// The reason why it could not be called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) problem: Option<String>,
    pub(super) calls: Vec<CallReport>,
}

/// The report of one call.
#[derive(Serialize)]
pub(super) struct CallReport {
    pub(super) export: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) arguments: Option<Vec<Json>>,
    pub(super) outcome: Outcome,
    /// The result; bytes are in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) result: Option<Json>,
    /// The reason for an outcome that is not `passed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    Passed,
    Failed,
    Skipped,
}

impl FunctionReport {
    pub(super) fn new(function: String, passed: bool, problem: Option<String>) -> Self {
        let tests = match passed {
            true => Outcome::Passed,
            false => Outcome::Failed,
        };
        Self {
            function,
            tests,
            problem,
            calls: vec![],
        }
    }
}

impl Report {
    pub(super) fn of(functions: Vec<FunctionReport>) -> Self {
        let calls = || functions.iter().flat_map(|function| &function.calls);
        let count = |outcome| calls().filter(|call| call.outcome == outcome).count();
        let tests = functions
            .iter()
            .filter(|function| function.tests == Outcome::Failed);
        let problems = functions
            .iter()
            .filter(|function| function.problem.is_some());
        Self {
            passed: count(Outcome::Passed),
            failed: count(Outcome::Failed) + tests.count() + problems.count(),
            skipped: count(Outcome::Skipped),
            functions,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for function in &self.functions {
            writeln!(
                f,
                "{}: its tests {}",
                line(&function.function),
                function.tests
            )?;
            if let Some(problem) = &function.problem {
                writeln!(f, "  failed   {problem}")?;
            }
            for call in &function.calls {
                writeln!(f, "  {:7}  {call}", call.outcome)?;
            }
        }
        writeln!(
            f,
            "calls: {} passed, {} failed, {} skipped",
            self.passed,
            self.calls_failed(),
            self.skipped
        )
    }
}

impl Report {
    fn calls_failed(&self) -> usize {
        let calls = self.functions.iter().flat_map(|function| &function.calls);
        calls.filter(|call| call.outcome == Outcome::Failed).count()
    }
}

impl fmt::Display for CallReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&line(&self.export))?;
        if let Some(arguments) = &self.arguments {
            let shown: Vec<_> = arguments.iter().map(shown).collect();
            write!(f, "({})", shown.join(", "))?;
        }
        match (&self.why, &self.result) {
            (Some(why), _) => write!(f, ": {}", line(why)),
            (None, Some(Json::Null)) | (None, None) => Ok(()),
            (None, Some(result)) => write!(f, " = {}", shown(result)),
        }
    }
}

/// A value on one line, cut off if it is long.
pub(super) fn shown(value: &Json) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", line(text.get(..end).unwrap_or_default())),
        None => line(&text).into_owned(),
    }
}
