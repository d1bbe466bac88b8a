//! Settings of the HTTP side: `[server]`, `[second_state]`, `[console]`, `[tls]` and `[auth]` in `iof.toml`, among others.
//!
//! More than 400 lines: each setting with its comment and its default.

use bytesize::ByteSize;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

/// `[server]`: limits of connections, requests and jobs.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// A domain below which each function has a host name, `<name>.<domain>`, that serves only this function. Empty for
    /// none.
    pub domain: String,
    /// The most concurrent calls. Each takes as much memory as it uses. Fault `queue` when too many wait.
    pub concurrency: u32,
    /// The most concurrent calls of one function, whatever it declares; more wait. 0 is four fifths of
    /// `server.concurrency`, so that no function takes all. Fault `concurrency`.
    pub concurrency_per_function: u32,
    /// The most calls that wait for a permit; one more is answered 503 at once. Fault `queue`.
    pub queue: u32,
    /// The time for which a call waits for a permit before it is answered 503. Fault `queue-wait`.
    #[serde(with = "humantime_serde")]
    pub queue_wait: Duration,
    /// The largest body of a call. Fault `request-body`.
    #[serde(with = "iof_engine::size")]
    pub request_body: ByteSize,
    /// All large bodies (over 64 KiB) in memory together: of requests, uploads included, and of answers until they are
    /// sent. Fault `body-memory`.
    #[serde(with = "iof_engine::size")]
    pub body_memory: ByteSize,
    /// The deepest nesting of JSON, and of fields of a form. Fault `json-depth`.
    pub json_depth: u32,
    /// Values in JSON that is checked against a schema. Fault `json-values`.
    pub json_values: u32,
    /// Steps of a check of an argument against a schema. Fault `schema-steps`.
    pub schema_steps: u64,
    /// Parts of a multipart body. Fault `multipart-parts`.
    pub multipart_parts: u32,
    /// Fields of a form. Fault `form-fields`.
    pub form_fields: u32,
    /// The time within which a client has to send a body. Fault `body-wait`.
    #[serde(with = "humantime_serde")]
    pub body_wait: Duration,
    /// The time for which a connection stays open without a request in progress, after it was accepted or its last
    /// answer was sent. It includes a TLS handshake, the first byte and a whole head.
    #[serde(with = "humantime_serde")]
    pub head_wait: Duration,
    /// The longest path and query of a request. Fault `uri-size`.
    #[serde(with = "iof_engine::size")]
    pub uri_size: ByteSize,
    /// The largest method and header fields of a request, names and values together. Fault `head-size`.
    #[serde(with = "iof_engine::size")]
    pub head_size: ByteSize,
    /// The time within which a client has to take 64 KiB of an answer, or all of it; after that its connection, or its
    /// HTTP/2 stream, is reset.
    #[serde(with = "humantime_serde")]
    pub write_wait: Duration,
    /// The most connections at once; further ones wait to be accepted.
    pub connections: u32,
    /// Files and directories that all calls together have open below their `/`. At most a quarter of the descriptors that
    /// the system allows the server. Fault `open-files`.
    pub open_files: u32,
    /// Connections of one address, or of one /64 of IPv6; further ones are closed at once. 0 for no limit.
    pub connections_per_address: u32,
    /// Networks of proxies, which connect on behalf of many clients: `server.connections_per_address` does not apply to
    /// them.
    pub proxies: Vec<IpNet>,
    /// The most unfinished jobs (calls with `Prefer: respond-async`); one more is answered 503. Fault `jobs`.
    pub jobs: u32,
    /// The most jobs that run at a time.
    pub jobs_running: u32,
    /// Requests and outcomes of all jobs together. Fault `jobs-size`.
    #[serde(with = "iof_engine::size")]
    pub jobs_size: ByteSize,
    /// Requests and outcomes of the jobs of one function. Fault `jobs-function-size`.
    #[serde(with = "iof_engine::size")]
    pub jobs_function_size: ByteSize,
    /// The time for which the outcome of a job is kept.
    #[serde(with = "humantime_serde")]
    pub job_time: Duration,
    /// Schedules of one function. Fault `ceiling`.
    pub schedules: u32,
    /// The largest payload of a schedule, as JSON. Fault `ceiling`.
    #[serde(with = "iof_engine::size")]
    pub schedule_payload: ByteSize,
    /// The shortest time between two calls of a schedule. Fault `ceiling`.
    #[serde(with = "humantime_serde")]
    pub schedule_interval: Duration,
    /// The newest times of a schedule that are run at once if the server comes to them late (`missed = "all"`); earlier
    /// ones are left out.
    pub schedule_missed: u32,
    /// Memory of loaded functions: half for code, half for the parts of their memory that stay between calls. 0 is a
    /// quarter of the machine's memory, or of the container's. A call of an evicted function loads it again.
    #[serde(with = "iof_engine::size")]
    pub loaded_memory: ByteSize,
    /// The most instances that wait for another call of their function (`reuse` in function.toml), for all functions
    /// together. Further ones are dropped, and the next call has a fresh one.
    pub idle_instances: u32,
    /// The most memory of these instances.
    #[serde(with = "iof_engine::size")]
    pub idle_memory: ByteSize,
    /// Memory of the rows of the call log that wait to be written, for all functions together. Rows without room are
    /// dropped; the counts of calls never are.
    #[serde(with = "iof_engine::size")]
    pub call_log_memory: ByteSize,
    /// The number of newest calls that the log of each function keeps; 0 for none.
    pub log_rows: u32,
    /// The number of newest rows of refused calls that the log of each function keeps; 0 for none.
    pub refused_rows: u32,
    /// The time for which a stop waits for calls in progress.
    #[serde(with = "humantime_serde")]
    pub stop_wait: Duration,
}

