//! The request and the output of a command, and the call that it runs for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use iof_policy::{Rules, SecretInjections};
use iof_trace::CallTrace;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

/// The input of a command, from a function.
#[derive(Clone, Debug)]
pub struct Request {
    /// The arguments, without the command's name.
    pub args: Vec<String>,
    /// The environment, which is all of it: nothing is inherited.
    pub env: Vec<(String, String)>,
    /// The whole of standard input.
    pub stdin: Bytes,
    /// The time that the command may take; the call's deadline may come earlier.
    pub timeout: Duration,
}

/// The result of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// The exit status, 0 for success.
    pub status: i32,
    /// The whole of standard output.
    pub stdout: Bytes,
    /// The whole of standard error.
    pub stderr: Bytes,
    /// The code of the limit that ended it, for the record.
    pub stopped: Option<&'static str>,
}

/// The exit status of a command whose time was over: `ETIMEDOUT`, which SSVM returned for one that it killed. A command
/// that keeps time may end with it, and say on stderr what it waited for.
pub const TIMED_OUT: i32 = 110;

/// The reason why a command was not run, or not to its end. The engine decides how a function sees it: that depends on
/// the function's kind (a 2020 module gets what SSVM returned).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The function has no grant for the name, whether it exists or not.
    #[error("the command is not granted")]
    NotGranted,
    /// The name is granted, but no command has it.
    #[error("there is no such command")]
    NotFound,
    /// The request's timeout or the call's deadline passed.
    #[error("the command's time was over")]
    TimedOut,
}

impl Refusal {
    pub(crate) fn outcome(self) -> &'static str {
        match self {
            Refusal::NotGranted => "not-granted",
            Refusal::NotFound => "not-found",
            Refusal::TimedOut => "timed-out",
        }
    }
}

/// The call that a command runs in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CallContext {
    /// The call's id, under which everything it does is logged.
    pub call: Uuid,
    /// The function's name.
    pub function: Arc<str>,
    /// The function's number.
    pub function_id: i64,
    /// The function's version.
    pub version: i64,
    /// The grants of the function's version.
    pub grants: Arc<Grants>,
    /// The secrets that the host adds to its requests, whichever command makes them.
    pub secrets: Arc<SecretInjections>,
    /// The number of calls that led to this one, each causing the next.
    pub depth: u32,
    /// The time at which the call ends, and every command in it.
    pub deadline: Instant,
    /// The trace that the call belongs to, if traces are exported.
    pub trace: Option<Arc<CallTrace>>,
}

/// The grants of one version of a function. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grants {
    /// The commands, by name.
    pub commands: BTreeSet<String>,
    /// The rules of its requests, whichever command or interface makes them.
    pub outbound: Rules,
    /// True if it may keep values between calls.
    pub storage: bool,
}

impl Grants {
    /// The grants of a function that declares none, unless the operator decides otherwise:
    /// `http_proxy`, to public addresses, on the ports 80 and 443, and storage.
    pub fn as_shipped() -> Grants {
        // Fixed texts; a test parses them.
        let rules = ["* http://*", "* https://*"];
        Grants {
            commands: BTreeSet::from(["http_proxy".to_owned()]),
            outbound: rules.iter().filter_map(|rule| rule.parse().ok()).collect(),
            storage: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_readable_and_deny_by_default() {
        assert_eq!(toml::from_str::<Grants>("").unwrap(), Grants::default());
        assert!(Grants::default().commands.is_empty() && Grants::default().outbound.0.is_empty());
        let text = toml::to_string(&Grants::as_shipped()).unwrap();
        assert_eq!(
            text,
            "commands = [\"http_proxy\"]\noutbound = [\"* http://*\", \"* https://*\"]\nstorage = true\n"
        );
        assert_eq!(
            toml::from_str::<Grants>(&text).unwrap(),
            Grants::as_shipped()
        );
        assert!(toml::from_str::<Grants>("comands = []").is_err());
    }
}
