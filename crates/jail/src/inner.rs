//! The inner process of a warden: it finishes the confinement of itself and then starts programs, one
//! run at a time, until the server closes its socket.
//!
//! The inner process never reads a program's output and shares no memory with one. A program could at most kill it
//! (outside of a pid namespace) or change its limits (which seccomp forbids), and either costs only the warden.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Pid, PidfdFlags, Signal, WaitOptions};

use crate::children::Children;
use crate::confine::files;
use crate::confine::namespaces::{self, Identity};
use crate::confine::network::{self, PROXY};
use crate::confine::quotas;
use crate::confine::root::{self, SCRATCH, SHARED};
use crate::confine::rules;
use crate::confine::syscalls::{self, Sockets};
use crate::feature::{Feature, Report};
use crate::handover::{Handover, own};
use crate::profile::Network;
use crate::scratch::Scratch;
use crate::wire::{self, PACKET, Plan, WardenMessage};

/// A warden counts toward its own limit of CPU time, so it is replaced long before it could reach one.
const OLD: Duration = Duration::from_millis(500);

/// The main function of the inner process.
///
/// # Errors
/// The failure, which the server already knows.
pub(crate) fn inner() -> Result<(), String> {
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    let socket = own(io::stdin())?;
    let tell = |news: &WardenMessage| {
        let packet = serde_json::to_vec(news).unwrap_or_default();
        wire::send(&socket, &packet, &[]).map_err(|error| error.to_string())
    };
    match enter_sandbox() {
        Ok((mut warden, report)) => {
            tell(&WardenMessage::Ready(report))?;
            warden.serve(&socket)
        }
        Err(error) => {
            tell(&WardenMessage::failed(&error))?;
            Err(error)
        }
    }
}

struct Warden {
    program: PathBuf,
    env: Vec<(String, String)>,
    own_env: Vec<(String, String)>,
    null: File,
    proxy: Option<TcpListener>,
    children: Option<Children>,
    scratch: Scratch,
    /// The CPU time that all runs used so far.
    spent: Duration,
}

fn enter_sandbox() -> Result<(Warden, Report), String> {
    let text = |what: &str, error: io::Error| format!("{what}: {error}");
    let mut left = String::new();
    let stdout = own(io::stdout())?;
    io::Read::read_to_string(&mut File::from(stdout), &mut left).map_err(|e| text("plan", e))?;
    let begun: Handover = serde_json::from_str(&left).map_err(|error| error.to_string())?;
    let (plan, mut report) = (begun.plan, begun.report);
    let (profile, limits) = (&plan.profile, &plan.profile.limits);
    let null = File::options().read(true).write(true).open("/dev/null");
    let null = null.map_err(|e| text("/dev/null", e))?;
    rustix::stdio::dup2_stdin(&null).map_err(|e| text("stdin", e.into()))?;
    rustix::stdio::dup2_stdout(&null).map_err(|e| text("stdout", e.into()))?;

    let children = match report.has(Feature::PidNamespace) {
        true => None,
        false => {
            let own = Some(rustix::process::getpid());
            rustix::process::set_child_subreaper(own).map_err(|e| text("subreaper", e.into()))?;
            Some(Children::open().map_err(|e| text("children in /proc", e))?)
        }
    };
    let entries = files::visible(profile, &plan.leads)?;
    let built = report.has(Feature::MountNamespace);
    let mut proc = Err("no mount namespace".to_owned());
    let mut free = begun
        .scratch
        .iter()
        .map(PathBuf::as_path)
        .collect::<Vec<_>>();
    if built {
        let owner = match begun.identity {
            Identity::Root => (plan.user, plan.group),
            Identity::Mapped => (namespaces::INNER, namespaces::INNER),
            // The root of a user namespace in which there is no other user.
            Identity::Server => (
                rustix::process::geteuid().as_raw(),
                rustix::process::getegid().as_raw(),
            ),
        };
        proc = root::build(&entries, limits, owner)?;
        free = vec![Path::new(SCRATCH), Path::new(SHARED)];
        if plan.without.contains(&Feature::Proc) || !report.has(Feature::PidNamespace) {
            let _ = rustix::mount::unmount("/proc", rustix::mount::UnmountFlags::DETACH);
            proc = Err("no pid namespace".to_owned());
        }
    }
    let net = report.has(Feature::NetNamespace);
    let proxy = match profile.network {
        Network::Proxy if net => Some(network::listen().map_err(|e| text("proxy", e))?),
        Network::Proxy => return Err("network `proxy` needs a network namespace".to_owned()),
        Network::None => None,
    };
    let scratch = Scratch::open(&free, built).map_err(|e| text("scratch", e))?;
    quotas::enforce(limits, begun.identity).map_err(|e| text("limits", e))?;
    namespaces::leave(begun.identity, &plan).map_err(|e| text("capabilities", e))?;
    rustix::thread::set_no_new_privs(true).map_err(|e| text("no_new_privs", e.into()))?;
    // A change of user resets it.
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    // Programs must not read its memory and descriptors, not even in /proc.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|e| text("dumpable", e.into()))?;

    let landlock = match plan.without.contains(&Feature::Landlock) {
        true => Err("switched off".to_owned()),
        false => {
            let settings: &[&Path] = if built { &SETTINGS.map(Path::new) } else { &[] };
            rules::enforce(&entries, &free, settings, proc.is_ok(), net)
        }
    };
    let seccomp = match plan.without.contains(&Feature::Seccomp) {
        true => Err("switched off".to_owned()),
        false => syscalls::enforce(Sockets {
            unix: built && net,
            ip: proxy.is_some(),
        }),
    };
    report.add(Feature::Proc, proc.map(|()| "mounted".to_owned()));
    report.add(Feature::Landlock, landlock);
    report.add(Feature::Seccomp, seccomp);

    let warden = Warden {
        program: profile.program.clone(),
        env: environment(&plan, &scratch.directory),
        own_env: profile.env.clone(),
        null,
        proxy,
        children,
        scratch,
        spent: Duration::ZERO,
    };
    Ok((warden, report))
}

