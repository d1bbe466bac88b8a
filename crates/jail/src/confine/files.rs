//! The files that a program sees: one list, from which the mount namespace is built and the Landlock
//! rules are written, so that the two layers cannot disagree.

use std::path::{Path, PathBuf};

use crate::profile::Profile;

/// The files that every program may read and execute, if they exist: the system's programs and libraries, and the
/// settings without which they do not start or misbehave.
pub(crate) const VISIBLE: [&str; 24] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
    "/etc/fonts",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/mime.types",
    "/etc/magic",
    "/etc/papersize",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/ImageMagick-6",
    "/etc/ImageMagick-7",
    "/etc/OpenCL",
    "/etc/ghostscript",
    "/var/cache/fontconfig",
];

/// The devices that every program may use.
pub(crate) const DEVICES: [&str; 5] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
];

/// The access to a visible file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Read and execute.
    Read,
    /// Read and change, but not execute.
    Write,
    /// Read, write and `ioctl`.
    Device,
}

/// One visible file, or directory with everything below it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The path at which the program sees it.
    pub(crate) path: PathBuf,
    /// The canonical path on the host.
    pub(crate) canonical: PathBuf,
    pub(crate) access: Access,
}

/// All files that the profile's program sees, parents before their children.
///
/// # Errors
/// A declared path that the user of programs cannot reach, or that leads elsewhere than before: a program may have put
/// a link to a hidden file in its place.
pub(crate) fn visible(
    profile: &Profile,
    leads: &[(PathBuf, PathBuf)],
) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    for path in VISIBLE {
        entries.extend(entry(Path::new(path), Access::Read).ok());
    }
    for path in DEVICES {
        entries.extend(entry(Path::new(path), Access::Device).ok());
    }
    for path in &profile.read {
        entries.push(entry(path, Access::Read)?);
    }
    // A program that was removed, or that its user cannot reach, is reported as missing when it is run.
    entries.extend(entry(&profile.program, Access::Read).ok());
    for path in &profile.write {
        let mut entry = entry(path, Access::Write)?;
        if entry.canonical.starts_with("/dev") {
            entry.access = Access::Device;
        }
        entries.push(entry);
    }
    // The system's own links change with its packages, and programs cannot change them.
    let system = |path: &Path| VISIBLE.iter().any(|visible| path.starts_with(visible));
    for entry in entries.iter().filter(|entry| !system(&entry.path)) {
        let led = leads.iter().find(|(path, _)| *path == entry.path);
        if led.is_some_and(|(_, led)| *led != entry.canonical) {
            let Entry {
                path, canonical, ..
            } = entry;
            return Err(format!(
                "{path:?} leads elsewhere than before: got {canonical:?}"
            ));
        }
    }
    // Targets of links come before them, and writable entries win, being last among equals.
    entries.sort_by_key(|entry| {
        let link = entry.path != entry.canonical;
        (link, entry.path.clone(), entry.access != Access::Read)
    });
    Ok(entries)
}

fn entry(path: &Path, access: Access) -> Result<Entry, String> {
    let canonical = path
        .canonicalize()
        .map_err(|error| format!("{path:?}: {error}"))?;
    Ok(Entry {
        path: path.to_owned(),
        canonical,
        access,
    })
}
