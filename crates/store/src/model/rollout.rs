//! The active version of a function, and the share of a canary.

use std::fmt;

use super::versions::Version;
use crate::error::Error;

/// The way in which a new version is rolled out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rollout {
    /// The version becomes the active one, and no version is the canary.
    Active,
    /// The version becomes the canary, in place of any other, with this share of the calls.
    Canary(Percent),
    /// The version runs no calls of the function; nothing else changes.
    Idle,
}

/// A share of the calls, from 1 to 99 percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(u8);

impl Percent {
    /// A share of `percent` percent.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is not 1 to 99.
    pub fn new(percent: u8) -> Result<Self, Error> {
        Self::within(percent).ok_or_else(|| Error::Invalid {
            what: format!("the canary's share of the calls is not 1 to 99 percent: got {percent}"),
        })
    }

    pub(crate) fn within(percent: u8) -> Option<Self> {
        (1..=99).contains(&percent).then_some(Self(percent))
    }

    /// The share in percent.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0)
    }
}

/// The version that gets a share of the calls; the active version gets the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    /// The version that these calls run. Never the active one.
    pub version: Version,
    /// Their share.
    pub percent: Percent,
}

/// The refusal of a canary that is the active version.
pub(crate) fn active_canary(function_id: i64, number: i64) -> Error {
    Error::Invalid {
        what: format!(
            "version {number} of function {function_id} is the active one, so it cannot be the canary. Choose another version for the canary"
        ),
    }
}
