//! Native programs as commands: a function's request becomes a run in a jail, and the run's outcome
//! becomes a status as the SSVM of 2020 returned it.
//!
//! The jail ([`iof_jail`]) confines the program; this module decides how it may be invoked. A limit
//! that ends a run is named on standard error and in the record, whatever the program itself printed.

mod args;
mod declaration;
mod proxy;
mod resident;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use bytesize::ByteSize;
use iof_admission::Admission;
use iof_command::{CallContext, Command, Output, Request};
use iof_egress::Egress;
use iof_jail::{Ended, Exit, Jail, Limit, Program, RunError};
use tokio::time::Instant;

use args::Args;
use resident::Residents;

pub use declaration::{Declaration, Reach, Resident};

/// Exit statuses that are not the program's.
pub mod status {
    /// The function's input is not allowed: arguments, standard input.
    pub const USAGE: i32 = 2;
    /// The declared `time` was over; SSVM returned the same for a command that it killed (`ETIMEDOUT`).
    pub const TIME: i32 = 110;
    /// The host could not run it: no permit, or something is missing.
    pub const HOST: i32 = 125;
    /// The program was not started: it does not exist, or is not executable. SSVM returned -1.
    pub const NOT_STARTED: i32 = 255;
}

/// A program of the operator's.
pub struct Native {
    name: String,
    declaration: Declaration,
    args: Args,
    runs: Runs,
    egress: Egress,
    /// Admits as many runs as may run or wait; the jail, or the workers, make them wait.
    present: Admission,
}

enum Runs {
    OneShot(Program),
    Resident(Arc<Residents>),
}

impl Native {
    /// A command of this name.
    ///
    /// # Errors
    /// The problem of the declaration, naming the field.
    pub fn new(
        name: &str,
        declaration: Declaration,
        jail: &Jail,
        egress: Egress,
    ) -> Result<Native, String> {
        let wrong = |problem: String| format!("commands.{name}.{problem}");
        if name.is_empty() || name.len() > 64 || name.contains(char::is_control) {
            return Err(format!(
                "commands: the name of a command is not valid: got {name:?}. Write 1 to 64 characters, none of them a control character"
            ));
        }
        declaration.check().map_err(wrong)?;
        let args = Args::parse(&declaration.args).map_err(|e| wrong(format!("args: {e}")))?;
        let program = jail
            .program(declaration.profile())
            .map_err(|e| format!("commands.{name}: {e}"))?;
        let runs = match &declaration.resident {
            None => Runs::OneShot(program),
            Some(resident) => {
                Runs::Resident(Residents::new(program, resident.clone(), &declaration))
            }
        };
        let present = declaration.concurrency.saturating_add(declaration.queue);
        Ok(Native {
            name: name.to_owned(),
            present: Admission::new(present as usize, 0),
            declaration,
            args,
            runs,
            egress,
        })
    }

    /// The program's arguments and environment, and its unchanged standard input.
    fn checked(&self, request: &mut Request) -> Result<(), String> {
        request.args = self.args.fill(&request.args)?;
        let (size, most) = (request.stdin.len() as u64, self.declaration.stdin);
        if size > most.as_u64() {
            return Err(format!(
                "standard input is larger than {} bytes: got {size} (limit commands.{}.stdin)",
                most.as_u64(),
                self.name
            ));
        }
        let passed = &self.declaration.pass_env;
        request.env.retain(|(name, _)| passed.contains(name));
        Ok(())
    }

    async fn one_shot(
        &self,
        call: &CallContext,
        program: &Program,
        request: Request,
        timeout: Duration,
    ) -> Result<Ended, RunError> {
        let mut request = iof_jail::Request {
            args: request.args,
            env: request.env,
            stdin: request.stdin,
            timeout,
            connections: None,
        };
        match self.declaration.network {
            Reach::None => program.run(request).await,
            Reach::Egress => {
                let (connections, arriving) = tokio::sync::mpsc::channel(
                    self.declaration.connections.clamp(1, 1024) as usize,
                );
                request.connections = Some(connections);
                // Connections live as long as the run: dropping the other half ends them.
                tokio::select! {
                    ended = program.run(request) => ended,
                    () = proxy::serve(&self.egress, call, arriving) => Err(RunError::Lost),
                }
            }
        }
    }

