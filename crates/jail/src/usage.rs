//! What the processes of a warden use together, read from `/proc` of the host.

use std::fs;
use std::time::Duration;

/// What all processes of a run or worker use at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processes.
    pub processes: u32,
    /// Resident anonymous and shared memory, and what is swapped out of it, in bytes. Pages that
    /// several share count for each.
    pub memory: u64,
    /// CPU time, also of processes that ended.
    pub cpu: Duration,
}

/// More than any profile is likely to allow; a walk ends there.
const MOST: u32 = 10_000;

/// Adds up what is below the outer process `outer` of a warden, the inner one not counted but for
/// the CPU time of those that it waited for.
pub(crate) fn of(outer: u32) -> Usage {
    let mut usage = Usage::default();
    let ticks = rustix::param::clock_ticks_per_second().max(1);
    let mut cpu = 0;
    let mut left = Vec::new();
    for inner in children(outer) {
        cpu += times(inner).map_or(0, |(_, waited)| waited);
        left.extend(children(inner));
    }
    while let Some(pid) = left.pop()
        && usage.processes < MOST
    {
        let Some((own, waited)) = times(pid) else {
            continue;
        };
        cpu += own + waited;
        usage.processes += 1;
        usage.memory += memory(pid);
        left.extend(children(pid));
    }
    usage.cpu = Duration::from_secs_f64(cpu as f64 / ticks as f64);
    usage
}

fn children(pid: u32) -> Vec<u32> {
    let mut children = Vec::new();
    // Each thread has its own.
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return children;
    };
    for thread in threads.flatten() {
        let list = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        children.extend(
            list.split_whitespace()
                .filter_map(|pid| pid.parse::<u32>().ok()),
        );
    }
    children
}

/// Ticks of the process itself, and of those that it waited for (proc_pid_stat(5), 14 to 17).
fn times(pid: u32) -> Option<(u64, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses, and may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut ticks = rest
        .split_whitespace()
        .skip(11)
        .map(|n| n.parse().unwrap_or(0));
    let mut two = || Some(ticks.next()? + ticks.next()?);
    Some((two()?, two()?))
}

fn memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kilobytes = status.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        let counts = matches!(name, "RssAnon" | "RssShmem" | "VmSwap");
        counts.then(|| value.split_whitespace().next()?.parse::<u64>().ok())?
    });
    kilobytes.sum::<u64>() << 10
}
