//! A compile worker, seen from its parent.

use super::worker::{self, HEADER};
use bytes::Bytes;
use iof_fault::Fault;
use std::convert::Infallible;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

/// A running worker; killed when dropped.
#[derive(Debug)]
pub(super) struct Worker {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: ChildStderr,
    /// The beginning of what it said on stderr.
    complaint: Vec<u8>,
    /// It has compiled another module before.
    pub(super) used: bool,
}

/// The answer of a worker about a module, or its death.
pub(super) enum Answer {
    /// The artefact, and whether the worker waits for another module.
    Artefact {
        artefact: Vec<u8>,
        stays: bool,
    },
    Refusal(Fault),
    /// There would be more to read than an artefact may have.
    TooLarge,
    /// The worker ended without an answer.
    Death {
        status: ExitStatus,
        complaint: Vec<u8>,
    },
}

/// The most that is kept of what a worker says on stderr.
const COMPLAINT: usize = 16 << 10;

impl Worker {
    /// Starts a worker: `command` is its program with its first arguments, `limits` the last.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub(super) fn start(command: &[PathBuf], limits: &str) -> std::io::Result<Self> {
        let broken = std::io::Error::other;
        let [program, args @ ..] = command else {
            return Err(broken("no compile worker configured"));
        };
        let mut child = Command::new(program)
            .args(args)
            .arg(limits)
            .env_clear()
            // Memory that is only set aside would count against `compile_memory`.
            .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(broken("the worker has no pipes"));
        };
        Ok(Self {
            child,
            stdin,
            stdout,
            stderr,
            complaint: vec![],
            used: false,
        })
    }

    /// Returns whether it still waits for a module: somebody may have killed it.
    pub(super) fn waits(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Its number, while it has not been waited for.
    #[cfg(test)]
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Has one module compiled. A caller that goes away must drop the worker as well.
    ///
    /// # Errors
    /// When the worker cannot be spoken to or waited for.
    pub(super) async fn compile(&mut self, source: &Bytes, room: u64) -> std::io::Result<Answer> {
        // A worker that died closes its end; how it died says why.
        let _ = self
            .stdin
            .write_all(&(source.len() as u64).to_le_bytes())
            .await;
        let _ = self.stdin.write_all(source).await;
        let answer = tokio::select! {
            answer = answer(&mut self.stdout, room) => answer?,
            never = listen(&mut self.stderr, &mut self.complaint) => match never? {},
        };
        self.used = true;
        if let Some(answer) = answer {
            return Ok(answer);
        }
        let rest = COMPLAINT.saturating_sub(self.complaint.len());
        (&mut self.stderr)
            .take(rest as u64)
            .read_to_end(&mut self.complaint)
            .await?;
        Ok(Answer::Death {
            status: self.child.wait().await?,
            complaint: std::mem::take(&mut self.complaint),
        })
    }
}

/// Reads an answer; `None` when the worker ended before the last byte of it.
async fn answer(stdout: &mut ChildStdout, room: u64) -> std::io::Result<Option<Answer>> {
    let mut header = [0; HEADER];
    match stdout.read_exact(&mut header).await {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    };
    let [kind, then, length @ ..] = header;
    let length = u64::from_le_bytes(length);
    if length >= room {
        return Ok(Some(Answer::TooLarge));
    }
    let mut answer = Vec::new();
    stdout.take(length).read_to_end(&mut answer).await?;
    if answer.len() as u64 != length {
        return Ok(None);
    }
    Ok(Some(match kind {
        worker::ARTEFACT => Answer::Artefact {
            artefact: answer,
            stays: then == worker::STAYS,
        },
        _ => Answer::Refusal(worker::refusal(&answer)),
    }))
}

/// Reads what a worker says on stderr, for as long as its answer is waited for.
async fn listen(stderr: &mut ChildStderr, complaint: &mut Vec<u8>) -> std::io::Result<Infallible> {
    while complaint.len() < COMPLAINT && stderr.read_buf(complaint).await? > 0 {}
    std::future::pending().await
}