    fn output(&self, ended: Ended) -> Output {
        let Ended {
            exit,
            stdout,
            stderr,
            ..
        } = ended;
        let Exit::Limit(limit) = exit else {
            return Output {
                status: exit.status(),
                stdout,
                stderr,
                stopped: None,
            };
        };
        let (declared, name) = (&self.declaration, &self.name);
        let duration = humantime_serde::re::humantime::format_duration;
        let size = |size: ByteSize| format!("more than {} bytes", size.as_u64());
        let (excess, setting, code) = match limit {
            Limit::Timeout => (
                format!("it took longer than {}", duration(declared.time)),
                "time",
                "command-time",
            ),
            Limit::Cpu => (
                format!("more than {} of CPU time", duration(declared.cpu)),
                "cpu",
                "command-cpu",
            ),
            Limit::Memory => (
                format!("{} of memory", size(declared.memory)),
                "memory",
                "command-memory",
            ),
            Limit::Stdout => (
                format!("{} on standard output", size(declared.stdout)),
                "stdout",
                "command-stdout",
            ),
            Limit::Stderr => (
                format!("{} on standard error", size(declared.stderr)),
                "stderr",
                "command-stderr",
            ),
            Limit::FileSize => (
                format!("{} in a file", size(declared.file_size)),
                "file_size",
                "command-file-size",
            ),
            Limit::Connections => (
                format!("more than {} connections", declared.connections),
                "connections",
                "command-connections",
            ),
            _ => ("a limit".to_owned(), "limits", "command-limit"),
        };
        let line = format!("iof: {name} was stopped: {excess} (limit commands.{name}.{setting})\n");
        Output {
            status: match limit {
                Limit::Timeout => status::TIME,
                _ => exit.status(),
            },
            stdout,
            stderr: with_line(&stderr, &line),
            stopped: Some(code),
        }
    }

    fn not_run(&self, error: &RunError) -> Output {
        let (status, line) = match error {
            // The exact text that SSVM printed.
            RunError::NotFound => (status::NOT_STARTED, "Command not found.\n".to_owned()),
            RunError::NotPermitted => (status::NOT_STARTED, "Permission denied.\n".to_owned()),
            RunError::NotExecutable => (status::NOT_STARTED, "Unknown error.\n".to_owned()),
            RunError::TooLong { .. } | RunError::Argument | RunError::Environment(_) => {
                (status::USAGE, self.line(error))
            }
            _ => (status::HOST, self.line(error)),
        };
        if status == status::HOST {
            tracing::warn!(command = self.name, %error, "a native command could not be run");
        }
        Output {
            status,
            stderr: line.into(),
            ..Output::default()
        }
    }

    fn line(&self, message: impl std::fmt::Display) -> String {
        format!("iof: {}: {message}\n", self.name)
    }

    fn usage(&self, message: String) -> Output {
        Output {
            status: status::USAGE,
            stderr: self.line(message).into(),
            ..Output::default()
        }
    }
}

#[async_trait]
impl Command for Native {
    fn name(&self) -> &str {
        &self.name
    }

    async fn run(&self, call: &CallContext, mut request: Request) -> Output {
        if let Err(problem) = self.checked(&mut request) {
            return self.usage(problem);
        }
        let Some(_present) = self.present.try_acquire() else {
            let queue = self.declaration.queue;
            return Output {
                status: status::HOST,
                stderr: self
                    .line(format_args!(
                        "{queue} runs wait already (limit commands.{}.queue)",
                        self.name
                    ))
                    .into(),
                stopped: Some("command-queue"),
                ..Output::default()
            };
        };
        let left = call.deadline.saturating_duration_since(Instant::now());
        let timeout = self.declaration.time.min(request.timeout).min(left);
        let ended = match &self.runs {
            Runs::OneShot(program) => self.one_shot(call, program, request, timeout).await,
            Runs::Resident(residents) => match residents.run(call, request, timeout).await {
                Ok(output) => return output,
                Err(resident::Failure::Usage(problem)) => return self.usage(problem),
                Err(resident::Failure::Ended(ended)) => Ok(ended),
                Err(resident::Failure::NotRun(error)) => Err(error),
                Err(resident::Failure::Broken(problem, stderr)) => {
                    return Output {
                        status: status::HOST,
                        stderr: with_line(&stderr, &self.line(problem)),
                        stopped: Some("command-protocol"),
                        ..Output::default()
                    };
                }
            },
        };
        match ended {
            Ok(ended) => self.output(ended),
            Err(error) => self.not_run(&error),
        }
    }
}

/// Appends a line of the host's to the program's standard error.
fn with_line(stderr: &[u8], line: &str) -> Bytes {
    let mut all = BytesMut::with_capacity(stderr.len() + 1 + line.len());
    all.extend_from_slice(stderr);
    if stderr.last().is_some_and(|&byte| byte != b'\n') {
        all.extend_from_slice(b"\n");
    }
    all.extend_from_slice(line.as_bytes());
    all.freeze()
}
