//! Limits on the connections of each address: one address gets a share of all connections, so that one client cannot
//! lock out the others.

use ipnet::IpNet;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// A count of the open connections of each address. The lock is taken when a connection begins or ends, never for a
/// request.
pub(crate) struct AddressShares {
    /// The most connections of one address; 0 for no limit.
    limit: u32,
    /// The addresses of proxies, which connect on behalf of many clients.
    proxies: Vec<IpNet>,
    open: Mutex<HashMap<IpAddr, u32>>,
}

/// A connection that counts for its address until this is dropped.
pub(crate) struct AddressShare(Option<(Arc<AddressShares>, IpAddr)>);

impl AddressShares {
    pub(crate) fn new(limit: u32, proxies: Vec<IpNet>) -> Self {
        Self {
            limit,
            proxies,
            open: Mutex::default(),
        }
    }

    /// Counts a connection; `None` if its address already has `server.connections_per_address`.
    pub(crate) fn take(self: &Arc<Self>, client: IpAddr) -> Option<AddressShare> {
        let client = client.to_canonical();
        if self.limit == 0 || self.proxies.iter().any(|proxy| proxy.contains(&client)) {
            return Some(AddressShare(None));
        }
        let client = network(client);
        let mut open = self.open.lock();
        let count = open.entry(client).or_default();
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(AddressShare(Some((Arc::clone(self), client))))
    }
}

impl Drop for AddressShare {
    fn drop(&mut self) {
        let Some((shares, client)) = self.0.take() else {
            return;
        };
        let mut open = shares.open.lock();
        if let Some(count) = open.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                open.remove(&client);
            }
        }
    }
}

/// The network that counts as one client: an IPv4 address, or the /64 of an IPv6 address.
pub(crate) fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_share_and_a_proxy_has_none() {
        let shares = Arc::new(AddressShares::new(2, vec!["127.0.0.0/8".parse().unwrap()]));
        let take = |address: &str| shares.take(address.parse().unwrap());
        let held = (take("192.0.2.1"), take("::ffff:192.0.2.1"));
        assert!(held.0.is_some() && held.1.is_some());
        assert!(take("192.0.2.1").is_none());
        assert!(take("192.0.2.2").is_some(), "another address");
        drop(held.0);
        assert!(take("192.0.2.1").is_some(), "a share that was returned");
        // An IPv6 client has a whole /64.
        let held = (take("2001:db8::1"), take("2001:db8::2"));
        assert!(held.0.is_some() && held.1.is_some());
        assert!(take("2001:db8::3").is_none());
        let proxied: Vec<_> = (0..5).map(|_| take("127.0.0.1")).collect();
        assert!(proxied.iter().all(Option::is_some));
    }

    #[test]
    fn what_ends_is_forgotten() {
        let shares = Arc::new(AddressShares::new(2, vec![]));
        drop(shares.take("192.0.2.1".parse().unwrap()));
        assert!(shares.open.lock().is_empty());
    }
}