impl Settings {
    /// The most calls of one function at a time.
    pub(crate) fn function_concurrency(&self) -> u32 {
        match self.concurrency_per_function {
            0 => self.concurrency - self.concurrency / 5,
            most => most.min(self.concurrency),
        }
    }

    /// The most that a version can declare of jobs.
    pub(crate) fn job_ceiling(&self, jobs: &JobSettings) -> JobCeiling {
        JobCeiling {
            jobs: jobs.clone(),
            waiting: self.jobs,
            running: self.jobs_running,
        }
    }

    /// The most jobs of one function that run at a time: four fifths, so that no function takes all.
    pub(crate) fn function_jobs_running(&self) -> u32 {
        (self.jobs_running - self.jobs_running / 5).max(1)
    }

    /// The most that a version can declare of schedules.
    pub(crate) fn schedule_limits(&self) -> ScheduleLimits {
        ScheduleLimits {
            number: self.schedules,
            payload: self.schedule_payload,
            interval: self.schedule_interval,
        }
    }
}

/// The most that a version can declare of jobs.
#[derive(Clone, Debug)]
pub(crate) struct JobCeiling {
    pub(crate) jobs: JobSettings,
    /// `server.jobs`
    pub(crate) waiting: u32,
    /// `server.jobs_running`
    pub(crate) running: u32,
}

/// The most that a version can declare of schedules.
#[derive(Clone, Debug)]
pub(crate) struct ScheduleLimits {
    /// `server.schedules`
    pub(crate) number: u32,
    /// `server.schedule_payload`
    pub(crate) payload: ByteSize,
    /// `server.schedule_interval`
    pub(crate) interval: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            domain: String::new(),
            concurrency: 500,
            concurrency_per_function: 0,
            queue: 1_000,
            queue_wait: Duration::from_secs(5),
            request_body: ByteSize::mib(100),
            body_memory: ByteSize::gib(1),
            json_depth: 1_000,
            json_values: 250_000,
            schema_steps: 10_000_000,
            multipart_parts: 100,
            form_fields: 1_000,
            body_wait: Duration::from_secs(30),
            head_wait: Duration::from_secs(15),
            uri_size: ByteSize::kib(16),
            head_size: ByteSize::kib(64),
            write_wait: Duration::from_secs(30),
            connections: 10_000,
            open_files: 4_096,
            connections_per_address: 1_000,
            proxies: loopback(),
            jobs: 10_000,
            jobs_running: 8,
            jobs_size: ByteSize::mib(256),
            jobs_function_size: ByteSize::mib(64),
            job_time: Duration::from_secs(24 * 60 * 60),
            schedules: 10,
            schedule_payload: ByteSize::kib(16),
            schedule_interval: Duration::from_secs(60),
            schedule_missed: 100,
            loaded_memory: ByteSize::b(0),
            idle_instances: 64,
            idle_memory: ByteSize::mib(512),
            call_log_memory: ByteSize::mib(32),
            log_rows: 100,
            refused_rows: 100,
            stop_wait: Duration::from_secs(40),
        }
    }
}

/// The addresses of a proxy on this machine.
fn loopback() -> Vec<IpNet> {
    [
        IpNet::new(Ipv4Addr::LOCALHOST.into(), 8),
        IpNet::new(Ipv6Addr::LOCALHOST.into(), 128),
    ]
    .into_iter()
    .flatten()
    .map(|net| net.trunc())
    .collect()
}

