//! The HTTP server of iof.
//!
//! [`App`] holds the parts that requests use: engine, store, loaded functions, settings. [`serve`] accepts connections
//! for it. An edge passes each request to a surface: `v1`, the API of iof, described by an OpenAPI document; `web`, the
//! short addresses of functions; `second_state`, the API of the Second State FaaS of 2020, byte for byte where its
//! clients look; or `console`, pages for people. The core, which is every other module, knows none of the surfaces.

mod access;
mod app;
mod arguments;
mod auth;
mod backlog;
mod body;
mod call_log;
mod callback;
mod caller;
mod calls;
mod charset;
mod coding;
mod concurrency;
mod connection;
mod console;
mod cors;
mod deploy;
mod deploy_state;
mod edge;
mod envelope;
mod functions;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod grants;
mod host;
mod http;
mod inventory;
mod jobs;
mod json;
mod memory;
mod metrics;
mod multipart;
mod near;
mod otlp;
mod outbound_log;
mod pages;
mod parsing;
mod probes;
mod recent_faults;
mod recording;
mod replay;
mod reply;
mod runtime;
mod schedules;
mod schema;
mod second_state;
mod sent_key;
mod serve;
mod settings;
mod status;
mod stop_report;
mod storage;
mod time;
mod tls;
mod v1;
mod warnings;
mod web;
mod wording;
mod write_behind;

pub use app::{App, Parts};
pub use edge::Protocol;
pub use grants::{AS_SHIPPED, DeclaredTest, check_declaration, declaration_notes, declared_tests};
pub use inventory::{CommandKind, CommandLine, Inventory, SettingLine, SettingSource};
pub use metrics::Metrics;
pub use near::{nearest, nearest_field};
pub use otlp::{Otlp, OtlpSettings};
pub use outbound_log::{OutboundLog, OutboundSender};
pub use runtime::WorkerThreads;
pub use schema::accept as check_descriptions;
pub use serve::{Listener, serve};
pub use settings::{
    Auth, ConsoleSettings, JobSettings, MetricsSettings, RecordSettings, SecondState, Secrets,
    Settings, StatusLine, Tls,
};
pub use stop_report::StopReport;
pub use storage::Values;
pub use tls::{Certificate, Expiry, Https, Validity};
pub use v1::openapi;
pub use warnings::of_start as start_warnings;
pub use wording::plain as plain_words;
