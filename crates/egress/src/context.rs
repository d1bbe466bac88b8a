//! The context of a request: the call that causes it, and the bounds that it has.

use tokio::time::Instant;
use uuid::Uuid;

use crate::{Rules, SecretInjections};

/// On whose behalf a request leaves, and within which bounds.
#[derive(Clone, Copy, Debug)]
pub struct Outbound<'a> {
    /// The call's id, for the log.
    pub call: Uuid,
    /// The function's name, for the log and for `max_concurrent_per_function`.
    pub function: &'a str,
    /// The function's number, for an [`Observer`](crate::Observer).
    pub function_id: i64,
    /// The function's version, for an [`Observer`](crate::Observer).
    pub version: i64,
    /// The outbound rules of the function.
    pub rules: &'a Rules,
    /// The secrets that the host adds to the function's requests; [`SecretInjections::NONE`] for nothing.
    pub secrets: &'a SecretInjections,
    /// The number of calls that led to the one that asks; for [`LocalDispatch`](crate::LocalDispatch).
    pub depth: u32,
    /// When the call ends; a request ends then at the latest.
    pub deadline: Instant,
    /// Redirects to follow, if fewer than the setting `max_redirects`.
    pub max_redirects: Option<usize>,
    /// The times that a request that failed for a moment is sent again, if its method is idempotent: at
    /// most as often as the setting `max_retries` says.
    pub retries: u32,
    /// True if compressed responses are asked for and decoded: gzip, deflate and br. Not if a
    /// request carries a secret.
    pub decode: bool,
}
