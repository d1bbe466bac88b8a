//! The names of files in a backup. There are no others.

use crate::sweep::unhex;

pub(super) const DATABASE: &str = "iof.db";
pub(super) const MANIFEST: &str = "backup.json";
pub(super) const SECRET_KEYS: &str = "secrets.key";

/// The name of a source in a backup, which is also its name in a data directory.
pub(super) fn source_name(sha256: &[u8; 32]) -> String {
    let digest = hex::encode(sha256);
    format!("objects/source/{}/{digest}", &digest[..2])
}

/// `true` for the names of files that a manifest lists.
pub(super) fn is_of_backup(name: &str) -> bool {
    let source = || {
        let digest = unhex(name.rsplit('/').next()?)?;
        Some(source_name(&digest) == name)
    };
    name == DATABASE || name == SECRET_KEYS || source() == Some(true)
}
