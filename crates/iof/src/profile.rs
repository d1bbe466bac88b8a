//! Profiles: servers and their keys, and the admin keys of functions that were deployed from here.
//!
//! Profiles are one file, `iof/profiles.toml` in the user's configuration folder, that no other user can read. A new
//! file replaces it by a rename, so that an interruption leaves the old one. One command writes at a time, so that
//! commands do not undo each other's changes.
//!
//! Keys are stored by the identity of a server (from `/v1/server`), not by its address: two servers that alternated at
//! one address would overwrite each other's keys. An identity is public and proves nothing, so a key is sent only to
//! addresses at which its server was seen; all loopback addresses count as one. No key is overwritten: the newest few
//! keys of a function are kept, and tried in turn.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use url::Url;

/// The default address of a server.
pub(crate) const LOCAL: &str = "http://127.0.0.1:8080";
/// The most keys that are kept for one function name: all but the newest belong to deleted functions of that name.
const KEPT: usize = 16;

/// The folder in a project in which `iof dev` keeps its server: data, key, and address while it runs.
pub(crate) const DEV: &str = "target/iof-dev";
/// The file in [`DEV`] with the address and, on its second line, the identity.
pub(crate) const DEV_SERVER: &str = "server";

/// The server of the `iof dev` that runs in the project of a folder: in the folder, or in the nearest one above it.
pub(crate) fn dev_of_project(folder: &Path) -> Option<Profile> {
    folder.ancestors().find_map(|folder| {
        let own = folder.join(DEV);
        let read = |name: &str| fs::read_to_string(own.join(name)).ok();
        let server = read(DEV_SERVER)?;
        let mut lines = server.lines();
        Some(Profile {
            server: lines.next()?.to_owned(),
            // Without the identity, the key would go to any server that has the port now.
            id: Some(lines.next()?.to_owned()),
            key: Some(read("key")?.trim().to_owned()),
            cacert: None,
        })
    })
}

/// All profiles and keys of a user.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Profiles {
    /// The name of the profile of the last login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) current: Option<String>,
    /// The server of the `iof dev` that started last. Its key is also in its project's folder, so it may be replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dev: Option<Profile>,
    pub(crate) profiles: BTreeMap<String, Profile>,
    /// Servers by identity.
    pub(crate) servers: BTreeMap<String, KnownServer>,
    /// Keys from releases without identities, by address, then by function; they are read, but none is added.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) admin_keys: BTreeMap<String, BTreeMap<String, String>>,
}

/// A server, and a key for it.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    pub(crate) server: String,
    /// The server's identity; `None` in a profile of an earlier release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cacert: Option<PathBuf>,
}

/// The admin keys of one server.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct KnownServer {
    /// The addresses at which it was seen.
    pub(crate) origins: BTreeSet<String>,
    /// Keys by the function's name and number, the newest first.
    pub(crate) admin_keys: BTreeMap<String, Vec<String>>,
}

impl KnownServer {
    /// Returns whether its keys may be sent to an address.
    pub(crate) fn was_at(&self, origin: &str) -> bool {
        let local = |origin: &str| is_local(origin);
        self.origins.contains(origin)
            || (local(origin) && self.origins.iter().any(|known| local(known)))
    }

    /// Stores a key of a function under its name and its number.
    pub(crate) fn keep(&mut self, names: &[String], key: &str) {
        for name in names {
            let keys = self.admin_keys.entry(name.clone()).or_default();
            keys.retain(|known| known != key);
            keys.insert(0, key.to_owned());
            keys.truncate(KEPT);
        }
    }
}

/// Returns whether this is an address of this machine's loopback.
fn is_local(origin: &str) -> bool {
    let Ok(url) = Url::parse(origin) else {
        return false;
    };
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

impl Profiles {
    /// The stored profiles; empty if there is no file.
    ///
    /// # Errors
    /// An error if the file cannot be read, with its path.
    pub(crate) fn load() -> Result<Self, String> {
        let Some(path) = path() else {
            return Ok(Self::default());
        };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        // The message has no position, because the line may contain a key.
        toml::from_str(&text).map_err(|error| {
            let why = error.message();
            format!(
                "{}: {why}. Correct it, or delete it and log in again.",
                path.display()
            )
        })
    }

    /// Changes the profiles, while no other command does, and returns the result.
    ///
    /// # Errors
    /// An error if the file cannot be written, with its path; and the errors of `change`, after which nothing is
    /// changed.
    pub(crate) fn change<T>(
        change: impl FnOnce(&mut Self) -> Result<T, String>,
    ) -> Result<(T, PathBuf), String> {
        let path =
            path().ok_or("there is no folder for configuration: set HOME or XDG_CONFIG_HOME")?;
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let lock = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.with_extension("lock"))
            .map_err(failed)?;
        // The lock is held until this function returns.
        lock.lock().map_err(failed)?;
        let mut profiles = Self::load()?;
        let changed = change(&mut profiles)?;
        Ok((changed, profiles.save(path)?))
    }

    fn save(&self, path: PathBuf) -> Result<PathBuf, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let text = toml::to_string(self).map_err(|error| error.to_string())?;
        let new = path.with_extension(format!("{}.new", std::process::id()));
        let written = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                // A key that is shown only once must survive a power failure.
                file.sync_all()
            })
            .and_then(|()| fs::rename(&new, &path));
        if written.is_err() {
            let _ = fs::remove_file(&new);
        }
        written.map_err(failed)?;
        Ok(path)
    }

    /// The profile of a name, or the current one.
    ///
    /// # Errors
    /// An error if there is none of that name, listing those that exist.
    pub(crate) fn find(&self, name: Option<&str>) -> Result<Option<&Profile>, String> {
        let Some(name) = name.or(self.current.as_deref()) else {
            return Ok(None);
        };
        let known: Vec<_> = self.profiles.keys().map(String::as_str).collect();
        match (self.profiles.get(name), known.as_slice()) {
            (Some(profile), _) => Ok(Some(profile)),
            (None, []) => Err(format!(
                "there is no profile {name}: `iof login URL --profile {name}` makes one"
            )),
            (None, known) => Err(format!(
                "there is no profile {name}; there are {}",
                known.join(", ")
            )),
        }
    }
}

fn path() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let folder = set("XDG_CONFIG_HOME").map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(set("HOME")?).join(".config")))?;
    Some(folder.join("iof/profiles.toml"))
}
