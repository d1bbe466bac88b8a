//! The jails of the tests, and functions that run programs in them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use iof_jail::{Demand, Ended, Exit, Feature, Jail, Profile, Program, Request, RunError, Settings};

/// The binary of the warden.
pub(crate) const EXE: &str = env!("CARGO_BIN_EXE_iof-jail-warden");
/// Debian's own interpreter, whatever else is in the `PATH`.
pub(crate) const PYTHON: &str = "/usr/bin/python3";

/// The variable with the parent of scratch directories, for a process that counts them.
pub(crate) const SCRATCH: &str = "IOF_JAIL_SCRATCH";

/// One combination of layers.
pub(crate) struct Way {
    pub(crate) name: &'static str,
    pub(crate) jail: Jail,
}

impl Way {
    pub(crate) fn has(&self, feature: Feature) -> bool {
        self.jail.report().has(feature)
    }

    pub(crate) fn program(&self, profile: Profile) -> Program {
        self.jail.program(profile).unwrap()
    }

    pub(crate) async fn sh(&self, script: &str) -> Ended {
        self.run(Profile::new("/bin/sh"), &["-c", script]).await
    }

    pub(crate) async fn python(&self, script: &str) -> Ended {
        self.run(Profile::new(PYTHON), &["-c", script]).await
    }

    pub(crate) async fn run(&self, profile: Profile, args: &[&str]) -> Ended {
        run(&self.program(profile), args, "").await.unwrap()
    }
}

pub(crate) fn settings(without: &[Feature]) -> Settings {
    // Without a user namespace, processes are counted per user, so each jail has one.
    static USER: AtomicU32 = AtomicU32::new(70_000);
    let user = USER.fetch_add(1, Ordering::Relaxed);
    Settings {
        user: (user, user),
        demand: Demand::Available,
        without: without.to_vec(),
        // A directory in which every user may make directories.
        scratch: std::env::var_os(SCRATCH).map_or("/var/tmp".into(), Into::into),
        ..Settings::default()
    }
}

pub(crate) async fn jail(without: &[Feature]) -> Jail {
    Jail::new(settings(without), EXE).await.unwrap()
}

/// The combinations: all layers; all but user namespaces (as root, the others are made without); only Landlock, seccomp
/// and rlimits; and only namespaces.
pub(crate) async fn jails() -> Vec<Way> {
    use Feature::*;
    let mut ways = Vec::new();
    for (name, without) in [
        ("whole", &[][..]),
        ("no-userns", &[UserNamespace]),
        (
            "no-namespaces",
            &[
                UserNamespace,
                PidNamespace,
                MountNamespace,
                NetNamespace,
                IpcNamespace,
            ],
        ),
        ("no-filters", &[Landlock, Seccomp]),
    ] {
        let jail = jail(without).await;
        ways.push(Way { name, jail });
    }
    ways
}

pub(crate) fn request(args: &[&str], stdin: &str) -> Request {
    Request {
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        stdin: stdin.to_owned().into(),
        timeout: Duration::from_secs(20),
        ..Request::default()
    }
}

pub(crate) async fn run(program: &Program, args: &[&str], stdin: &str) -> Result<Ended, RunError> {
    program.run(request(args, stdin)).await
}

/// Returns `true` if a process of this machine is a `sleep` for `marker` seconds.
pub(crate) fn is_running(marker: &str) -> bool {
    count(marker) > 0
}

/// The number of such processes.
pub(crate) fn count(marker: &str) -> usize {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = all.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let sleep = format!("sleep\0{marker}\0");
    lines.filter(|line| line == sleep.as_bytes()).count()
}

/// Waits up to five seconds for a condition.
pub(crate) async fn eventually(condition: &str, holds: impl Fn() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not after five seconds: {condition}");
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}

/// The output of a run, which must have succeeded.
#[track_caller]
pub(crate) fn out(ended: &Ended) -> String {
    assert_eq!(ended.exit, Exit::Code(0), "{}", text(&ended.stderr));
    text(&ended.stdout)
}
