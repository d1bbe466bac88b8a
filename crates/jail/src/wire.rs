//! The protocol between server and warden: packets over one Unix socket pair.
//!
//! A run is NUL-separated, as for `execve`; the rest is small and rare, and JSON. Descriptors are
//! attached. The end of the socket is the only error handling: a process that sees it stops.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use serde::{Deserialize, Serialize};

use crate::feature::{Feature, Report};
use crate::profile::Profile;

/// The size of the largest packet; a Unix socket takes no more than about 200 KiB by default.
pub(crate) const PACKET: usize = 176 << 10;

/// The first packet to a warden.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) profile: Profile,
    /// The target of each declared path when the profile was checked.
    pub(crate) leads: Vec<(PathBuf, PathBuf)>,
    /// Parts to leave out.
    pub(crate) without: Vec<Feature>,
    /// The user of programs if the server is root.
    pub(crate) user: u32,
    pub(crate) group: u32,
    /// The parent of scratch directories without a mount namespace.
    pub(crate) scratch: PathBuf,
}

/// The messages of a warden. `Ready` or `Failed` comes first, then `Ended` or `Refused` after each run,
/// with any number of `Connection`s in between.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum WardenMessage {
    /// The warden is confined.
    Ready(Report),
    /// The warden could not confine itself as far as it must.
    Failed(String),
    /// A program connected to the proxy; the descriptor is attached.
    Connection,
    /// The program was not started: an `errno`.
    Refused(i32),
    /// The program ended, and all that it left behind is removed.
    Ended {
        /// The status from `wait`.
        status: i32,
        /// CPU time of this run's processes that were waited for.
        cpu: Duration,
        /// The warden should not be used again.
        retire: bool,
    },
}

impl WardenMessage {
    /// A failure, with as much of its text as fits.
    pub(crate) fn failed(text: &str) -> WardenMessage {
        WardenMessage::Failed(text.chars().take(500).collect())
    }
}

/// Sends one packet.
pub(crate) fn send(
    socket: impl AsFd,
    packet: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::INVAL);
    }
    let parts = [IoSlice::new(packet)];
    rustix::net::sendmsg(socket, &parts, &mut control, SendFlags::NOSIGNAL).map(drop)
}

/// Receives one packet into `buffer`, and up to three descriptors. A length of 0 is the end.
pub(crate) fn receive(
    socket: impl AsFd,
    buffer: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
) -> Result<usize, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(buffer)];
    let received = rustix::net::recvmsg(socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(sent) = message {
            descriptors.extend(sent);
        }
    }
    Ok(received.bytes)
}

/// A run as one packet, into `packet`.
pub(crate) fn write_run(packet: &mut Vec<u8>, args: &[String], env: &[(String, String)]) {
    packet.clear();
    for arg in args {
        packet.extend_from_slice(arg.as_bytes());
        packet.push(0);
    }
    // No variable's name is empty, so this cannot be an argument: those are counted.
    for (name, value) in env {
        packet.extend_from_slice(name.as_bytes());
        packet.push(b'=');
        packet.extend_from_slice(value.as_bytes());
        packet.push(0);
    }
    let count = u32::try_from(args.len()).unwrap_or(u32::MAX);
    packet.extend_from_slice(&count.to_le_bytes());
}

/// Arguments, and variables with their values.
type Words<'a> = (Vec<&'a [u8]>, Vec<(&'a [u8], &'a [u8])>);

/// The arguments and the environment of such a packet.
pub(crate) fn read_run(packet: &[u8]) -> Option<Words<'_>> {
    let (block, count) = packet.split_last_chunk::<4>()?;
    let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
    let mut words = block.split(|byte| *byte == 0);
    // Bytes after the last NUL are not an argument.
    words.next_back()?;
    let args: Vec<_> = words.by_ref().take(count).collect();
    let env = words.map(|word| {
        let at = word.iter().position(|byte| *byte == b'=')?;
        Some((&word[..at], &word[at + 1..]))
    });
    (args.len() == count).then_some(())?;
    Some((args, env.collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_arrives_as_it_was_sent() {
        let args = ["", "a b", "", "=x"].map(str::to_owned);
        let env = [("A", ""), ("B", "x=y")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        for (args, env) in [(&args[..], &env[..]), (&[], &env), (&args, &[]), (&[], &[])] {
            let mut packet = Vec::new();
            write_run(&mut packet, args, env);
            let (got_args, got_env) = read_run(&packet).unwrap();
            assert!(
                got_args
                    .iter()
                    .eq(args.iter().map(|a| a.as_bytes()).collect::<Vec<_>>().iter())
            );
            assert_eq!(got_env.len(), env.len());
            for (got, sent) in got_env.iter().zip(env) {
                assert_eq!(*got, (sent.0.as_bytes(), sent.1.as_bytes()));
            }
        }
        assert!(read_run(b"").is_none());
        assert!(read_run(b"a\0\x05\0\0\0").is_none());
        assert!(
            read_run(b"a\0b\0\x01\0\0\0").is_none(),
            "a variable without ="
        );
    }
}
