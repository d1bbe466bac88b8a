//! Worker processes: children of the program's own binary for work that could take the memory or the time of its
//! process; they answer over their pipes.
//!
//! The child bounds itself before it reads the first byte, by the limits in its last argument. This side starts it,
//! sends and receives, reads its stderr meanwhile, and reports how it died. The content of the messages is the
//! caller's.

use std::future::pending;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

/// The most bytes that are kept of a worker's stderr.
const COMPLAINT: usize = 16 << 10;

/// Texts on stderr when the kernel gives a process no more memory: the allocator's, the threads', and
/// those of mappings.
const OUT_OF_MEMORY: [&str; 4] = [
    "memory allocation of",
    "unable to allocate",
    "failed to spawn thread",
    "Cannot allocate memory",
];

/// A running worker; killed when dropped.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: ChildStderr,
    complaint: Vec<u8>,
}

/// The end of a worker.
#[derive(Debug)]
pub struct Death {
    /// Its exit status or signal.
    pub status: ExitStatus,
    /// The beginning of its stderr.
    pub complaint: String,
}

impl Worker {
    /// Starts a worker: `command` is its program with its first arguments, `limits` the last. Its
    /// environment is empty.
    ///
    /// # Errors
    /// An error if the program cannot be started.
    pub fn start(command: &[PathBuf], limits: &str) -> io::Result<Worker> {
        let [program, args @ ..] = command else {
            return Err(io::Error::other("no program of a worker is configured"));
        };
        let mut child = Command::new(program)
            .args(args)
            .arg(limits)
            .env_clear()
            // Memory that is only reserved would count against the limit.
            .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        match (child.stdin.take(), child.stdout.take(), child.stderr.take()) {
            (Some(stdin), Some(stdout), Some(stderr)) => Ok(Worker {
                child,
                stdin,
                stdout,
                stderr,
                complaint: Vec::new(),
            }),
            _ => Err(io::Error::other("the worker has no pipes")),
        }
    }

    /// The pipes to and from it, for a caller that configures them.
    pub fn pipes(&self) -> (&ChildStdin, &ChildStdout) {
        (&self.stdin, &self.stdout)
    }

    /// Returns whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The process id, while the process has not been waited for.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Sends it the parts of a request, one after another, and reads its answer. A caller that stops
    /// waiting must drop the worker as well: the next answer would belong to another request.
    ///
    /// # Errors
    /// The errors of `read`. If a worker does not take the whole request, its end states the reason.
    pub async fn ask<T>(
        &mut self,
        question: &[&[u8]],
        read: impl AsyncFnOnce(&mut ChildStdout) -> io::Result<T>,
    ) -> io::Result<T> {
        let (stdin, stdout) = (&mut self.stdin, &mut self.stdout);
        let exchange = async {
            for part in question {
                if stdin.write_all(part).await.is_err() {
                    break;
                }
            }
            let _ = stdin.flush().await;
            read(stdout).await
        };
        tokio::select! {
            answer = exchange => answer,
            error = complaints(&mut self.stderr, &mut self.complaint) => Err(error),
        }
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// An error if it cannot be waited for.
    pub async fn death(&mut self) -> io::Result<Death> {
        listen(&mut self.stderr, &mut self.complaint).await?;
        Ok(Death {
            status: self.child.wait().await?,
            complaint: String::from_utf8_lossy(&std::mem::take(&mut self.complaint)).into_owned(),
        })
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        // This fails if the worker has ended.
        let _ = self.child.start_kill();
    }
}

impl Death {
    /// Returns whether the kernel gave it no more memory.
    pub fn out_of_memory(&self) -> bool {
        OUT_OF_MEMORY
            .iter()
            .any(|words| self.complaint.contains(words))
    }
}

/// Reads stderr for as long as an answer is awaited; only an error ends it.
async fn complaints(stderr: &mut ChildStderr, complaint: &mut Vec<u8>) -> io::Error {
    match listen(stderr, complaint).await {
        Ok(()) => pending().await,
        Err(error) => error,
    }
}

/// Reads a worker's stderr to its end, and keeps the beginning.
async fn listen(stderr: &mut ChildStderr, complaint: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let length = stderr.read(&mut buffer).await?;
        let room = COMPLAINT.saturating_sub(complaint.len());
        match buffer.get(..length.min(room)) {
            _ if length == 0 => return Ok(()),
            Some(kept) => complaint.extend_from_slice(kept),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Worker {
        Worker::start(&["/bin/sh".into(), "-c".into()], script).unwrap()
    }

    async fn line(stdout: &mut ChildStdout) -> io::Result<String> {
        let mut answer = String::new();
        stdout.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    #[tokio::test]
    async fn a_worker_answers_a_request() {
        let mut worker = shell("read question; echo \"$question?\"");
        assert!(worker.is_running());
        assert_eq!(
            worker.ask(&[b"wh", b"at\n"], line).await.unwrap(),
            "what?\n"
        );
        let death = worker.death().await.unwrap();
        assert!(death.status.success() && !death.out_of_memory());
        assert!(!worker.is_running());
    }

    #[tokio::test]
    async fn output_on_stderr_does_not_stop_a_worker() {
        // More than a pipe holds, before the answer.
        let mut worker = shell("yes memory allocation of | head -c 1000000 >&2; echo done; exit 3");
        assert_eq!(worker.ask(&[b"x"], line).await.unwrap(), "done\n");
        let death = worker.death().await.unwrap();
        assert!(death.out_of_memory());
        assert_eq!(death.status.code(), Some(3));
        assert_eq!(death.complaint.len(), COMPLAINT);
    }

    #[tokio::test]
    async fn a_request_that_is_not_read_ends_with_the_worker() {
        let mut worker = shell("echo gone >&2; exit 7");
        let question = vec![b'x'; 1 << 20];
        assert_eq!(worker.ask(&[&question], line).await.unwrap(), "");
        let death = worker.death().await.unwrap();
        assert_eq!(
            (death.status.code(), &*death.complaint),
            (Some(7), "gone\n")
        );
    }

    #[tokio::test]
    async fn a_missing_program_is_an_error() {
        assert!(Worker::start(&[], "").is_err());
        assert!(Worker::start(&["/nowhere/at/all".into()], "").is_err());
    }
}
