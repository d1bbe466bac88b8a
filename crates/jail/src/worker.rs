//! Resident programs: those that take long to start, and then answer many requests.
//!
//! The caller decides what is sent over the standard streams. The jail is the same as a run's, except
//! for output, which the caller has to bound, and time, which is unlimited.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use iof_admission::Permit;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::feature::Feature;
use crate::link::Link;
use crate::pool::Program;
use crate::request::{Exit, RunError, check, refused};
use crate::run::begin;
use crate::streams::{InputPipe, OutputPipe};
use crate::usage::{self, Usage};
use crate::wire::WardenMessage;

/// A program that runs until it ends, is [killed](Worker::kill), or is dropped.
#[derive(Debug)]
pub struct Worker {
    /// Standard input. Dropping it is the end of file.
    pub stdin: Option<pipe::Sender>,
    /// Standard output.
    pub stdout: pipe::Receiver,
    stderr: Tail,
    link: Link,
    connections: Option<mpsc::Sender<TcpStream>>,
    ended: Option<Exit>,
    /// Reads standard error as it comes; ends with the worker.
    reader: JoinSet<()>,
    _permit: Permit,
}

/// The most time for which the output of a worker is read after its end: a process may outlive it.
const DRAINED: Duration = Duration::from_millis(200);

/// The end of what was written to standard error.
type Tail = Arc<Mutex<VecDeque<u8>>>;

impl Program {
    /// Starts the program as a worker, which takes one of the program's permits. Its profile should have
    /// [`Limits::cpu`](crate::Limits) `None`. `timeout` bounds the wait for the permit and the start. The
    /// memory of all its processes together is not checked: ask for its [`usage`](Worker::usage).
    ///
    /// # Errors
    /// The reason why there is no worker. A program that cannot be executed is reported by
    /// [`ended`](Worker::ended).
    pub async fn open(
        &self,
        args: &[String],
        env: &[(String, String)],
        timeout: Duration,
        connections: Option<mpsc::Sender<TcpStream>>,
    ) -> Result<Worker, RunError> {
        check(args, env, &self.pool.limits)?;
        let pipes = || Ok((InputPipe::new()?, OutputPipe::new()?, OutputPipe::new()?));
        let (stdin, stdout, stderr) = pipes().map_err(RunError::NotStarted)?;
        let streams = [&stdout.theirs, &stderr.theirs];
        let begun = begin(&self.pool, args, env, &streams, &stdin.theirs);
        let begun = tokio::time::timeout(timeout, begun).await;
        let (permit, link) = begun.map_err(|_| RunError::Busy)??;
        drop((stdin.theirs, stdout.theirs, stderr.theirs));
        let tail = Tail::default();
        let mut reader = JoinSet::new();
        let receiver = |pipe: OwnedFd| {
            pipe::Receiver::from_owned_fd_unchecked(pipe).map_err(RunError::NotStarted)
        };
        reader.spawn(keep_tail(
            receiver(stderr.ours)?,
            tail.clone(),
            self.pool.limits.stderr,
        ));
        Ok(Worker {
            stdin: stdin
                .ours
                .map(pipe::Sender::from_owned_fd_unchecked)
                .transpose()
                .map_err(RunError::NotStarted)?,
            stdout: receiver(stdout.ours)?,
            stderr: tail,
            link,
            connections,
            ended: None,
            reader,
            _permit: permit,
        })
    }
}

impl Worker {
    /// The end of standard error, at most [`Limits::stderr`](crate::Limits) bytes.
    pub fn stderr(&self) -> Vec<u8> {
        end_of(&self.stderr)
    }

    /// The memory and CPU time of its processes now.
    pub async fn usage(&self) -> Usage {
        let Some(outer) = self.link.pid() else {
            return Usage::default();
        };
        let net = self.link.report.has(Feature::NetNamespace);
        let usage = tokio::task::spawn_blocking(move || usage::of(outer, net));
        usage.await.unwrap_or_default()
    }

    /// Waits for its end, and passes on its connections to the proxy meanwhile, so it must be polled all the time.
    /// Nothing is lost if the future is dropped.
    ///
    /// # Errors
    /// The program was not started, or its warden was lost.
    pub async fn ended(&mut self) -> Result<Exit, RunError> {
        if let Some(exit) = self.ended {
            return Ok(exit);
        }
        let mut descriptors = Vec::new();
        loop {
            match self.link.next(&mut descriptors).await {
                Ok(WardenMessage::Connection) => {
                    crate::run::hand_over(&mut descriptors, self.connections.as_ref());
                }
                Ok(WardenMessage::Ended { status, .. }) => {
                    let exit = Exit::of(status);
                    self.ended = Some(exit);
                    return Ok(exit);
                }
                Ok(WardenMessage::Refused(errno)) => return Err(refused(errno)),
                Ok(WardenMessage::Ready(_) | WardenMessage::Failed(_)) | Err(_) => {
                    return Err(RunError::Lost);
                }
            }
        }
    }

    /// Ends the worker and all its processes, waits until they are gone, and returns the final
    /// [`Worker::stderr`]: all that they wrote. Dropping the worker does not wait.
    pub async fn kill(self) -> Vec<u8> {
        let Worker {
            link,
            mut reader,
            stderr,
            ..
        } = self;
        link.end().await;
        // No process is left that could write, so the end of the pipe is read next.
        let _ = tokio::time::timeout(DRAINED, reader.join_next()).await;
        end_of(&stderr)
    }
}

fn end_of(tail: &Tail) -> Vec<u8> {
    let tail = tail.lock();
    tail.iter().copied().collect()
}

async fn keep_tail(mut pipe: pipe::Receiver, tail: Tail, most: usize) {
    let mut buffer = vec![0; 4096];
    while let Ok(length @ 1..) = pipe.read(&mut buffer).await {
        let mut tail = tail.lock();
        tail.extend(&buffer[..length]);
        let over = tail.len().saturating_sub(most);
        tail.drain(..over);
    }
}
