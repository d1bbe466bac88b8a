//! Programs that a chore runs; each is waited for, or ended, by its own handle.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use iof_build::{Machine, shown};

use crate::step::{Outcome, Problem};

/// The path of a program, if it is on the PATH.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    Machine::this().find(program)
}

/// The cargo that runs this chore.
pub(crate) fn cargo() -> Command {
    Machine::this().cargo()
}

/// Runs a command to its end, with its output on ours.
pub(crate) fn run(command: &mut Command) -> Outcome {
    println!("   $ {}", shown(command));
    let status = command.status().map_err(|e| not_started(command, &e))?;
    if status.success() {
        return Ok(());
    }
    Err(
        Problem::new(format!("`{}` ended with {status}", shown(command)))
            .next("see its output above; the same line can be run by hand"),
    )
}

/// Runs a command to its end, and returns its stdout; both streams are shown if it fails.
pub(crate) fn output(command: &mut Command) -> Outcome<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|e| not_started(command, &e))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let (errors, stdout) = (errors.trim_end(), stdout.trim_end());
    Err(Problem::new(format!(
        "`{}` ended with {}\n{stdout}{errors}",
        shown(command),
        output.status
    )))
}

fn not_started(command: &Command, e: &std::io::Error) -> Problem {
    let program = command.get_program().to_string_lossy();
    Problem::new(format!("`{program}` does not start: {e}"))
        .next(format!("install `{program}`, or put it on the PATH"))
}

/// A server that this chore started. It is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// The address on which it listens, from its own output.
    pub(crate) url: String,
}

impl Server {
    /// Starts a program and waits for its line `listening on URL`.
    pub(crate) fn start(command: &mut Command) -> Outcome<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let child = command.spawn().map_err(|e| not_started(command, &e))?;
        let mut server = Self {
            child,
            url: String::new(),
        };
        let stdout = server
            .child
            .stdout
            .take()
            .ok_or_else(|| Problem::new("no stdout"))?;
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some(url) = line.trim().strip_prefix("listening on ") {
                url.trim_end_matches('/').clone_into(&mut server.url);
                return Ok(server);
            }
        }
        Err(Problem::new(format!(
            "`{}` ended before it listened",
            shown(command)
        )))
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Stops it, and returns the time that it took to end.
    pub(crate) fn stop(&mut self) -> Outcome<Duration> {
        let started = Instant::now();
        output(Command::new("kill").args(["-TERM", &self.child.id().to_string()]))?;
        let ended = self.child.wait();
        let ended =
            ended.map_err(|e| Problem::new(format!("the server cannot be waited for: {e}")))?;
        if !ended.success() {
            return Err(Problem::new(format!("the server ended with {ended}")));
        }
        Ok(started.elapsed())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
