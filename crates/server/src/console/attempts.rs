//! A limit of wrong keys from one address.

use crate::connection::network;
use iof_fault::{Fault, FaultKind};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);
/// The most addresses that are remembered. When there are more within a minute, sign-ins from unknown ones wait.
const ADDRESSES: usize = 4096;

/// The wrong keys of the last minute, by address.
pub(super) struct Attempts {
    most: u32,
    failed: Mutex<HashMap<IpAddr, (Instant, u32)>>,
}

impl Attempts {
    pub(super) fn new(most: u32) -> Self {
        Self {
            most,
            failed: Mutex::default(),
        }
    }

    /// Counts an attempt before its key is looked up, so that attempts at the same time count, too.
    ///
    /// # Errors
    /// `console-attempts`
    pub(super) fn begin(&self, client: IpAddr) -> Result<(), Fault> {
        let address = network(client);
        let mut failed = self.failed.lock();
        if failed.len() >= ADDRESSES {
            failed.retain(|_, (since, _)| since.elapsed() < MINUTE);
        }
        if failed.len() >= ADDRESSES && !failed.contains_key(&address) {
            return Err(self.refusal());
        }
        let (since, count) = failed.entry(address).or_insert((Instant::now(), 0));
        if since.elapsed() >= MINUTE {
            (*since, *count) = (Instant::now(), 0);
        }
        if *count >= self.most {
            return Err(self.refusal());
        }
        *count += 1;
        Ok(())
    }

    /// Takes back an attempt whose key was right.
    pub(super) fn succeed(&self, client: IpAddr) {
        let mut failed = self.failed.lock();
        if let Some((_, count)) = failed.get_mut(&network(client)) {
            *count = count.saturating_sub(1);
        }
    }

    fn refusal(&self) -> Fault {
        let message = format!(
            "Wrong keys came from this address: more than console.attempts = {} in a minute. Try again in a minute.",
            self.most
        );
        Fault::new(FaultKind::ConsoleAttempts, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_wrong_keys_count_and_a_network_counts_as_one() {
        let attempts = Attempts::new(2);
        let [a, b, v4]: [IpAddr; 3] =
            ["2001:db8::1", "2001:db8::2", "192.0.2.1"].map(|text| text.parse().unwrap());
        for _ in 0..5 {
            attempts.begin(a).unwrap();
            attempts.succeed(a);
        }
        attempts.begin(a).unwrap();
        attempts.begin(b).unwrap();
        let fault = attempts.begin(a).unwrap_err();
        assert_eq!(fault.kind, FaultKind::ConsoleAttempts);
        attempts.begin(v4).unwrap();
    }
}
