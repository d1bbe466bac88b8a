//! Rows in SQLite, embedded.
//!
//! No module outside of this one names SQLite, its driver or its tables. Each feature is a file with its reads, which
//! any of a few connections answers, and its changes, which the one writing connection makes; both implement the
//! feature's trait of [`rows`](crate::rows). The features are the modules of `sql`, which PostgreSQL shares: they are
//! compiled once for each database, with the types and the words of its `driver`. Rejected: functions that are generic
//! over the driver, whose bounds would be longer than they; and a copy for each database.
//!
//! Reading order: `connection` for how the file is opened, `writer` and `change` for how rows are changed, `database`
//! for the whole; then the features.

mod call_statements;
mod connection;
mod database;
mod driver;
mod error;
mod migrations;
mod numbers;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod queued_tests;
pub(crate) mod snapshot;
mod transfer;
mod writer;

#[path = "../sql/api_keys.rs"]
mod api_keys;
#[path = "../sql/call_chunk.rs"]
mod call_chunk;
#[path = "../sql/calls.rs"]
mod calls;
#[path = "../sql/change.rs"]
mod change;
#[path = "../sql/changes.rs"]
mod changes;
#[path = "../sql/column.rs"]
mod column;
#[path = "../sql/delete_function.rs"]
mod delete_function;
#[path = "../sql/ephemeral.rs"]
mod ephemeral;
#[path = "../sql/functions.rs"]
mod functions;
#[path = "../sql/job_changes.rs"]
mod job_changes;
#[path = "../sql/job_leases.rs"]
mod job_leases;
#[path = "../sql/job_queues.rs"]
mod job_queues;
#[path = "../sql/job_rows.rs"]
mod job_rows;
#[path = "../sql/jobs.rs"]
mod jobs;
#[path = "../sql/outbound.rs"]
mod outbound;
#[path = "../sql/outbound_query.rs"]
mod outbound_query;
#[path = "../sql/record_calls.rs"]
mod record_calls;
#[path = "../sql/recordings.rs"]
mod recordings;
#[path = "../sql/refused_calls.rs"]
mod refused_calls;
#[path = "../sql/rollout.rs"]
mod rollout;
#[path = "../sql/schedules.rs"]
mod schedules;
#[path = "../sql/secrets.rs"]
mod secrets;
#[path = "../sql/value_rows.rs"]
mod value_rows;
#[path = "../sql/values.rs"]
mod values;
#[path = "../sql/versions.rs"]
mod versions;

pub(crate) use database::Database;
pub(crate) use transfer::Side;
