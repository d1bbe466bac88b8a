//! The directory of models: `models/<name>/` with `model.onnx` (or `.pb`, `.tflite`), and perhaps
//! `model.toml` and `labels.txt`.
//!
//! A directory is added and removed by a rename, so that there is never half a model, whenever a
//! process is killed. A running server looks for changes when a model is used; it needs no
//! notification.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::Serialize;

use crate::{Config, Declaration, Error, Format};

const FILES: [&str; 3] = ["model.onnx", "model.pb", "model.tflite"];
const DECLARATION: &str = "model.toml";
const LABELS: &str = "labels.txt";

/// The most bytes of `model.toml` and of `labels.txt`: a thousand labels take thirty kilobytes.
const TEXT: u64 = 4 << 20;

/// The prefix of a directory that is incomplete, or being removed. No model's name begins
/// like that.
const UNFINISHED: &str = ".unfinished-";

/// The age at which an unfinished directory of a killed process is removed.
const ABANDONED: Duration = Duration::from_secs(3600);

/// The files of a model.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// The model's file.
    pub model: Vec<u8>,
    /// The text of `model.toml`.
    pub declaration: Option<String>,
    /// The labels of the output, one per line, in the order of its indices.
    pub labels: Option<String>,
}

/// A model in the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Bytes of its file; `None` if there is none, and the model cannot be used.
    pub size: Option<u64>,
    /// The time of the last change of its file.
    #[serde(skip)]
    pub changed: Option<SystemTime>,
}

/// The identity of a directory's contents, without reading them: a hash of each file's device, inode,
/// size and time of its last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Stamp(blake3::Hash);

/// A model as it was read from its directory.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) file: Vec<u8>,
    pub(crate) format: Format,
    pub(crate) declaration: Declaration,
    pub(crate) labels: Vec<String>,
}

/// The directory. All of this blocks on the disk.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    largest: bytesize::ByteSize,
}

/// Checks a name: `[a-z0-9][a-z0-9._-]*`, up to 64 bytes.
///
/// # Errors
/// [`Kind::Usage`](crate::Kind::Usage), stating the form of a name.
pub fn check_name(name: &str) -> Result<(), Error> {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = |(at, c): (usize, u8)| plain(c) || (at > 0 && matches!(c, b'.' | b'_' | b'-'));
    if name.is_empty() || name.len() > 64 || !name.bytes().enumerate().all(fits) {
        return Err(Error::usage(format!(
            "the name of the model is not valid: got {:?}. Use up to 64 lower-case letters, digits and, after the first, also . _ -",
            name.chars().take(80).collect::<String>()
        )));
    }
    Ok(())
}

impl Directory {
    pub(crate) fn new(config: &Config) -> Directory {
        Directory {
            path: config.models.clone(),
            largest: config.model_size,
        }
    }