/// `[jobs]`: how jobs are begun, repeated and called back. Their number and size are in `[server]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobSettings {
    /// The time for which a job is its owner's without a sign of it. The owner renews it at a third of that.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// The most times that a job is begun that the end of its owner interrupted. Fault `job-lost`.
    pub attempts: u32,
    /// The most `attempts` that a version can declare for jobs that fail. Fault `ceiling`.
    pub attempts_limit: u32,
    /// The pause after the first attempt that failed; each further one is twice as long, less up to a half by chance.
    #[serde(with = "humantime_serde")]
    pub backoff: Duration,
    /// The longest pause between two attempts.
    #[serde(with = "humantime_serde")]
    pub backoff_limit: Duration,
    /// The time within which a job has to begin, and the most that a version can declare. Fault `job-expired`.
    #[serde(with = "humantime_serde")]
    pub ttl: Duration,
    /// The latest beginning that a caller can ask for, from its acceptance. Fault `job-option`.
    #[serde(with = "humantime_serde")]
    pub delay: Duration,
    /// The most jobs of one function that wait, unless it declares another number; 0 is four fifths of `server.jobs`.
    /// Fault `jobs-queue`.
    pub length: u32,
    /// The most weight that a version can declare. Fault `ceiling`.
    pub weight: u32,
    /// The most times that a callback is sent.
    pub callback_attempts: u32,
    /// The largest callback; a larger one is sent without the result.
    #[serde(with = "iof_engine::size")]
    pub callback_size: ByteSize,
}

impl Default for JobSettings {
    fn default() -> Self {
        const DAY: u64 = 24 * 60 * 60;
        Self {
            lease: Duration::from_secs(30),
            attempts: 3,
            attempts_limit: 20,
            backoff: Duration::from_secs(1),
            backoff_limit: Duration::from_secs(60 * 60),
            ttl: Duration::from_secs(7 * DAY),
            delay: Duration::from_secs(30 * DAY),
            length: 0,
            weight: 10,
            callback_attempts: 8,
            callback_size: ByteSize::mib(1),
        }
    }
}

/// `[second_state]`: the API of 2020.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecondState {
    /// True if the API of 2020 is served; false if its paths do not exist.
    pub enabled: bool,
    /// The status line of an answer that was always 200 in 2020.
    pub status: StatusLine,
    /// The most requests per minute from one address; 0 for no limit. Fault `rate-limit`.
    pub rate_limit: u32,
    /// The longest chain of calls by callbacks that leads to a call. Fault `callback-depth`.
    pub callback_depth: u32,
    /// The largest state, or callback, of a function. Fault `state`.
    #[serde(with = "iof_engine::size")]
    pub state: ByteSize,
    /// The time for which the ephemeral storage keeps a value that is not written again.
    #[serde(with = "humantime_serde")]
    pub ephemeral_time: Duration,
    /// The largest value of the ephemeral storage. Fault `ephemeral-value`.
    #[serde(with = "iof_engine::size")]
    pub ephemeral_value: ByteSize,
    /// All values of the ephemeral storage together. Fault `ephemeral-total`.
    #[serde(with = "iof_engine::size")]
    pub ephemeral_total: ByteSize,
    /// Values of one address in the ephemeral storage, on a server without keys. Fault `ephemeral-share`.
    #[serde(with = "iof_engine::size")]
    pub ephemeral_share: ByteSize,
}

/// A status line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StatusLine {
    /// 200, as in 2020; the real status is in `iof-status`.
    #[default]
    Ok,
    /// The status of `iof-status`.
    Real,
}

impl Default for SecondState {
    fn default() -> Self {
        Self {
            enabled: true,
            status: StatusLine::Ok,
            rate_limit: 0,
            callback_depth: 8,
            state: ByteSize::mib(1),
            ephemeral_time: Duration::from_secs(3600),
            ephemeral_value: ByteSize::mib(1),
            ephemeral_total: ByteSize::mib(64),
            ephemeral_share: ByteSize::mib(16),
        }
    }
}

/// `[records]`: the records of outbound requests, of calls and of changes, and how much of them is kept.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecordSettings {
    /// Outbound requests and runs of commands, of all functions; the oldest are removed first.
    pub sent_rows: u64,
    /// The time for which a request or a run is kept.
    #[serde(with = "humantime_serde")]
    pub sent_age: Duration,
    /// Recorded calls of one function; the oldest are removed first.
    pub calls: u32,
    /// The time for which a recorded call is kept.
    #[serde(with = "humantime_serde")]
    pub calls_age: Duration,
    /// Recorded calls of all functions together.
    #[serde(with = "iof_engine::size")]
    pub calls_size: ByteSize,
    /// The largest call that is recorded.
    #[serde(with = "iof_engine::size")]
    pub call_size: ByteSize,
    /// Changes of all functions and of the server in the audit log; the oldest are removed first.
    pub changes: u32,
    /// Changes of one function in the audit log; the oldest are removed first.
    pub changes_function: u32,
    /// Memory of all records of requests, commands and calls that wait to be written. Records without room are dropped.
    #[serde(with = "iof_engine::size")]
    pub memory: ByteSize,
}

