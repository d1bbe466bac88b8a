//! Quotas that the kernel counts for each process, or for each user of a user namespace.

use std::io;

use rustix::process::{Resource, Rlimit};

use crate::confine::namespaces::Identity;
use crate::profile::Limits;

/// Sets the limits for this process and all that it starts.
pub(crate) fn enforce(limits: &Limits, identity: Identity) -> io::Result<()> {
    let set = |resource, limit: u64| {
        let limit = within(resource, limit);
        let both = Rlimit {
            current: Some(limit),
            maximum: Some(limit),
        };
        rustix::process::setrlimit(resource, both)
    };
    if let Some(cpu) = limits.cpu {
        let seconds = cpu.as_secs() + u64::from(cpu.subsec_nanos() > 0);
        // SIGXCPU at the limit, and SIGKILL for programs that catch that.
        let most = within(Resource::Cpu, seconds + 1);
        let limit = Rlimit {
            current: Some(seconds.min(most)),
            maximum: Some(most),
        };
        rustix::process::setrlimit(Resource::Cpu, limit)?;
    }
    set(Resource::Data, limits.memory)?;
    // The two processes of the warden are in the count of a user namespace. Elsewhere, the count is of
    // all processes of the user.
    let own = if identity == Identity::Mapped { 2 } else { 0 };
    set(Resource::Nproc, u64::from(limits.processes) + own)?;
    set(Resource::Nofile, u64::from(limits.files))?;
    set(Resource::Fsize, limits.file_size)?;
    // Not 0: a host that pipes core dumps into a program of its own does so at 0, too, and only at 1
    // does not (core(5)).
    set(Resource::Core, 1)?;
    // A stack does not count as data, and may be as large as this.
    let most = within(Resource::Stack, 64 << 20);
    let stack = Rlimit {
        current: Some(most.min(8 << 20)),
        maximum: Some(most),
    };
    rustix::process::setrlimit(Resource::Stack, stack)?;
    set(Resource::Memlock, 64 << 10)?;
    set(Resource::Msgqueue, 0)?;
    set(Resource::Sigpending, 256)?;
    set(Resource::Nice, 0)?;
    set(Resource::Rtprio, 0)?;
    Ok(())
}

/// A limit, or the lower one that this process already has: only the kernel's root can raise a limit, and a lower one
/// confines as well.
fn within(resource: Resource, limit: u64) -> u64 {
    let own = rustix::process::getrlimit(resource).maximum;
    own.map_or(limit, |own| own.min(limit))
}
