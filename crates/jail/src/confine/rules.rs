//! The Landlock rules: the visible files again, and nothing else of the file system; no TCP without
//! a network namespace; no signal and no abstract socket out of the jail.

use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus,
    PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
    Scope,
};

use crate::confine::files::{Access, Entry};

/// The newest ABI that the crate knows and against which these rules were checked.
const NEWEST: ABI = ABI::V10;

/// Confines the process. `free` may be changed in every way, but not executed; our own `settings`,
/// which exist in our own root, are readable, and so is `/proc` if `proc` is true.
///
/// # Errors
/// The reason why there is no Landlock.
pub(crate) fn enforce(
    entries: &[Entry],
    free: &[&Path],
    settings: &[&Path],
    proc: bool,
    tcp: bool,
) -> Result<String, String> {
    let status = restrict(entries, free, settings, proc, tcp).map_err(|error| error.to_string())?;
    if status.ruleset == RulesetStatus::NotEnforced {
        return Err("this kernel does not support it, or lacks it in its lsm= list".to_owned());
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
        // In our own root, everything that can be listed is visible anyway.
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

/// A rule for a path that exists; a missing one needs none. Rights for directories do not apply to files.
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