/// Our own readable files in the new root.
const SETTINGS: [&str; 5] = [
    "/etc/passwd",
    "/etc/group",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/resolv.conf",
];

/// The environment of every program, before that of its run and its profile.
fn environment(plan: &Plan, scratch: &Path) -> Vec<(String, String)> {
    let scratch = scratch.to_string_lossy();
    let mut env = vec![
        ("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()),
        ("HOME", scratch.clone().into_owned()),
        ("TMPDIR", scratch.into_owned()),
        ("LANG", "C.UTF-8".to_owned()),
    ];
    if plan.profile.network == Network::Proxy {
        let proxy = format!("http://{}:{}", PROXY.0, PROXY.1);
        for name in ["http_proxy", "https_proxy", "all_proxy"] {
            env.push((name, proxy.clone()));
        }
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            env.push((name, proxy.clone()));
        }
    }
    let env = env.into_iter();
    env.map(|(name, value)| (name.to_owned(), value)).collect()
}

impl Warden {
    fn serve(&mut self, socket: &OwnedFd) -> Result<(), String> {
        rustix::process::chdir(&self.scratch.directory).map_err(|e| e.to_string())?;
        let mut buffer = vec![0; PACKET];
        loop {
            let mut streams = Vec::with_capacity(3);
            let length = wire::receive(socket, &mut buffer, &mut streams);
            let length = match length {
                Err(Errno::INTR) => continue,
                length => length.map_err(|error| error.to_string())?,
            };
            if length == 0 {
                return Ok(());
            }
            let (args, env) = wire::read_run(&buffer[..length]).ok_or("the packet is not a run")?;
            let news = self.run(&args, &env, streams, socket)?;
            let packet = serde_json::to_vec(&news).unwrap_or_default();
            wire::send(socket, &packet, &[]).map_err(|error| error.to_string())?;
        }
    }

