//! The context of a request: the call that causes it, and its bounds.

use iof_trace::CallTrace;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{Rules, SecretInjections};

/// The call for which a request is sent, and the bounds of the request.
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
    /// The number of calls that led to the call of this request; for [`LocalDispatch`](crate::LocalDispatch).
    pub depth: u32,
    /// The end of the call, which is also the latest end of a request.
    pub deadline: Instant,
    /// Redirects to follow, if fewer than the setting `max_redirects`.
    pub max_redirects: Option<usize>,
    /// The times that a request with a temporary failure is sent again, if its method is idempotent: at most the
    /// setting `max_retries`.
    pub retries: u32,
    /// True to request compressed responses and decode them: gzip, deflate and br. Ignored if a request carries a
    /// secret.
    pub decode: bool,
    /// The trace of the call, if traces are exported.
    pub trace: Option<&'a CallTrace>,
}
