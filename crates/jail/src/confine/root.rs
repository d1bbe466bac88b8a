//! The file system of a program: an empty one, into which the visible files are mounted.
//!
//! The order is that of bubblewrap: a tmpfs becomes the root and the old root is mounted below it
//! while the mounts are made, so that nothing hides a source. Then the old root is removed.

use std::ffi::CString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::StatVfsMountFlags;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};

use crate::confine::files::{Access, Entry};
use crate::profile::Limits;

/// The mount point of the old root while the new one is made.
const OLD: &str = "/.old";
/// The program's working directory, and `TMPDIR`: programs that insist on `/tmp` find one.
pub(crate) const SCRATCH: &str = "/tmp";
/// POSIX shared memory and semaphores.
pub(crate) const SHARED: &str = "/dev/shm";

/// The files that the C library reads, in place of the host's.
const SETTINGS: [(&str, &str); 5] = [
    (
        "/etc/passwd",
        "iof:x:1000:1000::/tmp:/bin/sh\nnobody:x:65534:65534::/tmp:/bin/sh\n",
    ),
    ("/etc/group", "iof:x:1000:\nnogroup:x:65534:\n"),
    ("/etc/hosts", "127.0.0.1 localhost iof\n::1 localhost\n"),
    (
        "/etc/nsswitch.conf",
        "passwd: files\ngroup: files\nhosts: files\n",
    ),
    ("/etc/resolv.conf", ""),
];

/// Builds the root and moves into it. `owner` is the program's user, as the mount namespace counts.
/// The inner result is that of mounting `/proc`.
///
/// # Errors
/// The mount that failed. The process is unusable then.
pub(crate) fn build(
    entries: &[Entry],
    limits: &Limits,
    owner: (u32, u32),
) -> Result<Result<(), String>, String> {
    let at = |what: &str, error: io::Error| format!("{what}: {error}");
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private).map_err(|e| at("private mounts", e.into()))?;
    let plain = MountFlags::NOSUID | MountFlags::NODEV;
    tmpfs("/tmp", plain, "size=4m,nr_inodes=4k,mode=755").map_err(|e| at("new root", e))?;
    fs::create_dir("/tmp/.old").map_err(|e| at("new root", e))?;
    rustix::process::pivot_root("/tmp", "/tmp/.old").map_err(|e| at("pivot_root", e.into()))?;
    rustix::process::chdir("/").map_err(|e| at("new root", e.into()))?;

    for (path, text) in SETTINGS {
        file(Path::new(path), text).map_err(|e| at(path, e))?;
    }
    for entry in entries {
        show(entry).map_err(|e| at(&entry.path.to_string_lossy(), e))?;
    }
    // Before the old root is removed: an unprivileged /proc needs a complete one beside it.
    let proc = directory(Path::new("/proc")).and_then(|()| {
        let flags = plain | MountFlags::NOEXEC;
        Ok(rustix::mount::mount("proc", "/proc", "proc", flags, None)?)
    });
    for (link, target) in [
        ("/dev/fd", "/proc/self/fd"),
        ("/dev/stdin", "/proc/self/fd/0"),
        ("/dev/stdout", "/proc/self/fd/1"),
        ("/dev/stderr", "/proc/self/fd/2"),
    ] {
        symlink(target, link).map_err(|e| at(link, e))?;
    }
    scratch(limits, owner).map_err(|e| at("scratch", e))?;
    rustix::mount::unmount(OLD, UnmountFlags::DETACH).map_err(|e| at("old root", e.into()))?;
    fs::remove_dir(OLD).map_err(|e| at("old root", e))?;
    seal(Path::new("/"), plain).map_err(|e| at("seal", e))?;
    Ok(proc.map_err(|error| error.to_string()))
}

/// One file system of a limited size, mounted in two places.
fn scratch(limits: &Limits, (user, group): (u32, u32)) -> io::Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    // The three directories that always exist do not count against the limit.
    let options = format!(
        "size={},nr_inodes={},mode=755,uid={user},gid={group}",
        limits.scratch,
        limits.scratch_files.saturating_add(3)
    );
    directory(Path::new("/.scratch"))?;
    tmpfs("/.scratch", flags, &options)?;
    for (name, path) in [("tmp", SCRATCH), ("shm", SHARED)] {
        let source = Path::new("/.scratch").join(name);
        DirBuilder::new().mode(0o700).create(&source)?;
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&source, Some(user), Some(group))?;
        }
        directory(Path::new(path))?;
        rustix::mount::mount_bind(&source, path)?;
    }
    rustix::mount::unmount("/.scratch", UnmountFlags::DETACH)?;
    fs::remove_dir("/.scratch")
}

fn show(entry: &Entry) -> io::Result<()> {
    let here = entry.path.canonicalize().ok();
    if entry.access == Access::Read && here.as_ref() == Some(&entry.canonical) {
        return Ok(());
    }
    // `/bin` is a link to `usr/bin` on most systems, and stays one.
    let old = in_old(&entry.path);
    if here.is_none() && old.is_symlink() && entry.canonical.starts_with("/usr") {
        parent(&entry.path)?;
        return symlink(fs::read_link(&old)?, &entry.path);
    }
    let target = here.as_ref().unwrap_or(&entry.path);
    let source = in_old(&entry.canonical);
    if here.is_none() {
        match source.is_dir() {
            true => directory(target)?,
            false => file(target, "")?,
        }
    }
    rustix::mount::mount_bind_recursive(&source, target)?;
    if entry.access == Access::Read {
        seal(target, MountFlags::NOSUID | MountFlags::NODEV)?;
    }
    Ok(())
}

/// Makes a mount read-only, keeping its flags: those are locked in a user namespace.
fn seal(path: &Path, more: MountFlags) -> io::Result<()> {
    let has = rustix::fs::statvfs(path)?.f_flag;
    let mut flags = MountFlags::from_bits_retain(libc::MS_BIND as u32) | MountFlags::RDONLY | more;
    for (is, flag) in [
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
        (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
    ] {
        if has.contains(is) {
            flags |= flag;
        }
    }
    Ok(rustix::mount::mount_remount(path, flags, c"")?)
}

fn tmpfs(path: &str, flags: MountFlags, options: &str) -> io::Result<()> {
    let options = CString::new(options)?;
    Ok(rustix::mount::mount(
        "tmpfs",
        path,
        "tmpfs",
        flags,
        options.as_c_str(),
    )?)
}

fn in_old(path: &Path) -> PathBuf {
    Path::new(OLD).join(path.strip_prefix("/").unwrap_or(path))
}

fn directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(path)
}

fn parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), directory)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a warden has one thread and no runtime"
)]
fn file(path: &Path, text: &str) -> io::Result<()> {
    parent(path)?;
    fs::write(path, text)
}
