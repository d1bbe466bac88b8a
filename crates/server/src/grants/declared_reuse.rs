//! `reuse` in `function.toml`: instances that serve more than one call.

use iof_engine::{Kind, Manifest, Reuse};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The most calls of one instance.
const CALLS: u32 = 10_000;
/// The longest time that an instance waits for a call.
const IDLE: Duration = Duration::from_secs(60);

/// The conditions under which an instance is used again, as a version declares them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DeclaredReuse {
    /// The most calls of one instance.
    calls: u32,
    /// The most calls of one instance at the same time: 1.
    concurrent: u32,
    /// The longest time that an instance waits for its next call.
    #[serde(with = "humantime_serde")]
    idle: Duration,
}

impl Default for DeclaredReuse {
    fn default() -> Self {
        Self {
            calls: 128,
            concurrent: 1,
            idle: Duration::from_secs(1),
        }
    }
}

impl DeclaredReuse {
    /// The conditions for the engine.
    pub(crate) fn conditions(&self) -> Reuse {
        Reuse {
            calls: self.calls,
            idle: self.idle,
        }
    }

    /// Checks the fields.
    ///
    /// # Errors
    /// The field and its problem.
    pub(super) fn check(&self) -> Result<(), String> {
        if !(2..=CALLS).contains(&self.calls) {
            return Err(format!(
                "calls: not between 2 and {CALLS}: got {}. Write a number in between, or leave reuse out for a fresh instance for \
                 each call",
                self.calls
            ));
        }
        if self.concurrent != 1 {
            return Err(format!(
                "concurrent: an instance serves one call at a time: got {}. Write 1, or leave it out; calls at the same time have \
                 an instance each",
                self.concurrent
            ));
        }
        if self.idle < Duration::from_millis(100) || self.idle > IDLE {
            return Err(format!(
                "idle: not between 100ms and {}: got {}. Write a time in between",
                humantime_serde::re::humantime::format_duration(IDLE),
                humantime_serde::re::humantime::format_duration(self.idle)
            ));
        }
        Ok(())
    }

    /// Checks that instances of a module can be used again.
    ///
    /// # Errors
    /// The reason why they cannot.
    pub(super) fn fits(&self, manifest: &Manifest) -> Result<(), String> {
        let new = match manifest.kind {
            Kind::Bindgen => "a core module starts in microseconds, and always in a fresh instance",
            Kind::WasiCommand => "a program runs from its start to its end once in an instance",
            Kind::Typed | Kind::Http if uses_0_3(manifest) => {
                "a component of WASI 0.3 may leave tasks behind that the server cannot see"
            }
            Kind::Typed | Kind::Http => return Ok(()),
        };
        Err(format!("{new}. Leave reuse out"))
    }
}

/// Returns whether a component uses interfaces of WASI 0.3, whose calls can continue in the host.
fn uses_0_3(manifest: &Manifest) -> bool {
    let Some(world) = &manifest.world else {
        return false;
    };
    let names = world.exports.iter().map(|export| &export.name);
    let symbols = manifest.exports.iter().map(|export| &export.symbol);
    let mut all = world.imports.iter().chain(names).chain(symbols);
    all.any(|name| name.contains("@0.3."))
}
