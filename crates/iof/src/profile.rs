//! What is remembered between commands: servers and keys for them, and the admin keys of functions that were deployed
//! from here.
//!
//! One file, `iof/profiles.toml` in the user's folder of configuration, that nobody else can read. It is written whole
//! and put in place by a rename, so that a stop in the middle leaves the one before.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// Where a server is when nobody says.
pub(crate) const LOCAL: &str = "http://127.0.0.1:8080";

/// All that is remembered.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Profiles {
    /// The one of the last login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) current: Option<String>,
    pub(crate) profiles: BTreeMap<String, Profile>,
    /// By server, then by function's number.
    pub(crate) admin_keys: BTreeMap<String, BTreeMap<String, String>>,
}

/// A server, and a key for it.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    pub(crate) server: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cacert: Option<PathBuf>,
}

impl Profiles {
    /// What is there; nothing, if there is no file.
    ///
    /// # Errors
    /// That it cannot be read, by its path.
    pub(crate) fn load() -> Result<Self, String> {
        let Some(path) = path() else {
            return Ok(Self::default());
        };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        // Not where: the line may hold a key.
        toml::from_str(&text).map_err(|error| {
            let why = error.message();
            format!(
                "{}: {why}. Mend it, or delete it and log in again.",
                path.display()
            )
        })
    }

    /// Writes it.
    ///
    /// # Errors
    /// That it cannot be written, by its path.
    pub(crate) fn save(&self) -> Result<PathBuf, String> {
        let path =
            path().ok_or("there is no folder for configuration: set HOME or XDG_CONFIG_HOME")?;
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let text = toml::to_string(self).map_err(|error| error.to_string())?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let new = path.with_extension(format!("{}.new", std::process::id()));
        let written = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .and_then(|()| fs::rename(&new, &path));
        if written.is_err() {
            let _ = fs::remove_file(&new);
        }
        written.map_err(failed)?;
        Ok(path)
    }

    /// The profile of that name, or the current one.
    ///
    /// # Errors
    /// That there is none of that name, and which there are.
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
