//! The children of a process of a warden, and their end.

use std::fs;
use std::io;
use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions};

/// The child processes of this process, including those that were reparented to it.
pub(crate) struct Children(fs::File);

impl Children {
    /// Opens the list. Call it before the process confines itself, because `/proc` is out of reach afterwards.
    pub(crate) fn open() -> io::Result<Children> {
        let tid = rustix::thread::gettid().as_raw_nonzero();
        let file = fs::File::open(format!("/proc/self/task/{tid}/children"))?;
        Ok(Children(file))
    }

    /// Kills them until there are none: their own children become children of this process in turn, and a
    /// killed process starts no others.
    pub(crate) fn kill(&self) {
        loop {
            for pid in self.list() {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
            match rustix::process::wait(WaitOptions::empty()) {
                Err(Errno::CHILD) => return,
                Err(Errno::INTR) | Ok(_) => {}
                Err(_) => return,
            }
            while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
        }
    }

    fn list(&self) -> Vec<Pid> {
        let mut text = vec![0; 64 << 10];
        let length = rustix::io::pread(self.0.as_fd(), &mut text, 0).unwrap_or(0);
        let text = String::from_utf8_lossy(&text[..length]);
        let pids = text.split_whitespace().filter_map(|pid| pid.parse().ok());
        pids.filter_map(Pid::from_raw).collect()
    }
}
