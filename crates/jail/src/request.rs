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
    /// The environment, besides what the profile says. Some names make an interpreter run code
    /// (`BASH_ENV`, `PYTHONPATH`, `NODE_OPTIONS`): which of them a function may choose is the
    /// caller's to decide. Those of the loader (`LD_*`) are refused here.
    pub env: Vec<(String, String)>,
    /// The whole of standard input.
    pub stdin: Bytes,
    /// The time that it may take, with waiting for its turn.
    pub timeout: Duration,
    /// The receiver of its connections to the proxy, with [`Network::Proxy`](crate::Network). Connections
    /// are closed if there is none, or while it is full.
    pub connections: Option<mpsc::Sender<TcpStream>>,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Why it ended.
    pub exit: Exit,
    /// Standard output, as far as it came.
    pub stdout: Bytes,
    /// Standard error, as far as it came.
    pub stderr: Bytes,
    /// CPU time of all its processes, if it ended by itself.
    pub cpu: Duration,
    /// From its start to its end, without waiting for its turn.
    pub took: Duration,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status.
    Code(u8),
    /// By a signal that is not a limit's.
    Signal(i32),
    /// By a limit.
    Limit(Limit),
}

/// The limits that end a run. Others only refuse: a program that may not fork, open or write more
/// gets an error for it and says so itself.
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
    /// The status as a shell has it: 128 and the signal's number for a death by signal.
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

/// Why there was no run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Arguments and environment are larger than [`Limits::arguments`].
    #[error("arguments and environment are {size} bytes, over the limit of {limit}")]
    TooLong {
        /// Their size, in bytes.
        size: usize,
        /// The size that is allowed.
        limit: usize,
    },
    /// An argument cannot be passed on.
    #[error("an argument contains a NUL")]
    Argument,
    /// The name cannot be a variable, or tells the loader what to load before the program.
    #[error("environment variable {0:?} is not allowed")]
    Environment(String),
    /// All of the program's places were taken until the timeout.
    #[error("the program was busy until the timeout")]
    Busy,
    /// There is no program of this name any more, its user cannot get at it, or the interpreter that
    /// it names is not visible in the jail.
    #[error("the program, or its interpreter, is not there")]
    NotFound,
    /// The program may not be executed.
    #[error("the program may not be executed")]
    NotPermitted,
    /// The file is not a program.
    #[error("the program is not in an executable format")]
    NotExecutable,
    /// The program was not started for another reason: too little of something on the host.
    #[error("the program was not started: {0}")]
    NotStarted(std::io::Error),
    /// There is no warden for it.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The warden ended in the middle: killed by the host, or by the program where no pid namespace
    /// prevents that. The program has ended, too.
    #[error("the run was lost: its warden ended")]
    Lost,
}

/// Refuses what cannot be passed on.
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
    // The jail holds whatever code runs in it, but whoever may choose arguments may not choose code.
    let bad = |(name, value): &&(String, String)| {
        !is_variable(name, value) || name.starts_with("LD_") || name == "GLIBC_TUNABLES"
    };
    match env.iter().find(bad) {
        Some((name, _)) => Err(RunError::Environment(name.clone())),
        None => Ok(()),
    }
}

/// The error that an `errno` of starting a program means.
pub(crate) fn refused(errno: i32) -> RunError {
    match Errno::from_raw_os_error(errno) {
        Errno::NOENT | Errno::NOTDIR => RunError::NotFound,
        Errno::ACCESS | Errno::PERM => RunError::NotPermitted,
        Errno::NOEXEC | Errno::ISDIR | Errno::INVAL => RunError::NotExecutable,
        other => RunError::NotStarted(other.into()),
    }
}
