//! `backup.json`: the list of what a backup contains. A backup without it is incomplete.

use serde::{Deserialize, Serialize};

use super::names::{DATABASE, SECRET_KEYS, is_of_backup};
use crate::clock::unix_ms;
use crate::error::Error;

/// The format of backups that this release writes, and the only one that it reads.
const FORMAT: u32 = 1;
/// The most files that a manifest may name: ten million sources.
const MOST_FILES: usize = 10_000_000;

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    format: u32,
    /// The release that made the backup.
    iof: String,
    /// The time of the backup, in Unix milliseconds.
    created_at: i64,
    functions: u64,
    versions: u64,
    /// The last migration of the database.
    migration: i64,
    files: Vec<FileEntry>,
}

/// A file of a backup.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileEntry {
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) sha256: String,
}

impl FileEntry {
    pub(super) fn new(name: String, size: u64, sha256: String) -> Self {
        Self { name, size, sha256 }
    }
}

impl Manifest {
    pub(super) fn new(
        functions: u64,
        versions: u64,
        migration: i64,
        files: Vec<FileEntry>,
    ) -> Self {
        Self {
            format: FORMAT,
            iof: env!("CARGO_PKG_VERSION").to_owned(),
            created_at: unix_ms(),
            functions,
            versions,
            migration,
            files,
        }
    }

    pub(super) fn to_json(&self) -> Result<String, Error> {
        serde_json::to_string_pretty(self)
            .map(|json| json + "\n")
            .map_err(|error| Error::Unavailable(error.into()))
    }

    /// Reads a manifest, which is untrusted: each name in it must be one that a backup can have.
    pub(super) fn read(json: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let damaged = |detail: String| Error::Damaged {
            what: "backup.json".into(),
            detail,
        };
        let format: Format =
            serde_json::from_slice(json).map_err(|error| damaged(error.to_string()))?;
        if format.format != FORMAT {
            return Err(Error::Invalid {
                what: format!(
                    "the backup has a format that this iof does not read: got {}. Restore it with the release that made it.",
                    format.format
                ),
            });
        }
        let manifest: Self =
            serde_json::from_slice(json).map_err(|error| damaged(error.to_string()))?;
        if manifest.files.len() > MOST_FILES {
            return Err(damaged(format!("it names more than {MOST_FILES} files")));
        }
        let mut seen = std::collections::HashSet::new();
        for file in &manifest.files {
            if !is_of_backup(&file.name) || !seen.insert(&file.name) {
                return Err(damaged(format!(
                    "it lists a file twice, or one that does not belong to a backup: got {:?}",
                    file.name
                )));
            }
        }
        if !seen.contains(&DATABASE.to_owned()) {
            return Err(damaged("it names no database".into()));
        }
        Ok(manifest)
    }

    pub(super) fn files(&self) -> &[FileEntry] {
        &self.files
    }

    pub(super) fn migration(&self) -> i64 {
        self.migration
    }
}

/// A summary of a backup.
#[derive(Clone, Debug)]
pub struct BackupSummary(pub(super) Manifest);

impl BackupSummary {
    /// The number of functions.
    #[must_use]
    pub fn functions(&self) -> u64 {
        self.0.functions
    }

    /// The number of versions.
    #[must_use]
    pub fn versions(&self) -> u64 {
        self.0.versions
    }

    /// The number of files that were checked against their digests.
    #[must_use]
    pub fn files(&self) -> usize {
        self.0.files.len()
    }

    /// The bytes of these files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.files.iter().map(|file| file.size).sum()
    }

    /// The release that made the backup.
    #[must_use]
    pub fn release(&self) -> &str {
        &self.0.iof
    }

    /// True if the backup contains the keys of secrets.
    #[must_use]
    pub fn has_secret_keys(&self) -> bool {
        self.0.files.iter().any(|file| file.name == SECRET_KEYS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_names_only_files_of_backups() {
        let source = format!("objects/source/ab/{}", "ab".repeat(32));
        let with = |names: &[&str]| {
            let files = names
                .iter()
                .map(|name| FileEntry::new((*name).to_owned(), 1, "00".into()))
                .collect();
            Manifest::read(Manifest::new(1, 1, 1, files).to_json().unwrap().as_bytes())
        };
        assert!(with(&["iof.db", "secrets.key", &source]).is_ok());
        let other = format!("objects/source/cd/{}", "ab".repeat(32));
        for bad in [
            "../iof.db",
            "/etc/passwd",
            "lock",
            "artefact.key",
            "",
            "backup.json",
            "iof.db",
            &other,
        ] {
            assert_eq!(
                with(&["iof.db", bad]).unwrap_err().code(),
                "damaged",
                "{bad:?}"
            );
        }
        assert_eq!(with(&[&source]).unwrap_err().code(), "damaged");
        assert_eq!(Manifest::read(b"{}").unwrap_err().code(), "damaged");
        assert_eq!(
            Manifest::read(b"{\"format\":2}").unwrap_err().code(),
            "invalid"
        );
    }
}
