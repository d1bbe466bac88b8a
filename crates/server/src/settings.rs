//! Settings of the HTTP side: `[server]` and `[auth]` in `iof.toml`.

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// `[server]`: how much is taken on at once.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Calls under way at once. Each takes 4 GiB of address space and as much memory as it uses. Fault `concurrency`.
    pub concurrency: u32,
    /// Calls that may wait for their turn; one more is answered 503 at once. Fault `queue`.
    pub queue: u32,
    /// How long a call waits for its turn before it is answered 503. Fault `queue-wait`.
    #[serde(with = "humantime_serde")]
    pub queue_wait: Duration,
    /// The body of a call. Fault `request-body`.
    pub request_body: ByteSize,
    /// All large bodies (over 64 KiB) in memory together, uploads included. Fault `body-memory`.
    pub body_memory: ByteSize,
    /// How long a client may take to send a body. Fault `body-wait`.
    #[serde(with = "humantime_serde")]
    pub body_wait: Duration,
    /// How long a client may take to send a request's head; then the connection is closed.
    #[serde(with = "humantime_serde")]
    pub head_wait: Duration,
    /// Connections at once; further ones wait to be accepted.
    pub connections: u32,
    /// Functions that are kept loaded; a call of another one loads it again, in a few milliseconds.
    pub loaded_functions: usize,
    /// How long a stop waits for calls under way.
    #[serde(with = "humantime_serde")]
    pub stop_wait: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            concurrency: 500,
            queue: 1_000,
            queue_wait: Duration::from_secs(5),
            request_body: ByteSize::mib(100),
            body_memory: ByteSize::gib(1),
            body_wait: Duration::from_secs(30),
            head_wait: Duration::from_secs(15),
            connections: 10_000,
            loaded_functions: 1_000,
            stop_wait: Duration::from_secs(40),
        }
    }
}

/// `[auth]`: who may upload.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// Whoever holds one of these may upload and list functions and read their sources. Without any, everybody who
    /// reaches the server may, which is why it then listens on loopback alone. At least 16 characters each.
    pub keys: Vec<String>,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth")
            .field("keys", &format_args!("{} set", self.keys.len()))
            .finish()
    }
}
