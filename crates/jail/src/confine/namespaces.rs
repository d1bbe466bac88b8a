//! Namespaces, and the warden's user in them. This runs in the outer process, whose children are
//! then inside.
//!
//! Where user namespaces exist, they are used also for root: root drops its privileges first, so that outside of its
//! namespace the program is an ordinary user, and the warden's rights inside have no effect outside. Root without user
//! namespaces makes the others as root, and the inner process drops root at its end.

use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use rustix::process::DumpableBehavior;
use rustix::thread::{CapabilitySet, CapabilitySets};
use serde::{Deserialize, Serialize};

use crate::feature::{Feature, Report};
use crate::wire::Plan;

/// The user of a program in a user namespace. The number means nothing outside.
pub(crate) const INNER: u32 = 1000;

/// `(uid_t) -1`: leaves an id unchanged.
const SAME: u32 = u32::MAX;

/// The capabilities that the inner process needs to finish the confinement: mounts, the loopback interface, and
/// dropping all of these.
const NEEDED: [CapabilitySet; 3] = [
    CapabilitySet::SYS_ADMIN,
    CapabilitySet::NET_ADMIN,
    CapabilitySet::SETPCAP,
];

/// The identity of the inner process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Identity {
    /// Root, without a user namespace: it becomes the plan's user.
    Root,
    /// [`INNER`] of a user namespace, with [`NEEDED`] until it drops them.
    Mapped,
    /// The user of the server.
    Server,
}

/// Enters the namespaces that are available.
///
/// # Errors
/// An error if the process is left halfway between two users; every other failure is in the report.
pub(crate) fn enter(plan: &Plan, report: &mut Report) -> io::Result<Identity> {
    let is_wanted = |feature| !plan.without.contains(&feature);
    let root = nix::unistd::geteuid().is_root() && give_up_groups(plan)?;
    let mapped = if is_wanted(Feature::UserNamespace) {
        enter_user(plan, root)
    } else {
        Err(io::Error::other("switched off"))
    };
    report.add(
        Feature::UserNamespace,
        match &mapped {
            Ok(()) => Ok("made".to_owned()),
            Err(error) => Err(cause(error)),
        },
    );
    let identity = match mapped {
        Ok(()) => Identity::Mapped,
        Err(_) if root => {
            setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0))?;
            Identity::Root
        }
        Err(_) => Identity::Server,
    };
    for (feature, flag) in [
        (Feature::PidNamespace, CloneFlags::CLONE_NEWPID),
        (Feature::MountNamespace, CloneFlags::CLONE_NEWNS),
        (Feature::NetNamespace, CloneFlags::CLONE_NEWNET),
        (Feature::IpcNamespace, CloneFlags::CLONE_NEWIPC),
    ] {
        let outcome = if !is_wanted(feature) {
            Err("switched off".to_owned())
        } else {
            match nix::sched::unshare(flag) {
                Ok(()) => Ok("made".to_owned()),
                Err(error) => Err(cause(&error.into())),
            }
        };
        report.add(feature, outcome);
    }
    // A host name and a view of cgroups confine nothing, and are used if they are available.
    if nix::sched::unshare(CloneFlags::CLONE_NEWUTS).is_ok() {
        let _ = rustix::system::sethostname(b"iof");
    }
    let _ = nix::sched::unshare(CloneFlags::CLONE_NEWCGROUP);
    if identity == Identity::Mapped {
        keep_over_exec()?;
    }
    Ok(identity)
}

/// The reason why a namespace was not made. At a limit on their number (user.max_user_namespaces and its like), the
/// kernel's error is that of a full disk (unshare(2)).
fn cause(error: &io::Error) -> String {
    match Errno::from_raw(error.raw_os_error().unwrap_or_default()) {
        Errno::ENOSPC => {
            "the limit on such namespaces (user.max_*_namespaces) is reached".to_owned()
        }
        _ => error.to_string(),
    }
}

