//! The outer process of a warden: it makes the namespaces, starts the inner process in them, and
//! stays outside to clean up, whatever the inner one and the programs do to each other.
//!
//! The outer process exists because a process cannot move itself into a pid namespace, only its children. It waits for
//! the end of the server's socket, and then kills; and without a pid namespace, processes that outlive the inner
//! process become its children.

use std::fs;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};

use crate::children::Children;
use crate::confine::namespaces::{self, Identity};
use crate::feature::{Feature, Report};
use crate::handover::{ALLOCATOR, Handover, INNER, WARDEN, own};
use crate::wire::{self, PACKET, Plan, WardenMessage};

/// The main function of the outer process.
///
/// # Errors
/// The failure, which the server already knows.
pub(crate) fn outer() -> Result<(), String> {
    close_inherited();
    let socket = own(io::stdin())?;
    let guard = begin(&socket).inspect_err(|error| {
        let news = WardenMessage::failed(error);
        let _ = wire::send(&socket, &serde_json::to_vec(&news).unwrap_or_default(), &[]);
    })?;
    guard.watch(&socket);
    Ok(())
}

struct Guard {
    inner: Pid,
    /// Readable when the inner process has ended.
    end: OwnedFd,
    scratch: Option<PathBuf>,
}

fn begin(socket: &OwnedFd) -> Result<Guard, String> {
    let text = |what: &str, error: io::Error| format!("{what}: {error}");
    // No terminal, and no signals of the server's session.
    let _ = rustix::process::setsid();
    default_signals();
    // If memory runs out on the host, programs are killed before everything else.
    let _ = write("/proc/self/oom_score_adj", "1000");
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|e| text("subreaper", e.into()))?;

    let mut buffer = vec![0; PACKET];
    let length =
        wire::receive(socket, &mut buffer, &mut Vec::new()).map_err(|e| text("plan", e.into()))?;
    let plan: Plan = serde_json::from_slice(&buffer[..length]).map_err(|e| e.to_string())?;
    let mut report = Report::default();
    let identity = namespaces::enter(&plan, &mut report).map_err(|e| text("namespaces", e))?;
    let scratch = match report.has(Feature::MountNamespace) {
        true => None,
        false => Some(make_scratch(&plan, identity).map_err(|e| text("scratch directory", e))?),
    };
    let begun = Handover {
        plan,
        report,
        identity,
        scratch: scratch.clone(),
    };
    let inner = start(socket, &begun);
    if inner.is_err() {
        remove(scratch.as_deref());
    }
    let inner = inner.map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::PermissionDenied => ". Let every user execute the binary",
            _ => "",
        };
        format!("its own binary cannot be started again: {error}{hint}")
    })?;
    // From here on it needs no rights other than those over its own children.
    namespaces::leave(identity, &begun.plan).map_err(|e| text("capabilities", e))?;
    let end = rustix::process::pidfd_open(inner, PidfdFlags::empty());
    Ok(Guard {
        inner,
        end: end.map_err(|e| text("pidfd (Linux 5.3)", e.into()))?,
        scratch,
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "a warden has one thread and no runtime"
)]
fn start(socket: &OwnedFd, begun: &Handover) -> io::Result<Pid> {
    // An argument would be readable by every user of the host.
    let left = rustix::fs::memfd_create("iof-jail", MemfdFlags::CLOEXEC)?;
    let mut left = fs::File::from(left);
    left.write_all(&serde_json::to_vec(begun)?)?;
    io::Seek::rewind(&mut left)?;
    let child = Command::new("/proc/self/exe")
        .args([WARDEN, INNER])
        .env_clear()
        .envs(ALLOCATOR)
        .stdin(socket.try_clone()?)
        .stdout(left)
        .stderr(Stdio::null())
        .spawn()?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| io::Error::other("no pid"))
}

impl Guard {
    /// Waits until the server closes the socket or the inner process ends, and cleans up.
    fn watch(self, socket: &OwnedFd) {
        let mut ends = [
            PollFd::new(socket, PollFlags::RDHUP),
            PollFd::new(&self.end, PollFlags::IN),
        ];
        while rustix::event::poll(&mut ends, None) == Err(Errno::INTR) {}
        let _ = rustix::process::kill_process(self.inner, Signal::KILL);
        // With a pid namespace, its end is the end of all its processes.
        let _ = rustix::process::waitpid(Some(self.inner), WaitOptions::empty());
        if let Ok(children) = Children::open() {
            children.kill();
        }
        remove(self.scratch.as_deref());
    }
}

/// Closes all descriptors inherited from the server, also those left open by mistake.
fn close_inherited() {
    let Ok(open) = fs::read_dir("/proc/self/fd") else {
        (3..1024).for_each(|descriptor| {
            let _ = nix::unistd::close(descriptor);
        });
        return;
    };
    let open: Vec<i32> = open
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        let _ = nix::unistd::close(descriptor);
    }
}

/// Resets ignored signals: a signal that the server ignores would be ignored by programs, too. One that is caught is
/// not inherited, so those that are ignored are caught. (`Command` itself handles `SIGPIPE` and the mask.)
fn default_signals() {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    for signal in 1..=64 {
        if mask.unwrap_or(0) >> (signal - 1) & 1 == 1 {
            let _ = signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)));
        }
    }
}

fn make_scratch(plan: &Plan, identity: Identity) -> io::Result<PathBuf> {
    // The name is free, because the pid is ours and creation is exclusive.
    let pid = rustix::process::getpid().as_raw_nonzero();
    let mut attempt = 0;
    loop {
        let path = plan.scratch.join(format!("iof-jail-{pid}-{attempt}"));
        match fs::DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < 64 => {
                attempt += 1;
            }
            Err(error) => return Err(error),
            Ok(()) => {
                if identity == Identity::Root {
                    std::os::unix::fs::chown(&path, Some(plan.user), Some(plan.group))?;
                }
                return Ok(path);
            }
        }
    }
}

/// Removes the directory and everything in it, also directories without permissions.
fn remove(scratch: Option<&Path>) {
    if let Some(scratch) = scratch {
        let _ = iof_scratch::remove_tree(scratch);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a warden has one thread and no runtime"
)]
fn write(path: &str, text: &str) -> io::Result<()> {
    fs::write(path, text)
}
