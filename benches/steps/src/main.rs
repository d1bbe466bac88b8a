//! `steps PID ADDRESS REQUEST FEW MANY`: the instructions in user space that a server executes for a request.
//!
//! It sends the request, a file, on one connection, FEW and then MANY times, while it executes every thread of the process by
//! single steps (ptrace(2)), and prints the difference for each request. Unlike valgrind it needs no code of its own in the
//! process, so the server executes what it would execute without it, processor features included. A thread is slower by
//! about a thousand times, so what a timer causes is counted too often: the thread that served the connection is reported by
//! itself.

#![expect(
    clippy::disallowed_methods,
    reason = "a program without a runtime, whose threads may wait"
)]

use std::{
    collections::HashMap,
    env,
    error::Error,
    fs,
    io::{self, Read, Write},
    net::TcpStream,
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::{
        ptrace::{self, Options},
        signal::Signal,
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

/// The instructions of each thread.
type Steps = HashMap<Pid, u64>;

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    match run() {
        Ok(report) => {
            let _ = io::stdout().write_all(report.as_bytes());
            ExitCode::SUCCESS
        }
        Err(problem) => {
            let _ = writeln!(io::stderr(), "error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Fallible<String> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [pid, address, request, few, many] = words.as_slice() else {
        return Err("usage: steps PID ADDRESS REQUEST FEW MANY".into());
    };
    let (pid, few, many): (i32, u32, u32) = (pid.parse()?, few.parse()?, many.parse()?);
    if few >= many {
        return Err(
            format!("the requests are not more the second time: got {few} and {many}").into(),
        );
    }
    let request = fs::read(request).map_err(|e| format!("{request}: {e}"))?;
    let mut connection = TcpStream::connect(address.as_str())?;
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(Duration::from_secs(900)))?;
    // Caches of the server and of its connection are warm.
    exchange(&mut connection, &request, 200)?;

    let mut tracer = Tracer::attach(pid)?;
    let mut count = |requests| tracer.count(|| exchange(&mut connection, &request, requests));
    count(1)?;
    let first = count(few)?;
    let second = count(many)?;
    let each = |thread: &Pid| {
        let before = first.get(thread).copied().unwrap_or(0);
        second[thread].saturating_sub(before) as f64 / f64::from(many - few)
    };
    let name = |thread: &Pid| {
        let name = fs::read_to_string(format!("/proc/{pid}/task/{thread}/comm"));
        name.map_or_else(|_| "ended".into(), |name| name.trim().to_owned())
    };
    let mut threads: Vec<_> = second
        .keys()
        .map(|thread| (each(thread), name(thread)))
        .collect();
    threads.sort_by(|a, b| b.0.total_cmp(&a.0));
    let serving = threads.first().map_or(0.0, |(steps, _)| *steps);
    let all: f64 = threads.iter().map(|(steps, _)| steps).sum();
    let mut report = format!("serving {serving:.0}\nall {all:.0}\n");
    for (steps, name) in threads.iter().filter(|(steps, _)| *steps >= 1.0) {
        report += &format!("thread {steps:.0} {name}\n");
    }
    Ok(report)
}

/// Sends the request so many times, each after the answer to the one before.
fn exchange(connection: &mut TcpStream, request: &[u8], times: u32) -> Fallible<()> {
    for _ in 0..times {
        connection.write_all(request)?;
        let mut answer = Vec::new();
        let head = loop {
            let mut part = [0; 4096];
            let read = connection.read(&mut part)?;
            if read == 0 {
                return Err("the server closed the connection".into());
            }
            answer.extend_from_slice(&part[..read]);
            if let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let text = String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase();
        if !text.starts_with("http/1.1 200") {
            return Err(format!("the server answered {text:?}").into());
        }
        let length: usize = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .ok_or("the answer has no length")?
            .trim()
            .parse()?;
        let mut rest = vec![0; (head + length).saturating_sub(answer.len())];
        connection.read_exact(&mut rest)?;
    }
    Ok(())
}

/// All threads of a process, which this one traces.
struct Tracer {
    threads: Vec<Pid>,
}

impl Tracer {
    /// Traces the threads of the process, and those that they start.
    fn attach(pid: i32) -> Fallible<Self> {
        let mut threads = Vec::new();
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            let name = thread?.file_name();
            let thread = Pid::from_raw(name.to_string_lossy().parse()?);
            ptrace::seize(thread, Options::PTRACE_O_TRACECLONE)
                .map_err(|e| format!("process {pid} cannot be traced: {e}. Run as root."))?;
            threads.push(thread);
        }
        Ok(Self { threads })
    }

    /// Counts the instructions of all threads for as long as `work` takes.
    fn count(&mut self, work: impl FnOnce() -> Fallible<()> + Send) -> Fallible<Steps> {
        let (ended, mut steps) = (AtomicBool::new(false), Steps::new());
        for thread in &self.threads {
            ptrace::interrupt(*thread)?;
        }
        thread::scope(|scope| {
            let work = scope.spawn(|| {
                let outcome = work();
                ended.store(true, Ordering::Release);
                outcome
            });
            let stepped = self.step_until(&ended, &mut steps);
            let worked = work.join().map_err(|_| "the requests panicked")?;
            stepped?;
            worked
        })?;
        Ok(steps)
    }

    /// Executes every thread by single steps until the flag is set; then they run on.
    fn step_until(&mut self, ended: &AtomicBool, steps: &mut Steps) -> Fallible<()> {
        let wait = WaitPidFlag::__WALL | WaitPidFlag::WNOHANG;
        let mut idle = 0_u32;
        loop {
            let stopping = ended.load(Ordering::Acquire);
            let status = match waitpid(None, Some(wait)) {
                Ok(WaitStatus::StillAlive) => {
                    if stopping {
                        break;
                    }
                    // All threads are in the kernel.
                    idle += 1;
                    if idle > 200 {
                        thread::sleep(Duration::from_micros(20));
                    }
                    continue;
                }
                Ok(status) => status,
                Err(Errno::ECHILD) => return Err("the process ended".into()),
                Err(e) => return Err(e.into()),
            };
            idle = 0;
            let Some(thread) = status.pid() else { continue };
            let signal = match status {
                WaitStatus::Stopped(_, Signal::SIGTRAP) => {
                    *steps.entry(thread).or_default() += 1;
                    None
                }
                WaitStatus::Stopped(_, signal) => Some(signal),
                WaitStatus::PtraceEvent(..) | WaitStatus::PtraceSyscall(_) => None,
                WaitStatus::Exited(..) | WaitStatus::Signaled(..) => {
                    self.threads.retain(|one| *one != thread);
                    continue;
                }
                _ => continue,
            };
            if !self.threads.contains(&thread) {
                self.threads.push(thread);
            }
            let resumed = match stopping {
                true => ptrace::cont(thread, signal),
                false => ptrace::step(thread, signal),
            };
            match resumed {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }
}
