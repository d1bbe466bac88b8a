//! The profile of one program, written by its operator: its path, the files it sees, and the limits of a run.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One program and its jail.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Profile {
    /// The program's absolute path. It is always visible in the jail.
    pub program: PathBuf,
    /// Files and directories it may read and execute, besides what [every program sees](crate#files).
    pub read: Vec<PathBuf>,
    /// Files and directories it may change. They outlive a run, so runs can exchange data there. No path
    /// that any profile declares should lie below one: a program could put a link in its place. (In the
    /// same profile, that is refused; and a path that leads elsewhere than at first is not followed.)
    pub write: Vec<PathBuf>,
    /// Its environment. It takes precedence over that of a run, and over `PATH`, `HOME`, `TMPDIR`, `LANG`.
    pub env: Vec<(String, String)>,
    /// The network that it can reach.
    pub network: Network,
    /// The limits of a run.
    pub limits: Limits,
    /// The most runs and workers at a time. More wait, each until its own timeout; the caller bounds how
    /// many may wait.
    pub concurrency: u32,
}

impl Profile {
    /// A profile of the program without further files, with the default limits.
    pub fn new(program: impl Into<PathBuf>) -> Profile {
        Profile {
            program: program.into(),
            read: Vec::new(),
            write: Vec::new(),
            env: Vec::new(),
            network: Network::None,
            limits: Limits::default(),
            concurrency: 4,
        }
    }
}

/// The network that a program can reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// No network.
    #[default]
    None,
    /// One HTTP proxy, named by `http_proxy`, `https_proxy`, `all_proxy` and their capital twins.
    /// Connections to it arrive at [`Request::connections`](crate::Request).
    Proxy,
}

/// The limits of one run. Sizes are bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// CPU time: of each process by the kernel (in whole seconds, rounded up), and of all together,
    /// checked every [`LOOK`](Self::LOOK). `None` is for resident workers.
    pub cpu: Option<Duration>,
    /// Memory: private writable mappings of each process by the kernel, and resident anonymous and
    /// shared memory, page tables and sockets of all together, checked every [`LOOK`](Self::LOOK).
    /// Files in the scratch directory count toward `scratch` instead.
    pub memory: u64,
    /// Processes and threads at a time.
    pub processes: u32,
    /// Open files of each process.
    pub files: u32,
    /// The size of each file.
    pub file_size: u64,
    /// The bytes that the scratch directory (with `/dev/shm`) holds.
    pub scratch: u64,
    /// The number of files and directories that it holds.
    pub scratch_files: u32,
    /// Standard output.
    pub stdout: usize,
    /// Standard error.
    pub stderr: usize,
    /// Arguments and environment together, of one run. At most [`Limits::ARGUMENTS`].
    pub arguments: usize,
    /// Connections to the proxy, in one run.
    pub connections: u32,
}

impl Limits {
    /// The interval between two checks of memory and CPU time of all processes together. In between, a
    /// program can use as much more as it can touch in that time.
    pub const LOOK: Duration = Duration::from_millis(25);
    /// The most that [`arguments`](Self::arguments) can be: the kernel's own limit for one argument.
    pub const ARGUMENTS: usize = 128 << 10;
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            cpu: Some(Duration::from_secs(60)),
            memory: 1 << 30,
            processes: 64,
            files: 256,
            file_size: 256 << 20,
            scratch: 256 << 20,
            scratch_files: 4096,
            stdout: 16 << 20,
            stderr: 64 << 10,
            arguments: Limits::ARGUMENTS,
            connections: 256,
        }
    }
}

