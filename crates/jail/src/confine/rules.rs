//! The Landlock rules: the visible files again, and nothing else of the file system; no TCP where
//! there is no network namespace; no signal and no abstract socket out of the jail.

use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus,
    PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
    Scope,
};

use crate::confine::files::{Access, Entry};

/// The newest that the crate knows and these rules were read against.
const NEWEST: ABI = ABI::V10;

/// Locks the process in. `free` may be changed in every way, but not executed; `settings`
/// of ours are read, which there are in a root of ours, and `/proc` where `proc` says so.
///
/// # Errors
/// Why there is no Landlock here.
pub(crate) fn enforce(
    entries: &[Entry],
    free: &[&Path],
    settings: &[&Path],
    proc: bool,
    tcp: bool,
) -> Result<String, String> {
    let status = restrict(entries, free, settings, proc, tcp).map_err(|error| error.to_string())?;
    if status.ruleset == RulesetStatus::NotEnforced {
        return Err("not supported by this kernel, or not among its lsm=".to_owned());
    }
    Ok(match status.landlock {
        LandlockStatus::Available { effective_abi, .. } => format!("{effective_abi:?}"),
        _ => "enforced".to_owned(),
    })
}

fn restrict(
    entries: &[Entry],
    free: &[&Path],
    settings: &[&Path],
    proc: bool,
    tcp: bool,
) -> Result<landlock::RestrictionStatus, RulesetError> {
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?;
    if !tcp {
        ruleset = ruleset.handle_access(AccessNet::from_all(NEWEST))?;
    }
    let mut ruleset = ruleset.create()?;
    for entry in entries {
        ruleset = ruleset.add_rules(rule(&entry.path, rights(entry.access)))?;
    }
    for path in free {
        ruleset = ruleset.add_rules(rule(path, rights(Access::Write)))?;
    }
    if proc {
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        ruleset = ruleset.add_rules(rule(Path::new("/proc"), read))?;
    }
    for path in settings {
        ruleset = ruleset.add_rules(rule(path, AccessFs::ReadFile.into()))?;
    }
    if !settings.is_empty() {
        // In a root of ours, what can be listed is what is visible.
        ruleset = ruleset.add_rules(rule(Path::new("/"), AccessFs::ReadDir.into()))?;
    }
    ruleset.restrict_self()
}

fn rights(access: Access) -> BitFlags<AccessFs> {
    let all = AccessFs::from_all(NEWEST);
    let devices = AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev;
    match access {
        Access::Read => AccessFs::Execute | AccessFs::ReadFile | AccessFs::ReadDir,
        Access::Write => all & !devices & !AccessFs::Execute,
        Access::Device => {
            AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::ReadDir | AccessFs::IoctlDev
        }
    }
}

/// A rule for what exists; what does not needs none. A file takes no rights of a directory.
fn rule(path: &Path, rights: BitFlags<AccessFs>) -> Vec<Result<PathBeneath<PathFd>, RulesetError>> {
    let rights = match path.is_dir() {
        true => rights,
        false => rights & AccessFs::from_file(NEWEST),
    };
    let beneath = PathFd::new(path)
        .ok()
        .map(|fd| PathBeneath::new(fd, rights));
    beneath.into_iter().map(Ok).collect()
}
