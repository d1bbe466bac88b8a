//! The addresses that a host and a port lead to.

use std::net::SocketAddr;

use crate::tcp::Rest;

/// Where a host leads.
pub(crate) struct Way<'a> {
    /// At least one.
    pub(crate) addresses: Vec<SocketAddr>,
    /// Whether the operator said so.
    pub(crate) pinned: bool,
    /// For when none of these is reached.
    pub(crate) rest: Rest<'a>,
}

impl Way<'_> {
    pub(super) fn to(address: SocketAddr) -> Self {
        Way {
            addresses: vec![address],
            pinned: false,
            rest: None,
        }
    }
}
