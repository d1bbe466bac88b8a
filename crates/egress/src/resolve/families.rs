//! The two DNS queries for a name: its IPv4 and its IPv6 addresses.
//!
//! Both are sent at once. Name servers, and middleboxes before them, drop queries for a family that they do not know,
//! so the addresses that arrived are used after a short wait, and the other answer is used only if none of them can be
//! reached (RFC 8305 section 3).

use std::net::SocketAddr;
use std::time::Duration;

use futures::future::{Either, FutureExt, select};
use hickory_resolver::TokioResolver;
use hickory_resolver::lookup_ip::LookupIp;
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::{Name, RecordType};
use tokio::time::timeout;

use super::target::ResolvedTarget;
use crate::tcp::interleave;

/// The most addresses of one name. No host needs more; a name with thousands of addresses is an attack.
const MAX_ADDRESSES: usize = 16;

/// The wait for the other family (the Resolution Delay of RFC 8305 section 3).
const DELAY: Duration = Duration::from_millis(50);

/// The answers for one family, or for both.
#[derive(Default)]
pub(super) struct FamilyAnswers {
    /// Addresses that may be dialled.
    good: Vec<SocketAddr>,
    /// Addresses that may not, and the reasons, for the operator.
    refused: Vec<String>,
    /// Errors of queries without an answer, or with the answer that there is no address.
    failures: Vec<NetError>,
}

/// The reason why a name has no address to dial.
pub(super) enum LookupError {
    /// All of its addresses are refused.
    Refused(String),
    /// The name servers gave no answer.
    Silent(NetError),
    /// The name does not exist, or has no address.
    Missing(Option<NetError>),
}

/// Looks up the addresses of `name`, without those for which `refusal` returns a reason.
pub(super) async fn lookup<'a>(
    resolver: &'a TokioResolver,
    name: Name,
    port: u16,
    refusal: impl Fn(SocketAddr) -> Option<String> + Copy + Send + Sync + 'a,
) -> Result<ResolvedTarget<'a>, LookupError> {
    let v4 = family(resolver, name.clone(), RecordType::A, port, refusal);
    let v6 = family(resolver, name, RecordType::AAAA, port, refusal);
    let (first, mut other) = match select(v4.boxed(), v6.boxed()).await {
        Either::Left(first) | Either::Right(first) => first,
    };
    let second = match first.good.is_empty() {
        true => Some(other.as_mut().await),
        false => timeout(DELAY, other.as_mut()).await.ok(),
    };
    match second {
        Some(second) => first.and(second).conclude(),
        None => {
            let more = MAX_ADDRESSES.saturating_sub(first.good.len());
            let rest = async move { other.await.good.into_iter().take(more).collect() };
            Ok(ResolvedTarget {
                addresses: first.good,
                pinned: false,
                rest: Some(rest.boxed()),
            })
        }
    }
}

async fn family(
    resolver: &TokioResolver,
    name: Name,
    kind: RecordType,
    port: u16,
    refusal: impl Fn(SocketAddr) -> Option<String>,
) -> FamilyAnswers {
    let mut found = FamilyAnswers::default();
    match resolver.lookup(name, kind).await {
        Err(e) => found.failures.push(e),
        Ok(lookup) => {
            for ip in LookupIp::from(lookup).iter().take(MAX_ADDRESSES) {
                let address = SocketAddr::new(ip, port);
                match refusal(address) {
                    None => found.good.push(address),
                    Some(why) => found.refused.push(format!("{ip} is {why}")),
                }
            }
        }
    }
    found
}

impl FamilyAnswers {
    fn and(mut self, other: FamilyAnswers) -> FamilyAnswers {
        self.good.extend(other.good);
        // Some of each family, if there are too many.
        self.good = interleave(self.good);
        self.good.truncate(MAX_ADDRESSES);
        self.refused.extend(other.refused);
        self.failures.extend(other.failures);
        self
    }

    fn conclude<'a>(self) -> Result<ResolvedTarget<'a>, LookupError> {
        if !self.good.is_empty() {
            return Ok(ResolvedTarget {
                addresses: self.good,
                pinned: false,
                rest: None,
            });
        }
        if !self.refused.is_empty() {
            return Err(LookupError::Refused(self.refused.join(", ")));
        }
        let (missing, silent): (Vec<_>, Vec<_>) = self
            .failures
            .into_iter()
            .partition(NetError::is_no_records_found);
        match silent.into_iter().next() {
            Some(e) => Err(LookupError::Silent(e)),
            None => Err(LookupError::Missing(missing.into_iter().next())),
        }
    }
}
