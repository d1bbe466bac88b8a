//! Resident workers: for programs whose start costs more than a run, such as interpreters and those
//! that load a model.
//!
//! A worker is started with the arguments of `resident.args` and writes `ready` on a line when it is. From then on it
//! reads runs from standard input and writes their results to standard output, one after another, in frames that ten
//! lines of any language can read (`docs/commands.md`):
//!
//! ```text
//! <number of arguments> <bytes of standard input>\n     → the worker
//! <argument>\n, for each
//! <standard input>
//!
//! <exit status> <bytes of standard output> <bytes of standard error>\n     ← the worker
//! <standard output>
//! <standard error>
//! ```
//!
//! Any deviation ends the worker: an answer that is late, too large or not a frame, and unexpected bytes, which would
//! be read as the answer to the next run. A worker continues to start when the run that started it gives up, or a
//! worker whose start takes longer than a call would never be ready.

use parking_lot::{Mutex, MutexGuard};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use iof_admission::{Admission, Permit};
use iof_jail::{Ended, Exit, Limit, Program, RunError, Worker};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::declaration::{Declaration, Resident};
use iof_command::{CallContext, Output, Request};

/// The longest line of an answer: three numbers.
const LINE: u64 = 64;
/// The interval between two checks of the memory of a worker.
const LOOK: Duration = Duration::from_secs(1);
/// The time that a worker that closed its output gets to end.
const GRACE: Duration = Duration::from_millis(200);

/// The workers of one command.
pub(super) struct Residents {
    program: Program,
    settings: Resident,
    stdout: u64,
    stderr: u64,
    memory: u64,
    /// One permit for each worker that runs or starts. Idle workers hold none: when there is no room beside them, the
    /// one that was idle for longest is ended.
    turns: Admission,
    /// The one that was used last is at the end.
    idle: Mutex<Vec<Waiting>>,
    /// The tasks of workers that start, and of the one that ends idle workers.
    tasks: Mutex<JoinSet<()>>,
}

struct Waiting {
    worker: Worker,
    /// The function that it serves; `None` for a shared worker.
    function: Option<i64>,
    runs: u32,
    since: Instant,
    looked: Instant,
}

/// The reason why a run has no output of its own.
pub(super) enum Failure {
    /// The request does not fit the protocol.
    Usage(String),
    /// A limit ended the run.
    Ended(Ended),
    /// The program was not run.
    NotRun(RunError),
    /// The worker violated the protocol: the problem, and the end of its standard error.
    Broken(String, Vec<u8>),
}

type Started = Result<(Waiting, Permit), Failure>;

impl Residents {
    pub(super) fn new(
        program: Program,
        settings: Resident,
        declaration: &Declaration,
    ) -> Arc<Residents> {
        let memory = declaration.memory.as_u64();
        let residents = Arc::new(Residents {
            program,
            stdout: declaration.stdout.as_u64(),
            stderr: declaration.stderr.as_u64(),
            memory: settings.memory.map_or(memory / 4 * 3, |own| own.as_u64()),
            turns: Admission::new(declaration.concurrency as usize, usize::MAX),
            idle: Mutex::default(),
            tasks: Mutex::default(),
            settings,
        });
        let (idle, weak) = (residents.settings.idle, Arc::downgrade(&residents));
        residents.tasks().spawn(end_idle(idle, weak));
        residents
    }

    pub(super) async fn run(
        self: &Arc<Self>,
        call: &CallContext,
        request: Request,
        time: Duration,
    ) -> Result<Output, Failure> {
        if let Some(at) = request.args.iter().position(|arg| arg.contains('\n')) {
            let at = at + 1;
            return Err(Failure::Usage(format!(
                "argument {at} contains a line break, which the protocol of resident commands cannot carry"
            )));
        }
        let deadline = Instant::now() + time;
        let late = || Failure::Ended(over(Limit::Timeout));
        let turn = self.turns.acquire_until(deadline).await;
        let turn = turn.map_err(|_| Failure::NotRun(RunError::Busy))?;
        let function = (!self.settings.shared).then_some(call.function_id);
        let (mut waiting, turn) = match self.take(function) {
            Some(waiting) => (waiting, turn),
            None => timeout_at(deadline, self.start(function, turn))
                .await
                .map_err(|_| late())??,
        };
        let exchange = self.exchange(&mut waiting.worker, &request);
        match timeout_at(deadline, exchange).await {
            Ok(Ok(output)) => {
                waiting.runs += 1;
                self.keep(waiting).await;
                drop(turn);
                Ok(output)
            }
            Ok(Err(failure)) => Err(last_words(waiting.worker, failure).await),
            Err(_) => {
                waiting.worker.kill().await;
                Err(late())
            }
        }
    }

