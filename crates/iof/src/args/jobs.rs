//! Arguments of `iof jobs`.

use super::functions::duration;
use super::{Remote, function};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args as Arguments, Subcommand};
use std::time::Duration;

#[derive(Debug, Arguments)]
pub(crate) struct Jobs {
    #[command(subcommand)]
    pub(crate) what: JobsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobsCommand {
    /// List jobs, the newest first
    #[command(visible_alias = "ls")]
    #[command(after_help = "\
A job that ended without success has the reason as its outcome: failed, cancelled, expired (it did
not begin in time) or lost (it was interrupted too often).

Examples:
  iof jobs list report                       those of a function
  iof jobs list report --outcome failed      those that failed
  iof jobs list --state queued --json        those that wait, of all functions")]
    List {
        /// Name or number of the function [default: all functions]
        #[arg(value_parser = function)]
        function: Option<String>,
        /// Only jobs in this state
        #[arg(long, value_parser = ["queued", "running", "done"])]
        state: Option<String>,
        /// Only jobs that ended so
        #[arg(long, value_parser = ["ok", "failed", "cancelled", "expired", "lost"])]
        outcome: Option<String>,
        /// Only jobs of this priority
        #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
        priority: Option<i64>,
        /// Only jobs that were accepted since this long ago, such as 10m or 2h
        #[arg(long, value_name = "TIME", value_parser = duration)]
        since: Option<Duration>,
        /// Number of rows
        #[arg(short = 'n', long, value_name = "ROWS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Page after this one, as the end of the list names it
        #[arg(long, value_name = "PAGE")]
        before: Option<String>,
        #[command(flatten)]
        remote: Remote,
    },
    /// Show a job: its state, its attempts, and its place in its queue
    Show {
        /// Its id
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        job: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Cancel a job that waits
    Cancel {
        /// Its id
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        job: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Run a job that ended without success once more, as another job
    Retry {
        /// Its id
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        job: String,
        #[command(flatten)]
        remote: Remote,
    },
}
