//! The pipes between a program and the server.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};

use bytes::Bytes;
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use tokio::net::unix::pipe;

use crate::request::Limit;

/// The bytes of standard input that are written before the program runs.
const AT_ONCE: usize = 64 << 10;
/// The bytes that are read at a time: as many again as were read already, between these.
const READ: (usize, usize) = (8 << 10, 64 << 10);

/// One of standard output and standard error.
pub(crate) struct Stream {
    pipe: Pipe,
    data: Vec<u8>,
    most: usize,
    limit: Limit,
}

enum Pipe {
    /// Not read asynchronously yet.
    Idle(OwnedFd),
    Open(pipe::Receiver),
    Closed,
}

impl Stream {
    /// A stream of at most `most` bytes; more exceeds `limit`.
    pub(crate) fn new(pipe: OwnedFd, most: usize, limit: Limit) -> Stream {
        Stream {
            pipe: Pipe::Idle(pipe),
            data: Vec::new(),
            most,
            limit,
        }
    }

    /// Registers the pipe with the runtime, so that [`read`](Self::read) waits for it.
    pub(crate) fn open(&mut self) -> std::io::Result<()> {
        if let Pipe::Idle(pipe) = std::mem::replace(&mut self.pipe, Pipe::Closed) {
            self.pipe = Pipe::Open(pipe::Receiver::from_owned_fd_unchecked(pipe)?);
        }
        Ok(())
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.pipe, Pipe::Open(_))
    }

    /// Reads the bytes that are there, and returns the limit if they were too many.
    pub(crate) async fn read(&mut self) -> Option<Limit> {
        let Pipe::Open(pipe) = &self.pipe else {
            return None;
        };
        let read = match pipe.readable().await {
            Ok(()) => {
                self.data.reserve(self.room());
                pipe.try_read_buf(&mut self.data)
            }
            Err(error) => Err(error),
        };
        match read {
            Ok(1..) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => self.pipe = Pipe::Closed,
        }
        self.over()
    }

    /// Reads the rest in the pipe, without waiting.
    pub(crate) fn rest(&mut self) -> Option<Limit> {
        let pipe = match &self.pipe {
            Pipe::Idle(pipe) => pipe.as_fd(),
            Pipe::Open(pipe) => pipe.as_fd(),
            Pipe::Closed => return None,
        };
        while self.data.len() <= self.most {
            self.data.reserve(self.room());
            match rustix::io::read(pipe, rustix::buffer::spare_capacity(&mut self.data)) {
                Ok(1..) | Err(Errno::INTR) => {}
                Ok(0) | Err(_) => break,
            }
        }
        self.over()
    }

    /// One byte more than allowed, to see that there is more.
    fn room(&self) -> usize {
        let (least, most) = READ;
        let room = (self.most - self.data.len()).saturating_add(1);
        self.data.len().clamp(least, most).min(room)
    }

    pub(crate) fn into_data(self) -> Bytes {
        self.data.into()
    }

    fn over(&mut self) -> Option<Limit> {
        let over = self.data.len() > self.most;
        self.data.truncate(self.most);
        over.then_some(self.limit)
    }
}

/// A pipe out of the program.
pub(crate) struct OutputPipe {
    pub(crate) ours: OwnedFd,
    pub(crate) theirs: OwnedFd,
}

impl OutputPipe {
    pub(crate) fn new() -> std::io::Result<OutputPipe> {
        let (ours, theirs) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        Ok(OutputPipe { ours, theirs })
    }
}

/// The pipe into the program.
pub(crate) struct InputPipe {
    /// `None` if everything is written.
    pub(crate) ours: Option<OwnedFd>,
    /// `None` for no input: the warden uses `/dev/null`.
    pub(crate) theirs: Option<OwnedFd>,
    /// The number of bytes that are written already.
    pub(crate) written: usize,
}

impl InputPipe {
    pub(crate) fn new() -> std::io::Result<InputPipe> {
        let (theirs, ours) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        Ok(InputPipe {
            ours: Some(ours),
            theirs: Some(theirs),
            written: 0,
        })
    }

    fn with(input: &[u8]) -> std::io::Result<InputPipe> {
        if input.is_empty() {
            return Ok(InputPipe {
                ours: None,
                theirs: None,
                written: 0,
            });
        }
        let mut pipe = InputPipe::new()?;
        if let Some(ours) = pipe.ours.take() {
            // A pipe usually takes this much without a reader; the rest follows.
            let mut ours = std::fs::File::from(ours);
            let first = &input[..input.len().min(AT_ONCE)];
            pipe.written = ours.write(first).or_else(|error| match error.kind() {
                std::io::ErrorKind::WouldBlock => Ok(0),
                _ => Err(error),
            })?;
            pipe.ours = (pipe.written < input.len()).then(|| ours.into());
        }
        Ok(pipe)
    }
}

/// All three pipes, with as much of `input` written as fits.
pub(crate) fn pipes(input: &[u8]) -> std::io::Result<(InputPipe, OutputPipe, OutputPipe)> {
    Ok((
        InputPipe::with(input)?,
        OutputPipe::new()?,
        OutputPipe::new()?,
    ))
}
