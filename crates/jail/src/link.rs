//! One warden, seen from the server: a child process and a socket.
//!
//! A warden is ended by hanging up: both of its processes see that, kill what runs, and leave. When
//! the server's side sees the end of the socket in turn, nothing of it is left.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType};
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::feature::Report;
use crate::handover::{ALLOCATOR, OUTER, WARDEN};
use crate::wire::{self, News};

/// The time that a warden may take to lock itself in, and to be gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no warden.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The process could not be started, or spoken to.
    #[error("cannot start a warden: {0}")]
    Io(#[from] std::io::Error),
    /// The warden could not lock itself in.
    #[error("a warden could not lock itself in: {0}")]
    Failed(String),
    /// A part is missing that is required.
    #[error("the jail lacks {feature}: {why}; {remedy}, or set the jail to use what is available")]
    Lacks {
        /// The part's name.
        feature: String,
        /// Why it is missing.
        why: String,
        /// The remedy.
        remedy: &'static str,
    },
    /// The warden did not answer.
    #[error("a warden did not answer; is `warden_main` the first thing in `main`?")]
    Silent,
}

pub(crate) struct Link {
    /// A socket that keeps packets apart as a datagram socket does, and ends as a stream does.
    socket: UnixDatagram,
    /// The outer process.
    child: Child,
    /// The layers that it locked itself in with.
    pub(crate) report: Report,
    /// The number of runs that it had.
    pub(crate) runs: u32,
    /// CPU time of all of them.
    pub(crate) spent: Duration,
}

impl Link {
    /// Starts a warden and waits until it is locked in.
    pub(crate) async fn start(exe: &Path, plan: &[u8]) -> Result<Link, StartError> {
        let (ours, theirs) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(std::io::Error::from)?;
        rustix::io::ioctl_fionbio(&ours, true).map_err(std::io::Error::from)?;
        let child = Command::new(exe)
            .args([WARDEN, OUTER])
            .env_clear()
            .envs(ALLOCATOR)
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut link = Link {
            socket: UnixDatagram::from_std(ours.into())?,
            child,
            report: Report::default(),
            runs: 0,
            spent: Duration::ZERO,
        };
        link.send(plan, &[]).await?;
        let ready = timeout(PATIENCE, link.next(&mut Vec::new())).await;
        match ready.map_err(|_| StartError::Silent)? {
            Ok(News::Ready(report)) => {
                link.report = report;
                Ok(link)
            }
            Ok(News::Failed(why)) => {
                link.end().await;
                Err(StartError::Failed(why))
            }
            Ok(_) | Err(_) => Err(StartError::Silent),
        }
    }

    /// Sends one packet.
    pub(crate) async fn send(
        &self,
        packet: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> std::io::Result<()> {
        // There is room, but for a warden that has died: it reads each packet before the next.
        self.socket
            .async_io(Interest::WRITABLE, || {
                Ok(wire::send(&self.socket, packet, descriptors)?)
            })
            .await
    }

    /// The next of its [`News`], with a descriptor if one rides along. An error is its end. Nothing
    /// is lost if the future is dropped.
    pub(crate) async fn next(&self, descriptors: &mut Vec<OwnedFd>) -> std::io::Result<News> {
        let mut buffer = [0; 8192];
        let length = self
            .socket
            .async_io(Interest::READABLE, || {
                Ok(wire::receive(&self.socket, &mut buffer, descriptors)?)
            })
            .await?;
        if length == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_slice(&buffer[..length])?)
    }

    /// The outer process's id, if it is alive.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Ends the warden with all that runs in it, and waits until nothing of it is left.
    pub(crate) async fn end(mut self) {
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Write);
        let gone = async { while self.next(&mut Vec::new()).await.is_ok() {} };
        if timeout(PATIENCE, gone).await.is_err() {
            // It hangs outside of its own jail: in the kernel. Its pid namespace goes with it.
            let _ = self.child.start_kill();
        }
        let _ = timeout(PATIENCE, self.child.wait()).await;
    }
}
