//! The memory and CPU time of the processes of a warden, read from `/proc` of the host.

use std::fs;
use std::time::Duration;

/// The use of memory and CPU time by all processes of a run or worker at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processes.
    pub processes: u32,
    /// Bytes of resident anonymous and shared memory, of its swapped part, of page tables, and of
    /// sockets. Pages that several processes share count for each; a Unix socket counts as much as it
    /// may hold.
    pub memory: u64,
    /// CPU time, also of processes that ended.
    pub cpu: Duration,
}

/// More than any profile is likely to allow; a walk ends there.
const MOST: u32 = 10_000;

/// Adds up the processes below the outer process `outer` of a warden, without the inner one except
/// for the CPU time of those that it waited for. `net` is true if it has a network namespace.
pub(crate) fn of(outer: u32, net: bool) -> Usage {
    let mut usage = Usage::default();
    let ticks = rustix::param::clock_ticks_per_second().max(1);
    let mut cpu = 0;
    let mut left = Vec::new();
    for inner in children(outer) {
        cpu += times(inner).map_or(0, |(_, waited)| waited);
        left.extend(children(inner));
        if net {
            usage.memory += unix_sockets(inner) * unix_socket() + inet_queues(inner);
        }
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
        if !net {
            usage.memory += sockets_of(pid) * unix_socket();
        }
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

/// Ticks of the process itself, and of its children that it waited for (proc_pid_stat(5), 14 to 17).
fn times(pid: u32) -> Option<(u64, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses, and may contain anything.
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
        let counts = matches!(name, "RssAnon" | "RssShmem" | "VmSwap" | "VmPTE");
        counts.then(|| value.split_whitespace().next()?.parse::<u64>().ok())?
    });
    kilobytes.sum::<u64>() << 10
}

/// Unix sockets of the network namespace of `pid`, including those in transit from one process to
/// another, which belong to none.
fn unix_sockets(pid: u32) -> u64 {
    let list = fs::read_to_string(format!("/proc/{pid}/net/unix")).unwrap_or_default();
    (list.lines().count() as u64).saturating_sub(1)
}

/// Sockets that `pid` has open: without a network namespace, these are Unix sockets, and the list of
/// all of them is the host's.
fn sockets_of(pid: u32) -> u64 {
    let open = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten();
    let links = open
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok());
    let sockets = links.filter(|link| link.as_os_str().as_encoded_bytes().starts_with(b"socket:"));
    sockets.count() as u64
}

/// The most bytes in transit from one Unix socket: the kernel allows `SO_SNDBUF`, which programs
/// cannot raise, and one packet of that size besides.
fn unix_socket() -> u64 {
    let default = fs::read_to_string("/proc/sys/net/core/wmem_default").unwrap_or_default();
    2 * default.trim().parse().unwrap_or(SNDBUF)
}

/// The default of Linux.
const SNDBUF: u64 = 212_992;

/// Bytes in the queues of the IP sockets of the network namespace of `pid`, twice, for what the
/// kernel keeps with them.
fn inet_queues(pid: u32) -> u64 {
    let tables = ["tcp", "tcp6", "udp", "udp6"];
    let lists = tables.map(|table| fs::read_to_string(format!("/proc/{pid}/net/{table}")));
    let lines = lists.iter().flatten().flat_map(|list| list.lines());
    let queues = lines.filter_map(|line| {
        let (sent, received) = line.split_whitespace().nth(4)?.split_once(':')?;
        let bytes = |queue| u64::from_str_radix(queue, 16).ok();
        Some(bytes(sent)? + bytes(received)?)
    });
    2 * queues.sum::<u64>()
}
