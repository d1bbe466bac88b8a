//! Features of shared dependencies; see `Cargo.toml`.
//!
//! Cargo compiles a dependency with the union of the features that the selected packages enable, so two selections
//! compile it twice, with everything that depends on it. `resolver.feature-unification` will make this package
//! unnecessary.
