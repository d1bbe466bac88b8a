//! The server's side of worker processes.
//!
//! Two things are kept out of the server's process. Every model is first loaded in a worker and run there once: tract
//! aborts when it gets no memory, and neither the memory that a hostile graph makes it allocate nor the time to prepare
//! a graph can be bounded inside a process. After a worker survived it, the server loads the model itself, and runs it
//! at full speed. And two kinds of models never run in the server: graphs that a function sends (`mobilenet_v2`), and
//! models whose memory depends on a function's data. Those stay in their worker, which is kept.

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncReadExt;
use tokio::process::ChildStdout;
use tokio::time::{Instant, timeout, timeout_at};

use crate::library::Library;
use crate::worker::{self, Answer, Ask, Bounds, head, lengths, split};
use crate::{Config, Description, Error, Format, Kind, Signature, Tensor};

/// Bytes that a pipe to or from a worker holds: the most for an account that is not root.
const PIPE: usize = 1 << 20;

/// Starts workers.
#[derive(Debug)]
pub(crate) struct Workers {
    program: Vec<PathBuf>,
    bounds: Bounds,
    memory: bytesize::ByteSize,
}

/// One worker process. It is killed when dropped.
pub(crate) struct Worker {
    process: iof_worker::Worker,
    room: u64,
    memory: bytesize::ByteSize,
    /// Set while an answer is outstanding: the next bytes would belong to another request.
    astray: bool,
}

/// The reason why there is no answer.
pub(crate) enum Silence {
    /// The worker had ended before it got the request, as idle ones do. Another one may answer.
    Gone,
    /// Any other error.
    Error(Error),
}

impl From<Error> for Silence {
    fn from(error: Error) -> Silence {
        Silence::Error(error)
    }
}

impl Workers {
    /// Workers of `program`, to whose arguments one is appended. An empty program means no workers.
    pub(crate) fn new(program: Vec<PathBuf>, config: &Config) -> Workers {
        let bounds = Bounds {
            graph: config.limits(),
            memory: config.worker_memory.as_u64(),
            file: config.model_size.as_u64().max(config.graph_size.as_u64()),
            input: config
                .input
                .as_u64()
                .saturating_add(config.run_memory.as_u64()),
            idle: config.worker_idle,
            run_time: config.run_time,
            onnxruntime: Library::of(config),
        };
        Workers {
            program,
            bounds,
            memory: config.worker_memory,
        }
    }

    /// Returns `true` if there are workers.
    pub(crate) fn exist(&self) -> bool {
        !self.program.is_empty()
    }

    /// Starts a worker.
    pub(crate) fn start(&self) -> Result<Worker, Error> {
        let failed = |reason: &dyn std::fmt::Display| {
            Error::host(format!("a worker process cannot be used: {reason}"))
        };
        if !self.exist() {
            return Err(failed(&"this server has none"));
        }
        let bounds = serde_json::to_string(&self.bounds).map_err(|e| failed(&e))?;
        let process = iof_worker::Worker::start(&self.program, &bounds).map_err(|e| failed(&e))?;
        let (stdin, stdout) = process.pipes();
        widen(stdin);
        widen(stdout);
        Ok(Worker {
            process,
            // The worker bounds outputs; a compromised one may send anything.
            room: self.bounds.graph.output.saturating_add(worker::HEAD),
            memory: self.memory,
            astray: false,
        })
    }
}

impl Worker {
    pub(crate) async fn describe(
        &mut self,
        format: Option<Format>,
        file: &[u8],
        deadline: Instant,
    ) -> Result<Description, Silence> {
        match self.ask(&Ask::Describe(format), &[file], deadline).await? {
            (Answer::Described(description), _) => Ok(description),
            _ => Err(unexpected()),
        }
    }

    /// The version of the worker's onnxruntime; `None` if the settings name none.
    pub(crate) async fn runtime(&mut self, deadline: Instant) -> Result<Option<String>, Silence> {
        match self.ask(&Ask::Runtime, &[], deadline).await? {
            (Answer::Runtime(version), _) => Ok(version),
            _ => Err(unexpected()),
        }
    }

