//! The layers that a warden puts around itself, one file each. Everything here is inherited by what it starts.

pub(crate) mod calls;
pub(crate) mod files;
pub(crate) mod namespaces;
pub(crate) mod network;
pub(crate) mod quotas;
pub(crate) mod root;
pub(crate) mod rules;
pub(crate) mod syscalls;
