//! One run: arguments and input in, status and output out, everything gone afterwards.
//!
//! A run that ends by itself leaves its warden to the next one. A run that has to be ended takes its
//! warden with it: closing the socket is the only way to stop a program, so it is the one that is tested.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use iof_admission::Permit;
use tokio::net::TcpStream;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::feature::Feature;
use crate::link::Link;
use crate::pool::{Pool, Program};
use crate::profile::Limits;
use crate::request::{Ended, Exit, Limit, Request, RunError, check, refused};
use crate::streams::{Stream, pipes};
use crate::usage;
use crate::wire::{self, WardenMessage};

/// The time after which output is read while the program runs. Most output of shorter runs fits into
/// the pipes, is read at the end, and costs no wait.
const SHORT: Duration = Duration::from_millis(4);

impl Program {
    /// Runs the program once. Dropping the future ends the run.
    ///
    /// # Errors
    /// The reason why there was no run; the outcome of a run is in [`Ended`].
    pub async fn run(&self, request: Request) -> Result<Ended, RunError> {
        check(&request.args, &request.env, &self.pool.limits)?;
        let now = Instant::now();
        // A timeout beyond the range of the clock is the same as none.
        let year = Duration::from_secs(365 * 24 * 3600);
        let deadline = now + request.timeout.min(year);
        let (stdin, stdout, stderr) = pipes(&request.stdin).map_err(RunError::NotStarted)?;
        let streams = [&stdout.theirs, &stderr.theirs];
        let started = begin(
            &self.pool,
            &request.args,
            &request.env,
            &streams,
            &stdin.theirs,
        );
        let started = timeout_at(deadline, started).await;
        let (permit, link) = started.map_err(|_| RunError::Busy)??;
        drop((stdout.theirs, stderr.theirs, stdin.theirs));
        let input = request.stdin.slice(stdin.written..);
        let stdin = stdin.ours.map(pipe::Sender::from_owned_fd_unchecked);
        let stdin = stdin.transpose().map_err(RunError::NotStarted)?;
        let run = Run {
            pool: &self.pool,
            _permit: permit,
            link,
            stdin,
            input,
            stdout: Stream::new(stdout.ours, self.pool.limits.stdout, Limit::Stdout),
            stderr: Stream::new(stderr.ours, self.pool.limits.stderr, Limit::Stderr),
            connections: request.connections,
            connected: 0,
            started: Instant::now(),
        };
        run.drive(deadline).await
    }
}

/// Waits for a permit, and passes the run to a warden.
pub(crate) async fn begin(
    pool: &Arc<Pool>,
    args: &[String],
    env: &[(String, String)],
    streams: &[&OwnedFd; 2],
    stdin: &Option<OwnedFd>,
) -> Result<(Permit, Link), RunError> {
    let mut packet = Vec::new();
    wire::write_run(&mut packet, args, env);
    let mut descriptors = vec![streams[0].as_fd(), streams[1].as_fd()];
    descriptors.extend(stdin.as_ref().map(AsFd::as_fd));
    let permit = pool.admit().await.map_err(|_| RunError::Busy)?;
    // A warden that died while it was idle has not seen the run, so another can have it.
    while let Some(mut link) = pool.take() {
        if link.send(&packet, &descriptors).await.is_ok() {
            link.runs += 1;
            return Ok((permit, link));
        }
    }
    let mut link = pool.start().await?;
    let sent = link.send(&packet, &descriptors).await;
    sent.map_err(|_| RunError::Lost)?;
    link.runs += 1;
    Ok((permit, link))
}

/// A run in progress.
struct Run<'a> {
    pool: &'a Arc<Pool>,
    _permit: Permit,
    link: Link,
    stdin: Option<pipe::Sender>,
    /// The part of standard input that is not written yet.
    input: Bytes,
    stdout: Stream,
    stderr: Stream,
    connections: Option<mpsc::Sender<TcpStream>>,
    connected: u32,
    started: Instant,
}

/// The reason why the loop ends before the program does.
enum Stop {
    Limit(Limit),
    Lost,
}

