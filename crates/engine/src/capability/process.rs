//! Commands that a guest assembles, runs and reads the output of.
//!
//! The semantics are those of SSVM in 2020, except for its defects: input has a limit, no shell starts a command, and
//! none is looked up in a path. Statuses: 0 to 127 as the command returned them, 128 to 255 as the negative number of
//! the same byte, -1 for a command that is not granted or does not exist, 110 for a timeout.

use crate::limits::{LimitExceeded, Limits};
use crate::tape::HostCallTape;
use bytes::Bytes;
use iof_command::{CallContext, Refusal, Registry, Request, TIMED_OUT};
use iof_fault::Fault;
use std::time::Duration;

/// The timeout of a command that sets none, as in SSVM.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// The status of a command that is not granted, or does not exist.
const NOT_RUN: i32 = -1;
/// The bytes that each argument counts besides its contents: an empty argument takes memory, too.
const OVERHEAD: u64 = 32;

/// The command that a guest is assembling, and the outcome of its last one.
#[derive(Debug, Default)]
pub(crate) struct Process {
    next: Next,
    status: i32,
    stdout: Bytes,
    stderr: Bytes,
    /// The number of commands that ran.
    runs: u32,
}

#[derive(Debug)]
struct Next {
    name: Vec<u8>,
    args: Vec<String>,
    env: Vec<(String, String)>,
    stdin: Vec<u8>,
    timeout: Duration,
    /// The bytes of all fields above.
    size: u64,
}

impl Default for Next {
    fn default() -> Self {
        Self {
            name: vec![],
            args: vec![],
            env: vec![],
            stdin: vec![],
            timeout: DEFAULT_TIMEOUT,
            size: 0,
        }
    }
}

impl Process {
    /// Counts bytes of the next command before they are read.
    ///
    /// # Errors
    /// [`LimitExceeded::CommandInput`]
    pub(crate) fn reserve(&mut self, length: u32, limits: &Limits) -> Result<(), LimitExceeded> {
        self.next.size += u64::from(length) + OVERHEAD;
        if self.next.size > limits.command_input.as_u64() {
            return Err(LimitExceeded::CommandInput);
        }
        Ok(())
    }

    /// Appends to the command's name, which lasts until the next run, as in SSVM.
    pub(crate) fn add_name(&mut self, bytes: Vec<u8>) {
        self.next.name.extend(bytes);
    }

    pub(crate) fn add_arg(&mut self, bytes: Vec<u8>) {
        self.next.args.push(string(bytes));
    }

    /// Sets an environment variable; the first value for a key counts.
    pub(crate) fn add_env(&mut self, key: Vec<u8>, value: Vec<u8>) {
        let (key, value, env) = (string(key), string(value), &mut self.next.env);
        if !env.iter().any(|(known, _)| *known == key) {
            env.push((key, value));
        }
    }

    pub(crate) fn add_stdin(&mut self, bytes: Vec<u8>) {
        let stdin = &mut self.next.stdin;
        if stdin.is_empty() {
            *stdin = bytes;
        } else {
            stdin.extend(bytes);
        }
    }

    pub(crate) fn set_timeout(&mut self, timeout: Duration) {
        self.next.timeout = timeout;
    }

    /// Runs the assembled command, or plays its recorded outcome, and returns its status.
    ///
    /// # Errors
    /// `commands` for one command too many, `not-recorded` for one that a replayed call did not run.
    pub(crate) async fn run(
        &mut self,
        commands: &Registry,
        context: &CallContext,
        limits: &Limits,
        tape: Option<&HostCallTape>,
    ) -> Result<i32, Fault> {
        self.runs += 1;
        if self.runs > limits.commands {
            return Err(LimitExceeded::Commands.fault(limits));
        }
        let next = std::mem::take(&mut self.next);
        let name = string(next.name);
        let request = Request {
            args: next.args,
            env: next.env,
            stdin: Bytes::from(next.stdin),
            timeout: next.timeout,
        };
        (self.status, self.stdout, self.stderr) = match tape {
            None => answer(commands, context, &name, request).await,
            Some(tape) => {
                let ended = match tape.play_command(&name, &request) {
                    Some(played) => played?,
                    None => answer(commands, context, &name, request.clone()).await,
                };
                tape.note_command(&name, request, (ended.0, &ended.1, &ended.2));
                ended
            }
        };
        Ok(self.status)
    }