/// The reason why a profile is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// The path is relative.
    #[error("{0:?} is not an absolute path without `..`")]
    Path(PathBuf),
    /// The path cannot be examined.
    #[error("{path:?}: {error}")]
    Missing {
        /// The path as declared.
        path: PathBuf,
        /// The reason.
        error: std::io::Error,
    },
    /// The program is not a file that can be executed.
    #[error("{0:?} is not an executable file")]
    NotExecutable(PathBuf),
    /// The path would expose the machine, or would lie in the scratch directory.
    #[error(
        "{0:?} cannot be shown to a program: nothing below {below} is, and none of {whole} as a whole. Move what it needs \
         to a folder of its own, such as /opt/NAME",
        below = NEVER_BELOW.join(", "),
        whole = NEVER.join(", ")
    )]
    Never(PathBuf),
    /// The path would expose one of the server's private files.
    #[error("{path:?} contains or lies in {denied:?}, which no program may see")]
    Denied {
        /// The path as declared, or one of those that every program sees.
        path: PathBuf,
        /// The private path of the server.
        denied: PathBuf,
    },
    /// A run could put a link in place of the path, and the next run would follow it.
    #[error("{path:?} lies in {write:?}, which the program may change")]
    Changeable {
        /// The path as declared.
        path: PathBuf,
        /// The path that it lies in.
        write: PathBuf,
    },
    /// A limit with an invalid value.
    #[error("the limit {0} is out of range: {1}")]
    Limit(&'static str, &'static str),
    /// An invalid environment variable.
    #[error("the name of the environment variable {0:?} is empty, or contains `=` or a NUL")]
    Environment(String),
    /// The proxy needs a network of its own.
    #[error("the network `proxy` needs a network namespace, and there is none: {0}")]
    NoNetNamespace(String),
}

/// Paths that would expose the machine, and those of scratch space in the jail, with everything below.
const NEVER_BELOW: [&str; 4] = ["/proc", "/sys", "/tmp", "/dev/shm"];
/// The same, but single files below may be declared (a device).
const NEVER: [&str; 7] = ["/", "/dev", "/etc", "/run", "/var", "/var/run", "/boot"];

impl Profile {
    /// Checks what can be checked before a run; `denied` are canonical. Returns the target of each
    /// declared path.
    pub(crate) fn check(
        &self,
        visible: &[&str],
        denied: &[PathBuf],
    ) -> Result<Vec<(PathBuf, PathBuf)>, ProfileError> {
        let mut leads = Vec::new();
        let declared = self.read.iter().chain(&self.write);
        for path in declared.chain([&self.program]) {
            let plain = |part| !matches!(part, Component::ParentDir | Component::CurDir);
            if !path.is_absolute() || !path.components().all(plain) || has_nul(path) {
                return Err(ProfileError::Path(path.clone()));
            }
            let canonical = path.canonicalize().map_err(|error| ProfileError::Missing {
                path: path.clone(),
                error,
            })?;
            for path in [path, &canonical] {
                if NEVER.iter().any(|never| path == Path::new(never))
                    || NEVER_BELOW.iter().any(|never| path.starts_with(never))
                {
                    return Err(ProfileError::Never(path.clone()));
                }
                refuse(path, denied)?;
            }
            leads.push((path.clone(), canonical));
        }
        for write in &self.write {
            let root = leads.iter().find(|(path, _)| path == write);
            let inside = leads.iter().find(|(path, canonical)| {
                path != write && root.is_some_and(|(_, root)| canonical.starts_with(root))
            });
            if let Some((path, _)) = inside {
                return Err(ProfileError::Changeable {
                    path: path.clone(),
                    write: write.clone(),
                });
            }
        }
        for path in visible {
            if let Ok(path) = Path::new(path).canonicalize() {
                refuse(&path, denied)?;
            }
        }
        self.check_program()?;
        for (name, value) in &self.env {
            if !is_variable(name, value) {
                return Err(ProfileError::Environment(name.clone()));
            }
        }
        self.limits.check()?;
        if self.concurrency == 0 {
            return Err(ProfileError::Limit("concurrency", "it is not at least 1"));
        }
        Ok(leads)
    }