impl Run<'_> {
    async fn drive(mut self, deadline: Instant) -> Result<Ended, RunError> {
        let mut look = self.started + Limits::LOOK;
        let mut short = Some(self.started + SHORT);
        let mut descriptors = Vec::new();
        let mut stdin = self.stdin.take();
        let stopped = loop {
            let wake = deadline.min(short.unwrap_or(look));
            tokio::select! {
                news = self.link.next(&mut descriptors) => match news {
                    Ok(WardenMessage::Ended { status, cpu, retire }) => {
                        return self.ended(status, cpu, retire).await;
                    }
                    Ok(WardenMessage::Refused(errno)) => {
                        self.pool.give_back(self.link);
                        return Err(refused(errno));
                    }
                    Ok(WardenMessage::Connection) => {
                        if self.connected == self.pool.limits.connections {
                            break Stop::Limit(Limit::Connections);
                        }
                        self.connected += 1;
                        hand_over(&mut descriptors, self.connections.as_ref());
                    }
                    Ok(WardenMessage::Ready(_) | WardenMessage::Failed(_)) | Err(_) => break Stop::Lost,
                },
                full = self.stdout.read(), if self.stdout.is_open() => {
                    if let Some(limit) = full { break Stop::Limit(limit) }
                }
                full = self.stderr.read(), if self.stderr.is_open() => {
                    if let Some(limit) = full { break Stop::Limit(limit) }
                }
                open = write(stdin.as_ref(), &mut self.input), if stdin.is_some() => {
                    if !open { stdin = None }
                }
                () = tokio::time::sleep_until(wake) => {
                    if Instant::now() >= deadline {
                        break Stop::Limit(Limit::Timeout);
                    }
                    if short.take().is_some() {
                        let opened = self.stdout.open().and_then(|()| self.stderr.open());
                        if opened.is_err() { break Stop::Lost }
                        continue;
                    }
                    if let Some(limit) = self.look().await {
                        break Stop::Limit(limit);
                    }
                    look = Instant::now() + Limits::LOOK;
                }
            }
        };
        let took = self.started.elapsed();
        self.link.end().await;
        match stopped {
            Stop::Lost => Err(RunError::Lost),
            Stop::Limit(limit) => Ok(Ended {
                exit: Exit::Limit(limit),
                stdout: self.stdout.into_data(),
                stderr: self.stderr.into_data(),
                cpu: Duration::ZERO,
                took,
            }),
        }
    }

    async fn ended(mut self, status: i32, cpu: Duration, retire: bool) -> Result<Ended, RunError> {
        let took = self.started.elapsed();
        self.link.spent += cpu;
        match retire {
            true => self.link.end().await,
            false => self.pool.give_back(self.link),
        }
        // All other ends are closed, so the pipes contain all the output there will be.
        let (stdout, stderr) = (self.stdout.rest(), self.stderr.rest());
        let full = stdout.or(stderr);
        Ok(Ended {
            exit: full.map_or(Exit::of(status), Exit::Limit),
            stdout: self.stdout.into_data(),
            stderr: self.stderr.into_data(),
            cpu,
            took,
        })
    }

    /// Checks the limits that the kernel does not count over several processes.
    async fn look(&self) -> Option<Limit> {
        let outer = self.link.pid()?;
        let net = self.link.report.has(Feature::NetNamespace);
        let usage = tokio::task::spawn_blocking(move || usage::of(outer, net));
        let usage = usage.await.ok()?;
        let limits = &self.pool.limits;
        if usage.memory > limits.memory {
            return Some(Limit::Memory);
        }
        // Ticks are coarse: the CPU time of earlier runs may be rounded up.
        let cpu = usage.cpu.saturating_sub(self.link.spent);
        (limits.cpu.is_some_and(|most| cpu > most)).then_some(Limit::Cpu)
    }
}

pub(crate) fn hand_over(descriptors: &mut Vec<OwnedFd>, to: Option<&mpsc::Sender<TcpStream>>) {
    for descriptor in descriptors.drain(..) {
        let stream = std::net::TcpStream::from(descriptor);
        let stream = stream
            .set_nonblocking(true)
            .and_then(|()| TcpStream::from_std(stream));
        if let (Ok(stream), Some(to)) = (stream, to) {
            let _ = to.try_send(stream);
        }
    }
}

/// Writes what the pipe takes. Returns `false` when all is written, or nothing reads it.
async fn write(stdin: Option<&pipe::Sender>, input: &mut Bytes) -> bool {
    let Some(stdin) = stdin else { return false };
    if stdin.writable().await.is_err() {
        return false;
    }
    match stdin.try_write(input) {
        Ok(written) => {
            input.advance(written);
            !input.is_empty()
        }
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    }
}
