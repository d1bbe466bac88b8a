//! Coverage: one rule allows all that another does.
//!
//! The operator's rules are the ceiling of a function's, and this is asked when a function is
//! deployed, so that a rule above the ceiling is an error then and not a denied request later. One
//! rule has to cover the wanted one alone: that two cover it together (`GET` and `POST`) would be
//! true for some, and nobody would see from the settings which.

use url::Host;

use super::{HostPattern, Methods, PortPattern, Rule, Rules};

impl Rules {
    /// The first rule that allows all that `wanted` does.
    pub fn covers(&self, wanted: &Rule) -> Option<&Rule> {
        self.0.iter().find(|rule| rule.covers(wanted))
    }
}

impl Rule {
    /// Returns whether everything that `other` allows is allowed by this rule.
    pub fn covers(&self, other: &Rule) -> bool {
        self.scheme == other.scheme
            && self.methods.cover(&other.methods)
            && self.host.covers(&other.host)
            && self.port.covers(other.port)
            // Segments are decoded and hold nothing that is read in two ways (`path::segments`).
            && other.path.starts_with(&self.path)
    }
}

impl Methods {
    fn cover(&self, other: &Methods) -> bool {
        match (self, other) {
            (Methods::Any, _) => true,
            // Methods are an open set: no list is all of them.
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
            // What is below a name below the domain is below the domain.
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
