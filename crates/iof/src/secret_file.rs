//! Files with a key that this program makes once, and that only their user can read.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use zeroize::Zeroizing;

/// The most bytes of such a file.
const MOST: u64 = 64 << 10;

/// The text of a file. A missing file is created with thirty-two random bytes in hexadecimal digits; the result is then
/// `true`.
///
/// # Errors
/// An error with the path if the file cannot be read or created.
pub(crate) fn read_or_make(file: &Path) -> Result<(Zeroizing<String>, bool), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", file.display());
    match fs::File::open(file) {
        Ok(open) => {
            let mut text = Zeroizing::new(String::new());
            open.take(MOST).read_to_string(&mut text).map_err(failed)?;
            return Ok((text, false));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let id = || uuid::Uuid::new_v4().simple().to_string();
    let text = Zeroizing::new(id() + &id());
    // The file appears by a rename when it is complete, because half a key would be a different key.
    let new = file.with_extension(format!("{}.new", std::process::id()));
    let made = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut open| {
            open.write_all(text.as_bytes())?;
            open.sync_all()
        })
        .and_then(|()| fs::rename(&new, file))
        .and_then(|()| match file.parent() {
            Some(folder) => fs::File::open(folder)?.sync_all(),
            None => Ok(()),
        });
    if made.is_err() {
        let _ = fs::remove_file(&new);
    }
    made.map_err(failed)?;
    Ok((text, true))
}
