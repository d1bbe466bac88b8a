//! The system calls that programs may use: an allow list, after the default profile of container
//! runtimes and shorter, because no whole system runs here.
//!
//! A call that is not on the list does not exist (`ENOSYS`), so that a C library falls back to what it did before the
//! call was added, and so that neither a call that is newer than this list nor one of another numbering (x32) bypasses
//! it. Left out on purpose: namespaces, mounts, `ptrace` and another process's memory, keys, `bpf`, `perf_event_open`,
//! `io_uring`, `userfaultfd`, modules, handles; `clone3`, whose flags a filter cannot read; `memfd_create`, System V
//! and POSIX queues and shared memory, which hold memory that no limit counts and that would outlive a run; setting
//! extended attributes, which would carry data from run to run on the scratch directory.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

use crate::confine::calls;

/// The sockets that can be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sockets {
    /// Unix sockets: if a mount namespace hides those of the host.
    pub(crate) unix: bool,
    /// IP: if a network namespace contains only the proxy.
    pub(crate) ip: bool,
}

/// Compiles and installs the filters.
///
/// # Errors
/// The reason why there is no seccomp.
pub(crate) fn enforce(sockets: Sockets) -> Result<String, String> {
    let architecture: TargetArch = std::env::consts::ARCH
        .try_into()
        .map_err(|error: BackendError| error.to_string())?;
    let filters = [
        (
            allowed(),
            SeccompAction::Allow,
            SeccompAction::Errno(errno(libc::ENOSYS)),
        ),
        (
            unlike(sockets).map_err(|error| error.to_string())?,
            SeccompAction::Errno(errno(libc::EAFNOSUPPORT)),
            SeccompAction::Allow,
        ),
        (
            pretended().map_err(|error| error.to_string())?,
            SeccompAction::Errno(0),
            SeccompAction::Allow,
        ),
        (
            forbidden().map_err(|error| error.to_string())?,
            SeccompAction::Errno(errno(libc::EPERM)),
            SeccompAction::Allow,
        ),
    ];
    for (rules, hit, miss) in filters {
        let filter = SeccompFilter::new(rules, miss, hit, architecture);
        let program: BpfProgram = filter
            .and_then(TryInto::try_into)
            .map_err(|error| error.to_string())?;
        seccompiler::apply_filter(&program).map_err(|error| error.to_string())?;
    }
    Ok("enforced".to_owned())
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn allowed() -> Rules {
    #[cfg(target_arch = "x86_64")]
    let calls = calls::EVERYWHERE.iter().chain(&calls::OLDER);
    #[cfg(not(target_arch = "x86_64"))]
    let calls = calls::EVERYWHERE.iter();
    calls.map(|call| (*call, Vec::new())).collect()
}

/// Sockets of other families than these do not exist.
fn unlike(sockets: Sockets) -> Result<Rules, BackendError> {
    let mut families = Vec::new();
    if sockets.unix {
        families.push(libc::AF_UNIX);
    }
    if sockets.ip {
        families.extend([libc::AF_INET, libc::AF_INET6]);
    }
    let mut rules = Vec::new();
    if !families.is_empty() {
        let others = families.into_iter().map(|family| is_not(0, family as u64));
        rules.push(SeccompRule::new(others.collect::<Result<_, _>>()?)?);
    }
    Ok(BTreeMap::from([(libc::SYS_socket, rules)]))
}

/// Calls that succeed without being made: some programs insist on having no core dumps, but a limit of 0 would enable
/// those that are piped, see [`quotas`](crate::confine::quotas); and the kernel does not promise a size of a socket's
/// buffer either, but the buffer of a Unix socket is counted by its size, see [`usage`](crate::usage).
fn pretended() -> Result<Rules, BackendError> {
    let mut rules = Rules::new();
    let core = u64::from(libc::RLIMIT_CORE);
    either(&mut rules, libc::SYS_setrlimit, vec![is(0, core)?])?;
    let size_argument = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, 0)?;
    let set = vec![is(1, core)?, size_argument];
    either(&mut rules, libc::SYS_prlimit64, set)?;
    let (level, name) = (libc::SOL_SOCKET as u64, libc::SO_SNDBUF as u64);
    let buffer = vec![is(1, level)?, is(2, name)?];
    either(&mut rules, libc::SYS_setsockopt, buffer)?;
    Ok(rules)
}

/// Calls that are allowed, but not with these arguments.
fn forbidden() -> Result<Rules, BackendError> {
    let mut rules = Rules::new();
    // New namespaces are new ways into the kernel. (CLONE_NEWTIME is not a flag of `clone`.)
    for flag in [
        libc::CLONE_NEWNS,
        libc::CLONE_NEWCGROUP,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
    ] {
        let flag = u64::from(flag as u32);
        let has = SeccompCmpOp::MaskedEq(flag);
        let has = SeccompCondition::new(0, SeccompCmpArgLen::Qword, has, flag)?;
        either(&mut rules, libc::SYS_clone, vec![has])?;
    }
    // Injecting input into a terminal.
    for request in [libc::TIOCSTI, libc::TIOCLINUX] {
        either(&mut rules, libc::SYS_ioctl, vec![is(1, request)?])?;
    }
    // Execution domains are old code that nothing needs; these values are the default, and the query.
    either(
        &mut rules,
        libc::SYS_personality,
        vec![is_not(0, 0)?, is_not(0, 0xffff_ffff)?],
    )?;
    // A process may change its own settings. With another's pid, or by user or group, it would reach
    // the warden, and so later runs.
    for (call, argument) in [
        (libc::SYS_prlimit64, 0),
        (libc::SYS_sched_setaffinity, 0),
        (libc::SYS_sched_setattr, 0),
        (libc::SYS_sched_setparam, 0),
        (libc::SYS_sched_setscheduler, 0),
        (libc::SYS_setpriority, 1),
        (libc::SYS_ioprio_set, 1),
    ] {
        either(&mut rules, call, vec![is_not(argument, 0)?])?;
    }
    either(&mut rules, libc::SYS_setpriority, vec![is_not(0, 0)?])?;
    either(&mut rules, libc::SYS_ioprio_set, vec![is_not(0, 1)?])?;
    Ok(rules)
}

fn either(rules: &mut Rules, call: i64, all: Vec<SeccompCondition>) -> Result<(), BackendError> {
    rules.entry(call).or_default().push(SeccompRule::new(all)?);
    Ok(())
}

// The kernel looks at 32 bits of these arguments, so the filter must look at no more: the upper half
// could make a forbidden value look like another.
fn is(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

fn is_not(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, value)
}

fn errno(number: i32) -> u32 {
    number.unsigned_abs()
}
