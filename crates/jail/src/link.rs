//! One warden, as the server uses it: a child process and a socket.
//!
//! A warden is ended by closing the socket: both of its processes see that, kill what runs, and exit.
//! When the server in turn sees the end of the socket, nothing of the warden is left.

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
use crate::wire::{self, WardenMessage};

/// The time that a warden may take to confine itself, and to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// The reason why there is no warden.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The process could not be started, or the socket to it failed.
    #[error("cannot start a warden: {0}")]
    Io(#[from] std::io::Error),
    /// The warden could not confine itself.
    #[error("a warden could not confine itself: {0}")]
    Failed(String),
    /// A required part is missing.
    #[error(
        "the jail lacks {feature}: {why}. Either {remedy}, or let the jail use what is available"
    )]
    Lacks {
        /// The part's name.
        feature: String,
        /// The reason why it is missing.
        why: String,
        /// The remedy.
        remedy: &'static str,
    },
    /// The warden did not answer.
    #[error("a warden did not answer. Call `warden_main` first in `main`")]
    Silent,
}

pub(crate) struct Link {
    /// A socket that keeps packets separate like a datagram socket, and has an end like a stream.
    socket: UnixDatagram,
    /// The outer process.
    child: Child,
    /// The layers with which it confined itself.
    pub(crate) report: Report,
    /// The number of runs that it has had.
    pub(crate) runs: u32,
    /// The CPU time of all of them.
    pub(crate) spent: Duration,
}

impl Link {
    /// Starts a warden and waits until it is confined.
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
            Ok(WardenMessage::Ready(report)) => {
                link.report = report;
                Ok(link)
            }
            Ok(WardenMessage::Failed(why)) => {
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
        // There is room, unless the warden has died: it reads each packet before the next.
        self.socket
            .async_io(Interest::WRITABLE, || {
                Ok(wire::send(&self.socket, packet, descriptors)?)
            })
            .await
    }

    /// The next of its [`WardenMessage`], with a descriptor if one is attached. An error means that it ended. Nothing
    /// is lost if the future is dropped.
    pub(crate) async fn next(
        &self,
        descriptors: &mut Vec<OwnedFd>,
    ) -> std::io::Result<WardenMessage> {
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

    /// Ends the warden and everything that runs in it, and waits until nothing of it is left.
    pub(crate) async fn end(mut self) {
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Write);
        let gone = async { while self.next(&mut Vec::new()).await.is_ok() {} };
        if timeout(PATIENCE, gone).await.is_err() {
            // It hangs in the kernel. Its pid namespace ends with it.
            let _ = self.child.start_kill();
        }
        let _ = timeout(PATIENCE, self.child.wait()).await;
    }
}
