//! A compile: its effort, and its result.

/// The effort of a compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Primed and optimised.
    Full,
    /// Compiled once, quickly and without priming: for the seconds until it is compiled in full.
    Draft,
}

/// A compiled module.
pub(crate) struct Compilation {
    pub(crate) artefact: Vec<u8>,
    /// True if no code of the module trapped or failed at upload.
    pub(super) clean: bool,
}