/// Sets the plan's group and no other. Returns `false` for the root of a user namespace that has only one user, as in
/// rootless containers; outside it is an ordinary user, and stays one. The machine's own root without the capability is
/// refused: programs would run as the owner of the system's files.
fn give_up_groups(plan: &Plan) -> io::Result<bool> {
    let group = Gid::from_raw(plan.group);
    match setgroups(&[]).and_then(|()| setresgid(group, group, group)) {
        Ok(()) => Ok(true),
        Err(Errno::EPERM | Errno::EINVAL) if is_root_in_name_only() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Returns `true` for the root of a user namespace, `false` for that of the machine (user_namespaces(7)).
fn is_root_in_name_only() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    is_of_a_namespace(&map)
}

/// Returns `true` if a map of users is not that of the machine itself, which maps every user to itself.
fn is_of_a_namespace(map: &str) -> bool {
    let words: Vec<_> = map.split_whitespace().collect();
    !words.is_empty() && words != ["0", "0", "4294967295"]
}

fn enter_user(plan: &Plan, root: bool) -> io::Result<()> {
    if root {
        // The saved user stays root, so that the process can return to it if there are no user namespaces.
        setresuid(
            Uid::from_raw(SAME),
            Uid::from_raw(plan.user),
            Uid::from_raw(SAME),
        )?;
        // Some systems let only a capable process make one, and the saved root is capable.
        let mut sets = rustix::thread::capabilities(None)?;
        sets.effective = sets.permitted;
        rustix::thread::set_capabilities(None, sets)?;
    }
    let (user, group) = (nix::unistd::geteuid(), nix::unistd::getegid());
    nix::sched::unshare(CloneFlags::CLONE_NEWUSER)?;
    // A change of user hides /proc/self from its owner.
    rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    write("/proc/self/setgroups", "deny")?;
    write("/proc/self/uid_map", &format!("{INNER} {user} 1"))?;
    write("/proc/self/gid_map", &format!("{INNER} {group} 1"))?;
    let (user, group) = (Uid::from_raw(INNER), Gid::from_raw(INNER));
    setresgid(group, group, group)?;
    setresuid(user, user, user)?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    Ok(())
}

fn keep_over_exec() -> io::Result<()> {
    let mut sets = rustix::thread::capabilities(None)?;
    for capability in NEEDED {
        sets.inheritable |= capability;
    }
    rustix::thread::set_capabilities(None, sets)?;
    for capability in NEEDED {
        rustix::thread::configure_capability_in_ambient_set(capability, true)?;
    }
    Ok(())
}

/// Drops for good what [`enter`] kept: root, and every capability, also those that a program with file capabilities
/// could regain.
pub(crate) fn leave(identity: Identity, plan: &Plan) -> io::Result<()> {
    for capability in CapabilitySet::all().iter() {
        // Capabilities that this kernel does not know cannot be gained; an ordinary user has none, and may not drop
        // any.
        let _ = rustix::thread::remove_capability_from_bounding_set(capability);
    }
    if identity == Identity::Root {
        let user = Uid::from_raw(plan.user);
        setresuid(user, user, user)?;
    }
    // Some kernels and sandboxes have no ambient capabilities to drop.
    let _ = rustix::thread::clear_ambient_capability_set();
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(
        None,
        CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        },
    )?;
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a warden has one thread and no runtime"
)]
fn write(path: &str, text: &str) -> io::Result<()> {
    std::fs::write(Path::new(path), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_of_the_machine_is_not_the_root_of_a_namespace() {
        assert!(!is_of_a_namespace("         0          0 4294967295\n"));
        assert!(!is_of_a_namespace(""));
        assert!(is_of_a_namespace("         0       1000          1\n"));
        assert!(is_of_a_namespace("0 0 1\n"));
        assert!(is_of_a_namespace("0 1000 1\n1 100000 65536\n"));
    }
}
