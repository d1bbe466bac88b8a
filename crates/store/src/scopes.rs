//! The scopes of an API key.
//!
//! There are four scopes, because a key is made by a person who has to see at a glance what it opens. Finer rules (this
//! export, that address) were rejected: they belong in a function's declaration, and a key whose reach takes a page to
//! read is usually handed out with all of it.

use std::fmt;

/// An action for which a key may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Uploading functions and versions, and choosing the active version.
    Deploy,
    /// Calling functions, private ones included.
    Call,
    /// Reading functions, versions, logs and records.
    Read,
    /// Everything, the other three included.
    Admin,
}

impl Scope {
    /// All scopes, in the order in which they are written.
    pub const ALL: [Self; 4] = [Self::Deploy, Self::Call, Self::Read, Self::Admin];

    /// The name of the scope: `deploy`, `call`, `read`, `admin`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Call => "call",
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }

    /// The scope of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of scopes. Collect it from an iterator of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u8);

impl Scopes {
    /// `true` if a key with these scopes may be used for `scope`: the set contains it, or [`Scope::Admin`].
    #[must_use]
    pub fn allow(self, scope: Scope) -> bool {
        self.0 & (scope.bit() | Scope::Admin.bit()) != 0
    }

    /// `true` if the set is empty.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The scopes in the set, in the order of [`Scope::ALL`]; without those that [`Scope::Admin`] includes.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL
            .into_iter()
            .filter(move |scope| self.0 & scope.bit() != 0)
    }

    /// The set that its `Display` shows; `None` for any other text.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        text.split(',').map(Scope::named).collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |set, scope| set | scope.bit()))
    }
}

/// Comma separated: `deploy,read`.
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, scope) in self.iter().enumerate() {
            if place > 0 {
                f.write_str(",")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_allows_what_is_in_it_and_admin_allows_all() {
        for one in Scope::ALL {
            let alone = Scopes::from_iter([one]);
            for other in Scope::ALL {
                assert_eq!(
                    alone.allow(other),
                    one == other || one == Scope::Admin,
                    "{one} {other}"
                );
                assert!(!Scopes::default().allow(other));
            }
        }
        let two: Scopes = [Scope::Read, Scope::Deploy].into_iter().collect();
        assert!(two.allow(Scope::Read) && two.allow(Scope::Deploy));
        assert!(!two.allow(Scope::Call) && !two.allow(Scope::Admin));
    }

    #[test]
    fn every_set_is_read_back_from_its_text() {
        for bits in 1..16 {
            let set = Scopes(bits);
            assert_eq!(Scopes::parse(&set.to_string()), Some(set), "{set}");
            assert_eq!(set.iter().collect::<Scopes>(), set);
        }
        let all: Scopes = Scope::ALL.into_iter().collect();
        assert_eq!(all.to_string(), "deploy,call,read,admin");
        assert!(Scopes::default().is_empty() && !all.is_empty());
        for bad in ["", "root", "deploy,", ",", "Deploy", "deploy, read"] {
            assert_eq!(Scopes::parse(bad), None, "{bad:?}");
        }
    }
}
