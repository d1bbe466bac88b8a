//! Rows in SQLite, embedded: the only database so far.
//!
//! No module outside of this one names SQLite, its driver or its tables. Each feature is a file with its reads, which
//! any of a few connections answers, and its changes, which the one writing connection makes; both implement the
//! feature's trait of [`rows`](crate::rows).
//!
//! Reading order: `connection` for how the file is opened, `writer` and `change` for how rows are changed, `database`
//! for the whole; then the features.

mod api_keys;
mod call_chunk;
mod calls;
mod change;
mod changes;
mod column;
mod connection;
mod database;
mod delete_function;
mod ephemeral;
mod error;
mod functions;
mod job_changes;
mod job_leases;
mod job_queues;
mod job_rows;
mod jobs;
mod migrations;
mod outbound;
mod outbound_query;
mod record_calls;
mod recordings;
mod refused_calls;
mod rollout;
mod schedules;
mod secrets;
pub(crate) mod snapshot;
mod value_rows;
mod values;
mod versions;
mod writer;

pub(crate) use database::Database;