    /// The status of the last command.
    pub(crate) fn status(&self) -> i32 {
        self.status
    }

    /// The stdout of the last command.
    pub(crate) fn stdout(&self) -> &Bytes {
        &self.stdout
    }

    /// The stderr of the last command.
    pub(crate) fn stderr(&self) -> &Bytes {
        &self.stderr
    }
}

/// Runs a command, and returns status, stdout and stderr in SSVM's form.
async fn answer(
    commands: &Registry,
    context: &CallContext,
    name: &str,
    request: Request,
) -> (i32, Bytes, Bytes) {
    match commands.run(context, name, request).await {
        Ok(output) => (exit_status(output.status), output.stdout, output.stderr),
        Err(Refusal::NotGranted) => {
            let stderr = match commands.how_to_grant(name) {
                Some(how) => Bytes::from_static(how.as_bytes()),
                // Exactly the text that SSVM printed: guests show it to their users.
                None => Bytes::from(format!(
                    "Permission denied: Command \"{name}\" is not in the white list. Please use --allow-command={name} or \
                     --allow-command-all to add \"{name}\" command into the white list.\n"
                )),
            };
            (NOT_RUN, Bytes::new(), stderr)
        }
        Err(Refusal::NotFound) => (
            NOT_RUN,
            Bytes::new(),
            Bytes::from_static(b"Command not found.\n"),
        ),
        Err(Refusal::TimedOut) => (TIMED_OUT, Bytes::new(), Bytes::new()),
    }
}

/// The lowest byte of a status with its sign, which SSVM returned.
fn exit_status(status: i32) -> i32 {
    i32::from(status.to_le_bytes()[0].cast_signed())
}

/// Bytes as a string: bytes that are not UTF-8 are replaced; valid UTF-8, the usual case, is not copied.
fn string(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzzing::context;
    use bytesize::ByteSize;

    fn limits() -> Limits {
        Limits {
            commands: 2,
            command_input: ByteSize::b(100),
            ..Limits::default()
        }
    }

    async fn run(process: &mut Process, tape: Option<&HostCallTape>) -> Result<i32, Fault> {
        let limits = limits();
        process
            .run(&Registry::new(), &context(), &limits, tape)
            .await
    }

    #[test]
    fn statuses_are_bytes_with_a_sign() {
        for (status, seen) in [(0, 0), (127, 127), (128, -128), (255, -1), (256, 0)] {
            assert_eq!(exit_status(status), seen);
        }
    }

    #[test]
    fn input_counts_for_each_command() {
        let (mut process, limits) = (Process::default(), limits());
        assert_eq!(process.reserve(36, &limits), Ok(()));
        assert_eq!(process.reserve(0, &limits), Ok(()));
        assert_eq!(
            process.reserve(0, &limits),
            Err(LimitExceeded::CommandInput)
        );
    }

    #[tokio::test]
    async fn a_command_is_put_together_once_and_runs_have_an_end() {
        let mut process = Process::default();
        process.add_name(b"ec".to_vec());
        process.add_name(b"ho".to_vec());
        process.add_arg(vec![b'a', 0xff]);
        process.add_env(b"K".to_vec(), b"1".to_vec());
        process.add_env(b"K".to_vec(), b"2".to_vec());
        process.add_stdin(b"in".to_vec());
        process.add_stdin(b"put".to_vec());
        let tape = HostCallTape::recorder(10_000);
        assert_eq!(run(&mut process, Some(&tape)).await.unwrap(), NOT_RUN);
        let [command] = <[_; 1]>::try_from(tape.responses().unwrap().commands).unwrap();
        assert_eq!((&*command.name, &*command.stdin.0), ("echo", &b"input"[..]));
        assert_eq!(command.args, ["a\u{fffd}"]);
        assert_eq!(command.env, [("K".to_owned(), "1".to_owned())]);
        assert_eq!(process.stderr(), &command.stderr.0);

        // The assembled command is reset, and a third run is one too many.
        run(&mut process, Some(&tape)).await.unwrap();
        assert_eq!(tape.responses().unwrap().commands[1].name, "");
        let refused = run(&mut process, None).await.unwrap_err();
        assert_eq!(refused.code(), "commands");
    }

    #[tokio::test]
    async fn a_replay_runs_nothing() {
        let tape = HostCallTape::player(Default::default());
        let refused = run(&mut Process::default(), Some(&tape)).await.unwrap_err();
        assert_eq!(refused.code(), "not-recorded");
    }
}