    /// Takes an idle worker that is still alive.
    fn take(&self, function: Option<i64>) -> Option<Waiting> {
        loop {
            let mut idle = self.idle();
            let at = idle.iter().rposition(|one| one.function == function)?;
            let mut waiting = idle.remove(at);
            drop(idle);
            if waiting.worker.ended().now_or_never().is_none() {
                return Some(waiting);
            }
        }
    }

    /// Starts a worker, in a separate task.
    async fn start(self: &Arc<Self>, function: Option<i64>, turn: Permit) -> Started {
        let (tell, told) = oneshot::channel();
        let residents = Arc::clone(self);
        {
            let mut tasks = self.tasks();
            while tasks.try_join_next().is_some() {}
            tasks.spawn(async move {
                let started = residents.start_now(function, turn).await;
                if let Err(Ok((waiting, turn))) = tell.send(started) {
                    // The run that started it has given up.
                    residents.keep(waiting).await;
                    drop(turn);
                }
            });
        }
        told.await.unwrap_or(Err(Failure::NotRun(RunError::Lost)))
    }

    async fn start_now(&self, function: Option<i64>, turn: Permit) -> Started {
        self.make_room().await;
        let start = self.settings.start;
        let opened = self
            .program
            .open(&self.settings.args, &[], start, None)
            .await;
        let mut worker = opened.map_err(Failure::NotRun)?;
        let mut reader = BufReader::new(&mut worker.stdout);
        let ready = timeout(start, line(&mut reader)).await;
        let extra = !reader.buffer().is_empty();
        match ready {
            Ok(Ok(ready)) if ready == "ready" && !extra => {}
            Ok(Ok(other)) => {
                let problem =
                    format!("the first line of its worker was not \"ready\": got {other:?}");
                return Err(last_words(worker, Failure::Broken(problem, vec![])).await);
            }
            Ok(Err(failure)) => return Err(last_words(worker, failure).await),
            Err(_) => {
                let limit = humantime_serde::re::humantime::format_duration(start);
                let problem =
                    format!("its worker was not ready within {limit} (limit resident.start)");
                return Err(last_words(worker, Failure::Broken(problem, vec![])).await);
            }
        }
        let now = Instant::now();
        let waiting = Waiting {
            worker,
            function,
            runs: 0,
            since: now,
            looked: now,
        };
        Ok((waiting, turn))
    }

    /// As many workers may live as there are turns; those that have one must stay.
    async fn make_room(&self) {
        loop {
            let oldest = {
                let mut idle = self.idle();
                if idle.len() <= self.turns.limit() - self.turns.running() {
                    return;
                }
                idle.remove(0)
            };
            oldest.worker.kill().await;
        }
    }

    /// Keeps a worker for the next run, unless it has done enough.
    async fn keep(&self, mut waiting: Waiting) {
        let now = Instant::now();
        waiting.since = now;
        let mut enough = waiting.runs >= self.settings.runs;
        if !enough && now.duration_since(waiting.looked) >= LOOK {
            waiting.looked = now;
            enough = waiting.worker.usage().await.memory > self.memory;
        }
        match enough {
            true => drop(waiting.worker.kill().await),
            false => self.idle().push(waiting),
        }
    }

    async fn exchange(&self, worker: &mut Worker, request: &Request) -> Result<Output, Failure> {
        let Worker { stdin, stdout, .. } = worker;
        let Some(stdin) = stdin else {
            return Err(Failure::NotRun(RunError::Lost));
        };
        let mut reader = BufReader::new(stdout);
        let ask = async {
            let mut head = format!("{} {}\n", request.args.len(), request.stdin.len());
            for arg in &request.args {
                head.push_str(arg);
                head.push('\n');
            }
            // A worker that answers without reading everything is faulty; its answer shows that.
            let _ = stdin.write_all(head.as_bytes()).await;
            let _ = stdin.write_all(&request.stdin).await;
        };
        // Both at the same time, because a worker may answer while it reads.
        let (answer, ()) = tokio::join!(self.answer(&mut reader), ask);
        let output = answer?;
        match reader.buffer() {
            [] => Ok(output),
            _ => Err(broken("its worker wrote more than it announced")),
        }
    }

