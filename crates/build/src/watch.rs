//! Changes in a folder, for rebuilds: those that a user saved, and not those of a build or an editor.

use crate::Error;
use notify::event::{AccessKind, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// An editor saves in several steps, and a checkout in hundreds: changes this close together count as one.
const QUIET: Duration = Duration::from_millis(60);
/// The longest time for which the first of many changes is held back.
const LONGEST: Duration = Duration::from_millis(500);

/// Changes in some folders, one batch after another. It ends when the folders are gone.
#[derive(Debug)]
pub struct Watch {
    watcher: RecommendedWatcher,
    events: Receiver<notify::Result<notify::Event>>,
    folders: Vec<PathBuf>,
    /// A batch that is not complete.
    gathered: BTreeSet<PathBuf>,
    since: Option<Instant>,
}

/// Watches folders, such as [`Built::folders`](crate::Built::folders).
///
/// # Errors
/// [`Error::Watch`], with what to do.
pub fn watch<P: AsRef<Path>>(folders: &[P]) -> Result<Watch, Error> {
    let (sender, events) = channel();
    let watcher = notify::recommended_watcher(move |event| {
        // A receiver that is gone does not need them.
        let _ = sender.send(event);
    });
    let first = folders.first().map_or(Path::new("."), AsRef::as_ref);
    let mut watch = Watch {
        watcher: watcher.map_err(|error| cannot(first, &error))?,
        events,
        folders: vec![],
        gathered: BTreeSet::new(),
        since: None,
    };
    for folder in folders {
        let folder = folder.as_ref();
        let folder = folder.canonicalize().map_err(Error::file(folder))?;
        watch.folders.push(folder.clone());
        watch.add(&folder)?;
    }
    Ok(watch)
}

impl Watch {
    /// The next changes, within some time; none when nothing changed.
    ///
    /// # Errors
    /// [`Error::Watch`] when the system stops reporting changes.
    pub fn next_within(&mut self, time: Duration) -> Result<Option<Vec<PathBuf>>, Error> {
        self.wait(Some(Instant::now() + time))
    }

    fn wait(&mut self, until: Option<Instant>) -> Result<Option<Vec<PathBuf>>, Error> {
        loop {
            let batch = self
                .since
                .map(|since| (Instant::now() + QUIET).min(since + LONGEST));
            let now = Instant::now();
            let received = match batch.or(until) {
                Some(until) => self
                    .events
                    .recv_timeout(until.saturating_duration_since(now)),
                None => self
                    .events
                    .recv()
                    .map_err(|_| RecvTimeoutError::Disconnected),
            };
            match received {
                Ok(event) => self.gather(event)?,
                Err(RecvTimeoutError::Timeout) if self.since.is_some() => {
                    self.since = None;
                    return Ok(Some(
                        std::mem::take(&mut self.gathered).into_iter().collect(),
                    ));
                }
                Err(RecvTimeoutError::Timeout) => return Ok(None),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::Watch {
                        folder: self.folders.first().cloned().unwrap_or_default(),
                        why: "the system stopped telling what changes".into(),
                    });
                }
            }
        }
    }

    fn gather(&mut self, event: notify::Result<notify::Event>) -> Result<(), Error> {
        let folder = self.folders.first().cloned().unwrap_or_default();
        let event = event.map_err(|error| cannot(&folder, &error))?;
        if event.need_rescan() {
            // Events were lost; it is only known that something changed.
            self.gathered.extend(self.folders.iter().cloned());
        }
        if !matters(event.kind) {
            return Ok(());
        }
        for path in event.paths {
            if self.ignored(&path) {
                continue;
            }
            // A folder that is new or was moved in, with its contents.
            if matches!(event.kind, EventKind::Create(_) | EventKind::Modify(_)) && path.is_dir() {
                if !is_output(&path) {
                    self.add(&path)?;
                }
                if matches!(
                    event.kind,
                    EventKind::Modify(notify::event::ModifyKind::Metadata(_))
                ) {
                    continue;
                }
            }
            self.gathered.insert(path);
        }
        if !self.gathered.is_empty() && self.since.is_none() {
            self.since = Some(Instant::now());
        }
        Ok(())
    }

    /// Watches a folder and those in it, one by one: a target directory has thousands, and each would count against the
    /// user's limit of watches.
    fn add(&mut self, folder: &Path) -> Result<(), Error> {
        let mut open = vec![folder.to_owned()];
        while let Some(folder) = open.pop() {
            match self.watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Err(error) if !matches!(error.kind, notify::ErrorKind::PathNotFound) => {
                    return Err(cannot(&folder, &error));
                }
                _ => {}
            }
            let Ok(entries) = fs::read_dir(&folder) else {
                continue;
            };
            for entry in entries.flatten() {
                let path = entry.path();
                let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if is_folder && !self.ignored(&path) && !is_output(&path) {
                    open.push(path);
                }
            }
        }
        Ok(())
    }

    /// Returns whether a change there is that of a build or an editor.
    fn ignored(&self, path: &Path) -> bool {
        let inside = self
            .folders
            .iter()
            .find_map(|folder| path.strip_prefix(folder).ok());
        inside.unwrap_or(path).components().any(|part| match part {
            Component::Normal(name) => is_noise(&name.to_string_lossy()),
            _ => false,
        })
    }
}

