//! Files that are there whole or not at all, also when the user presses Ctrl-C.

use crate::Error;
use nix::sys::signal::{SigSet, Signal};
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::Path;

/// Holds back SIGINT and SIGTERM while it lives: for the milliseconds in which a half-made file is on the disk.
///
/// It applies to the thread that made it. In a program whose other threads take signals, only a file whose name begins
/// with a dot may be left behind.
pub(crate) struct SignalHold(Option<SigSet>);

impl SignalHold {
    pub(crate) fn new() -> Self {
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGINT);
        signals.add(Signal::SIGTERM);
        let before = SigSet::thread_get_mask().ok();
        Self(before.filter(|_| signals.thread_block().is_ok()))
    }
}

impl Drop for SignalHold {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = before.thread_set_mask();
        }
    }
}

/// Writes a file as a whole, and makes its folder.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let _held = SignalHold::new();
    let write = || {
        fs::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new()
            .prefix(".iof-")
            .permissions(permissions())
            .tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(Error::file(path))
}

/// Makes a symbolic link to a file of the same folder, in place of what has its name.
pub(crate) fn link(path: &Path, target: &OsStr) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let _held = SignalHold::new();
    let link = || {
        let link = tempfile::Builder::new()
            .prefix(".iof-")
            .make_in(folder, |path| std::os::unix::fs::symlink(target, path))?;
        link.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    link().map_err(Error::file(path))
}

/// Writes a file unless it has these contents already: Cargo rebuilds what depends on newer files.
pub(crate) fn write_if_other(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    match fs::read(path) {
        Ok(there) if there == bytes => Ok(()),
        _ => write(path, bytes),
    }
}

/// The permissions that other programs give files: for everybody, under the user's mask. A temporary file is readable
/// only by its owner.
fn permissions() -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    fs::Permissions::from_mode(0o666)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_only_when_it_differs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pkg/a.wasm");
        write(&path, b"one").unwrap();
        let first = fs::metadata(&path).unwrap().modified().unwrap();
        write_if_other(&path, b"one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), first);
        write_if_other(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path().join("pkg")).unwrap().count(), 1);
    }

    #[test]
    fn signals_wait_and_then_come() {
        let before = SigSet::thread_get_mask().unwrap();
        let held = SignalHold::new();
        assert!(SigSet::thread_get_mask().unwrap().contains(Signal::SIGINT));
        drop(held);
        assert_eq!(
            SigSet::thread_get_mask().unwrap().contains(Signal::SIGINT),
            before.contains(Signal::SIGINT)
        );
    }
}
