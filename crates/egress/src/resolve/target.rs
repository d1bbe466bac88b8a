//! The addresses that a host and a port lead to.

use std::net::SocketAddr;

use crate::tcp::Rest;

/// The addresses that a host leads to.
pub(crate) struct ResolvedTarget<'a> {
    /// At least one.
    pub(crate) addresses: Vec<SocketAddr>,
    /// True if the operator said so.
    pub(crate) pinned: bool,
    /// For when none of these is reached.
    pub(crate) rest: Rest<'a>,
}

impl ResolvedTarget<'_> {
    pub(super) fn to(address: SocketAddr) -> Self {
        ResolvedTarget {
            addresses: vec![address],
            pinned: false,
            rest: None,
        }
    }
}
