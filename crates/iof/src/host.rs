//! The limits that this machine or the container of this process sets for a server.

use crate::config::Config;
use iof_engine::{Capacity, HostRoom};
use rustix::process::{Resource, getrlimit};
use std::fs;
use std::path::{Path, PathBuf};

/// The kernel's own default, if it cannot be read (no `/proc`).
const MAPS: u64 = 65_530;
/// Descriptors of everything that is not counted otherwise: listeners, the store, pipes of commands.
const OTHER_DESCRIPTORS: u64 = 512;

/// The capacity for functions with these settings, if the process may have `descriptors` open files.
pub(crate) fn capacity(config: &Config, descriptors: u64) -> Capacity {
    let server = &config.server;
    // An instance that waits for a call has a slot as a call has.
    let instances = server.concurrency.saturating_add(server.idle_instances);
    Capacity::reckon(&room(config, descriptors), instances)
}

fn room(config: &Config, descriptors: u64) -> HostRoom {
    let server = &config.server;
    // The descriptors are divided as in `iof serve`.
    let connections = u64::from(server.connections).min(descriptors / 2);
    let files = u64::from(server.open_files).min(descriptors / 4);
    let memory = match server.loaded_memory.as_u64() {
        0 => memory() / 4,
        set => set,
    };
    HostRoom {
        maps: maps(),
        descriptors: descriptors.saturating_sub(connections + files + OTHER_DESCRIPTORS),
        address_space: getrlimit(Resource::As).current,
        memory,
        scans_pages: scans_pages(),
    }
}

/// The most mappings that a process may have.
pub(crate) fn maps() -> u64 {
    number(Path::new("/proc/sys/vm/max_map_count")).unwrap_or(MAPS)
}

/// Returns whether the kernel can report which pages a call wrote (Linux 6.7).
pub(crate) fn scans_pages() -> bool {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map_while(|part| part.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (6, 7)
}

/// Bytes of memory of the machine, or of the control group of this process, whichever is less.
fn memory() -> u64 {
    let system = rustix::system::sysinfo();
    let machine = system.totalram.saturating_mul(u64::from(system.mem_unit));
    group_limits().fold(machine, u64::min)
}

/// The limits of memory of the control groups above this process.
fn group_limits() -> impl Iterator<Item = u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let files: Vec<PathBuf> = groups.lines().flat_map(limit_files).collect();
    files.into_iter().filter_map(|file| number(&file))
}

/// The files that may contain a limit for a line of `/proc/self/cgroup`: those of its group and of the groups above it.
fn limit_files(line: &str) -> Vec<PathBuf> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (root, file) = match fields.next() {
        Some("") => ("/sys/fs/cgroup", "memory.max"),
        Some(controllers) if controllers.split(',').any(|one| one == "memory") => {
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
        }
        _ => return vec![],
    };
    let group = fields.next().unwrap_or_default().trim_start_matches('/');
    Path::new(group)
        .ancestors()
        .map(|group| Path::new(root).join(group).join(file))
        .collect()
}

/// The number in a file of the kernel; `None` if it contains a word ("max") or does not exist.
fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_those_above_them_limit() {
        let v2 = limit_files("0::/system.slice/iof.service");
        assert_eq!(
            v2,
            [
                "/sys/fs/cgroup/system.slice/iof.service/memory.max",
                "/sys/fs/cgroup/system.slice/memory.max",
                "/sys/fs/cgroup/memory.max",
            ]
            .map(PathBuf::from)
        );
        let v1 = limit_files("9:cpu,memory:/docker/a");
        assert_eq!(v1.len(), 3);
        assert_eq!(
            v1[2],
            Path::new("/sys/fs/cgroup/memory/memory.limit_in_bytes")
        );
        assert!(limit_files("9:cpu:/docker/a").is_empty());
        assert!(limit_files("").is_empty());
    }
}
