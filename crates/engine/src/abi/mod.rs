//! How values cross into a module and out of it: one file for each kind.

pub(crate) mod bindgen;
pub(crate) mod descriptor;
mod given;
pub(crate) mod guest;
