//! A compile worker, from the parent's side.

use super::effort::Effort;
use super::worker::{self, HEADER, Wanted};
use bytes::Bytes;
use iof_fault::Fault;
use iof_worker::{Death, Worker};
use std::io::ErrorKind;
use std::path::PathBuf;
use tokio::io::AsyncReadExt;
use tokio::process::ChildStdout;

/// A worker process that compiles modules one after another.
#[derive(Debug)]
pub(super) struct CompileWorker {
    worker: Worker,
    /// True if it has compiled another module before.
    pub(super) used: bool,
}

/// The worker's answer about a module, or its death.
pub(super) enum Answer {
    /// The artefact, and whether the worker waits for another module.
    Artefact {
        artefact: Vec<u8>,
        stays: bool,
    },
    Refusal(Fault),
    /// The worker sends more bytes than an artefact may have.
    TooLarge,
    /// The worker ended without an answer.
    Death(Death),
}

impl CompileWorker {
    /// Starts a worker: `command` is its program with its first arguments, `limits` the last.
    ///
    /// # Errors
    /// The program cannot be started.
    pub(super) fn start(command: &[PathBuf], limits: &str) -> std::io::Result<Self> {
        let worker = Worker::start(command, limits)?;
        let used = false;
        Ok(Self { worker, used })
    }

    /// Returns whether the worker still waits for a module: it may have been killed.
    pub(super) fn waits(&mut self) -> bool {
        self.worker.is_running()
    }

    /// The process id, while the process has not been waited for.
    #[cfg(test)]
    pub(super) fn pid(&self) -> Option<u32> {
        self.worker.pid()
    }

    /// Makes what is wanted of one module. A caller that stops waiting must drop the worker as well.
    ///
    /// # Errors
    /// Communication with the worker fails, or the wait for it.
    pub(super) async fn compile(
        &mut self,
        source: &Bytes,
        wanted: Wanted,
        room: u64,
    ) -> std::io::Result<Answer> {
        let wanted = match wanted {
            Wanted::Code(Effort::Full) => worker::FULL,
            Wanted::Code(Effort::Draft) => worker::DRAFT,
            Wanted::Lines => worker::LINES,
        };
        let length = (source.len() as u64).to_le_bytes();
        let read = async |stdout: &mut ChildStdout| answer(stdout, room).await;
        let answer = self.worker.ask(&[&[wanted], &length, source], read).await?;
        self.used = true;
        match answer {
            Some(answer) => Ok(answer),
            None => Ok(Answer::Death(self.worker.death().await?)),
        }
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
