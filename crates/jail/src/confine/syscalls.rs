//! The system calls that programs get: a list of what is allowed, after the default profile of
//! container runtimes and shorter, because nothing here is a whole system.
//!
//! What is not on the list does not exist (`ENOSYS`), so that a C library falls back to what it did
//! before the call was invented, and so that neither a call that is newer than this list nor one of
//! another numbering (x32) is a way around it. Not there on purpose: namespaces, mounts, `ptrace`
//! and another process's memory, keys, `bpf`, `perf_event_open`, `io_uring`, `userfaultfd`, modules,
//! handles; `clone3` whose flags a filter cannot read; `memfd_create`, System V and POSIX queues and
//! shared memory, which hold memory that no limit counts and that would outlive a run; extended
//! attributes that can be set, which would carry data from run to run on the scratch directory.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

/// Which sockets can be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sockets {
    /// Unix sockets: where a mount namespace hides those of the host.
    pub(crate) unix: bool,
    /// IP: where a network namespace holds the proxy and nothing else.
    pub(crate) ip: bool,
}

/// Compiles the filters and puts them on.
///
/// # Errors
/// Why there is no seccomp here.
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
    let calls = EVERYWHERE.iter().chain(&OLDER);
    #[cfg(not(target_arch = "x86_64"))]
    let calls = EVERYWHERE.iter();
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

/// Calls that succeed without being made: some programs insist on having no core dumps, but a limit
/// of 0 would bring back those that are piped, see [`quotas`](crate::confine::quotas).
fn pretended() -> Result<Rules, BackendError> {
    let mut rules = Rules::new();
    let core = u64::from(libc::RLIMIT_CORE);
    either(&mut rules, libc::SYS_setrlimit, vec![is(0, core)?])?;
    let given = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, 0)?;
    let set = vec![is(1, core)?, given];
    either(&mut rules, libc::SYS_prlimit64, set)?;
    Ok(rules)
}

/// Calls that are allowed, but not with these arguments.
fn forbidden() -> Result<Rules, BackendError> {
    let mut rules = Rules::new();
    // New namespaces are new ways into the kernel. (CLONE_NEWTIME is no flag of `clone`.)
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
    // Typing into somebody's terminal.
    for request in [libc::TIOCSTI, libc::TIOCLINUX] {
        either(&mut rules, libc::SYS_ioctl, vec![is(1, request)?])?;
    }
    // Execution domains are old code that nothing needs; these are the default, and the question.
    either(
        &mut rules,
        libc::SYS_personality,
        vec![is_not(0, 0)?, is_not(0, 0xffff_ffff)?],
    )?;
    // A process has the settings that it gives itself. With another's pid, or by user or group, it
    // would reach the warden, and so the runs after it.
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

/// The same on every architecture; the C library's bindings do not know it on all.
const FCHMODAT2: i64 = 452;

/// On every architecture.
const EVERYWHERE: [i64; 208] = [
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_bind,
    libc::SYS_brk,
    libc::SYS_capget,
    libc::SYS_chdir,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_clone,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_connect,
    libc::SYS_copy_file_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fadvise64,
    libc::SYS_fallocate,
    libc::SYS_fchdir,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    FCHMODAT2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_fcntl,
    libc::SYS_fdatasync,
    libc::SYS_fgetxattr,
    libc::SYS_flistxattr,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_futex,
    libc::SYS_futex_waitv,
    libc::SYS_getcpu,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getgroups,
    libc::SYS_getitimer,
    libc::SYS_getpeername,
    libc::SYS_getpgid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getpriority,
    libc::SYS_getrandom,
    libc::SYS_getresgid,
    libc::SYS_getresuid,
    libc::SYS_getrlimit,
    libc::SYS_get_robust_list,
    libc::SYS_getrusage,
    libc::SYS_getsid,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_getuid,
    libc::SYS_getxattr,
    libc::SYS_inotify_add_watch,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_rm_watch,
    libc::SYS_ioctl,
    libc::SYS_ioprio_get,
    libc::SYS_ioprio_set,
    libc::SYS_kill,
    libc::SYS_landlock_add_rule,
    libc::SYS_landlock_create_ruleset,
    libc::SYS_landlock_restrict_self,
    libc::SYS_lgetxattr,
    libc::SYS_linkat,
    libc::SYS_listen,
    libc::SYS_listxattr,
    libc::SYS_llistxattr,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_mincore,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_mlock,
    libc::SYS_mlock2,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_msync,
    libc::SYS_munlock,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_personality,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_pipe2,
    libc::SYS_pkey_alloc,
    libc::SYS_pkey_free,
    libc::SYS_pkey_mprotect,
    libc::SYS_ppoll,
    libc::SYS_prctl,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_prlimit64,
    libc::SYS_pselect6,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_read,
    libc::SYS_readahead,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_recvfrom,
    libc::SYS_recvmmsg,
    libc::SYS_recvmsg,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getattr,
    libc::SYS_sched_getparam,
    libc::SYS_sched_get_priority_max,
    libc::SYS_sched_get_priority_min,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_rr_get_interval,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_setattr,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_yield,
    libc::SYS_seccomp,
    libc::SYS_sendfile,
    libc::SYS_sendmmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_setfsgid,
    libc::SYS_setfsuid,
    libc::SYS_setgid,
    libc::SYS_setgroups,
    libc::SYS_setitimer,
    libc::SYS_setpgid,
    libc::SYS_setpriority,
    libc::SYS_setregid,
    libc::SYS_setresgid,
    libc::SYS_setresuid,
    libc::SYS_setreuid,
    libc::SYS_setrlimit,
    libc::SYS_set_robust_list,
    libc::SYS_setsid,
    libc::SYS_setsockopt,
    libc::SYS_set_tid_address,
    libc::SYS_setuid,
    libc::SYS_shutdown,
    libc::SYS_sigaltstack,
    libc::SYS_signalfd4,
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_splice,
    libc::SYS_statfs,
    libc::SYS_statx,
    libc::SYS_symlinkat,
    libc::SYS_sync_file_range,
    libc::SYS_sysinfo,
    libc::SYS_tee,
    libc::SYS_tgkill,
    libc::SYS_timer_create,
    libc::SYS_timer_delete,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_gettime,
    libc::SYS_timerfd_settime,
    libc::SYS_timer_getoverrun,
    libc::SYS_timer_gettime,
    libc::SYS_timer_settime,
    libc::SYS_times,
    libc::SYS_tkill,
    libc::SYS_truncate,
    libc::SYS_umask,
    libc::SYS_uname,
    libc::SYS_unlinkat,
    libc::SYS_utimensat,
    libc::SYS_vmsplice,
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_write,
    libc::SYS_writev,
];

/// What newer architectures did not take over.
#[cfg(target_arch = "x86_64")]
const OLDER: [i64; 36] = [
    libc::SYS_access,
    libc::SYS_alarm,
    libc::SYS_arch_prctl,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_creat,
    libc::SYS_dup2,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_eventfd,
    libc::SYS_fork,
    libc::SYS_futimesat,
    libc::SYS_getdents,
    libc::SYS_getpgrp,
    libc::SYS_inotify_init,
    libc::SYS_lchown,
    libc::SYS_link,
    libc::SYS_lstat,
    libc::SYS_mkdir,
    libc::SYS_mknod,
    libc::SYS_open,
    libc::SYS_pause,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_rmdir,
    libc::SYS_select,
    libc::SYS_signalfd,
    libc::SYS_stat,
    libc::SYS_symlink,
    libc::SYS_time,
    libc::SYS_unlink,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_vfork,
];
