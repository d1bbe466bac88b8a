//! Quotas that the kernel counts for each process, or for each user of a user namespace.

use std::io;

use rustix::process::{Resource, Rlimit};

use crate::confine::namespaces::Identity;
use crate::profile::Limits;

/// Sets them for this process and all that it starts.
pub(crate) fn enforce(limits: &Limits, identity: Identity) -> io::Result<()> {
    let set = |resource, limit: u64| {
        let both = Rlimit {
            current: Some(limit),
            maximum: Some(limit),
        };
        rustix::process::setrlimit(resource, both)
    };
    if let Some(cpu) = limits.cpu {
        let seconds = cpu.as_secs() + u64::from(cpu.subsec_nanos() > 0);
        // SIGXCPU at the limit, and SIGKILL for those who catch that.
        let limit = Rlimit {
            current: Some(seconds),
            maximum: Some(seconds + 1),
        };
        rustix::process::setrlimit(Resource::Cpu, limit)?;
    }
    set(Resource::Data, limits.memory)?;
    // The two processes of the warden are in the count of a user namespace. Elsewhere, it counts
    // everything of the user.
    let own = if identity == Identity::Mapped { 2 } else { 0 };
    set(Resource::Nproc, u64::from(limits.processes) + own)?;
    set(Resource::Nofile, u64::from(limits.files))?;
    set(Resource::Fsize, limits.file_size)?;
    // Not 0: a host that pipes core dumps into a program of its own does so at 0, too, and only at 1
    // does not (core(5)).
    set(Resource::Core, 1)?;
    // A stack is not counted as data, and may be as large as this.
    let stack = Rlimit {
        current: Some(8 << 20),
        maximum: Some(64 << 20),
    };
    rustix::process::setrlimit(Resource::Stack, stack)?;
    set(Resource::Memlock, 64 << 10)?;
    set(Resource::Msgqueue, 0)?;
    set(Resource::Sigpending, 256)?;
    set(Resource::Nice, 0)?;
    set(Resource::Rtprio, 0)?;
    Ok(())
}