    /// Loads a model. Returns whether its memory is bounded.
    pub(crate) async fn load(
        &mut self,
        format: Option<Format>,
        signature: &Signature,
        file: &[u8],
        deadline: Instant,
    ) -> Result<bool, Silence> {
        let ask = Ask::Load(format, signature.clone());
        match self.ask(&ask, &[file], deadline).await? {
            (Answer::Loaded { bounded }, _) => Ok(bounded),
            _ => Err(unexpected()),
        }
    }

    pub(crate) async fn run(
        &mut self,
        inputs: &[Tensor],
        deadline: Instant,
    ) -> Result<Vec<Tensor>, Silence> {
        let parts: Vec<&[u8]> = inputs.iter().map(|tensor| &tensor.data()[..]).collect();
        match self.ask(&Ask::Run, &parts, deadline).await? {
            // A compromised worker may answer with inconsistent sizes.
            (Answer::Outputs(specs), payload) => split(&specs, &payload)
                .map_err(|_| Error::failed("the worker's answer is inconsistent").into()),
            _ => Err(unexpected()),
        }
    }

    /// Returns whether it can take another request.
    pub(crate) fn usable(&self) -> bool {
        !self.astray
    }

    /// Sends one request and reads its answer. After an error the worker is unusable, unless the error
    /// was its answer.
    async fn ask(
        &mut self,
        ask: &Ask,
        payload: &[&[u8]],
        deadline: Instant,
    ) -> Result<(Answer, Bytes), Silence> {
        let size = payload.iter().map(|part| part.len()).sum();
        let frame = head(ask, size)
            .map_err(|e| Error::host(format!("the request cannot be written: {e}")))?;
        let room = self.room;
        let read = async |stdout: &mut ChildStdout| {
            let mut start = [0; 16];
            stdout.read_exact(&mut start).await?;
            let (text, payload) = lengths(start, room)?;
            let mut content = vec![0; text];
            stdout.read_exact(&mut content).await?;
            let mut bytes = vec![0; payload];
            stdout.read_exact(&mut bytes).await?;
            let answer: Answer = serde_json::from_slice(&content)?;
            Ok((answer, Bytes::from(bytes)))
        };
        let question: Vec<&[u8]> = std::iter::once(&*frame)
            .chain(payload.iter().copied())
            .collect();
        self.astray = true;
        let result = timeout_at(deadline, self.process.ask(&question, read)).await;
        self.astray = !matches!(result, Ok(Ok(_)));
        match result {
            Ok(Ok((Answer::Failed(error), _))) => Err(Silence::Error(error)),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(self.autopsy().await),
            Err(_) => {
                // Dropping kills it too, but perhaps only after the next run has checked it.
                self.process.kill();
                Err(Silence::Error(Error::new(
                    Kind::Time,
                    "the time was over (the call's deadline, infer.run_time or infer.load_time)",
                )))
            }
        }
    }

    /// The reason why a worker ended.
    async fn autopsy(&mut self) -> Silence {
        let death = timeout(Duration::from_secs(2), self.process.death()).await;
        let (status, complaint, out_of_memory) = match &death {
            Ok(Ok(death)) if death.status.success() => return Silence::Gone,
            Ok(Ok(death)) => {
                let status = death.status.to_string();
                (status, &*death.complaint, death.out_of_memory())
            }
            _ => {
                self.process.kill();
                ("it closed its pipes".to_owned(), "", false)
            }
        };
        tracing::error!(target: "iof::infer", status, %complaint, "a worker ended");
        if out_of_memory {
            let memory = self.memory;
            return Silence::Error(Error::limit(format!(
                "the model takes more memory than infer.worker_memory = {memory}"
            )));
        }
        Silence::Error(Error::failed(format!(
            "the model ended its process: {status}"
        )))
    }
}

/// Enlarges a pipe to hold a picture's tensor, if the kernel allows it: at 64 KiB, both sides wait
/// for each other ten times.
fn widen(pipe: impl AsFd) {
    let _ = rustix::pipe::fcntl_setpipe_size(&pipe, PIPE);
}

fn unexpected() -> Silence {
    Silence::Error(Error::host("a worker answered another request"))
}
