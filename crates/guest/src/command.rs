//! Commands, by which a function reaches anything outside.

use std::fmt;
use std::time::Duration;

/// The timeout that the crates of 2020 gave a command without one.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// The status of a command that was not granted or does not exist.
pub(crate) const NOT_RUN: i32 = -1;
/// The status of a command that exceeded its timeout.
pub(crate) const TIMED_OUT: i32 = 110;

/// A command, which the operator of the server grants.
///
/// It has the shape of a Unix command: arguments, environment and standard input go in; status, standard output and
/// standard error come out. Its methods are those of the crate `rust_process_interface_library`, with which functions
/// of 2020 were written.
///
/// ```no_run
/// let mut command = iof::Command::new("infer");
/// let output = command.arg("mobilenet").stdin_u8vec(b"a picture").run()?;
/// # Ok::<_, iof::Error>(())
/// ```
///
/// For HTTP requests there is [`iof::http`](crate::http), which is the command `http_proxy`.
#[derive(Clone, Debug)]
pub struct Command {
    run: Run,
}

/// A command as it is run, which is passed to a test's closure.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(target_family = "wasm", allow(unreachable_pub))] // part of `testing`, which modules do not contain
pub struct Run {
    /// The command.
    pub name: String,
    /// Its arguments, without its name.
    pub args: Vec<String>,
    /// Its environment, in the order in which it was set.
    pub env: Vec<(String, String)>,
    /// Its standard input.
    pub stdin: Vec<u8>,
    /// The time after which it is killed.
    pub timeout: Duration,
}

/// The result of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Zero is success; -1 means that the command was not granted or does not exist, 110 that it exceeded its timeout.
    pub status: i32,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

/// A command that did not end with the status zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandError {
    name: String,
    output: Output,
}

impl Command {
    /// A command of this name, without arguments, with a timeout of ten seconds.
    pub fn new(name: impl AsRef<str>) -> Self {
        Self {
            run: Run {
                name: name.as_ref().to_owned(),
                args: Vec::new(),
                env: Vec::new(),
                stdin: Vec::new(),
                timeout: DEFAULT_TIMEOUT,
            },
        }
    }

    /// Adds an argument.
    pub fn arg(&mut self, argument: impl AsRef<str>) -> &mut Self {
        self.run.args.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<S: AsRef<str>>(&mut self, arguments: impl IntoIterator<Item = S>) -> &mut Self {
        for argument in arguments {
            self.arg(argument);
        }
        self
    }

    /// Sets a variable of its environment, and replaces one that was set before.
    pub fn env(&mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> &mut Self {
        let (name, value) = (name.as_ref(), value.as_ref().to_owned());
        match self.run.env.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.run.env.push((name.to_owned(), value)),
        }
        self
    }

    /// Sets variables of its environment.
    pub fn envs<K: AsRef<str>, V: AsRef<str>>(
        &mut self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> &mut Self {
        for (name, value) in variables {
            self.env(name, value);
        }
        self
    }

    /// Adds text to its standard input.
    pub fn stdin(&mut self, text: impl AsRef<str>) -> &mut Self {
        self.stdin_u8vec(text.as_ref())
    }

    /// Adds a byte to its standard input.
    pub fn stdin_u8(&mut self, byte: u8) -> &mut Self {
        self.stdin_u8vec([byte])
    }

    /// Adds bytes to its standard input.
    pub fn stdin_u8vec(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.run.stdin.extend(bytes.as_ref());
        self
    }

    /// Sets its timeout in milliseconds; the call's own time limits it, too.
    pub fn timeout(&mut self, milliseconds: u32) -> &mut Self {
        self.run.timeout = Duration::from_millis(milliseconds.into());
        self
    }

    /// Runs the command, and returns its result whether it succeeded or not.
    pub fn output(&mut self) -> Output {
        #[cfg(target_family = "wasm")]
        let output = crate::abi::imports::run(&self.run);
        #[cfg(not(target_family = "wasm"))]
        let output = crate::testing::run(&self.run);
        output
    }

    /// Runs the command, and returns its standard output.
    ///
    /// # Errors
    /// An error if its status is not zero.
    pub fn run(&mut self) -> Result<Vec<u8>, CommandError> {
        match self.output() {
            Output {
                status: 0, stdout, ..
            } => Ok(stdout),
            output => Err(CommandError {
                name: self.run.name.clone(),
                output,
            }),
        }
    }
}

impl Output {
    /// The output of a command that succeeded, for the answers of tests.
    pub fn ok(stdout: impl Into<Vec<u8>>) -> Self {
        Self {
            stdout: stdout.into(),
            ..Self::default()
        }
    }

    /// The output of a command that failed, for the answers of tests.
    pub fn failed(status: i32, stderr: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            stderr: stderr.into(),
            ..Self::default()
        }
    }
}

impl CommandError {
    /// The status, which is not zero.
    #[must_use]
    pub fn status(&self) -> i32 {
        self.output.status
    }

    /// The whole result of the command.
    #[must_use]
    pub fn output(&self) -> &Output {
        &self.output
    }

    pub(crate) fn code(&self) -> &'static str {
        match self.output.status {
            NOT_RUN => "command-not-run",
            TIMED_OUT => "command-timeout",
            _ => "command-failed",
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.output.status {
            NOT_RUN => write!(f, "the command `{}` did not run", self.name)?,
            TIMED_OUT => write!(f, "the command `{}` ran out of time", self.name)?,
            status => write!(f, "the command `{}` ended with {status}", self.name)?,
        }
        match String::from_utf8_lossy(&self.output.stderr).trim() {
            "" => Ok(()),
            stderr => write!(f, ": {stderr}"),
        }
    }
}

impl std::error::Error for CommandError {}
