//! The addresses of a host and a port.

use std::net::SocketAddr;

use crate::tcp::Rest;

/// The addresses of a host.
pub(crate) struct ResolvedTarget<'a> {
    /// At least one.
    pub(crate) addresses: Vec<SocketAddr>,
    /// True if the operator pinned them.
    pub(crate) pinned: bool,
    /// Addresses for when none of these is reached.
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
