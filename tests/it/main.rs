//! Black-box tests of the `iof` binary: one file a feature, one program for all of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends there, and a test may block"
)]

mod architecture;
mod argument_rules;
mod attacks;
mod author;
mod backup;
mod bindgen;
mod body_codings;
mod browser;
mod build_table;
mod call_log;
mod callbacks;
mod caller_secrets;
mod chains;
mod cli;
mod commands;
mod compile_workers;
mod connections;
mod counting;
mod described_modules;
mod dev;
mod dist;
mod durability;
mod ephemeral;
mod era;
mod era_sources;
mod fetches;
mod first_hour;
mod forms;
mod grants;
mod guest_codes;
mod hidden;
mod host_calls;
mod host_limits;
mod imports;
mod infer;
mod inside;
mod jobs_disk;
mod joey_client;
mod joey_functions;
mod joey_state;
mod joey_walk;
mod json_bodies;
mod json_log;
mod keys_state_logs;
mod limits;
mod metrics;
mod modules;
mod multipart;
mod native;
mod native_bodies;
mod openapi;
mod outbound;
mod pages;
mod program;
mod rate_limit;
mod records;
mod replay;
mod resident;
mod schemas;
mod second_state;
mod secrets;
mod secrets_kept;
mod send_email;
mod service;
mod shapes;
mod signed_requests;
mod stale_connection;
mod stand_in;
mod storage;
mod story;
mod story_records;
mod tenants;
mod terminal;
mod tls;
mod typed;
mod update;
mod upgrade;
mod uploads;
mod upstream;
mod v1;
mod v1_jobs;
mod v1_keys;
mod wasi;
mod wasmedge_bindgen;
mod webhooks;
