//! The input of a run, and its end.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use bytes::Bytes;
use rustix::io::Errno;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::link::StartError;
use crate::profile::{Limits, is_variable};

/// The input of a run.
#[derive(Debug, Default)]
pub struct Request {
    /// The arguments, without the program's name.
    pub args: Vec<String>,
    /// The environment, besides that of the profile. Some names make an interpreter run code
    /// (`BASH_ENV`, `PYTHONPATH`, `NODE_OPTIONS`): the caller decides which of them a function may
    /// choose. Those of the loader (`LD_*`) are refused here.
    pub env: Vec<(String, String)>,
    /// The whole of standard input.
    pub stdin: Bytes,
    /// The time that it may take, including the wait for its turn.
    pub timeout: Duration,
    /// The receiver of its connections to the proxy, with [`Network::Proxy`](crate::Network). Connections
    /// are closed if there is none, or while it is full.
    pub connections: Option<mpsc::Sender<TcpStream>>,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The reason why it ended.
    pub exit: Exit,
    /// Standard output, as far as it was read.
    pub stdout: Bytes,
    /// Standard error, as far as it was read.
    pub stderr: Bytes,
    /// CPU time of all its processes, if it ended by itself.
    pub cpu: Duration,
    /// The time from its start to its end, without the wait for its turn.
    pub took: Duration,
}

/// The reason why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status.
    Code(u8),
    /// By a signal that is not a limit's.
    Signal(i32),
    /// By a limit.
    Limit(Limit),
}

/// The limits that end a run. The others only refuse: a program that may not fork, open or write more
/// gets an error for it and reports that itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// [`Request::timeout`].
    Timeout,
    /// [`Limits::cpu`].
    Cpu,
    /// [`Limits::memory`], of all processes together. A single one gets `ENOMEM`.
    Memory,
    /// [`Limits::stdout`].
    Stdout,
    /// [`Limits::stderr`].
    Stderr,
    /// [`Limits::file_size`].
    FileSize,
    /// [`Limits::connections`].
    Connections,
}

impl Exit {
    /// The status in a shell's form: 128 plus the signal's number for a death by signal.
    pub fn status(self) -> i32 {
        match self {
            Exit::Code(code) => code.into(),
            Exit::Signal(signal) => 128 + signal,
            Exit::Limit(Limit::Cpu) => 128 + libc::SIGXCPU,
            Exit::Limit(Limit::FileSize) => 128 + libc::SIGXFSZ,
            Exit::Limit(_) => 128 + libc::SIGKILL,
        }
    }

    pub(crate) fn of(status: i32) -> Exit {
        let status = ExitStatus::from_raw(status);
        match (status.code(), status.signal()) {
            (Some(code), _) => Exit::Code(code as u8),
            (None, Some(libc::SIGXCPU)) => Exit::Limit(Limit::Cpu),
            (None, Some(libc::SIGXFSZ)) => Exit::Limit(Limit::FileSize),
            (None, signal) => Exit::Signal(signal.unwrap_or(libc::SIGKILL)),
        }
    }
}

impl Limit {
    /// A stable name, for records and messages.
    pub fn name(self) -> &'static str {
        match self {
            Limit::Timeout => "timeout",
            Limit::Cpu => "cpu",
            Limit::Memory => "memory",
            Limit::Stdout => "stdout",
            Limit::Stderr => "stderr",
            Limit::FileSize => "file-size",
            Limit::Connections => "connections",
        }
    }
}

/// The reason why there was no run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Arguments and environment are larger than [`Limits::arguments`].
    #[error("arguments and environment are larger than {limit} bytes: got {size}")]
    TooLong {
        /// Their size, in bytes.
        size: usize,
        /// The size that is allowed.
        limit: usize,
    },
    /// An argument contains a NUL byte and cannot be passed on.
    #[error("an argument contains a NUL")]
    Argument,
    /// The name is invalid for a variable, or controls what the loader loads before the program.
    #[error("the environment variable {0:?} is not allowed")]
    Environment(String),
    /// All permits of the program were taken until the timeout.
    #[error("the program was busy until the timeout")]
    Busy,
    /// The program does not exist any more, its user cannot reach it, or the interpreter that it names
    /// is not visible in the jail.
    #[error("the program, or its interpreter, does not exist")]
    NotFound,
    /// The program may not be executed.
    #[error("the program may not be executed")]
    NotPermitted,
    /// The file is not a program.
    #[error("the program is not in an executable format")]
    NotExecutable,
    /// The program was not started for another reason: too little of some resource on the host.
    #[error("the program was not started: {0}")]
    NotStarted(std::io::Error),
    /// There is no warden for it.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The warden ended halfway: killed by the host, or, without a pid namespace, by the program. The
    /// program has ended, too.
    #[error("the run was lost: its warden ended")]
    Lost,
}

/// Refuses arguments and variables that cannot be passed on.
pub(crate) fn check(
    args: &[String],
    env: &[(String, String)],
    limits: &Limits,
) -> Result<(), RunError> {
    let size = args.iter().map(|arg| arg.len() + 1).sum::<usize>()
        + env
            .iter()
            .map(|(n, v)| n.len() + v.len() + 2)
            .sum::<usize>();
    if size > limits.arguments {
        let limit = limits.arguments;
        return Err(RunError::TooLong { size, limit });
    }
    if args.iter().any(|arg| arg.contains('\0')) {
        return Err(RunError::Argument);
    }
    // The jail confines any code that runs in it, but choosing arguments must not mean choosing code.
    let bad = |(name, value): &&(String, String)| {
        !is_variable(name, value) || name.starts_with("LD_") || name == "GLIBC_TUNABLES"
    };
    match env.iter().find(bad) {
        Some((name, _)) => Err(RunError::Environment(name.clone())),
        None => Ok(()),
    }
}

/// Converts the `errno` of starting a program.
pub(crate) fn refused(errno: i32) -> RunError {
    match Errno::from_raw_os_error(errno) {
        Errno::NOENT | Errno::NOTDIR => RunError::NotFound,
        Errno::ACCESS | Errno::PERM => RunError::NotPermitted,
        Errno::NOEXEC | Errno::ISDIR | Errno::INVAL => RunError::NotExecutable,
        other => RunError::NotStarted(other.into()),
    }
}