impl Iterator for Watch {
    type Item = Result<Vec<PathBuf>, Error>;

    /// Waits for the next changes.
    fn next(&mut self) -> Option<Self::Item> {
        self.wait(None).transpose()
    }
}

fn matters(kind: EventKind) -> bool {
    match kind {
        EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Any => true,
        EventKind::Access(AccessKind::Close(notify::event::AccessMode::Write)) => true,
        EventKind::Access(_) | EventKind::Other => false,
    }
}

/// Names of files that builds, version control and editors keep beside sources.
fn is_noise(name: &str) -> bool {
    matches!(
        name,
        "target"
            | "pkg"
            | ".git"
            | ".hg"
            | ".jj"
            | ".idea"
            | ".vscode"
            | ".venv"
            | "__pycache__"
            | "node_modules"
            | "4913"
    ) || name.ends_with('~')
        || name.starts_with(".#")
        || name.starts_with(".iof-")
        || (name.starts_with('#') && name.ends_with('#'))
        || [
            ".swp",
            ".swo",
            ".swx",
            ".tmp",
            ".kate-swp",
            "___jb_tmp___",
            "___jb_old___",
        ]
        .iter()
        .any(|end| name.ends_with(end))
}

/// Returns whether a folder is a cache, marked as cargo marks its target directories, whatever its name.
fn is_output(folder: &Path) -> bool {
    folder.join("CACHEDIR.TAG").is_file()
}

fn cannot(folder: &Path, error: &notify::Error) -> Error {
    let why = match error.kind {
        notify::ErrorKind::MaxFilesWatch => {
            "this account watches as many folders as it may; `sysctl fs.inotify.max_user_watches=524288`, as root, \
             allows more"
                .to_owned()
        }
        _ => error.to_string(),
    };
    Error::Watch {
        folder: folder.to_owned(),
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(250);

    fn changed(watch: &mut Watch, folder: &Path, time: Duration) -> Vec<String> {
        let paths = watch.next_within(time).unwrap().unwrap_or_default();
        let inside = |path: PathBuf| path.strip_prefix(folder).unwrap().display().to_string();
        paths.into_iter().map(inside).collect()
    }

    #[test]
    fn what_somebody_saves_is_told_and_what_tools_write_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for name in ["src", "target", "pkg", ".git", "cache", ".venv"] {
            fs::create_dir(root.join(name)).unwrap();
        }
        fs::write(root.join("cache/CACHEDIR.TAG"), "").unwrap();
        fs::write(root.join("src/lib.rs"), "").unwrap();
        let mut watch = watch(&[&root]).unwrap();

        for noise in [
            "target/a",
            "pkg/a.wasm",
            ".venv/a.py",
            ".git/index",
            "cache/a",
            "src/.lib.rs.swp",
            "src/lib.rs~",
            "src/4913",
            "src/.#lib.rs",
        ] {
            fs::write(root.join(noise), "x").unwrap();
        }
        fs::read(root.join("src/lib.rs")).unwrap();
        assert_eq!(changed(&mut watch, &root, SHORT), [""; 0]);

        // As an editor saves: several steps, one change.
        fs::write(root.join("src/lib.rs"), "a").unwrap();
        fs::write(root.join("src/new.txt"), "a").unwrap();
        fs::rename(root.join("src/new.txt"), root.join("src/lib.rs")).unwrap();
        assert!(changed(&mut watch, &root, LONG).contains(&"src/lib.rs".into()));
        assert_eq!(changed(&mut watch, &root, SHORT), [""; 0]);

        // A folder that was not there is watched, too.
        fs::create_dir_all(root.join("src/deep/er")).unwrap();
        assert!(changed(&mut watch, &root, LONG).contains(&"src/deep".into()));
        fs::write(root.join("src/deep/er/a.rs"), "").unwrap();
        assert_eq!(
            watch.next().unwrap().unwrap(),
            [root.join("src/deep/er/a.rs")]
        );

        fs::remove_file(root.join("src/lib.rs")).unwrap();
        assert_eq!(changed(&mut watch, &root, LONG), ["src/lib.rs"]);
    }

    #[test]
    fn changes_without_end_are_told_anyway() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let mut watch = watch(&[&root]).unwrap();
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    fs::write(root.join("busy"), "").unwrap();
                    std::thread::sleep(Duration::from_millis(5));
                }
            });
            let told = changed(&mut watch, &root, LONG);
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            assert_eq!(told, ["busy"]);
        });
    }

    #[test]
    fn what_is_not_there_cannot_be_watched() {
        assert!(
            watch(&["/nowhere/at/all"])
                .unwrap_err()
                .to_string()
                .starts_with("/nowhere/at/all: ")
        );
    }
}
