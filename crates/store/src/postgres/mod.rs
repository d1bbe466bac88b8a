//! Rows in PostgreSQL, which the nodes of a fleet share.
//!
//! No module outside of this one names PostgreSQL, its driver or its tables. The features are the modules of `sql`,
//! which SQLite shares: most statements are the same text for both, and where they are not, `driver` has the words, and
//! `numbers` and `call_statements` the statements.
//!
//! There are several writers, one or two for each node, so a transaction first takes the locks of its changes
//! (`Change::locks`): what it reads is then what it finds when it writes, as it is with SQLite's one writer.
//!
//! Reading order: `address` for the settings, `session` for how a connection is made, `writer` for how rows are changed,
//! `catalogue` for how nodes learn of changes, `database` for the whole; then the features.

mod address;
mod call_statements;
mod catalogue;
mod check;
mod database;
mod driver;
mod error;
mod migrations;
mod numbers;
mod session;
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

pub(crate) use address::Address;
pub(crate) use check::{check, migrate};
pub(crate) use database::{Database, Use};
pub(crate) use transfer::Side;
