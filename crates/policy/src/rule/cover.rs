//! Coverage: the test that one rule allows everything that another does.
//!
//! The operator's rules are the ceiling of a function's, and this is checked when a function is deployed, so that a
//! rule above the ceiling is an error then and not a denied request later. A single rule has to cover the wanted one: a
//! test that accepts two rules together (`GET` and `POST`) would hold only for some rules, and the settings would not
//! show for which.

use url::Host;

use super::{HostPattern, Methods, PortPattern, Rule, Rules};

impl Rules {
    /// The first rule that allows everything that `wanted` does.
    pub fn covers(&self, wanted: &Rule) -> Option<&Rule> {
        self.0.iter().find(|rule| rule.covers(wanted))
    }
}

impl Rule {
    /// Returns whether this rule allows everything that `other` allows.
    pub fn covers(&self, other: &Rule) -> bool {
        self.scheme == other.scheme
            && self.methods.cover(&other.methods)
            && self.host.covers(&other.host)
            && self.port.covers(other.port)
            // Segments are decoded and have only one reading (`path::segments`).
            && other.path.starts_with(&self.path)
    }
}

impl Methods {
    fn cover(&self, other: &Methods) -> bool {
        match (self, other) {
            (Methods::Any, _) => true,
            // Methods are an open set: no list contains all of them.
            (Methods::Listed(_), Methods::Any) => false,
            (Methods::Listed(mine), Methods::Listed(others)) => {
                others.iter().all(|method| mine.contains(method))
            }
        }
    }
}

impl HostPattern {
    fn covers(&self, other: &HostPattern) -> bool {
        match (self, other) {
            (HostPattern::Any, _) => true,
            (_, HostPattern::Any) => false,
            // A name below a subdomain is also below the domain.
            (HostPattern::Below(mine), HostPattern::Below(other)) => {
                mine == other || self.contains(&Host::Domain(other.as_str()))
            }
            (_, HostPattern::Below(_)) => false,
            (_, HostPattern::Is(host)) => self.contains(host),
        }
    }
}

impl PortPattern {
    fn covers(self, other: PortPattern) -> bool {
        self == PortPattern::Any || self == other
    }
}