    fn run(
        &mut self,
        args: &[&[u8]],
        env: &[(&[u8], &[u8])],
        streams: Vec<OwnedFd>,
        socket: &OwnedFd,
    ) -> Result<WardenMessage, String> {
        let child = match self.start(args, env, streams) {
            Ok(child) => child,
            Err(error) => {
                return Ok(WardenMessage::Refused(
                    error.raw_os_error().unwrap_or(libc::EIO),
                ));
            }
        };
        let status = match &self.proxy {
            // The outer process watches for the end of the server, so this one need not.
            None => wait_for(child),
            Some(proxy) => wait_and_accept(child, proxy, socket),
        };
        let status = status.map_err(|error| error.to_string())?;
        self.kill_rest();
        self.empty_queue();
        let clean = self.scratch.clear();
        let spent = used(UsageWho::RUSAGE_CHILDREN);
        let cpu = spent.saturating_sub(self.spent);
        self.spent = spent;
        Ok(WardenMessage::Ended {
            status: status.into_raw(),
            cpu,
            retire: !clean || used(UsageWho::RUSAGE_SELF) > OLD,
        })
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a warden has one thread and no runtime"
    )]
    fn start(
        &self,
        args: &[&[u8]],
        env: &[(&[u8], &[u8])],
        streams: Vec<OwnedFd>,
    ) -> io::Result<Pid> {
        let mut streams = streams.into_iter();
        let mut next = || streams.next().ok_or_else(|| io::Error::other("no stream"));
        let (stdout, stderr) = (next()?, next()?);
        let stdin = match next() {
            Ok(stdin) => Stdio::from(stdin),
            Err(_) => Stdio::from(self.null.try_clone()?),
        };
        let env = env
            .iter()
            .map(|(n, v)| (OsStr::from_bytes(n), OsStr::from_bytes(v)));
        let own = |env: &'_ [(String, String)]| env.to_vec();
        let child = Command::new(&self.program)
            .args(args.iter().map(|arg| OsStr::from_bytes(arg)))
            .env_clear()
            .envs(own(&self.env))
            .envs(env)
            .envs(own(&self.own_env))
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr)
            // `kill(0)` signals its own processes.
            .process_group(0)
            .spawn()?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        pid.ok_or_else(|| io::Error::other("no pid"))
    }

    /// Kills the processes that the program left running: they are our children by now.
    fn kill_rest(&self) {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some(_)) | Err(Errno::INTR) => continue,
                Ok(None) => {}
                Err(_) => return,
            }
            match &self.children {
                Some(children) => children.kill(),
                // In the first process of a pid namespace, this signals all its other processes.
                None => drop(signal::kill(
                    nix::unistd::Pid::from_raw(-1),
                    signal::SIGKILL,
                )),
            }
            let _ = rustix::process::wait(WaitOptions::empty());
        }
    }

    /// Drops connections of an earlier run, which must not reach the next run.
    fn empty_queue(&self) {
        if let Some(proxy) = &self.proxy {
            while proxy.accept().is_ok() {}
        }
    }
}

fn used(who: UsageWho) -> Duration {
    let Ok(usage) = getrusage(who) else {
        return Duration::ZERO;
    };
    let micros = |time: nix::sys::time::TimeVal| {
        let micros = time.tv_sec() * 1_000_000 + time.tv_usec();
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    };
    micros(usage.user_time()) + micros(usage.system_time())
}

fn wait_for(child: Pid) -> Result<ExitStatus, Errno> {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == child => {
                return Ok(ExitStatus::from_raw(status.as_raw()));
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

fn wait_and_accept(child: Pid, proxy: &TcpListener, socket: &OwnedFd) -> Result<ExitStatus, Errno> {
    let end = rustix::process::pidfd_open(child, PidfdFlags::empty())?;
    let packet = serde_json::to_vec(&WardenMessage::Connection).unwrap_or_default();
    loop {
        let mut ready = [
            PollFd::new(&end, PollFlags::IN),
            PollFd::new(proxy, PollFlags::IN),
        ];
        match rustix::event::poll(&mut ready, None) {
            Err(Errno::INTR) => continue,
            result => result?,
        };
        if !ready[0].revents().is_empty() {
            return wait_for(child);
        }
        // A client that has gone, or a lack of descriptors, leaves no connection to pass on.
        if let Ok((connection, _)) = proxy.accept() {
            let _ = wire::send(socket, &packet, &[connection.as_fd()]);
        }
    }
}
