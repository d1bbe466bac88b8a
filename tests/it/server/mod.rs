//! The server itself: its listeners, limits, metrics, start and stop.

mod acme;
mod architecture;
mod body_codings;
mod browser;
mod call_log;
mod compile_workers;
mod connections;
mod container;
mod dist;
mod durability;
mod forms;
mod guide;
mod hidden_functions;
mod hosts;
mod jobs_disk;
pub(crate) mod json_bodies;
mod json_log;
mod limits;
mod metrics;
mod neighbours;
mod pages;
mod service;
mod strangers;
mod tenants;
mod tls;
mod upgrade;
mod uploads;