impl Default for RecordSettings {
    fn default() -> Self {
        const DAY: u64 = 24 * 60 * 60;
        Self {
            sent_rows: 1_000_000,
            sent_age: Duration::from_secs(30 * DAY),
            calls: 100,
            calls_age: Duration::from_secs(7 * DAY),
            calls_size: ByteSize::mib(256),
            call_size: ByteSize::mib(4),
            changes: 100_000,
            changes_function: 1_000,
            memory: ByteSize::mib(64),
        }
    }
}

/// `[metrics]`: figures for Prometheus.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsSettings {
    /// The address at which `/metrics` is served, or a port of 127.0.0.1, such as `9464`; empty: none. It takes no key:
    /// a client that reaches it can read the names of functions and their usage.
    pub listen: String,
    /// Versions of functions with figures of their own; the others are counted together.
    pub functions: u32,
}

impl Default for MetricsSettings {
    fn default() -> Self {
        Self {
            listen: String::new(),
            functions: 1000,
        }
    }
}

/// `[console]`: the pages at `/console`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsoleSettings {
    /// True if the console is served; false if its paths do not exist.
    pub enabled: bool,
    /// Sessions at once; a further sign-in is answered 503. Fault `console-sessions`.
    pub sessions: u32,
    /// The time after which a session ends, even if it is in use.
    #[serde(with = "humantime_serde")]
    pub session_time: Duration,
    /// The time after which an unused session ends.
    #[serde(with = "humantime_serde")]
    pub session_idle: Duration,
    /// Wrong keys from one address, or from one /64 of IPv6, in a minute; after that, sign-ins from there are answered 429.
    /// Clients of one proxy share an address. Fault `console-attempts`.
    pub attempts: u32,
    /// The most event streams of one session at once; each open page has one. Fault `console-streams`.
    pub streams: u32,
    /// The time between two points of the charts, of which there are 240.
    #[serde(with = "humantime_serde")]
    pub step: Duration,
}

impl Default for ConsoleSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            sessions: 1000,
            session_time: Duration::from_secs(12 * 60 * 60),
            session_idle: Duration::from_secs(60 * 60),
            attempts: 10,
            streams: 16,
            step: Duration::from_secs(5),
        }
    }
}

/// `[secrets]`: the keys under which secrets are encrypted.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Secrets {
    /// A file with keys, one per line, each 32 random bytes in base64 or hexadecimal. New secrets are encrypted under
    /// the first. The others are still read; a start of the server encrypts all secrets under the first.
    pub key_file: PathBuf,
    /// The same lines as in `secrets.key_file`, for a secret manager that fills the environment (`IOF_SECRETS_KEYS`).
    pub keys: Vec<String>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets")
            .field("key_file", &self.key_file)
            .field("keys", &format_args!("{} set", self.keys.len()))
            .finish()
    }
}

/// `[tls]`: HTTPS beside HTTP.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// The address for HTTPS, such as `127.0.0.1:8443`; empty: none.
    pub listen: String,
    /// A PEM file with the certificate and its intermediate certificates.
    pub certificate: PathBuf,
    /// A PEM file with the private key of the certificate.
    pub key: PathBuf,
    /// A certificate that the server orders and renews, instead of one in files.
    pub acme: Acme,
}

/// `[tls.acme]`: a certificate from an authority that supports ACME (RFC 8555).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Acme {
    /// Names of the certificate, such as `functions.example.com`. Port 443 of each has to lead to `tls.listen`, because
    /// the authority connects there (challenge TLS-ALPN-01). Empty: no certificate is ordered.
    pub names: Vec<String>,
    /// A mail address that the authority may write to; empty: none.
    pub contact: String,
    /// The URL of the authority's directory. `egress.ca_files` are trusted for its own certificate.
    pub directory: String,
}

impl Default for Acme {
    fn default() -> Self {
        Self {
            names: vec![],
            contact: String::new(),
            directory: "https://acme-v02.api.letsencrypt.org/directory".to_owned(),
        }
    }
}

/// `[auth]`: the keys of the server's operator.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// Keys whose holders may do everything, at least 16 characters each. Without a key, every client that reaches the server
    /// may upload and list functions, so it listens only on loopback.
    pub keys: Vec<String>,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth")
            .field("keys", &format_args!("{} set", self.keys.len()))
            .finish()
    }
}
