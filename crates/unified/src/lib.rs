//! Features of shared dependencies; see `Cargo.toml`.
//!
//! Cargo compiles a dependency for the features that the selected packages ask for together, so that two selections
//! compile it twice, and all that stands on it. `resolver.feature-unification` will make this package unnecessary.
