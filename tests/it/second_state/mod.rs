//! The API of 2020.

mod api;
mod argument_rules;
mod callbacks;
mod chains;
mod clients;
mod ephemeral;
mod fetches;
mod fetches_refused;
mod hidden;
mod keys_state_logs;
mod logs_usage;
pub(crate) mod modules;
mod multipart;
mod multipart_refused;
mod rate_limit;
mod sources;
mod update;
pub(crate) mod walk;
mod walk_functions;
mod walk_state;
