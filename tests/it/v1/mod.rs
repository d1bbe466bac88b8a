//! The API `/v1`.

mod audit;
mod declarations;
mod described_modules;
pub(crate) mod functions;
mod job_leases;
pub(crate) mod job_terms;
mod jobs;
mod keys;
mod openapi;
mod records;
mod replay;
mod schedules;
mod schemas;
mod schemas_refused;
mod scopes;
mod typed;
mod typed_values;
mod values;
mod warnings;
mod wrong_bodies;
