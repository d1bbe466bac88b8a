//! The context of a command's requests: the call's, bounded by the command's own deadline.

use iof_command::CallContext;
use iof_egress::Outbound;
use tokio::time::Instant;

/// Builds the context of a request that a command makes for `call`, which ends at `deadline` at the
/// latest.
pub(crate) fn outbound(call: &CallContext, deadline: Instant) -> Outbound<'_> {
    Outbound {
        call: call.call,
        function: &call.function,
        function_id: call.function_id,
        version: call.version,
        rules: &call.grants.outbound,
        secrets: &call.secrets,
        depth: call.depth,
        deadline: deadline.min(call.deadline),
        max_redirects: None,
        retries: 0,
        decode: false,
        trace: call.trace.as_deref(),
    }
}