    fn check_program(&self) -> Result<(), ProfileError> {
        use std::os::unix::fs::PermissionsExt;
        let metadata = self.program.metadata();
        let metadata = metadata.map_err(|error| ProfileError::Missing {
            path: self.program.clone(),
            error,
        })?;
        if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
            return Err(ProfileError::NotExecutable(self.program.clone()));
        }
        Ok(())
    }
}

impl Limits {
    fn check(&self) -> Result<(), ProfileError> {
        let at_least = [
            (
                "cpu",
                self.cpu != Some(Duration::ZERO),
                "it is not more than 0s",
            ),
            (
                "memory",
                self.memory >= 16 << 20,
                "it is not at least 16 MiB",
            ),
            ("processes", self.processes >= 1, "it is not at least 1"),
            ("files", self.files >= 16, "it is not at least 16"),
            ("scratch", self.scratch >= 4096, "it is not at least 4 KiB"),
            (
                "scratch_files",
                self.scratch_files >= 16,
                "it is not at least 16",
            ),
            (
                "arguments",
                self.arguments <= Limits::ARGUMENTS,
                "it is more than 128 KiB",
            ),
        ];
        match at_least.into_iter().find(|(_, holds, _)| !holds) {
            Some((name, _, range)) => Err(ProfileError::Limit(name, range)),
            None => Ok(()),
        }
    }
}

fn refuse(path: &Path, denied: &[PathBuf]) -> Result<(), ProfileError> {
    match denied
        .iter()
        .find(|denied| path.starts_with(denied) || denied.starts_with(path))
    {
        Some(denied) => Err(ProfileError::Denied {
            path: path.to_owned(),
            denied: denied.clone(),
        }),
        None => Ok(()),
    }
}

fn has_nul(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().contains(&0)
}

/// Returns whether this is a valid environment variable.
pub(crate) fn is_variable(name: &str, value: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_expose_the_machine_are_refused() {
        let denied = [
            PathBuf::from("/opt/iof-data"),
            PathBuf::from("/usr/share/doc"),
        ];
        let refused = |change: &dyn Fn(&mut Profile)| {
            let mut profile = Profile::new("/bin/sh");
            change(&mut profile);
            profile.check(&[], &denied).unwrap_err()
        };
        Profile::new("/bin/sh").check(&["/bin"], &denied).unwrap();
        for path in ["/", "/etc", "/dev", "/proc/self", "/sys", "/tmp"] {
            let error = refused(&|profile| profile.read = vec![path.into()]);
            assert!(matches!(error, ProfileError::Never(_)), "{path} {error}");
        }
        for path in ["etc/fonts", "/usr/../etc", "usr"] {
            let error = refused(&|profile| profile.write = vec![path.into()]);
            assert!(matches!(error, ProfileError::Path(_)), "{path} {error}");
        }
        let error = refused(&|profile| profile.read = vec!["/usr/share".into()]);
        assert!(matches!(error, ProfileError::Denied { .. }), "{error}");
        let error = Profile::new("/bin/sh")
            .check(&["/usr"], &denied)
            .unwrap_err();
        assert!(matches!(error, ProfileError::Denied { .. }), "{error}");
        let error = refused(&|profile| profile.write = vec!["/usr/bin".into()]);
        assert!(matches!(error, ProfileError::Changeable { .. }), "{error}");
        let error = refused(&|profile| profile.program = "/etc/passwd".into());
        assert!(matches!(error, ProfileError::NotExecutable(_)), "{error}");
        let error = refused(&|profile| profile.program = "/bin/none".into());
        assert!(matches!(error, ProfileError::Missing { .. }), "{error}");
        let error = refused(&|profile| profile.limits.memory = 1);
        assert!(matches!(error, ProfileError::Limit("memory", _)), "{error}");
        let error = refused(&|profile| profile.env = vec![("A=".into(), String::new())]);
        assert!(matches!(error, ProfileError::Environment(_)), "{error}");
    }
}