    fn of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// All models, by name. A directory that does not exist has none.
    pub(crate) fn list(&self) -> Result<Vec<Listed>, Error> {
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|e| self.failed("read", &self.path, &e))?,
        };
        let mut all = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|e| self.failed("read", &self.path, &e))?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if check_name(&name).is_err() || !entry.path().is_dir() {
                continue;
            }
            let file = FILES
                .iter()
                .find_map(|file| fs::metadata(entry.path().join(file)).ok());
            all.push(Listed {
                name,
                size: file.as_ref().map(fs::Metadata::len),
                changed: file.and_then(|file| file.modified().ok()),
            });
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// A stamp that distinguishes the contents of a model's directory; a missing model has no
    /// files.
    pub(crate) fn stamp(&self, name: &str) -> Stamp {
        let directory = self.of(name);
        let names = [FILES[0], FILES[1], FILES[2], DECLARATION, LABELS];
        let mut hasher = blake3::Hasher::new();
        for file in names {
            let data = fs::metadata(directory.join(file)).ok();
            let marks = data.map_or([0; 5], |data| {
                let (device, inode, size) = (data.dev(), data.ino(), data.size());
                let changed = [data.mtime(), data.mtime_nsec()].map(i64::cast_unsigned);
                [device, inode, size, changed[0], changed[1]]
            });
            marks.iter().for_each(|mark| {
                hasher.update(&mark.to_le_bytes());
            });
        }
        Stamp(hasher.finalize())
    }

    /// Reads a model.
    pub(crate) fn read(&self, name: &str) -> Result<Stored, Error> {
        check_name(name)?;
        let directory = self.of(name);
        // Opened once, so that all reads see one version, whatever is renamed meanwhile.
        let opened = FILES
            .iter()
            .find_map(|file| File::open(directory.join(file)).ok());
        let Some(opened) = opened else {
            return Err(Error::model(format!(
                "the model is unknown: got {name:?}. See iof models list"
            )));
        };
        let file = self.read_all(opened, &directory)?;
        let text = |file: &str| match File::open(directory.join(file)) {
            Ok(opened) => {
                let mut text = String::new();
                let read = opened.take(TEXT + 1).read_to_string(&mut text);
                read.map_err(|error| Error::model(format!("{name}/{file}: {error}")))?;
                if text.len() as u64 > TEXT {
                    return Err(Error::limit(format!(
                        "{name}/{file} has more than {TEXT} bytes"
                    )));
                }
                Ok(Some(text))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("read", &directory.join(file), &error)),
        };
        let declaration = text(DECLARATION)?;
        let labels = text(LABELS)?;
        Ok(Stored {
            format: detect(&file)?,
            file,
            declaration: Declaration::parse(declaration.as_deref().unwrap_or_default())?,
            labels: labels
                .as_deref()
                .unwrap_or_default()
                .lines()
                .map(str::to_owned)
                .collect(),
        })
    }

    fn read_all(&self, file: File, path: &Path) -> Result<Vec<u8>, Error> {
        let failed = |error| self.failed("read", path, &error);
        let size = file.metadata().map_err(failed)?.len();
        self.within(size)?;
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
        let limit = self.largest.as_u64();
        file.take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        self.within(bytes.len() as u64)?;
        Ok(bytes)
    }

    /// Refuses a file that is too large.
    pub(crate) fn within(&self, size: u64) -> Result<(), Error> {
        if size > self.largest.as_u64() {
            let largest = self.largest;
            return Err(Error::limit(format!(
                "the model has {size} bytes, more than infer.model_size = {largest}"
            )));
        }
        Ok(())
    }

    /// Adds a model, durably. The caller has tried it.
    pub(crate) fn put(&self, name: &str, parts: &Parts, replace: bool) -> Result<(), Error> {
        check_name(name)?;
        self.within(parts.model.len() as u64)?;
        Declaration::parse(parts.declaration.as_deref().unwrap_or_default())?;
        let format = detect(&parts.model)?;
        let failed = |error: &std::io::Error| self.failed("write", &self.of(name), error);
        fs::create_dir_all(&self.path).map_err(|e| failed(&e))?;
        self.sweep();
        let unfinished = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .tempdir_in(&self.path);
        let unfinished = unfinished.map_err(|e| failed(&e))?;
        let write = |file: &str, content: &[u8]| {
            let mut file = File::create_new(unfinished.path().join(file))?;
            file.write_all(content)?;
            file.sync_all()
        };
        write(format.file_name(), &parts.model).map_err(|e| failed(&e))?;
        for (file, text) in [(DECLARATION, &parts.declaration), (LABELS, &parts.labels)] {
            if let Some(text) = text {
                write(file, text.as_bytes()).map_err(|e| failed(&e))?;
            }
        }
        sync(unfinished.path()).map_err(|e| failed(&e))?;
        // The server may run as another user than the one who adds files.
        let readable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(unfinished.path(), readable).map_err(|e| failed(&e))?;
        let target = self.of(name);
        let rename = |flags| renameat_with(CWD, unfinished.path(), CWD, &target, flags);
        let placed = match rename(RenameFlags::NOREPLACE) {
            Err(rustix::io::Errno::EXIST) if replace => rename(RenameFlags::EXCHANGE),
            Err(rustix::io::Errno::EXIST) => {
                return Err(Error::model(format!(
                    "the model {name:?} exists already. Choose another name, or replace it (--replace)"
                )));
            }
            placed => placed,
        };
        placed.map_err(|e| failed(&e.into()))?;
        sync(&self.path).map_err(|e| failed(&e))
        // The directory that `unfinished` names now is dropped: none, or the replaced one.
    }

    /// Removes a model, durably.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        check_name(name)?;
        let failed = |error: &std::io::Error| self.failed("remove", &self.of(name), error);
        let away = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .tempdir_in(&self.path);
        let away = away.map_err(|e| failed(&e))?;
        match fs::rename(self.of(name), away.path().join("model")) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(Error::model(format!(
                    "the model is unknown: got {name:?}. See iof models list"
                )));
            }
            renamed => renamed.map_err(|e| failed(&e))?,
        }
        sync(&self.path).map_err(|e| failed(&e))
    }

    /// Removes leftovers of killed processes.
    fn sweep(&self) {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        for entry in entries {
            let old = |data: fs::Metadata| data.modified().ok()?.elapsed().ok();
            let age = entry.metadata().ok().and_then(old);
            let unfinished = entry.file_name().to_string_lossy().starts_with(UNFINISHED);
            if unfinished && age.is_some_and(|age| age > ABANDONED) {
                // Another process may have removed it already.
                let _ = iof_scratch::remove_tree(&entry.path());
            }
        }
    }

    fn failed(&self, action: &str, path: &Path, error: &std::io::Error) -> Error {
        Error::host(format!("cannot {action} {}: {error}", path.display()))
    }
}

fn detect(file: &[u8]) -> Result<Format, Error> {
    Format::detect(file).ok_or_else(|| {
        Error::model("the file is neither ONNX nor a TensorFlow frozen graph nor TensorFlow Lite")
    })
}

fn sync(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}
