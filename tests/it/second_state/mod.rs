//! The API of 2020.

mod api;
mod argument_rules;
mod callbacks;
mod chains;
mod clients;
mod ephemeral;
mod fetches;
mod hidden;
mod keys_state_logs;
pub(crate) mod modules;
mod multipart;
mod rate_limit;
mod sources;
mod update;
pub(crate) mod walk;
mod walk_functions;
mod walk_state;