    async fn answer(&self, reader: &mut (impl AsyncBufReadExt + Unpin)) -> Result<Output, Failure> {
        let head = line(reader).await?;
        let mut numbers = head.split(' ').map(str::parse::<u64>);
        let (Some(Ok(status @ 0..=255)), Some(Ok(stdout)), Some(Ok(stderr)), None) = (
            numbers.next(),
            numbers.next(),
            numbers.next(),
            numbers.next(),
        ) else {
            return Err(broken(format!(
                "its worker did not write a status and two sizes: got {head:?}"
            )));
        };
        for (size, most, limit) in [
            (stdout, self.stdout, Limit::Stdout),
            (stderr, self.stderr, Limit::Stderr),
        ] {
            if size > most {
                return Err(Failure::Ended(over(limit)));
            }
        }
        Ok(Output {
            status: status as i32,
            stdout: exactly(reader, stdout).await?,
            stderr: exactly(reader, stderr).await?,
            stopped: None,
        })
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.idle.lock()
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock()
    }
}

/// A line without its end.
async fn line(reader: &mut (impl AsyncBufReadExt + Unpin)) -> Result<String, Failure> {
    let mut line = Vec::new();
    let mut limited = reader.take(LINE);
    let read = limited.read_until(b'\n', &mut line).await;
    match (read, line.pop()) {
        (Ok(_), Some(b'\n')) => Ok(String::from_utf8_lossy(&line).into_owned()),
        (Ok(0), None) | (Err(_), _) => Err(broken("its worker ended")),
        _ => Err(broken("its worker wrote something that is not a line")),
    }
}

async fn exactly(reader: &mut (impl AsyncRead + Unpin), size: u64) -> Result<Bytes, Failure> {
    let mut bytes = Vec::new();
    // The size was checked to be small enough; the buffer grows with the bytes that really come.
    let read = reader.take(size).read_to_end(&mut bytes).await;
    match read {
        Ok(read) if read as u64 == size => Ok(bytes.into()),
        _ => Err(broken("its worker ended in the middle of an answer")),
    }
}

fn broken(problem: impl Into<String>) -> Failure {
    Failure::Broken(problem.into(), Vec::new())
}

/// Ends a worker, and adds to `failure` how it ended and what it wrote to standard error.
async fn last_words(mut worker: Worker, failure: Failure) -> Failure {
    let ended = timeout(GRACE, worker.ended()).await;
    // Only after the worker is gone, because its end may be known before its output has arrived.
    let stderr = worker.kill().await;
    let Failure::Broken(problem, _) = failure else {
        return failure;
    };
    match ended {
        Ok(Ok(Exit::Limit(limit))) => Failure::Ended(Ended {
            stderr: stderr.into(),
            ..over(limit)
        }),
        Ok(Ok(exit)) => {
            Failure::Broken(format!("{problem}, with status {}", exit.status()), stderr)
        }
        Ok(Err(error)) => Failure::NotRun(error),
        Err(_) => Failure::Broken(problem, stderr),
    }
}

fn over(limit: Limit) -> Ended {
    Ended {
        exit: Exit::Limit(limit),
        stdout: Bytes::new(),
        stderr: Bytes::new(),
        cpu: Duration::ZERO,
        took: Duration::ZERO,
    }
}

/// Ends workers that were idle for too long.
async fn end_idle(idle: Duration, residents: Weak<Residents>) {
    loop {
        tokio::time::sleep(idle / 2 + LOOK).await;
        let Some(residents) = residents.upgrade() else {
            return;
        };
        let old: Vec<Waiting> = residents
            .idle()
            .extract_if(.., |one| one.since.elapsed() >= idle)
            .collect();
        for one in old {
            one.worker.kill().await;
        }
    }
}
