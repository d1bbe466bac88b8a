//! The keys of the server, which decide who may upload, list and read.
//!
//! A function's own keys (`SSVM_Usage_Key`, `SSVM_Admin_Key`) are in the store. The server's keys guard everything that
//! no function's key opens.

use crate::settings::Auth;
use http::HeaderMap;
use iof_fault::{Fault, FaultKind};
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};

/// The configured keys, as digests.
pub(crate) struct Keys(Vec<[u8; 32]>);

impl Keys {
    pub(crate) fn new(auth: &Auth) -> Self {
        Self(
            auth.keys
                .iter()
                .map(|key| Sha256::digest(key.as_bytes()).into())
                .collect(),
        )
    }

    /// Returns whether any key is configured.
    pub(crate) fn are_set(&self) -> bool {
        !self.0.is_empty()
    }

    /// Returns whether a request may do what takes a server key: it carries a configured key, or no key is configured.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> bool {
        !self.are_set() || self.is_operator(headers)
    }

    /// Returns whether a request carries a configured key.
    pub(crate) fn is_operator(&self, headers: &HeaderMap) -> bool {
        given(headers).is_some_and(|key| self.are(key))
    }

    /// Returns whether a text is one of the keys.
    pub(crate) fn are(&self, key: &str) -> bool {
        self.place(key).is_some()
    }

    /// The place of the key that a request carries in the list, from 1 on, by which the audit log names it.
    pub(crate) fn place_of(&self, headers: &HeaderMap) -> Option<i64> {
        self.place(given(headers)?)
    }

    fn place(&self, key: &str) -> Option<i64> {
        let digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        // Every key is compared, so that the time does not reveal which one matched.
        let places = self.0.iter().zip(1_i64..);
        let place = places.fold(0, |found, (known, place)| {
            i64::conditional_select(&found, &place, known.ct_eq(&digest))
        });
        (place > 0).then_some(place)
    }
}

/// The key that a request carries.
pub(crate) fn given(headers: &HeaderMap) -> Option<&str> {
    bearer(headers).or_else(|| headers.get("iof-key")?.to_str().ok())
}

/// The token of `Authorization: Bearer`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(http::header::AUTHORIZATION)?;
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The refusal of a request that needs a key of the server.
pub(crate) fn key_fault() -> Fault {
    Fault::new(
        FaultKind::Key,
        "This request takes a key of the server (auth.keys): send it as `Authorization: Bearer KEY` or `iof-key: KEY`.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_needed_as_soon_as_one_is_configured() {
        let keys = Keys::new(&Auth {
            keys: vec!["correct horse battery".into(), "another long key".into()],
        });
        let with = |name: &'static str, value: &str| {
            HeaderMap::from_iter([(http::HeaderName::from_static(name), value.parse().unwrap())])
        };
        assert!(Keys::new(&Auth::default()).admit(&HeaderMap::new()));
        assert!(!keys.admit(&HeaderMap::new()));
        assert!(keys.admit(&with("authorization", "Bearer correct horse battery")));
        assert!(keys.admit(&with("authorization", "bearer another long key")));
        assert!(keys.admit(&with("iof-key", "another long key")));
        assert!(!keys.admit(&with("authorization", "Basic correct horse battery")));
        assert!(!keys.admit(&with("iof-key", "another long kex")));
        assert!(!keys.admit(&with("iof-key", "")));
    }
}
