//! The options of a build.

use crate::machine::Machine;

/// Options of a build.
#[derive(Clone, Debug)]
pub struct Options {
    /// The package of a workspace to build.
    pub package: Option<String>,
    /// True for a quick build with checks and debug names, instead of an optimised one.
    pub debug: bool,
    /// True to fail instead of changing `Cargo.lock`.
    pub locked: bool,
    /// True if rustup may add a target.
    pub add_target: bool,
    /// True to use wasm-opt if it is available.
    pub optimise: bool,
    /// The machine on which programs are looked up.
    pub machine: Machine,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            package: None,
            debug: false,
            locked: false,
            add_target: true,
            optimise: true,
            machine: Machine::this(),
        }
    }
}
